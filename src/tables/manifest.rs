//! What a finished output is made of and made from.

use super::{Failure, Output, durable, hash};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};

/// A file of an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRecord {
    /// Name in the output's folder of files.
    pub file: String,
    /// Rows, 0 where the file is not a table.
    pub rows: u64,
    /// Size of the file.
    pub bytes: u64,
    /// SHA-256 of what the file says, without columns that measure the run.
    pub content_sha256: String,
}

/// What one shard of one output holds. The shard is committed when this file is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardRecord {
    /// Number of the shard, from 0.
    pub shard: usize,
    /// Its files.
    pub parts: Vec<PartRecord>,
    /// Its cases that failed; in the stage's first output alone.
    pub failures: Vec<Failure>,
}

/// Something that an output was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRef {
    /// Name of the output, or `sources`.
    pub name: String,
    /// Its key.
    pub key: String,
    /// SHA-256 over its parts' content.
    pub content_sha256: String,
}

/// A finished output. The output exists when this file does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The output.
    pub output: Output,
    /// Its key.
    pub key: String,
    /// Version of its columns.
    pub schema_version: u32,
    /// Version of the program that made it.
    pub tool_version: String,
    /// Stage that made it.
    pub stage: String,
    /// Version of that stage's code.
    pub stage_version: u32,
    /// The stage's settings.
    pub config: Value,
    /// What it was made from.
    pub inputs: Vec<InputRef>,
    /// Rows in all parts.
    pub rows: u64,
    /// SHA-256 over the parts' content.
    pub content_sha256: String,
    /// The shards, in order.
    pub shards: Vec<ShardRecord>,
}

/// A record of the store could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is not what this program writes.
    #[error("`{path}` is not a record that this nodulus can read; a newer one may have written it")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl Manifest {
    /// This output as the input of another.
    pub fn as_input(&self) -> InputRef {
        InputRef {
            name: self.output.name().to_owned(),
            key: self.key.clone(),
            content_sha256: self.content_sha256.clone(),
        }
    }

    /// Number of shards.
    pub fn n_shards(&self) -> usize {
        self.shards.len()
    }
}

/// SHA-256 over the content of all parts, in order.
pub(super) fn content_of(shards: &[ShardRecord]) -> String {
    hash::sha256_parts(
        shards.iter().flat_map(|shard| &shard.parts).map(|part| part.content_sha256.as_str()),
    )
}

/// Reads a record, or `None` where there is no file.
///
/// # Errors
///
/// Fails if the file is there and cannot be read, or is not a record.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let bytes = match fs_err::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|source| Error::Parse { path: path.to_owned(), source })
}

/// Writes a record, whole or not at all.
///
/// # Errors
///
/// Fails if the file cannot be written.
pub fn write(path: &Path, record: &impl Serialize) -> Result<(), Error> {
    let mut bytes = serde_json::to_vec_pretty(record)
        .map_err(|source| Error::Parse { path: path.to_owned(), source })?;
    bytes.push(b'\n');
    Ok(durable::write(path, &bytes)?)
}
