//! Versions of outputs: which shards an output consists of, and what it was made from.

use crate::record::InputRef;
use crate::shard_record::{FailedCase, PartRecord, ShardRecord, record_path, shard_folder};
use crate::{Error, OutputSpec, PartReader, Row, TableSpec, durable, hash, record};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A shard, as the version lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardSummary {
    /// Its key.
    pub key: String,
    /// Its files.
    pub parts: Vec<PartRecord>,
    /// Number of its cases that failed; 0 for all outputs of a job but the first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub n_failures: usize,
    /// Bytes of memory with which the smallest of the cases that did not fit would fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_bytes: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(n: &usize) -> bool {
    *n == 0
}

impl ShardSummary {
    pub(crate) fn of(record: &ShardRecord) -> Self {
        Self {
            key: record.key.clone(),
            parts: record.parts.clone(),
            n_failures: record.failures.len(),
            needs_bytes: record.failures.iter().filter_map(|failed| failed.needs_bytes).min(),
        }
    }

    /// A shard that is still to be made.
    pub(crate) fn empty(key: &str) -> Self {
        Self { key: key.to_owned(), parts: Vec::new(), n_failures: 0, needs_bytes: None }
    }

    /// SHA-256 over the content of its parts.
    pub fn content_sha256(&self) -> String {
        hash::sha256_parts(self.parts.iter().map(|part| part.content_sha256.as_str()))
    }
}

/// The record of a version: `STORE/OUTPUT/versions/KEY.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Name of the output.
    pub output: String,
    /// Its key: a hash of the shards' keys, in order.
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
    /// The inputs that it would be made from, where the user kept it although they had changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_beside: Option<Vec<InputRef>>,
    /// Rows in all parts.
    pub rows: u64,
    /// SHA-256 over the parts' content.
    pub content_sha256: String,
    /// The shards, in order.
    pub shards: Vec<ShardSummary>,
}

impl Manifest {
    /// This output as the input of another.
    pub fn as_input(&self) -> InputRef {
        InputRef {
            name: self.output.clone(),
            key: self.key.clone(),
            content_sha256: self.content_sha256.clone(),
            note: None,
        }
    }

    /// Number of shards.
    pub fn n_shards(&self) -> usize {
        self.shards.len()
    }

    /// Number of cases that failed; 0 for all outputs of a job but the first.
    pub fn n_failures(&self) -> usize {
        self.shards.iter().map(|shard| shard.n_failures).sum()
    }

    /// The inputs of another content beside which the user kept it; none where it was not kept.
    pub fn newer_inputs(&self) -> Vec<InputRef> {
        let is_made_from = |input: &InputRef| {
            let same =
                |i: &InputRef| i.name == input.name && i.content_sha256 == input.content_sha256;
            self.inputs.iter().any(same)
        };
        let beside = self.kept_beside.iter().flatten();
        beside.filter(|input| !is_made_from(input)).cloned().collect()
    }

    /// Size of all files.
    pub fn bytes(&self) -> u64 {
        self.shards.iter().flat_map(|shard| &shard.parts).map(|part| part.bytes).sum()
    }
}

/// SHA-256 over the content of all parts, in order.
pub(crate) fn content_of(shards: &[ShardSummary]) -> String {
    hash::sha256_parts(
        shards.iter().flat_map(|shard| &shard.parts).map(|part| part.content_sha256.as_str()),
    )
}

impl Manifest {
    /// Writes the record of the version into the folder of its output, whole or not at all. It is one line: a version has
    /// thousands of shards.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Error> {
        let path = manifest_path(folder, &self.key);
        let mut bytes = serde_json::to_vec(self)
            .map_err(|source| Error::Record { path: path.clone(), source })?;
        bytes.push(b'\n');
        Ok(durable::write(&path, &bytes)?)
    }
}

/// Path of the record of a version.
pub(crate) fn manifest_path(folder: &Path, key: &str) -> PathBuf {
    folder.join("versions").join(format!("{key}.json"))
}

