//! Small JSON files of the store, written whole or not at all.

use crate::{Error, durable};
use serde::{Serialize, de::DeserializeOwned};
use std::io;
use std::path::Path;

/// Reads a record, or `None` where there is no file.
///
/// # Errors
///
/// Fails if the file is there and cannot be read, or is not such a record.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let bytes = match fs_err::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|source| Error::Record { path: path.to_owned(), source })
}

/// Writes a record, whole or not at all.
///
/// # Errors
///
/// Fails if the record has no JSON form or the file cannot be written.
pub fn write(path: &Path, record: &impl Serialize) -> Result<(), Error> {
    let mut bytes = serde_json::to_vec_pretty(record)
        .map_err(|source| Error::Record { path: path.to_owned(), source })?;
    bytes.push(b'\n');
    Ok(durable::write(path, &bytes)?)
}
