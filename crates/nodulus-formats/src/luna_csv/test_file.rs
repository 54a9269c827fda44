//! A CSV file for tests.

use super::error::Error;
use std::path::PathBuf;

/// A file `a.csv` with a text, and the folder that it goes with.
pub(super) fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    fs_err::write(&path, text).unwrap();
    (folder, path)
}

/// What an error says after the file's folder.
pub(super) fn message(error: &Error) -> String {
    let error = error.to_string();
    error.rsplit_once("a.csv").unwrap().1.to_owned()
}
