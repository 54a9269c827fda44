//! What a finished output consists of and what it was made from.

use crate::{FailedCase, hash};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A file of an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRecord {
    /// Name in the output's folder of files.
    pub file: String,
    /// Rows, 0 where the file is not a table.
    pub rows: u64,
    /// Size of the file.
    pub bytes: u64,
    /// SHA-256 of the file's content, without volatile columns.
    pub content_sha256: String,
}

/// The record of one shard of one output. The shard is committed once this file exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardRecord {
    /// Number of the shard, from 0.
    pub shard: usize,
    /// Its files.
    pub parts: Vec<PartRecord>,
    /// Its cases that failed; only the record of the job's first output has them.
    pub failures: Vec<FailedCase>,
}

/// An input that an output was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRef {
    /// Name of the output, or of what else was read.
    pub name: String,
    /// Its key.
    pub key: String,
    /// SHA-256 over its parts' content.
    pub content_sha256: String,
}

/// The record of a finished output. The output exists once this file does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Name of the output.
    pub output: String,
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
    /// The inputs that it was made from.
    pub inputs: Vec<InputRef>,
    /// Rows in all parts.
    pub rows: u64,
    /// SHA-256 over the parts' content.
    pub content_sha256: String,
    /// The shards, in order.
    pub shards: Vec<ShardRecord>,
}

impl Manifest {
    /// This output as the input of another.
    pub fn as_input(&self) -> InputRef {
        InputRef {
            name: self.output.clone(),
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
pub(crate) fn content_of(shards: &[ShardRecord]) -> String {
    hash::sha256_parts(
        shards.iter().flat_map(|shard| &shard.parts).map(|part| part.content_sha256.as_str()),
    )
}
