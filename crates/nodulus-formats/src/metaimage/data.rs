//! The location of a MetaImage's voxels: its field `ElementDataFile`.

use crate::folder::is_below;
use std::collections::BTreeSet;
use std::iter;
use std::path::Path;

/// The files that hold the voxels.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DataLocation {
    /// The file of the header, after it.
    Local,
    /// A file with this name, below the folder of the header.
    File(String),
    /// A file for each slice, with these names in the order of k.
    List(Vec<String>),
    /// A file for each slice, with numbered names.
    Numbered(NumberedNames),
}

/// Numbered names, as C's `printf` makes them of `before%03dafter`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NumberedNames {
    before: String,
    /// Least number of digits, and whether they are padded with zeros.
    width: usize,
    zeros: bool,
    after: String,
    first: u64,
    step: u64,
    n: usize,
}

/// What `ElementDataFile` may be, for errors.
pub(super) const EXPECTED: &str =
    "LOCAL, LIST, LIST 2, a file below the header's folder, or a pattern such as `a%03d.raw 1 9 1`";

/// The longest number in a name; `u64` has 20 digits.
const WIDEST: usize = 20;

impl DataLocation {
    /// Parses the field and, for a list, the names in `rest`; fails with what it found. A pattern without numbers
    /// counts from 1 to `n_slices`.
    pub(super) fn parse(field: &str, rest: &[u8], n_slices: usize) -> Result<Self, String> {
        let wrong = || field.to_owned();
        let words: Vec<&str> = field.split_whitespace().collect();
        match words.as_slice() {
            ["LOCAL" | "Local" | "local"] => Ok(Self::Local),
            // METHOD: the number is that of the axes of a file (MetaIO); only slices are supported.
            ["LIST"] | ["LIST", "2" | "2D"] => list(rest).map(Self::List),
            ["LIST", ..] => Err(wrong()),
            [pattern, numbers @ ..] if pattern.contains('%') => {
                NumberedNames::parse(pattern, numbers, n_slices)
                    .map(Self::Numbered)
                    .ok_or_else(wrong)
            }
            _ if field.contains('%') || !is_below(field) => Err(wrong()),
            _ => Ok(Self::File(field.to_owned())),
        }
    }

    /// Number of files, where each slice has one.
    pub(super) fn n_files(&self) -> Option<usize> {
        match self {
            Self::Local | Self::File(_) => None,
            Self::List(names) => Some(names.len()),
            Self::Numbered(pattern) => Some(pattern.n),
        }
    }

    /// The names of the files, made one at a time: a header can ask for more than memory holds.
    pub(super) fn names(&self) -> Box<dyn Iterator<Item = String> + '_> {
        match self {
            Self::Local => Box::new(iter::empty()),
            Self::File(name) => Box::new(iter::once(name.clone())),
            Self::List(names) => Box::new(names.iter().cloned()),
            Self::Numbered(pattern) => Box::new((0..pattern.n).map(|n| pattern.name(n))),
        }
    }
}

impl NumberedNames {
    /// `None` unless the pattern has exactly one `%d` and its numbers are valid.
    ///
    /// METHOD: the defaults are those of ITK's `MetaIO`. With a last number and no step, `MetaIO` divides by zero; here
    /// the step is required.
    fn parse(pattern: &str, numbers: &[&str], n_slices: usize) -> Option<Self> {
        let (before, after) = pattern.split_once('%')?;
        let conversion = after.find(|c: char| !c.is_ascii_digit())?;
        let (digits, after) = after.split_at(conversion);
        let after = after.strip_prefix(['d', 'i', 'u'])?;
        let width = if digits.is_empty() { 0 } else { digits.parse().ok()? };
        if width > WIDEST || after.contains('%') || !is_below(&format!("{before}0{after}")) {
            return None;
        }
        let numbers: Vec<u64> =
            numbers.iter().map(|number| number.parse().ok()).collect::<Option<_>>()?;
        let (first, step, n) = match *numbers.as_slice() {
            [] => (1, 1, n_slices),
            [first] => (first, 1, n_slices),
            [first, last, step] => {
                let n = last.checked_sub(first)?.checked_div(step)?.checked_add(1)?;
                (first, step, usize::try_from(n).ok()?)
            }
            _ => return None,
        };
        // The last number must fit.
        first.checked_add(step.checked_mul(n.saturating_sub(1) as u64)?)?;
        let (before, after) = (before.to_owned(), after.to_owned());
        Some(Self { before, width, zeros: digits.starts_with('0'), after, first, step, n })
    }

