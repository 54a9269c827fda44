//! Small JSON files of the store, written whole or not at all, and what they say of inputs.

use crate::{Error, durable, hash};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::io;
use std::path::Path;

/// A version of an output, or a file from outside, that an output was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRef {
    /// Name of the output, or of what else was read.
    pub name: String,
    /// Its key.
    pub key: String,
    /// SHA-256 over its parts' content.
    pub content_sha256: String,
    /// Of an input from outside the store, what people may ask later, as where it lay. No key depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Value>,
}

impl InputRef {
    /// A file or a list of files from outside the store; its content is its key too.
    pub fn outside(name: &str, content_sha256: String) -> Self {
        let key = content_sha256.chars().take(hash::KEY_DIGITS).collect();
        Self { name: name.to_owned(), key, content_sha256, note: None }
    }

    /// Whether it comes from outside the store, even if an output has the same name.
    pub fn is_from_outside(&self) -> bool {
        self.content_sha256.starts_with(&self.key)
    }

    /// Whether two lists name the same inputs with the same content, under whatever keys.
    pub(crate) fn are_same(a: &[Self], b: &[Self]) -> bool {
        let content = |input: &Self| (input.name.clone(), input.content_sha256.clone());
        a.iter().map(content).eq(b.iter().map(content))
    }
}

/// The part of an input that one shard was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardInput {
    /// Name of the output, or of what else was read.
    pub name: String,
    /// SHA-256 over the content of exactly that part.
    pub content_sha256: String,
}

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
    Ok(durable::write(path, &bytes(path, record)?)?)
}

/// A record as JSON with a line for each value.
pub(crate) fn bytes(path: &Path, record: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut bytes = serde_json::to_vec_pretty(record)
        .map_err(|source| Error::Record { path: path.to_owned(), source })?;
    bytes.push(b'\n');
    Ok(bytes)
}
