//! One stage's work on the store: its outputs under one key.

use super::manifest::{self, InputRef, Manifest, ShardRecord};
use super::parquet::Provenance;
use super::shard::{self, ShardWriter, record_path};
use super::{Output, durable, hash};
use fs_err as fs;
use serde_json::{Value, json};
use std::io;
use std::path::{Path, PathBuf};

/// What a stage is about to make, and from what.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSpec {
    /// The stage.
    pub stage: &'static str,
    /// Version of the stage's code; raised when its results change.
    pub stage_version: u32,
    /// What it writes; the first one carries its failures.
    pub outputs: Vec<Output>,
    /// The stage's own settings.
    pub config: Value,
    /// What it reads.
    pub inputs: Vec<InputRef>,
    /// Number of shards.
    pub n_shards: usize,
}

impl JobSpec {
    /// The key under which the outputs are kept: a hash of everything that they depend on.
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
        // The text of a JSON value is one and the same on every machine.
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
    pub(super) fn new(store: &Path, spec: JobSpec) -> Self {
        let key = spec.key();
        Self { store: store.to_owned(), spec, key }
    }

    /// Key of the outputs.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What the job makes, and from what.
    pub fn spec(&self) -> &JobSpec {
        &self.spec
    }

    /// Whether every output has its manifest.
    pub fn is_finished(&self) -> bool {
        self.spec.outputs.iter().all(|output| manifest_path(&self.folder(*output)).exists())
    }

    /// Shards that are not yet committed.
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
    pub fn shard(&self, shard: usize) -> Result<ShardWriter, shard::Error> {
        let outputs = self.spec.outputs.iter().map(|o| (*o, self.folder(*o))).collect();
        ShardWriter::new(shard, outputs, &std::process::id().to_string(), self.provenance())
    }

    /// A folder, kept while the job is unfinished, for what a long shard needs to go on after a
    /// stop.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub fn resume_folder(&self) -> io::Result<PathBuf> {
        let output = self.spec.outputs.first().copied().unwrap_or(Output::Report);
        let folder = self.folder(output).join("_tmp/resume");
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Writes the manifests and makes the outputs current.
    ///
    /// # Errors
    ///
    /// Fails if a shard's record cannot be read, or the store cannot be written to.
    pub fn finish(&self) -> Result<Vec<Manifest>, manifest::Error> {
        let mut manifests = Vec::new();
        for output in &self.spec.outputs {
            let folder = self.folder(*output);
            let path = manifest_path(&folder);
            let manifest = if let Some(manifest) = manifest::read::<Manifest>(&path)? {
                manifest
            } else {
                let manifest = self.manifest(*output, &folder)?;
                remove_unrecorded(&folder.join(output.files_folder()), &manifest)?;
                manifest::write(&path, &manifest)?;
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

    /// Throws the job's outputs away, so that they are made again.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub fn discard(&self) -> io::Result<()> {
        for output in &self.spec.outputs {
            let folder = self.folder(*output);
            // The manifest goes first: without it the output does not exist.
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

    fn manifest(&self, output: Output, folder: &Path) -> Result<Manifest, manifest::Error> {
        let mut shards = Vec::with_capacity(self.spec.n_shards);
        for shard in 0..self.spec.n_shards {
            let path = record_path(folder, shard);
            let record: Option<ShardRecord> = manifest::read(&path)?;
            shards.push(record.ok_or_else(|| {
                let message = format!("shard record `{}` is missing", path.display());
                io::Error::new(io::ErrorKind::NotFound, message)
            })?);
        }
        Ok(Manifest {
            output,
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

    fn folder(&self, output: Output) -> PathBuf {
        self.store.join(output.name()).join(&self.key)
    }
}

/// Where an output's manifest is.
pub(super) fn manifest_path(folder: &Path) -> PathBuf {
    folder.join("meta/manifest.json")
}

/// Removes files that an interrupted attempt put in place and no shard's record names.
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
