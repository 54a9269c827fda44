//! The lines of an NRRD header: fields, keys and comments.

use super::error::Error;
use std::collections::BTreeMap;
use std::path::Path;

/// Characters of an invalid value that an error shows.
const LONGEST_SHOWN: usize = 80;

/// The header's fields and keys by name.
pub(super) struct HeaderFields<'a> {
    path: &'a Path,
    /// Fields, with names in lower case and without their other spellings.
    fields: BTreeMap<String, String>,
    /// The writer's own keys.
    pub(super) keys: BTreeMap<String, String>,
}

/// Other names of fields (teem's `nrrdFieldStr` and its aliases).
const OTHER_NAMES: [(&str, &str); 5] = [
    ("datafile", "data file"),
    ("byteskip", "byte skip"),
    ("lineskip", "line skip"),
    ("centers", "centerings"),
    ("spaceunits", "space units"),
];

impl<'a> HeaderFields<'a> {
    /// Parses the lines up to the first empty one; also returns the offset of what follows it. A header without an empty
    /// line ends with its bytes, which is right where the voxels are in another file.
    pub(super) fn parse(path: &'a Path, bytes: &[u8]) -> Result<(Self, usize), Error> {
        let not_nrrd = |found| Error::NotNrrd { path: path.to_owned(), found };
        let mut header = Self { path, fields: BTreeMap::new(), keys: BTreeMap::new() };
        let mut at = 0;
        for line in 1.. {
            let rest = bytes.get(at..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let end = rest.iter().position(|byte| *byte == b'\n');
            let text = String::from_utf8_lossy(&rest[..end.unwrap_or(rest.len())]);
            let text = text.trim_end_matches('\r');
            at += end.map_or(rest.len(), |end| end + 1);
            if line == 1 {
                let version = text.strip_prefix("NRRD").filter(|version| version.len() == 4);
                if version.is_none_or(|version| version.parse::<u16>().is_err()) {
                    return Err(not_nrrd("it does not begin with `NRRD000` and a version"));
                }
            } else if text.is_empty() {
                return Ok((header, at));
            } else {
                header.add(line, text)?;
            }
        }
        if header.fields.is_empty() {
            return Err(not_nrrd("its header has no field"));
        }
        Ok((header, at))
    }

    fn add(&mut self, line: usize, text: &str) -> Result<(), Error> {
        if text.starts_with('#') {
            return Ok(());
        }
        let wrong = || {
            let found = text.chars().take(LONGEST_SHOWN).collect();
            Error::Line { path: self.path.to_owned(), line, found }
        };
        // A key may hold `: `, so what comes first decides.
        let (name, value) = text.split_once(':').ok_or_else(wrong)?;
        if let Some(value) = value.strip_prefix('=') {
            self.keys.insert(unescaped(name), unescaped(value));
            return Ok(());
        }
        let name = name.trim().to_ascii_lowercase();
        let other = OTHER_NAMES.iter().find(|(other, _)| *other == name);
        let name = other.map_or(name, |(_, name)| (*name).to_owned());
        let value = value.trim().to_owned();
        match self.fields.get(&name) {
            Some(before) if *before != value => {
                let found = format!("{before}` and `{value}");
                Err(self.wrong(&name, &found, "one value"))
            }
            _ => {
                self.fields.insert(name, value);
                Ok(())
            }
        }
    }

    pub(super) fn find(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(String::as_str)
    }

    pub(super) fn get(&self, field: &'static str) -> Result<&str, Error> {
        self.find(field).ok_or_else(|| Error::Missing { path: self.path.to_owned(), field })
    }

    pub(super) fn wrong(&self, field: &str, found: &str, expected: impl Into<String>) -> Error {
        Error::Value {
            path: self.path.to_owned(),
            field: field.to_owned(),
            found: found.chars().take(LONGEST_SHOWN).collect(),
            expected: expected.into(),
        }
    }
}

/// The text of a key or its value: `\n` is a line break, `\\` a backslash.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, characters.clone().next()) {
            ('\\', Some('n')) => {
                plain.push('\n');
                characters.next();
            }
            ('\\', Some('\\')) => {
                plain.push('\\');
                characters.next();
            }
            _ => plain.push(character),
        }
    }
    plain
}
