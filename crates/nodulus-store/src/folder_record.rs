//! The record of a folder's files, as of a training's saved state: written last, and compared before the files are used.

use crate::damage::{self, Damage};
use crate::{Error, durable, hash, record};
use std::collections::BTreeMap;
use std::path::Path;

/// Name of the record in the folder.
pub const NAME: &str = "files.json";

/// Records the files of a folder, with their SHA-256.
///
/// # Errors
///
/// Fails if a file cannot be read, or the record not written.
pub fn write(folder: &Path) -> Result<(), Error> {
    let mut names = Vec::new();
    for entry in durable::entries(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != NAME {
            names.push(name);
        }
    }
    write_of(folder, &names)
}

/// Records some files of a folder, by their names.
///
/// # Errors
///
/// As [`write()`].
pub fn write_of(folder: &Path, names: &[impl AsRef<str>]) -> Result<(), Error> {
    let mut files = BTreeMap::new();
    for name in names.iter().map(AsRef::as_ref) {
        files.insert(name, hash::sha256_file(&folder.join(name))?);
    }
    record::write(&folder.join(NAME), &files)
}

/// Whether a folder has a record, and with it all its files.
pub fn is_written(folder: &Path) -> bool {
    folder.join(NAME).exists()
}

/// What is wrong with a folder that has a record: with the record, or with the first file that is not as recorded.
///
/// # Errors
///
/// Fails if the machine does not let a file be read.
pub fn damage(folder: &Path) -> Result<Option<Damage>, Error> {
    let path = folder.join(NAME);
    let files = match record::read::<BTreeMap<String, String>>(&path) {
        Ok(Some(files)) => files,
        Ok(None) => return Ok(Some(Damage::missing(&path))),
        Err(error) => return damage::of_error(&path, error).map(Some),
    };
    for (name, expected) in files {
        let file = folder.join(name);
        match hash::sha256_file(&file) {
            Ok(found) if found == expected => {}
            Ok(_) => return Ok(Some(Damage::new(&file, "is not what was written"))),
            Err(error) => return damage::of_error(&file, error.into()).map(Some),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let files =
            [("a", "one"), ("b", "two")].map(|(name, text)| (folder.path().join(name), text));
        for (file, text) in &files {
            fs_err::write(file, text).unwrap();
        }
        assert!(!is_written(folder.path()));
        write(folder.path()).unwrap();
        assert_eq!(damage(folder.path()).unwrap(), None);
        fs_err::write(&files[1].0, "twO").unwrap();
        let found = damage(folder.path()).unwrap().unwrap();
        assert_eq!((found.path, &*found.what), (files[1].0.clone(), "is not what was written"));
        fs_err::remove_file(&files[1].0).unwrap();
        assert_eq!(damage(folder.path()).unwrap().unwrap().what, "is missing");
    }
}
