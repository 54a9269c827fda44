//! What is told of files and errors, in logs and in the store: no path, as people name folders after
//! patients, and no patient id.

use crate::formats::cohort::relative;
use crate::tables::{Failure, hash};
use std::error::Error;
use std::path::Path;

/// Begins what a file or folder is called.
const PREFIX: &str = "file-";

/// What a file or folder of the input is called: `file-0123456789abcdef`, from its path below the input.
pub(super) fn name(input: &Path, path: &Path) -> String {
    hash::id(PREFIX, [relative(input, path).as_str()])
}

/// Whether that is what a file or folder is called; a series has a UID.
pub(super) fn is_name(id: &str) -> bool {
    id.starts_with(PREFIX)
}

/// An error with its causes, without paths below the input and without patient ids.
///
/// Errors have paths and values between back quotes.
pub(super) fn cause(input: &Path, error: &(dyn Error + 'static)) -> String {
    let text = Failure::new("", "", error, None).cause;
    let has_patient = text.contains("PatientID");
    let pieces = text.split('`').enumerate().map(|(n, piece)| {
        if n % 2 == 0 {
            return piece.to_owned();
        }
        // A frame is named behind its file.
        let (path, frame) = match piece.rsplit_once(", frame ") {
            Some((path, frame)) => (path, format!(", frame {frame}")),
            None => (piece, String::new()),
        };
        if Path::new(path).starts_with(input) {
            format!("{}{frame}", name(input, Path::new(path)))
        } else if has_patient {
            "(not told)".to_owned()
        } else {
            format!("`{piece}`")
        }
    });
    pieces.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::dicom;
    use std::io;

    #[test]
    fn neither_paths_nor_patients_are_told() {
        let input = Path::new("/in");
        let path = input.join("DOE^JOHN/1.dcm");
        let file = name(input, &path);
        let error = dicom::Error::Mixed {
            attribute: "PatientID",
            file: "/in/DOE^JOHN/2.dcm, frame 3".into(),
            found: "`P1`".to_owned(),
            first: path.clone(),
            expected: "`P2`".to_owned(),
        };
        let text = cause(input, &error);
        assert!(!text.contains("DOE") && !text.contains("P1") && !text.contains("P2"), "{text}");
        assert!(text.contains(&file) && text.contains(", frame 3"), "{text}");
        let error = io::Error::other(format!("cannot read `{}`: no `x`", path.display()));
        assert_eq!(cause(input, &error), format!("cannot read {file}: no `x`"));
    }
}
