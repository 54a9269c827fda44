//! Versions of outputs: which shards an output consists of, and what it was made from.

use crate::record::InputRef;
use crate::shard_record::{FailedCase, PartRecord, ShardRecord, record_path, shard_folder};
use crate::{
    Damage, Error, OutputSpec, PartReader, Row, TableSpec, damage, durable, hash, record, seal,
};
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
        Ok(durable::write(&path, &record::with_checksum(bytes))?)
    }
}

/// Path of the record of a version.
pub(crate) fn manifest_path(folder: &Path, key: &str) -> PathBuf {
    folder.join("versions").join(format!("{key}.json"))
}

/// The key in `CURRENT` of an output's folder; `None` without that file.
pub(crate) fn current_key(folder: &Path) -> Result<Option<String>, Error> {
    match fs_err::read(folder.join("CURRENT")) {
        Ok(key) => Ok(Some(String::from_utf8_lossy(&key).trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What is wrong with `CURRENT` of an output's folder, or with the record of the version that it names.
pub(crate) fn fault_of_current(folder: &Path) -> Result<Option<&'static str>, Error> {
    Ok(match current_key(folder)? {
        None if keys(folder)?.is_empty() => None,
        None => Some("was missing"),
        Some(key) if !is_key(&key) => Some("was damaged"),
        Some(key) if !manifest_path(folder, &key).exists() => {
            Some("named a version whose record is missing")
        }
        Some(key) => {
            damage_of_manifest(folder, &key)?.map(|_| "named a version whose record is damaged")
        }
    })
}

/// What is wrong with the record of a version.
pub(crate) fn damage_of_manifest(folder: &Path, key: &str) -> Result<Option<Damage>, Error> {
    let path = manifest_path(folder, key);
    match record::read::<Manifest>(&path) {
        Ok(Some(manifest)) if manifest.key == key => Ok(None),
        Ok(Some(_)) => Ok(Some(Damage::new(&path, "is the record of another version"))),
        Ok(None) => Ok(Some(Damage::missing(&path))),
        Err(error) => damage::of_error(&path, error).map(Some),
    }
}

/// Whether a text can be the key of a version.
pub(crate) fn is_key(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == hash::KEY_DIGITS && text.bytes().all(is_digit)
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
        let path = manifest_path(folder, key);
        let manifest: Option<Manifest> = record::read(&path)?;
        if manifest.as_ref().is_some_and(|manifest| manifest.key != key) {
            return Err(Error::RecordDamaged { path, found: "the record of another version" });
        }
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

    /// The file with a name, of an output that is not a table; `None` if there is none. It is compared with its record, and so
    /// are the files beside it, which describe it.
    ///
    /// # Errors
    ///
    /// Fails if the file is missing, or not as its record says.
    pub fn file(&self, name: &str) -> Result<Option<PathBuf>, Error> {
        for shard in &self.manifest.shards {
            if shard.parts.iter().any(|part| part.file == name) {
                let as_recorded = self.as_recorded();
                for part in &shard.parts {
                    as_recorded.part(&shard.key, part)?;
                }
                return Ok(Some(shard_folder(&self.folder, &shard.key).join(name)));
            }
        }
        Ok(None)
    }

    /// Fails with the name of the first file that is missing or not as its record says, if one is.
    ///
    /// # Errors
    ///
    /// Fails if a file that the version lists was removed or changed, or cannot be read.
    pub fn check_files(&self) -> Result<(), Error> {
        let as_recorded = self.as_recorded();
        let shards = self.manifest.shards.iter();
        let mut parts =
            shards.flat_map(|shard| shard.parts.iter().map(move |part| (&shard.key, part)));
        parts.try_for_each(|(key, part)| as_recorded.part(key, part).map(drop))
    }

    fn as_recorded(&self) -> AsRecorded {
        AsRecorded {
            folder: self.folder.clone(),
            output: self.output,
            key: self.manifest.key.clone(),
            stage: self.manifest.stage.clone(),
        }
    }

    /// The parts of some shards with the shards' keys.
    fn parts(&self, shards: std::ops::Range<usize>) -> Vec<(String, PartRecord)> {
        let shards = self.manifest.shards.get(shards).unwrap_or_default().iter();
        let of_shard = |shard: &ShardSummary| {
            let key = shard.key.clone();
            shard.parts.clone().into_iter().map(move |part| (key.clone(), part))
        };
        shards.flat_map(of_shard).collect()
    }

    fn all_parts(&self) -> Vec<(String, PartRecord)> {
        self.parts(0..self.manifest.n_shards())
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
        batches(self.as_recorded(), self.all_parts(), R::TABLE, None)
    }

    /// Rows of one shard of a table, in batches.
    pub fn shard_rows<R: Row>(
        &self,
        shard: usize,
    ) -> impl Iterator<Item = Result<Vec<R>, Error>> + use<R> {
        batches(self.as_recorded(), self.parts(shard..shard + 1), R::TABLE, None)
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
        for (key, record) in self.parts(shard..shard + 1) {
            let of_part = positions.iter().filter(|p| (start..start + record.rows).contains(*p));
            let of_part: Vec<u64> = of_part.map(|position| position - start).collect();
            start += record.rows;
            if !of_part.is_empty() {
                parts.push((key, record, of_part));
            }
        }
        let as_recorded = self.as_recorded();
        parts.into_iter().flat_map(move |(key, record, positions)| {
            let file = as_recorded.part(&key, &record);
            opened(file.and_then(|file| PartReader::<R>::at(&file, R::TABLE, &positions)))
        })
    }

    /// Some columns of all rows of a table, in batches; the fields of `T` are the columns.
    pub fn columns<'a, T: DeserializeOwned + 'a>(
        &self,
        columns: &'a [&'a str],
    ) -> impl Iterator<Item = Result<Vec<T>, Error>> + use<'a, T> {
        self.batches(self.all_parts(), columns)
    }

    /// Some columns of one shard of a table, in batches; the fields of `T` are the columns.
    pub fn shard_columns<'a, T: DeserializeOwned + 'a>(
        &self,
        shard: usize,
        columns: &'a [&'a str],
    ) -> impl Iterator<Item = Result<Vec<T>, Error>> + use<'a, T> {
        self.batches(self.parts(shard..shard + 1), columns)
    }

    fn batches<'a, T: DeserializeOwned + 'a>(
        &self,
        parts: Vec<(String, PartRecord)>,
        columns: &'a [&'a str],
    ) -> impl Iterator<Item = Result<Vec<T>, Error>> + use<'a, T> {
        let (batches_of_table, error) = match self.output {
            OutputSpec::Table(table) => {
                (Some(batches(self.as_recorded(), parts, table, Some(columns))), None)
            }
            OutputSpec::Files(name) => {
                (None, Some(Err(Error::NotATable { output: name, path: self.folder.clone() })))
            }
        };
        error.into_iter().chain(batches_of_table.into_iter().flatten())
    }
}

