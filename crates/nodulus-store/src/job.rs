//! The work of one stage on the store: its outputs under one key.

use crate::manifest::{self, InputRef, Manifest, ShardRecord};
use crate::shard::{ShardWriter, record_path};
use crate::{Error, OutputSpec, Provenance, durable, hash, record};
use fs_err as fs;
use serde_json::{Value, json};
use std::io;
use std::path::{Path, PathBuf};

/// What a stage makes, and from what.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSpec {
    /// The stage.
    pub stage: &'static str,
    /// Version of the stage's code; raised when its results change.
    pub stage_version: u32,
    /// The outputs; the record of the first one has the failed cases.
    pub outputs: Vec<OutputSpec>,
    /// The stage's settings.
    pub config: Value,
    /// The inputs.
    pub inputs: Vec<InputRef>,
    /// Number of shards.
    pub n_shards: usize,
}

impl JobSpec {
    /// The key of the outputs: a hash of everything that they depend on.
    pub fn key(&self) -> String {
        let inputs: Vec<_> =
            self.inputs.iter().map(|i| json!([i.name, i.content_sha256])).collect();
        let schemas: Vec<_> =
            self.outputs.iter().map(|o| json!([o.name(), o.schema_version()])).collect();
        let identity = json!({
            "stage": self.stage,
            "stage_version": self.stage_version,
            "schemas": schemas,
            "config": self.config,
            "inputs": inputs,
            "n_shards": self.n_shards,
        });
        // The text of a JSON value is the same on every machine.
        hash::id("", [identity.to_string().as_str()])
    }
}

/// A stage's outputs, finished or not.
#[derive(Debug)]
pub struct Job {
    store: PathBuf,
    spec: JobSpec,
    key: String,
}

impl Job {
    pub(crate) fn new(store: &Path, spec: JobSpec) -> Self {
        let key = spec.key();
        Self { store: store.to_owned(), spec, key }
    }

    /// Key of the outputs.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The outputs and what they are made from.
    pub fn spec(&self) -> &JobSpec {
        &self.spec
    }

    /// Whether every output has its manifest.
    pub fn is_finished(&self) -> bool {
        self.spec.outputs.iter().all(|output| manifest_path(&self.folder(*output)).exists())
    }

    /// The shards that are not committed yet.
    pub fn pending(&self) -> Vec<usize> {
        (0..self.spec.n_shards)
            .filter(|shard| {
                let committed = |output| record_path(&self.folder(output), *shard).exists();
                !self.spec.outputs.iter().all(|output| committed(*output))
            })
            .collect()
    }

