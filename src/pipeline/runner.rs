//! Runs stages one after the other, each if what it would make is not there yet.

use super::config::Config;
use super::plan::{self, OUTSIDE_CHECKPOINT};
use super::sources;
use crate::model::{Device, WEIGHTS_FILE};
use crate::stages::ingest::Sources;
use crate::stages::{
    Event, Stage, Task, agree, balance, crop, evaluate, infer, ingest, merge, report, train,
};
use crate::tables::job::Job;
use crate::tables::manifest::{self, InputRef};
use crate::tables::store::{self, Store};
use crate::tables::{Output, Table, hash, job};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How to run.
pub struct Options<'a> {
    /// Stages to run again even where nothing changed.
    pub force: &'a BTreeSet<Stage>,
    /// The stages to run.
    pub stages: &'a [Stage],
    /// Where networks run.
    pub device: &'a Device,
    /// Scans that may be in memory at once.
    pub workers: usize,
    /// Bytes of memory that a stage may take.
    pub memory: u64,
}

/// What became of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The stage.
    pub stage: Stage,
    /// Wall time, `None` where what it makes was there already.
    pub ran: Option<Duration>,
    /// Rows of its first output.
    pub rows: u64,
    /// Cases that failed in it.
    pub n_failures: usize,
}

/// What a run tells about itself as it goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// Sources are being hashed.
    Sources {
        /// Cases done.
        done: usize,
        /// Cases in all.
        total: usize,
    },
    /// A stage begins.
    Begin(Stage),
    /// A stage goes on.
    Stage(Stage, Event),
    /// A stage has ended.
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
    Store(#[from] store::Error),
    /// A record of the store could not be read or written.
    #[error(transparent)]
    Record(#[from] manifest::Error),
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
    /// Weights from outside cannot be read.
    #[error("cannot read the weights that `infer.checkpoint` names")]
    Checkpoint(#[source] io::Error),
    /// A stage left work undone.
    #[error("{stage} ended with {pending} shards undone")]
    Undone {
        /// The stage.
        stage: Stage,
        /// How many.
        pending: usize,
    },
    /// See [`ingest`].
    #[error("ingest stopped")]
    Ingest(#[from] ingest::Error),
    /// See [`merge`].
    #[error("merge stopped")]
    Merge(#[from] merge::Error),
    /// See [`agree`].
    #[error("agree stopped")]
    Agree(#[from] agree::Error),
    /// See [`crop`].
    #[error("crop stopped")]
    Crop(#[from] crop::Error),
    /// See [`balance`].
    #[error("balance stopped")]
    Balance(#[from] balance::Error),
    /// See [`train`].
    #[error("train stopped")]
    Train(#[from] train::Error),
    /// See [`infer`].
    #[error("infer stopped")]
    Infer(#[from] infer::Error),
    /// See [`evaluate`].
    #[error("evaluate stopped")]
    Evaluate(#[from] evaluate::Error),
    /// See [`report`].
    #[error("report stopped")]
    Report(#[from] report::Error),
}

/// Runs stages in order. The caller holds the store's lock.
///
/// A stage whose outputs are already there for the same inputs and settings is not run again. A
/// stage that an earlier run left unfinished goes on at its first shard that is not committed.
///
/// # Errors
///
/// Fails at the first stage that stops; what earlier stages and shards committed stays. Cases that
/// fail do not stop a stage: they become rows of `failures`.
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
        let job = store.job(job_spec(config, store, stage, frozen.as_ref())?);
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
        store.refresh_failures()?;
        progress(Progress::End(end.clone()));
        done.push(end);
    }
    Ok(done)
}

/// The work of a stage on the store as it is now.
///
/// # Errors
///
/// Fails if an input is missing or cannot be read.
pub fn job_spec(
    config: &Config,
    store: &Store,
    stage: Stage,
    frozen: Option<&(Sources, InputRef)>,
) -> Result<job::JobSpec, Error> {
    let mut inputs = Vec::new();
    let mut n_shards = 1;
    if let Some((sources, input)) = frozen.filter(|_| stage == Stage::Ingest) {
        n_shards = plan::n_shards(config, sources.cases.len());
        inputs.push(input.clone());
    }
    for output in plan::reads(config, stage) {
        let version = store.current(output)?.ok_or_else(|| Error::InputMissing {
            stage,
            output,
            store: store.root().to_owned(),
            maker: maker(output),
        })?;
        n_shards = n_shards.max(version.manifest.n_shards());
        inputs.push(version.manifest.as_input());
    }
    if stage == Stage::Infer
        && let Some(checkpoint) = outside_checkpoint(config)?
    {
        let content_sha256 = hash::sha256_file(&checkpoint).map_err(Error::Checkpoint)?;
        inputs.retain(|input| input.name != OUTSIDE_CHECKPOINT);
        let name = OUTSIDE_CHECKPOINT.to_owned();
        inputs.push(InputRef { name, key: content_sha256[..16].to_owned(), content_sha256 });
    }
    plan::job(config, stage, inputs, n_shards).map_err(|source| Error::Settings { stage, source })
}

/// The file of weights that `infer.checkpoint` names: itself, or the current one of a store.
fn outside_checkpoint(config: &Config) -> Result<Option<PathBuf>, Error> {
    let Some(path) = &config.infer.checkpoint else { return Ok(None) };
    if !path.join("store.json").exists() {
        return Ok(Some(path.clone()));
    }
    let version = Store::open(path)?.require(Output::Checkpoint)?;
    Ok(Some(version.files_folder().join(WEIGHTS_FILE)))
}

/// The stage that writes an output; `failures` come from every stage.
pub(super) fn maker(output: Output) -> Stage {
    Stage::ALL.into_iter().find(|stage| stage.writes().contains(&output)).unwrap_or(Stage::Ingest)
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
    let checkpoint = outside_checkpoint(config)?;
    let task = Task {
        store,
        job,
        roots: &roots,
        tolerances: config.ingest.tolerances,
        checkpoint: checkpoint.as_deref(),
        device: options.device,
        workers: options.workers,
        memory: options.memory,
        progress: &report,
    };
    match stage {
        Stage::Ingest => {
            let none = Sources::default();
            ingest::run(&config.ingest, sources.unwrap_or(&none), &task)?;
        }
        Stage::Merge => merge::run(&config.merge, &task)?,
        Stage::Agree => agree::run(&config.agree, &task)?,
        Stage::Crop => crop::run(&config.crop, &task)?,
        Stage::Balance => balance::run(&config.balance, &task)?,
        Stage::Train => {
            if let Some(train) = &config.train {
                train::run(train, &task)?;
            }
        }
        Stage::Infer => infer::run(&config.infer, &task)?,
        Stage::Evaluate => evaluate::run(&config.evaluate, &task)?,
        Stage::Report => report::run(&config.report, &task)?,
    }
    Ok(())
}

/// Whether any case of the store's current outputs failed.
///
/// # Errors
///
/// Fails if the store cannot be read.
pub fn n_failures(store: &Store) -> Result<u64, store::Error> {
    let failures = store.current(Output::Table(Table::Failures))?;
    Ok(failures.map_or(0, |version| version.manifest.rows))
}