fn batches<'a, T: DeserializeOwned + 'a>(
    as_recorded: AsRecorded,
    parts: Vec<(String, PartRecord)>,
    table: &'static TableSpec,
    columns: Option<&'a [&'a str]>,
) -> impl Iterator<Item = Result<Vec<T>, Error>> + use<'a, T> {
    parts.into_iter().flat_map(move |(key, part)| {
        let file = as_recorded.part(&key, &part);
        opened(file.and_then(|file| PartReader::<T>::open(&file, table, columns)))
    })
}

/// Compares the files of a version with their records before they are used.
#[derive(Clone, Debug)]
struct AsRecorded {
    folder: PathBuf,
    output: OutputSpec,
    /// The version and its stage, for messages.
    key: String,
    stage: String,
}

impl AsRecorded {
    /// The file of a part, which is as its record says.
    fn part(&self, shard: &str, part: &PartRecord) -> Result<PathBuf, Error> {
        match seal::damage_of_part(&self.folder, shard, self.output, part)? {
            None => Ok(shard_folder(&self.folder, shard).join(&part.file)),
            Some(damage) => Err(Error::Damaged {
                damage,
                output: self.output.name().to_owned(),
                key: self.key.clone(),
                stage: self.stage.clone(),
            }),
        }
    }
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
