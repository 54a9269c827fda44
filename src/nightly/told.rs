//! What is told of files and errors, in logs and in the store: no path, as people name folders after
//! patients, and no patient id.

use crate::tables::{Failure, hash};
use nodulus_formats::cohort::relative;
use nodulus_formats::uid;
use std::error::Error;
use std::path::Path;

/// Begins what a file or folder is called.
const PREFIX: &str = "file-";

/// What a file or folder of the input is called: `file-0123456789abcdef`, from its path below the input.
pub(super) fn name(input: &Path, path: &Path) -> String {
    hash::id(PREFIX, [relative(input, path).as_str()])
}

/// Begins UIDs of the standard's own things.
const STANDARD: &str = "1.2.840.10008.";

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
        if path != input.as_os_str() && Path::new(path).starts_with(input) {
            format!("{}{frame}", name(input, Path::new(path)))
        } else if has_patient {
            "(not told)".to_owned()
        } else {
            format!("`{piece}`")
        }
    });
    pieces.collect()
}

/// A text with UIDs as results name them.
pub(super) fn renamed(text: &str, name: &dyn Fn(&str) -> String) -> String {
    let is_of_uid = |c: char| c.is_ascii_digit() || c == '.';
    let mut renamed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_of_uid) {
        let end = rest[start..].find(|c| !is_of_uid(c)).map_or(rest.len(), |n| start + n);
        let found = rest[start..end].trim_end_matches('.');
        renamed.push_str(&rest[..start]);
        // Numbers with a fraction stay.
        let is_long = found.matches('.').count() >= 2 && !found.starts_with(STANDARD);
        let is_one = is_long && uid::is_uid(found);
        renamed.push_str(&if is_one { name(found) } else { found.to_owned() });
        rest = &rest[start + found.len()..];
        if found.is_empty() {
            renamed.push_str(&rest[..1]);
            rest = &rest[1..];
        }
    }
    renamed + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodulus_formats::dicom;
    use std::io;

    #[test]
    fn uids_are_renamed_and_numbers_stay() {
        let name = |uid: &str| format!("<{uid}>");
        for (text, expected) in [
            ("series 2.25.7 is off by 3.5 mm...", "series <2.25.7> is off by 3.5 mm..."),
            ("`1.3.6.1.`, 1.2.840.10008.1.2", "`<1.3.6.1>.`, 1.2.840.10008.1.2"),
            ("", ""),
            (".", "."),
        ] {
            assert_eq!(renamed(text, &name), expected);
        }
    }

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