    fn name(&self, n: usize) -> String {
        let Self { before, width, after, .. } = self;
        let number = self.first + self.step * n as u64;
        if self.zeros {
            format!("{before}{number:0width$}{after}")
        } else {
            format!("{before}{number:width$}{after}")
        }
    }
}

/// The names of a list, one on each line.
fn list(rest: &[u8]) -> Result<Vec<String>, String> {
    let text = str::from_utf8(rest).map_err(|error| format!("LIST, in it {error}"))?;
    let names = text.lines().map(str::trim).filter(|name| !name.is_empty());
    let names: Vec<String> = names.map(str::to_owned).collect();
    let mut seen = BTreeSet::new();
    for name in &names {
        if !is_below(name) {
            return Err(format!("LIST, in it {name}"));
        }
        // A name that repeats could fill the memory from a small header.
        if !seen.insert(plain(name)) {
            return Err(format!("LIST, in it twice {name}"));
        }
    }
    Ok(names)
}

/// A name without a leading `./`.
fn plain(name: &str) -> &Path {
    let path = Path::new(name);
    path.strip_prefix(".").unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(field: &str, rest: &[u8]) -> Result<Vec<String>, String> {
        DataLocation::parse(field, rest, 3).map(|data| data.names().collect())
    }

    #[test]
    fn one_file_a_list_and_a_pattern_name_their_files() {
        assert_eq!(DataLocation::parse("LOCAL", b"", 3), Ok(DataLocation::Local));
        assert_eq!(names("a b.raw", b"").unwrap(), ["a b.raw"]);
        assert_eq!(names("./raw/a.raw", b"").unwrap(), ["./raw/a.raw"]);
        for list in ["LIST", "LIST 2", "LIST 2D"] {
            assert_eq!(names(list, b"b 1.raw\r\na.raw\n\n").unwrap(), ["b 1.raw", "a.raw"]);
        }
        assert_eq!(names("s%d.raw", b"").unwrap(), ["s1.raw", "s2.raw", "s3.raw"]);
        assert_eq!(names("s%02i.raw 9", b"").unwrap(), ["s09.raw", "s10.raw", "s11.raw"]);
        assert_eq!(names("%3d 5 11 3", b"").unwrap(), ["  5", "  8", " 11"]);
        assert_eq!(names("s%03d.raw 1 20 1", b"").unwrap().len(), 20);
    }

    #[test]
    fn names_outside_the_folder_and_invalid_patterns_are_refused() {
        for name in ["..", ".", "../a", "/a", "a/../b", "a\\b", "./../a"] {
            assert_eq!(names(name, b"").unwrap_err(), name);
            let list = names("LIST", format!("a.raw\n{name}\n").as_bytes());
            assert_eq!(list.unwrap_err(), format!("LIST, in it {name}"));
        }
        assert_eq!(names("", b"").unwrap_err(), "");
        for pattern in [
            "LIST 3",
            "LIST 2 2",
            "%s.raw",
            "%d%d.raw",
            "100%.raw",
            "%",
            "a%d.raw 1 3",
            "a%d.raw 3 1 1",
            "a%d.raw 1 3 0",
            "a%d.raw -1",
            "a%d.raw 1 2 3 4",
            "a%99d.raw",
            "a b%d.raw",
            "../a%d.raw",
            "/%d",
            "a%d.raw 18446744073709551615",
        ] {
            assert_eq!(names(pattern, b"").unwrap_err(), pattern);
        }
        assert!(names("LIST", &[0xff, b'\n']).unwrap_err().contains("invalid utf-8"));
        let twice = names("LIST", b"a.raw\nb.raw\n./a.raw\n");
        assert_eq!(twice.unwrap_err(), "LIST, in it twice ./a.raw");
        // The names are not made all at once.
        let huge = DataLocation::parse("a%d.raw", b"", usize::MAX).unwrap();
        assert_eq!(huge.names().nth(2).unwrap(), "a3.raw");
    }
}
