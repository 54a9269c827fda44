//! Names of files and texts of errors for logs and the store: without paths, as folders are named after
//! patients, and without patient ids.

use nodulus_formats::cohort::relative;
use nodulus_formats::uid;
use nodulus_store::{FailedCase, hash};
use std::any::Any;
use std::error::Error;
use std::path::Path;

/// Start of a redacted name.
const PREFIX: &str = "file-";

/// Start of the UIDs that the DICOM standard defines.
const STANDARD: &str = "1.2.840.10008.";

/// Redacted name of a file or folder of the input: `file-0123456789abcdef`, from its path below the input.
pub(super) fn path_name(input: &Path, path: &Path) -> String {
    hash::id(PREFIX, [relative(input, path).as_str()])
}

/// Whether an id is the redacted name of a file or folder. That of a series is a UID.
pub(super) fn is_path_name(id: &str) -> bool {
    id.starts_with(PREFIX)
}

/// An error with its causes, without paths below the input and without patient ids.
///
/// Errors quote paths and values in back quotes.
pub(super) fn cause(input: &Path, error: &(dyn Error + 'static)) -> String {
    let text = FailedCase::new("", "", error, None).cause;
    let has_patient = text.contains("PatientID");
    let pieces = text.split('`').enumerate().map(|(n, piece)| {
        if n % 2 == 0 {
            return piece.to_owned();
        }
        // The number of a frame follows its file.
        let (path, frame) = match piece.rsplit_once(", frame ") {
            Some((path, frame)) => (path, format!(", frame {frame}")),
            None => (piece, String::new()),
        };
        if path != input.as_os_str() && Path::new(path).starts_with(input) {
            format!("{}{frame}", path_name(input, Path::new(path)))
        } else if has_patient {
            "(redacted)".to_owned()
        } else {
            format!("`{piece}`")
        }
    });
    without_free_text(pieces.collect())
}

/// Attributes whose values people type, so that they may name the patient.
const FREE_TEXT: [&str; 6] = [
    "ImageComments",
    "SeriesDescription",
    "StudyDescription",
    "DerivationDescription",
    "ProtocolName",
    "PerformedProcedureStepDescription",
];

/// The cause of a series with several images, without the values of free text by which they differ.
fn without_free_text(cause: String) -> String {
    for attribute in FREE_TEXT {
        let start = format!("differ in {attribute} (");
        if let Some(at) = cause.find(&start)
            && let Some(end) = cause.rfind("): give").filter(|end| *end >= at + start.len())
        {
            return format!("{}redacted{}", &cause[..at + start.len()], &cause[end..]);
        }
    }
    cause
}

/// Cause of a failure by a panic. Its message is not repeated, as it may hold text of a file.
pub(super) fn panic_cause(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let is_overflow = text.is_some_and(|text| text.contains("overflow"));
    let kind = if is_overflow { "overflow" } else { "panic" };
    format!("the program itself failed ({kind}); please report it")
}

/// A text with each UID replaced by `name` of it.
pub(super) fn with_renamed_uids(text: &str, name: &dyn Fn(&str) -> String) -> String {
    let is_of_uid = |c: char| c.is_ascii_digit() || c == '.';
    let mut renamed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_of_uid) {
        let end = rest[start..].find(|c| !is_of_uid(c)).map_or(rest.len(), |n| start + n);
        let number = rest[start..end].trim_end_matches('.');
        renamed.push_str(&rest[..start]);
        // Numbers with a fraction stay.
        let is_long = number.matches('.').count() >= 2 && !number.starts_with(STANDARD);
        let is_uid = is_long && uid::is_uid(number);
        renamed.push_str(&if is_uid { name(number) } else { number.to_owned() });
        rest = &rest[start + number.len()..];
        if number.is_empty() {
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
            assert_eq!(with_renamed_uids(text, &name), expected);
        }
    }

    #[test]
    fn errors_hold_neither_paths_nor_patients() {
        let input = Path::new("/in");
        let path = input.join("DOE^JOHN/1.dcm");
        let file = path_name(input, &path);
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
        let groups = vec![("Doe (J): x".to_owned(), 4), ("y".to_owned(), 4)];
        let error = dicom::Error::SeveralImages { attribute: "ImageComments", groups };
        let text = cause(input, &error);
        assert!(text.contains("differ in ImageComments (redacted): give") && !text.contains("Doe"));
        let error = io::Error::other(format!("cannot read `{}`: no `x`", path.display()));
        assert_eq!(cause(input, &error), format!("cannot read {file}: no `x`"));
    }
}
