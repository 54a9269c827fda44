//! A CSV file for tests.

use super::error::Error;
use std::path::PathBuf;

/// Writes a file `a.csv`; returns it with its temporary folder.
pub(super) fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    fs_err::write(&path, text).unwrap();
    (folder, path)
}

/// The text of an error after the file's name.
pub(super) fn message(error: &Error) -> String {
    let error = error.to_string();
    error.rsplit_once("a.csv").unwrap().1.to_owned()
}