    /// Opens a shard for writing.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub fn shard(&self, shard: usize) -> Result<ShardWriter, Error> {
        let outputs = self.spec.outputs.iter().map(|o| (*o, self.folder(*o))).collect();
        ShardWriter::new(shard, outputs, &std::process::id().to_string(), self.provenance())
    }

    /// A folder in which a long shard keeps its state, so that it can resume after an interruption; it exists
    /// until the job is finished.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub fn resume_folder(&self) -> io::Result<PathBuf> {
        let first = self.spec.outputs.first().copied();
        let output = first.ok_or_else(|| io::Error::other("a job without outputs"))?;
        let folder = self.folder(output).join("_tmp/resume");
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Writes the manifests and makes these versions the current ones.
    ///
    /// # Errors
    ///
    /// Fails if a shard's record cannot be read, or the store cannot be written to.
    pub fn finish(&self) -> Result<Vec<Manifest>, Error> {
        let mut manifests = Vec::new();
        for output in &self.spec.outputs {
            let folder = self.folder(*output);
            let path = manifest_path(&folder);
            let manifest = if let Some(manifest) = record::read::<Manifest>(&path)? {
                manifest
            } else {
                let manifest = self.manifest(*output, &folder)?;
                remove_unrecorded(&folder.join(output.files_folder()), &manifest)?;
                record::write(&path, &manifest)?;
                manifest
            };
            manifests.push(manifest);
        }
        for output in &self.spec.outputs {
            let current = self.store.join(output.name()).join("CURRENT");
            let line = format!("{}\n", self.key);
            if fs::read_to_string(&current).ok().as_deref() != Some(&line) {
                durable::write(&current, line.as_bytes())?;
            }
            match fs::remove_dir_all(self.folder(*output).join("_tmp")) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(manifests)
    }

    /// Deletes the outputs, so that the job starts again.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub fn discard(&self) -> io::Result<()> {
        for output in &self.spec.outputs {
            let folder = self.folder(*output);
            // The manifest is deleted first: without it the output does not exist.
            for path in [manifest_path(&folder), folder] {
                let removed =
                    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
                match removed {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn manifest(&self, output: OutputSpec, folder: &Path) -> Result<Manifest, Error> {
        let mut shards = Vec::with_capacity(self.spec.n_shards);
        for shard in 0..self.spec.n_shards {
            let path = record_path(folder, shard);
            let record: Option<ShardRecord> = record::read(&path)?;
            shards.push(record.ok_or_else(|| {
                let message = format!("shard record `{}` is missing", path.display());
                io::Error::new(io::ErrorKind::NotFound, message)
            })?);
        }
        Ok(Manifest {
            output: output.name().to_owned(),
            key: self.key.clone(),
            schema_version: output.schema_version(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            stage: self.spec.stage.to_owned(),
            stage_version: self.spec.stage_version,
            config: self.spec.config.clone(),
            inputs: self.spec.inputs.clone(),
            rows: shards.iter().flat_map(|s| &s.parts).map(|p| p.rows).sum(),
            content_sha256: manifest::content_of(&shards),
            shards,
        })
    }

    fn provenance(&self) -> Provenance {
        let inputs: Value = self
            .spec
            .inputs
            .iter()
            .map(|input| (input.name.clone(), Value::from(input.content_sha256.as_str())))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let seed = self.spec.config.get("seed").map_or(String::new(), Value::to_string);
        Provenance::from([
            ("tool_version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            ("stage".to_owned(), self.spec.stage.to_owned()),
            ("stage_version".to_owned(), self.spec.stage_version.to_string()),
            ("key".to_owned(), self.key.clone()),
            ("config".to_owned(), self.spec.config.to_string()),
            ("inputs".to_owned(), inputs.to_string()),
            ("seed".to_owned(), seed),
        ])
    }

    fn folder(&self, output: OutputSpec) -> PathBuf {
        self.store.join(output.name()).join(&self.key)
    }
}

/// Path of an output's manifest.
pub(crate) fn manifest_path(folder: &Path) -> PathBuf {
    folder.join("meta/manifest.json")
}

/// Removes files of an interrupted attempt that no record of a shard names.
fn remove_unrecorded(folder: &Path, manifest: &Manifest) -> io::Result<()> {
    let recorded: std::collections::BTreeSet<_> =
        manifest.shards.iter().flat_map(|s| &s.parts).map(|p| p.file.as_str()).collect();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if !recorded.contains(entry.file_name().to_string_lossy().as_ref()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Slice;
    use crate::{FailedCase, Row as _, Store};

    fn spec(ratio: f64) -> JobSpec {
        JobSpec {
            stage: "balance",
            stage_version: 1,
            outputs: vec![Slice::TABLE.into()],
            config: json!({ "ratio": ratio }),
            inputs: Vec::new(),
            n_shards: 2,
        }
    }

    fn failed_case() -> FailedCase {
        let (stage, case_id, cause) = ("balance".to_owned(), "c".to_owned(), "x".to_owned());
        FailedCase { stage, case_id, cause, path: None }
    }

    fn commit(job: &Job, shard: usize) {
        let writer = job.shard(shard).unwrap();
        let mut part = writer.part::<Slice>().unwrap();
        part.write([Slice::new(shard as i64)]).unwrap();
        writer.commit(vec![part.finish().unwrap()], vec![failed_case()]).unwrap();
    }

    #[test]
    fn a_table_exists_once_its_last_shard_is_committed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(&folder.path().join("s")).unwrap();
        let output = Slice::TABLE;
        let job = store.job(spec(1.0));
        commit(&job, 1);
        assert_eq!(job.pending(), [0]);
        assert!(job.finish().is_err() && store.current(output).unwrap().is_none());
        commit(&job, 0);
        assert!(job.pending().is_empty() && !job.is_finished());
        job.finish().unwrap();
        let version = store.current(output).unwrap().unwrap();
        let rows: Vec<Slice> = version.rows::<Slice>().flat_map(Result::unwrap).collect();
        assert_eq!(rows, [Slice::new(0), Slice::new(1)]);
        let failures: Vec<_> = version.manifest.shards.iter().flat_map(|s| &s.failures).collect();
        assert_eq!(failures, [&failed_case(), &failed_case()]);

        // Other settings make another version; the old version can become current again unchanged.
        let other = store.job(spec(2.0));
        assert_eq!(other.pending(), [0, 1]);
        commit(&other, 0);
        commit(&other, 1);
        other.finish().unwrap();
        assert_eq!(store.current(output).unwrap().unwrap().manifest.key, other.key());
        assert!(job.is_finished());
        job.finish().unwrap();
        assert_eq!(store.current(output).unwrap().unwrap().manifest, version.manifest);
        job.discard().unwrap();
        assert!(!job.is_finished() && store.current(output).unwrap().is_none());
    }

    #[test]
    fn files_of_an_interrupted_run_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(&folder.path().join("s")).unwrap();
        let job = store.job(spec(1.0));
        let writer = job.shard(0).unwrap();
        drop(writer.part::<Slice>().unwrap());
        drop(writer);
        let resume = job.resume_folder().unwrap();
        let unfinished = resume.parent().unwrap();
        assert_eq!(fs::read_dir(unfinished).unwrap().count(), 2);
        let _lock = store.lock(["slices"]).unwrap();
        assert_eq!(fs::read_dir(unfinished).unwrap().count(), 1);
        assert_eq!(job.pending(), [0, 1]);
        // A part without a record is removed when the job ends.
        let data = resume.ancestors().nth(2).unwrap().join("data");
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join("part-00000-0.parquet"), "x").unwrap();
        commit(&job, 0);
        commit(&job, 1);
        job.finish().unwrap();
        assert_eq!(fs::read_dir(&data).unwrap().count(), 2);
    }
}
