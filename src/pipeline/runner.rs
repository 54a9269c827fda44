//! Runs stages in order; a stage is skipped where its outputs exist already.

use super::config::Config;
use super::outside_weights::{self, outside_weights};
use super::plan::{self, Step};
use super::sources;
use crate::stages::ingest::{SourceCase, Sources};
use crate::stages::{Event, Places, Stage, StageError, Task};
use crate::tables::{Output, Table, failures};
use nodulus_nets::Device;
use nodulus_store::{InputRef, JobSpec, Store, Version};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
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
    /// Stages whose current outputs stay, although their inputs or settings changed.
    pub keep: &'a BTreeSet<Stage>,
    /// Whether shards with failed cases are made again.
    pub retry_failed: bool,
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
    /// Number of shards that were made, of all steps.
    pub n_made: usize,
    /// Number of shards.
    pub n_shards: usize,
    /// Whether the outputs stayed because the user wanted so, although they would be made anew.
    pub kept: bool,
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
    /// Two inputs do not belong together.
    #[error(
        "{stage} cannot join `{made}` and `{of}`: `{made}` was made from another version of `{of}`; run {} first", maker(*made)
    )]
    Mixed {
        /// The stage.
        stage: Stage,
        /// The older output.
        made: Output,
        /// What it was made from.
        of: Output,
    },
    /// A stage's outputs cannot be kept, because there are none.
    #[error("`--keep {stage}`: store `{store}` has no outputs of {stage} yet")]
    NothingToKeep {
        /// The stage.
        stage: Stage,
        /// The store.
        store: PathBuf,
    },
    /// Weights from outside the store cannot be read.
    #[error(transparent)]
    Weights(#[from] outside_weights::Error),
    /// A stage did not commit all shards.
    #[error("{stage} ended before all of its shards were made; run it again to go on")]
    Undone {
        /// The stage.
        stage: Stage,
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

/// Runs stages in order. The caller holds the store's lock, alone or with other runs.
///
/// Shards that exist for the same inputs and settings are not made again. A stage that an earlier run left
/// unfinished, or that another process works on, goes on with the shards that are missing.
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
    let mut run = Run { config, store, options, progress, made: Vec::new(), sources: None };
    let mut done = Vec::new();
    for &stage in options.stages {
        if stage == Stage::Ingest {
            let listing = |done, total| progress(Progress::Sources { done, total });
            run.sources = Some(sources::list(&config.ingest, store, &listing)?);
        }
        let begun = Instant::now();
        let mut end =
            Done { stage, ran: None, n_made: 0, n_shards: 0, kept: false, rows: 0, n_failures: 0 };
        for step in Step::of(stage) {
            run.step(stage, step, &mut end)?;
        }
        end.ran = (end.n_made > 0).then(|| begun.elapsed());
        progress(Progress::End(end.clone()));
        done.push(end);
    }
    // Also where nothing was made: a run may have been killed before it wrote the failures of what it had made.
    failures::refresh(store, &run.made)?;
    Ok(done)
}

/// A run in progress.
struct Run<'a> {
    config: &'a Config,
    store: &'a Store,
    options: &'a Options<'a>,
    progress: &'a (dyn Fn(Progress) + Sync),
    /// The outputs of this run. Another run may make others current at the same time.
    made: Vec<Version>,
    sources: Option<Sources>,
}

impl Run<'_> {
    fn step(&mut self, stage: Stage, step: Step, end: &mut Done) -> Result<(), Error> {
        let inputs = inputs(self.config, self.store, stage, step, self.options.chosen, &self.made)?;
        let none = Sources::default();
        let roots = roots(self.config);
        let report = |event| (self.progress)(Progress::Stage(stage, event));
        let weights = outside_weights(self.config, stage)?;
        let task = Task {
            store: self.store,
            inputs: &inputs,
            sources: self.sources.as_ref().filter(|_| stage == Stage::Ingest).unwrap_or(&none),
            places: &|| places(self.config, self.store, self.sources.as_ref()),
            roots: &roots,
            tolerances: self.config.ingest.tolerances,
            weights: weights.as_ref().map(|(path, _)| path.as_path()),
            device: self.options.device,
            max_memory: self.options.max_memory,
            plans_only: false,
            progress: &report,
        };
        let weights = weights.as_ref().map(|(_, input)| input.clone());
        let spec = job_spec(self.config, stage, step, &task, weights)?
            .unwrap_or_else(|| unreachable!("only a plan goes without a decision"));
        let mut job = self.store.job(spec);
        job.check()?;
        let before: Vec<Option<Version>> = step
            .writes(stage)
            .iter()
            .map(|output| self.store.current(*output))
            .collect::<Result<_, _>>()?;
        let is_current = before
            .iter()
            .all(|version| version.as_ref().is_some_and(|v| v.manifest.key == job.key()));
        if self.options.keep.contains(&stage) && !is_current {
            let kept: Option<Vec<Version>> = before.into_iter().collect();
            let store = self.store.root().to_owned();
            let kept = kept.ok_or(Error::NothingToKeep { stage, store })?;
            for version in kept {
                let version = self.store.keep(version, &job.spec().inputs)?;
                end.count(&version);
                self.made.push(version);
            }
            end.kept = true;
            return Ok(());
        }
        if self.options.force.contains(&stage) {
            job.redo(0..job.n_shards())?;
        } else {
            let committed = job.committed()?;
            let again = committed.iter().enumerate().filter(|(_, shard)| {
                shard.as_ref().is_some_and(|shard| {
                    let fits = shard.needs_bytes.is_some_and(|n| n <= self.options.max_memory);
                    fits || (self.options.retry_failed && shard.n_failures > 0)
                })
            });
            job.redo(again.map(|(n, _)| n))?;
        }
        let n_pending = job.pending().len();
        if n_pending > 0 {
            if step == Step::Shards {
                (self.progress)(Progress::Begin(stage));
            }
            let run = match (step, &stage.spec().reduction) {
                (Step::Reduction, Some(reduction)) => reduction.run,
                _ => stage.spec().run,
            };
            run(self.config, &task, &job).map_err(|source| Error::Stage { stage, source })?;
        }
        let versions = job.finish().map_err(|error| match error {
            nodulus_store::Error::ShardMissing { .. } => Error::Undone { stage },
            other => Error::Store(other),
        })?;
        end.n_made += n_pending;
        end.n_shards += job.n_shards();
        if let (Step::Shards, Some(first)) = (step, versions.first()) {
            end.rows = first.manifest.rows;
        }
        for version in versions {
            end.n_failures += version.manifest.n_failures();
            self.made.push(version);
        }
        Ok(())
    }
}

