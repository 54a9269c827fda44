//! Runs stages in order; a stage is skipped where its outputs exist already.

use super::config::Config;
use super::plan;
use super::sources;
use crate::stages::ingest::Sources;
use crate::stages::{Event, Stage, StageError, Task};
use crate::tables::{Output, Table, failures};
use nodulus_nets::{Device, weights_path};
use nodulus_store::{InputRef, Job, JobSpec, Store, hash};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Options of a run.
pub struct Options<'a> {
    /// Stages to run again, even where nothing changed.
    pub force: &'a BTreeSet<Stage>,
    /// Stages to run.
    pub stages: &'a [Stage],
    /// Where networks run.
    pub device: &'a Device,
    /// Bytes of memory for scans.
    pub max_memory: u64,
    /// Inputs that replace the store's current ones.
    pub chosen: &'a Chosen,
}

/// Versions of outputs that replace the current ones; several versions of an output where a stage reads several.
pub type Chosen = BTreeMap<Output, Vec<InputRef>>;

/// Outcome of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The stage.
    pub stage: Stage,
    /// Wall time; `None` where the outputs existed already.
    pub ran: Option<Duration>,
    /// Rows of its first output.
    pub rows: u64,
    /// Number of cases that failed.
    pub n_failures: usize,
}

/// Progress of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// Sources are being hashed.
    Sources {
        /// Cases done.
        done: usize,
        /// Cases in all.
        total: usize,
    },
    /// A stage starts.
    Begin(Stage),
    /// Progress of a stage.
    Stage(Stage, Event),
    /// A stage has finished.
    End(Done),
}