/// The keys of the versions in an output's folder with the time when each was written, the newest first.
pub(crate) fn keys(folder: &Path) -> io::Result<Vec<(SystemTime, String)>> {
    let mut found = Vec::new();
    for entry in durable::entries(&folder.join("versions"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(key) = name.strip_suffix(".json") {
            found.push((entry.metadata()?.modified()?, key.to_owned()));
        }
    }
    found.sort_by(|a, b| b.cmp(a));
    Ok(found)
}

/// A finished output, for reading.
#[derive(Clone, Debug)]
pub struct Version {
    /// Its files and what they were made from.
    pub manifest: Manifest,
    output: OutputSpec,
    /// The output's folder in the store.
    folder: PathBuf,
}

impl Version {
    pub(crate) fn read(
        folder: &Path,
        output: OutputSpec,
        key: &str,
    ) -> Result<Option<Self>, Error> {
        let manifest: Option<Manifest> = record::read(&manifest_path(folder, key))?;
        Ok(manifest.map(|manifest| Self { manifest, output, folder: folder.to_owned() }))
    }

    pub(crate) fn new(folder: &Path, output: OutputSpec, manifest: Manifest) -> Self {
        Self { manifest, output, folder: folder.to_owned() }
    }

    /// The output that this is a version of.
    pub fn output(&self) -> OutputSpec {
        self.output
    }

    /// The files of a shard; none for a shard that the version does not have.
    pub fn shard_files(&self, shard: usize) -> Vec<PathBuf> {
        let Some(shard) = self.manifest.shards.get(shard) else { return Vec::new() };
        let folder = shard_folder(&self.folder, &shard.key);
        shard.parts.iter().map(|part| folder.join(&part.file)).collect()
    }

    /// The files of all shards, in order.
    pub fn files(&self) -> Vec<PathBuf> {
        (0..self.manifest.n_shards()).flat_map(|shard| self.shard_files(shard)).collect()
    }

    /// The file with a name, of an output that is not a table; `None` if there is none.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        self.files().into_iter().find(|file| file.file_name().is_some_and(|found| found == name))
    }

    /// Fails with the name of the first file that is missing, if one is.
    ///
    /// # Errors
    ///
    /// Fails if a file that the version lists was removed.
    pub fn check_files(&self) -> Result<(), Error> {
        for n in 0..self.manifest.n_shards() {
            if let Some(path) = self.shard_files(n).into_iter().find(|file| !file.exists()) {
                // A shard that is gone, or was made again, is set right by any run; a file that its record lists is not.
                let record = self.shard_record(n);
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let lists = |record: ShardRecord| record.parts.iter().any(|p| p.file == name);
                let needs_force = record.is_ok_and(lists);
                let Manifest { output, key, stage, .. } = self.manifest.clone();
                return Err(Error::FileMissing { path, output, key, stage, needs_force });
            }
        }
        Ok(())
    }

    /// The record of a shard: what it was made from, and its failed cases.
    ///
    /// # Errors
    ///
    /// Fails if the version does not have the shard, or its record cannot be read.
    pub fn shard_record(&self, shard: usize) -> Result<ShardRecord, Error> {
        let key = self.manifest.shards.get(shard).map_or("", |shard| &shard.key);
        let path = record_path(&self.folder, key);
        record::read(&path)?.ok_or(Error::ShardMissing { path })
    }

    /// The cases that failed, in the order of the shards.
    ///
    /// # Errors
    ///
    /// Fails if the record of a shard with failed cases cannot be read.
    pub fn failures(&self) -> Result<Vec<FailedCase>, Error> {
        let mut failures = Vec::new();
        for (n, shard) in self.manifest.shards.iter().enumerate() {
            if shard.n_failures > 0 {
                failures.extend(self.shard_record(n)?.failures);
            }
        }
        Ok(failures)
    }

    /// All rows of a table, in batches.
    pub fn rows<R: Row>(&self) -> impl Iterator<Item = Result<Vec<R>, Error>> + use<R> {
        batches(self.files(), R::TABLE, None)
    }

    /// Rows of one shard of a table, in batches.
    pub fn shard_rows<R: Row>(
        &self,
        shard: usize,
    ) -> impl Iterator<Item = Result<Vec<R>, Error>> + use<R> {
        batches(self.shard_files(shard), R::TABLE, None)
    }

    /// All rows of one shard of a table.
    ///
    /// # Errors
    ///
    /// Fails if a file of the shard cannot be read.
    pub fn all_shard_rows<R: Row>(&self, shard: usize) -> Result<Vec<R>, Error> {
        let mut rows = Vec::new();
        for batch in self.shard_rows(shard) {
            rows.extend(batch?);
        }
        Ok(rows)
    }

    /// The rows of a shard of a table at these positions, which count from its first row and ascend, in batches.
    pub fn shard_rows_at<R: Row>(
        &self,
        shard: usize,
        positions: &[u64],
    ) -> impl Iterator<Item = Result<Vec<R>, Error>> + use<R> {
        let mut parts = Vec::new();
        let mut start = 0;
        let records = self.manifest.shards.get(shard).map_or(&[][..], |shard| &shard.parts);
        for (file, record) in self.shard_files(shard).into_iter().zip(records) {
            let of_part = positions.iter().filter(|p| (start..start + record.rows).contains(*p));
            let of_part: Vec<u64> = of_part.map(|position| position - start).collect();
            start += record.rows;
            if !of_part.is_empty() {
                parts.push((file, of_part));
            }
        }
        parts
            .into_iter()
            .flat_map(|(file, positions)| opened(PartReader::<R>::at(&file, R::TABLE, &positions)))
    }

    /// Some columns of all rows of a table, in batches; the fields of `T` are the columns.
    pub fn columns<'a, T: DeserializeOwned + 'a>(
        &self,
        columns: &'a [&'a str],
    ) -> impl Iterator<Item = Result<Vec<T>, Error>> + use<'a, T> {
        self.batches(self.files(), columns)
    }

    /// Some columns of one shard of a table, in batches; the fields of `T` are the columns.
    pub fn shard_columns<'a, T: DeserializeOwned + 'a>(
        &self,
        shard: usize,
        columns: &'a [&'a str],
    ) -> impl Iterator<Item = Result<Vec<T>, Error>> + use<'a, T> {
        self.batches(self.shard_files(shard), columns)
    }

    fn batches<'a, T: DeserializeOwned + 'a>(
        &self,
        files: Vec<PathBuf>,
        columns: &'a [&'a str],
    ) -> impl Iterator<Item = Result<Vec<T>, Error>> + use<'a, T> {
        let (batches_of_table, error) = match self.output {
            OutputSpec::Table(table) => (Some(batches(files, table, Some(columns))), None),
            OutputSpec::Files(name) => {
                (None, Some(Err(Error::NotATable { output: name, path: self.folder.clone() })))
            }
        };
        error.into_iter().chain(batches_of_table.into_iter().flatten())
    }
}

fn batches<'a, T: DeserializeOwned + 'a>(
    files: Vec<PathBuf>,
    table: &'static TableSpec,
    columns: Option<&'a [&'a str]>,
) -> impl Iterator<Item = Result<Vec<T>, Error>> + use<'a, T> {
    files.into_iter().flat_map(move |file| opened(PartReader::<T>::open(&file, table, columns)))
}

/// The batches of a part, or why it could not be opened.
fn opened<T: DeserializeOwned>(
    part: Result<PartReader<T>, Error>,
) -> impl Iterator<Item = Result<Vec<T>, Error>> {
    let (reader, error) = match part {
        Ok(reader) => (Some(reader), None),
        Err(error) => (None, Some(Err(error))),
    };
    error.into_iter().chain(reader.into_iter().flatten())
}