impl Done {
    fn count(&mut self, version: &Version) {
        if self.n_shards == 0 {
            self.rows = version.manifest.rows;
        }
        self.n_shards += version.manifest.n_shards();
        self.n_failures += version.manifest.n_failures();
    }
}

/// Where each case lies, as listed by this run or now.
fn places(config: &Config, store: &Store, listed: Option<&Sources>) -> Result<Places, StageError> {
    let read;
    let sources = match listed {
        Some(sources) => sources,
        None => {
            read = sources::look(&config.ingest, Some(store))?;
            &read
        }
    };
    let cases = sources.shards.iter().flatten();
    let place = |case: &SourceCase| {
        ((case.cohort.clone(), case.content_sha256.clone()), case.case.case_id.clone())
    };
    Ok(cases.map(place).collect())
}

/// The root of each cohort.
pub(super) fn roots(config: &Config) -> BTreeMap<String, PathBuf> {
    config.ingest.cohorts.iter().map(|c| (c.name.clone(), c.root.clone())).collect()
}

/// The inputs of a step: chosen versions, else those of this run, else the current ones.
///
/// # Errors
///
/// Fails if an input is missing, cannot be read, or was made from another version of another input.
pub(super) fn inputs(
    config: &Config,
    store: &Store,
    stage: Stage,
    step: Step,
    chosen: &Chosen,
    made: &[Version],
) -> Result<Vec<Version>, Error> {
    let mut inputs = Vec::new();
    for output in plan::reads(config, stage, step) {
        let missing = || Error::InputMissing {
            stage,
            output,
            store: store.root().to_owned(),
            maker: maker(output),
        };
        if output == Output::Checkpoint && (stage.spec().outside_weights)(config).is_some() {
            continue;
        }
        if let Some(versions) = chosen.get(&output) {
            for version in versions {
                inputs.push(store.version(output, &version.key)?.ok_or_else(missing)?);
            }
            continue;
        }
        let of_run = made.iter().rev().find(|version| version.output() == output.into());
        let version = match of_run {
            Some(version) => version.clone(),
            None => store.current(output)?.ok_or_else(missing)?,
        };
        inputs.push(version);
    }
    match plan::mixed(&inputs) {
        Some((made, of)) => Err(Error::Mixed { stage, made, of }),
        None => Ok(inputs),
    }
}

/// The job of a step; `None` where a plan would have to decide something first that takes long.
///
/// # Errors
///
/// Fails if a decision over the cohort fails, or a setting has no JSON form.
pub(super) fn job_spec(
    config: &Config,
    stage: Stage,
    step: Step,
    task: &Task<'_>,
    weights: Option<InputRef>,
) -> Result<Option<JobSpec>, Error> {
    let settings = |source| Error::Settings { stage, source };
    if stage == Stage::Ingest {
        return plan::ingest_job(config, task.sources).map(Some).map_err(settings);
    }
    let decide = stage.spec().decide.filter(|_| step == Step::Shards);
    let decisions = decide.map(|decide| decide(config, task)).transpose();
    let decisions = match decisions.map_err(|source| Error::Stage { stage, source })? {
        Some(None) => return Ok(None),
        decisions => decisions.flatten(),
    };
    let weights = weights.filter(|_| step == Step::Shards);
    plan::job(config, stage, step, task.inputs, weights, decisions).map(Some).map_err(settings)
}

/// The stage that writes an output; `failures` come from every stage.
pub(super) fn maker(output: Output) -> Stage {
    Stage::ALL
        .into_iter()
        .find(|stage| stage.spec().outputs().any(|written| written == output))
        .unwrap_or(Stage::Ingest)
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
