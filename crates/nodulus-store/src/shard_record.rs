//! What a committed shard consists of and what it was made from.

use crate::record::{InputRef, ShardInput};
use nodulus_faults::{FaultClass, in_words, is_disk_full};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

/// A file of an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRecord {
    /// Name in the shard's folder.
    pub file: String,
    /// Rows, 0 where the file is not a table.
    pub rows: u64,
    /// Size of the file.
    pub bytes: u64,
    /// SHA-256 of the file's content, without volatile columns.
    pub content_sha256: String,
    /// SHA-256 of the whole file, where that is another one; none in a record of an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_sha256: Option<String>,
}

/// A case that a shard was made from, where its input is files from outside the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardCase {
    /// Name of the cohort.
    pub cohort: String,
    /// Where the case lay when it was read, relative to the cohort's root.
    pub case_id: String,
    /// Number of its files.
    pub n_files: usize,
    /// SHA-256 of its content.
    pub content_sha256: String,
    /// What lets another shard take its rows over without reading it again; shards of earlier programs have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<CaseReading>,
}

/// Where a case lay when it was read, and which rows of its shard are its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseReading {
    /// SHA-256 of where its files lay. The content is no part of it.
    pub places_sha256: String,
    /// Number of its rows in each output of the job, in order, and of its failures; empty until the shard is made. Rows stand in
    /// the order of the cases.
    pub rows: Vec<u64>,
}

/// The record of one shard of one output, `record.json` in the shard's folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShardRecord {
    /// Key: a hash of everything that the shard's content depends on.
    pub key: String,
    /// Stage that made it.
    pub stage: String,
    /// Version of that stage's code.
    pub stage_version: u32,
    /// The settings that it depends on.
    pub config: Value,
    /// Decisions over all cases that it depends on, as the splits of its patients; often null.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub decisions: Value,
    /// Exactly what it was made from.
    pub inputs: Vec<ShardInput>,
    /// The cases that it was made from, where they are files from outside the store.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cases: Vec<ShardCase>,
    /// Digests of groups of its rows, by the groups' names, for what is made from some of its rows alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digests: BTreeMap<String, String>,
    /// Its files.
    pub parts: Vec<PartRecord>,
    /// Its cases that failed; only the record of the job's first output has them.
    pub failures: Vec<FailedCase>,
}

/// A case that failed, as the record of its shard keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedCase {
    /// The stage that failed.
    pub stage: String,
    /// The cohort of the case; `None` for a case that spans cohorts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cohort: Option<String>,
    /// The case, by the stage's own name for it.
    pub case_id: String,
    /// The chain of causes, outermost first.
    pub cause: String,
    /// The file or folder at fault, where there is one.
    pub path: Option<String>,
    /// Bytes of memory that the case needs, where it failed for lack of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_bytes: Option<u64>,
    /// Whose fault it is.
    #[serde(default)]
    pub class: FaultClass,
    /// Whether a disk is full, so that no other case can be done either.
    #[serde(skip)]
    pub is_disk_full: bool,
}

impl FailedCase {
    /// A failed case with the whole chain of an error's causes, and the class of the error.
    pub fn new(
        stage: &str,
        case_id: impl Into<String>,
        error: &(dyn Error + 'static),
        path: Option<String>,
    ) -> Self {
        let (stage, case_id, cause) = (stage.to_owned(), case_id.into(), in_words(error));
        let (class, is_disk_full) = (FaultClass::of(error), is_disk_full(error));
        Self { stage, cohort: None, case_id, cause, path, needs_bytes: None, class, is_disk_full }
    }

    /// Work that met a fault of the machine.
    pub fn by_machine(stage: &str, case_id: impl Into<String>, cause: String) -> Self {
        Self {
            stage: stage.to_owned(),
            cohort: None,
            case_id: case_id.into(),
            cause,
            path: None,
            needs_bytes: None,
            class: FaultClass::Machine,
            is_disk_full: false,
        }
    }

    /// The same case, of this cohort.
    #[must_use]
    pub fn of_cohort(self, cohort: &str) -> Self {
        Self { cohort: Some(cohort.to_owned()), ..self }
    }

    /// The same case, which failed because it needs this many bytes of memory.
    #[must_use]
    pub fn needing(self, bytes: u64) -> Self {
        Self { needs_bytes: Some(bytes), class: FaultClass::Machine, ..self }
    }

    /// Whether trying again may end otherwise, so that the failure is no result. A case that needs more memory than it may
    /// have fails until it may have it.
    pub fn is_passing(&self) -> bool {
        self.class.is_passing() && self.needs_bytes.is_none()
    }
}

/// Folder of a shard, given the folder of its output.
pub(crate) fn shard_folder(output: &Path, key: &str) -> PathBuf {
    output.join("shards").join(key)
}

/// Path of the record of a shard, given the folder of its output. The shard is committed if this file exists.
pub(crate) fn record_path(output: &Path, key: &str) -> PathBuf {
    shard_folder(output, key).join("record.json")
}

/// The content of an input, as a shard made from all of it sees it.
impl From<&InputRef> for ShardInput {
    fn from(input: &InputRef) -> Self {
        Self { name: input.name.clone(), content_sha256: input.content_sha256.clone() }
    }
}
