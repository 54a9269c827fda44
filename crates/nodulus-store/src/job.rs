//! The work of one stage on the store: the shards of its outputs, and the versions that list them.

use crate::claim::Claim;
use crate::durable::UNFINISHED;
use crate::record::{InputRef, ShardInput};
use crate::setbacks::{Setback, Setbacks};
use crate::shard::{self, ShardWriter, is_committed};
use crate::shard_record::{ShardCase, ShardRecord};
use crate::version;
use crate::work::Work;
use crate::{Error, OutputSpec, Provenance, Version, durable, hash, lock};
use fs_err as fs;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Folder of an output for what follows the work on its shards, by their keys.
pub(crate) const METRICS: &str = "metrics";

/// What a stage makes, and from what.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSpec {
    /// The stage.
    pub stage: &'static str,
    /// Version of the stage's code; raised when its results change.
    pub stage_version: u32,
    /// The outputs; the records of the first one have the failed cases.
    pub outputs: Vec<OutputSpec>,
    /// All settings of the stage, for people; shards depend on their own.
    pub config: Value,
    /// The inputs.
    pub inputs: Vec<InputRef>,
    /// The shards, in order.
    pub shards: Vec<ShardSpec>,
}

/// Everything that the content of a shard depends on, beside the stage's version and the columns.
#[derive(Clone, Debug, PartialEq)]
pub struct ShardSpec {
    /// The settings.
    pub config: Arc<Value>,
    /// Decisions over all cases that touch this shard, as the splits of its patients; null where there are none.
    pub decisions: Value,
    /// Exactly what it is made from.
    pub inputs: Vec<ShardInput>,
    /// Its cases, where they are files from outside the store.
    pub cases: Vec<ShardCase>,
}

impl JobSpec {
    /// The key of each shard: a hash of everything that its content depends on.
    pub fn shard_keys(&self) -> Vec<String> {
        let schemas: Vec<_> =
            self.outputs.iter().map(|o| json!([o.name(), o.schema_version()])).collect();
        let of_shard = |shard: &ShardSpec| {
            let inputs: Vec<_> =
                shard.inputs.iter().map(|i| json!([i.name, i.content_sha256])).collect();
            let identity = json!({
                "stage": self.stage,
                "stage_version": self.stage_version,
                "schemas": schemas,
                "config": *shard.config,
                "decisions": shard.decisions,
                "inputs": inputs,
            });
            // The text of a JSON value is the same on every machine.
            hash::id("", [identity.to_string().as_str()])
        };
        self.shards.iter().map(of_shard).collect()
    }
}

/// A stage's outputs, finished or not.
#[derive(Debug)]
pub struct Job {
    pub(crate) store: PathBuf,
    spec: JobSpec,
    pub(crate) shard_keys: Vec<String>,
    key: String,
    /// Shards that are made again although they are committed.
    pub(crate) redone: BTreeSet<String>,
    /// The shards that are made here, where others make the rest.
    pub(crate) only: Option<BTreeSet<String>>,
    /// The positions of the shards that were still to be made when they were checked.
    pub(crate) checked: Option<Vec<usize>>,
    pub(crate) setbacks: Arc<Setbacks>,
}

impl Job {
    pub(crate) fn new(store: &Path, spec: JobSpec) -> Self {
        let shard_keys = spec.shard_keys();
        let parts = std::iter::once(spec.stage).chain(shard_keys.iter().map(String::as_str));
        let key = hash::id("", parts);
        Self {
            store: store.to_owned(),
            spec,
            shard_keys,
            key,
            redone: BTreeSet::new(),
            only: None,
            checked: None,
            setbacks: Arc::default(),
        }
    }

    /// Key of the version that the outputs will have.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The outputs and what they are made from.
    pub fn spec(&self) -> &JobSpec {
        &self.spec
    }

    /// Number of shards.
    pub fn n_shards(&self) -> usize {
        self.shard_keys.len()
    }

    /// The keys of the shards, in order.
    pub fn shard_keys(&self) -> &[String] {
        &self.shard_keys
    }