/// A run stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] nodulus_store::Error),
    /// The sources could not be listed.
    #[error(transparent)]
    Sources(#[from] sources::Error),
    /// A setting has no JSON form.
    #[error("settings of {stage} cannot be written as JSON")]
    Settings {
        /// The stage.
        stage: Stage,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// An input is missing.
    #[error("{stage} needs `{output}`, which is not in store `{store}`: run {maker} first")]
    InputMissing {
        /// The stage.
        stage: Stage,
        /// Its input.
        output: Output,
        /// The store.
        store: PathBuf,
        /// The stage that makes the input.
        maker: Stage,
    },
    /// Weights from outside the store cannot be read.
    #[error("cannot read the weights that `{setting}` names")]
    Weights {
        /// The setting.
        setting: &'static str,
        /// What is wrong.
        source: io::Error,
    },
    /// A stage did not commit all shards.
    #[error("{stage} ended with {pending} shards undone")]
    Undone {
        /// The stage.
        stage: Stage,
        /// Number of shards without a commit.
        pending: usize,
    },
    /// A stage stopped.
    #[error("{stage} stopped")]
    Stage {
        /// The stage.
        stage: Stage,
        /// Why.
        source: StageError,
    },
}

/// Runs stages in order. The caller holds the store's lock.
///
/// A stage is skipped where its outputs exist for the same inputs and settings. A stage that an earlier run left
/// unfinished resumes at the first shard without a commit.
///
/// # Errors
///
/// Fails at the first stage that stops; the commits of earlier stages and shards stay. Cases that fail do not stop a
/// stage: they become rows of `failures`.
pub fn run(
    config: &Config,
    store: &Store,
    options: &Options<'_>,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Vec<Done>, Error> {
    let mut frozen = None;
    let mut done = Vec::new();
    for &stage in options.stages {
        if stage == Stage::Ingest {
            let listing = |done, total| progress(Progress::Sources { done, total });
            frozen = Some(sources::freeze(&config.ingest, store, &listing)?);
        }
        let job = store.job(job_spec(config, store, stage, frozen.as_ref(), options.chosen)?);
        let begun = Instant::now();
        if options.force.contains(&stage) {
            job.discard()?;
        }
        let ran = !job.is_finished();
        if ran {
            progress(Progress::Begin(stage));
            run_stage(
                config,
                store,
                options,
                &job,
                stage,
                frozen.as_ref().map(|(s, _)| s),
                progress,
            )?;
            let pending = job.pending().len();
            if pending > 0 {
                return Err(Error::Undone { stage, pending });
            }
        }
        let manifests = job.finish()?;
        let failures = manifests.iter().flat_map(|m| &m.shards).map(|s| s.failures.len());
        let end = Done {
            stage,
            ran: ran.then(|| begun.elapsed()),
            rows: manifests.first().map_or(0, |m| m.rows),
            n_failures: failures.sum(),
        };
        failures::refresh(store)?;
        progress(Progress::End(end.clone()));
        done.push(end);
    }
    Ok(done)
}

/// The job of a stage on the current versions of its inputs, or on chosen ones.
///
/// # Errors
///
/// Fails if an input is missing or cannot be read.
pub fn job_spec(
    config: &Config,
    store: &Store,
    stage: Stage,
    frozen: Option<&(Sources, InputRef)>,
    chosen: &Chosen,
) -> Result<JobSpec, Error> {
    let mut inputs = Vec::new();
    let mut n_shards = 1;
    if let Some((sources, input)) = frozen.filter(|_| stage == Stage::Ingest) {
        n_shards = plan::n_shards(config, sources.cases.len());
        inputs.push(input.clone());
    }
    for output in plan::reads(config, stage) {
        if let Some(versions) = chosen.get(&output) {
            inputs.extend(versions.iter().cloned());
            continue;
        }
        let version = store.current(output)?.ok_or_else(|| Error::InputMissing {
            stage,
            output,
            store: store.root().to_owned(),
            maker: maker(output),
        })?;
        n_shards = n_shards.max(version.manifest.n_shards());
        inputs.push(version.manifest.as_input());
    }
    if let Some(outside) = (stage.spec().outside_weights)(config) {
        let content_sha256 = hash::sha256_file(&weights_file(outside.path)?)
            .map_err(|source| Error::Weights { setting: outside.setting, source })?;
        inputs.retain(|input| input.name != outside.input);
        let name = outside.input.to_owned();
        inputs.push(InputRef { name, key: content_sha256[..16].to_owned(), content_sha256 });
    }
    plan::job(config, stage, inputs, n_shards).map_err(|source| Error::Settings { stage, source })
}

/// The weights file of a path: the file itself, the one in a checkpoint's folder, or the current one of a store.
///
/// # Errors
///
/// Fails if the path is a store that cannot be read or has no weights.
pub fn weights_file(path: &Path) -> Result<PathBuf, nodulus_store::Error> {
    if path.join("store.json").exists() {
        let version = Store::open(path)?.require(Output::Checkpoint)?;
        return Ok(weights_path(&version.files_folder()));
    }
    Ok(weights_path(path))
}

/// The stage that writes an output; `failures` come from every stage.
pub(super) fn maker(output: Output) -> Stage {
    Stage::ALL
        .into_iter()
        .find(|stage| stage.spec().writes.contains(&output))
        .unwrap_or(Stage::Ingest)
}

fn run_stage(
    config: &Config,
    store: &Store,
    options: &Options<'_>,
    job: &Job,
    stage: Stage,
    sources: Option<&Sources>,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<(), Error> {
    let roots: BTreeMap<String, PathBuf> =
        config.ingest.cohorts.iter().map(|c| (c.name.clone(), c.root.clone())).collect();
    let report = |event| progress(Progress::Stage(stage, event));
    let spec = stage.spec();
    let weights =
        (spec.outside_weights)(config).map(|outside| weights_file(outside.path)).transpose()?;
    let none = Sources::default();
    let task = Task {
        store,
        job,
        sources: sources.unwrap_or(&none),
        roots: &roots,
        tolerances: config.ingest.tolerances,
        weights: weights.as_deref(),
        device: options.device,
        max_memory: options.max_memory,
        progress: &report,
    };
    (spec.run)(config, &task).map_err(|source| Error::Stage { stage, source })
}

/// Number of failed cases in the store's current outputs.
///
/// # Errors
///
/// Fails if the store cannot be read.
pub fn n_failures(store: &Store) -> Result<u64, nodulus_store::Error> {
    let failures = store.current(Output::Table(Table::Failures))?;
    Ok(failures.map_or(0, |version| version.manifest.rows))
}
