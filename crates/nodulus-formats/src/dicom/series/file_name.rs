//! The kind of a file's name, and the order of names.

use std::path::Path;

/// The kind of a name: equal for names that one program gives to the slices of a series.
///
/// METHOD: digits, with the points between them, are numbers or UIDs. A name of hexadecimal digits is a number as well.
/// The extension counts if it has a letter: in `CT.1.2.840` there is none.
pub(super) fn kind(path: &Path) -> String {
    let (stem, extension) = parts(path);
    let is_hex = |c: char| c.is_ascii_hexdigit() || matches!(c, '-' | '_' | '.');
    let has_digit = stem.contains(|c: char| c.is_ascii_digit());
    let stem = if stem.len() >= 8 && has_digit && stem.chars().all(is_hex) {
        "#".to_owned()
    } else {
        let mut kind = String::new();
        for c in stem.chars() {
            let is_number = c.is_ascii_digit() || c == '.' && kind.ends_with('#');
            match c {
                _ if is_number && kind.ends_with('#') => {}
                _ if is_number => kind.push('#'),
                c => kind.push(c),
            }
        }
        kind
    };
    format!("{stem}.{extension}")
}

/// The extension in small letters; empty without one.
pub(super) fn extension(path: &Path) -> String {
    parts(path).1
}

/// The name before the extension and the extension, in small letters.
fn parts(path: &Path) -> (String, String) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    match name.rsplit_once('.') {
        Some((stem, extension)) if extension.contains(char::is_alphabetic) => {
            (stem.to_owned(), extension.to_owned())
        }
        _ => (name, String::new()),
    }
}

/// A part of a name, ordered as people order names: `IM2` is before `IM10`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NamePart {
    /// A number of this many digits without leading zeros.
    Number(usize, String),
    /// Other letters.
    Text(String),
}

/// The parts of a name, by which names are ordered.
pub(super) fn order(path: &Path) -> Vec<NamePart> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let mut parts = Vec::new();
    let mut rest = name.as_str();
    while let Some(first) = rest.chars().next() {
        let is_number = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != is_number).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        rest = after;
        parts.push(if is_number {
            let digits = part.trim_start_matches('0');
            NamePart::Number(digits.len(), digits.to_owned())
        } else {
            NamePart::Text(part.to_owned())
        });
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_program_are_of_one_kind() {
        let kinds =
            |names: &[&str]| names.iter().map(|name| kind(Path::new(name))).collect::<Vec<_>>();
        for names in [
            &["0001.dcm", "0002.DCM", "12.dcm"][..],
            &["IM1", "IM0002", "im30"],
            &["CT.1.2.840.113.1", "CT.1.2.840.113.25.4"],
            &["1.2.840.1.dcm", "1.2.840.25.3.dcm"],
            &["1.2.840.1", "1.2.840.25.3"],
            &["a1b2c3d4-00ff", "0123456789ab"],
            &["IM-0001-0002.dcm", "IM-0001-0103.dcm"],
        ] {
            let kinds = kinds(names);
            assert!(kinds.iter().all(|kind| *kind == kinds[0]), "{kinds:?}");
        }
        for [a, b] in [
            ["0001.dcm", "page.dcm"],
            ["0001.dcm", "0001"],
            ["IM1", "README"],
            ["IM1", "SR1"],
            ["CT.1.2.840.1", "RS.1.2.840.1"],
            ["0001.dcm", "empty.dcm"],
            ["0001", "Thumbs.db"],
        ] {
            assert_ne!(kind(Path::new(a)), kind(Path::new(b)), "{a} {b}");
        }
    }

    #[test]
    fn names_are_ordered_by_their_numbers() {
        let mut names = ["IM10", "IM2", "IM001", "IM", "A3"].map(Path::new);
        names.sort_by_key(|name| order(name));
        assert_eq!(names, ["A3", "IM", "IM001", "IM2", "IM10"].map(Path::new));
    }
}