    /// Whether the shard at a position is made again although it may be committed.
    pub fn is_redone(&self, position: usize) -> bool {
        self.shard_keys.get(position).is_some_and(|key| self.redone.contains(key))
    }

    /// Makes the shards at these positions again, although they are committed. They are replaced one by one, so that an
    /// interrupted run leaves the old one or the new one of each.
    pub fn redo(&mut self, positions: impl IntoIterator<Item = usize>) {
        let keys = positions.into_iter().filter_map(|n| self.shard_keys.get(n));
        self.redone.extend(keys.cloned());
    }

    /// Looks at the shards at these positions alone, and makes no other.
    pub fn only(&mut self, positions: impl IntoIterator<Item = usize>) {
        let keys = positions.into_iter().filter_map(|n| self.shard_keys.get(n));
        self.only = Some(keys.cloned().collect());
    }

    /// The shards to be made, one after the other. Shards that another process works on come last, once it has stopped
    /// without committing them. A shard that met a passing fault comes again at the end, after a wait, a few times.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub fn work(&self) -> Result<Work<'_>, Error> {
        for output in &self.spec.outputs {
            let folder = self.folder(*output);
            fs::create_dir_all(folder.join("shards"))?;
            shard::remove_unfinished(&self.claims()?, &folder)?;
        }
        let mut seen = BTreeSet::new();
        let mut pending = self.to_make()?;
        pending.retain(|n| seen.insert(self.shard_keys[*n].clone()));
        Ok(Work::new(self, pending.into()))
    }

    /// The shards that [`work`](Self::work) gave out and that were not committed, because of a fault of the machine or of
    /// the program.
    pub fn set_back(&self) -> Vec<Setback> {
        self.setbacks.all()
    }

    /// A folder in which a long shard keeps its state, so that it can resume after an interruption; it exists
    /// until the job is finished.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub fn resume_folder(&self, shard: &ShardWriter) -> io::Result<PathBuf> {
        let key = self.shard_keys.get(shard.number()).map_or("", String::as_str);
        let folder = self.unfinished(key)?;
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// A folder for what follows the work on a long shard, as the metrics of each epoch. It stays as long as the shard does.
    /// For a shard that is made again it is another one, which [`publish_metrics`](Self::publish_metrics) puts in the place of the
    /// first.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub fn metrics_folder(&self, shard: &ShardWriter) -> io::Result<PathBuf> {
        let (last, aside) = self.metrics_folders(shard.number())?;
        let folder = match aside {
            Some(aside) => {
                durable::remove(&aside)?;
                aside
            }
            None => last,
        };
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Puts the metrics of a shard that was made again in the place of those of the earlier one, if it was committed.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub fn publish_metrics(&self, position: usize) -> io::Result<()> {
        match self.metrics_folders(position)? {
            (last, Some(aside)) if !self.setbacks.has(position) => {
                durable::publish_folder(&aside, &last, true)
            }
            _ => Ok(()),
        }
    }

    /// The folder of a shard's metrics, and the one that they are written to where the shard is made again.
    fn metrics_folders(&self, position: usize) -> io::Result<(PathBuf, Option<PathBuf>)> {
        let key = self.shard_keys.get(position).map_or("", String::as_str);
        let folder = self.claims()?.join(METRICS);
        let aside = self.redone.contains(key).then(|| folder.join(format!("{key}{UNFINISHED}")));
        Ok((folder.join(key), aside))
    }

    /// Whether any shard of these outputs is committed, of whatever inputs and settings.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be read.
    pub fn has_shards(&self) -> io::Result<bool> {
        for entry in durable::entries(&self.claims()?.join("shards"))? {
            if !entry?.file_name().to_string_lossy().contains('.') {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a process works on the shard at a position. Nothing is written.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be read.
    pub fn is_claimed(&self, position: usize) -> io::Result<bool> {
        match self.shard_keys.get(position) {
            Some(key) => Claim::is_held(&self.claims()?, key),
            None => Ok(false),
        }
    }

    /// Whether an interrupted run left a state from which the shard at a position resumes.
    pub fn is_begun(&self, position: usize) -> bool {
        let key = self.shard_keys.get(position);
        key.is_some_and(|key| self.unfinished(key).is_ok_and(|folder| folder.exists()))
    }

    /// The folder of a shard's state while it is made.
    pub(crate) fn unfinished(&self, key: &str) -> io::Result<PathBuf> {
        Ok(self.claims()?.join("unfinished").join(key))
    }

    fn record(&self, number: usize) -> ShardRecord {
        let shard = &self.spec.shards[number];
        ShardRecord {
            key: self.shard_keys[number].clone(),
            stage: self.spec.stage.to_owned(),
            stage_version: self.spec.stage_version,
            config: (*shard.config).clone(),
            decisions: shard.decisions.clone(),
            inputs: shard.inputs.clone(),
            cases: shard.cases.clone(),
            digests: BTreeMap::new(),
            parts: Vec::new(),
            failures: Vec::new(),
        }
    }

    fn provenance(&self, number: usize) -> Provenance {
        let shard = &self.spec.shards[number];
        let inputs: Value = shard
            .inputs
            .iter()
            .map(|input| (input.name.clone(), Value::from(input.content_sha256.as_str())))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let seed = shard.config.get("seed").map_or(String::new(), Value::to_string);
        Provenance::from([
            ("tool_version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            ("stage".to_owned(), self.spec.stage.to_owned()),
            ("stage_version".to_owned(), self.spec.stage_version.to_string()),
            ("key".to_owned(), self.shard_keys[number].clone()),
            ("config".to_owned(), shard.config.to_string()),
            ("inputs".to_owned(), inputs.to_string()),
            ("seed".to_owned(), seed),
        ])
    }

    pub(crate) fn writer(&self, number: usize, claim: Claim) -> Result<ShardWriter, Error> {
        let outputs = self.spec.outputs.iter().map(|output| (*output, self.folder(*output)));
        let replaces = self.redone.contains(&self.shard_keys[number]);
        if replaces {
            // A shard that is made again starts afresh.
            durable::remove(&self.unfinished(&self.shard_keys[number])?)?;
        }
        let (record, provenance) = (self.record(number), self.provenance(number));
        let setbacks = Arc::clone(&self.setbacks);
        ShardWriter::new(number, record, outputs, provenance, replaces, claim, setbacks)
    }

    pub(crate) fn shard_key(&self, number: usize) -> &str {
        &self.shard_keys[number]
    }

    /// Whether a shard was committed since the work was listed.
    pub(crate) fn is_done(&self, number: usize) -> bool {
        self.is_made(&self.shard_keys[number])
    }

    /// Whether the shard with a key is committed and is not made again.
    fn is_made(&self, key: &str) -> bool {
        !self.redone.contains(key)
            && self.spec.outputs.iter().all(|o| is_committed(&self.folder(*o), key))
    }

    /// The folder of the first output, which has the claims.
    pub(crate) fn claims(&self) -> io::Result<PathBuf> {
        let first = self.spec.outputs.first();
        first
            .map(|output| self.folder(*output))
            .ok_or_else(|| io::Error::other("a job without outputs"))
    }

    pub(crate) fn folder(&self, output: OutputSpec) -> PathBuf {
        self.store.join(output.name())
    }
}

/// The current version of an output, or `None` if there is none.
pub(crate) fn current(store: &Path, output: OutputSpec) -> Result<Option<Version>, Error> {
    let folder = store.join(output.name());
    let path = folder.join("CURRENT");
    let Some(key) = version::current_key(&folder)? else {
        // A run that works on the output for the first time is about to say which version is current.
        if version::keys(&folder)?.is_empty() || lock::is_in_use(store) {
            return Ok(None);
        }
        return Err(Error::Current { path, found: "is missing" });
    };
    if !version::is_key(&key) {
        return Err(Error::Current { path, found: "is damaged" });
    }
    match Version::read(&folder, output, &key)? {
        // A run that makes shards again removes the versions of the old ones before it says which is current.
        None if lock::is_in_use(store) => Ok(None),
        None => Err(Error::VersionMissing { path: version::manifest_path(&folder, &key) }),
        version => Ok(version),
    }
}
