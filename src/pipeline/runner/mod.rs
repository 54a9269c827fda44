//! Runs stages in order; a stage is skipped where its outputs exist already.

mod error;
mod part;
mod prepare;

use super::config::Config;
use super::outside_weights::outside_weights;
use super::patients::Patients;
use super::plan::{self, Step};
use super::preprocessing::settled;
use super::sources;
use crate::stages::ingest::Sources;
use crate::stages::{Event, Stage, Task};
use crate::tables::{Output, Table, failures};
pub use error::Error;
use nodulus_nets::Device;
use nodulus_store::{InputRef, Job, ShardSummary, Standing, Store, Version};
use part::Part;
pub use part::{PartOf, Shards, commit, look, work};
pub(super) use prepare::{
    check, check_weights, inputs, job_spec, maker, places, roots, with_outside_files,
};
use std::collections::{BTreeMap, BTreeSet};
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
    pub chosen: &'a ChosenVersions,
    /// Stages whose current outputs stay, although their inputs or settings changed.
    pub keep: &'a BTreeSet<Stage>,
    /// Whether shards with failed cases are made again.
    pub retry_failed: bool,
}

/// Versions of outputs that replace the current ones; several versions of an output where a stage reads several.
pub type ChosenVersions = BTreeMap<Output, Vec<InputRef>>;

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
    /// Whether outputs that existed already became the current ones in place of others.
    pub switched: bool,
    /// Rows of its first output.
    pub rows: u64,
    /// Number of cases that failed.
    pub n_failures: usize,
}

impl Done {
    /// A stage of which nothing is done.
    const fn begin(stage: Stage) -> Self {
        Self {
            stage,
            ran: None,
            n_made: 0,
            n_shards: 0,
            kept: false,
            switched: false,
            rows: 0,
            n_failures: 0,
        }
    }
}

/// Progress of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum RunEvent {
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

/// Runs stages in order. The caller holds the store's lock, alone or with other runs.
///
/// Shards that exist for the same inputs and settings are not made again. A stage that an earlier run left
/// unfinished, or that another process works on, goes on with the shards that are missing.
///
/// # Errors
///
/// Fails at the first stage that stops; the commits of earlier stages and shards stay. Cases that fail do not stop a
/// stage: they become rows of `failures`. A stage whose shards met a fault of the machine makes the others and stops.
pub fn run(
    config: &Config,
    store: &Store,
    options: &Options<'_>,
    progress: &(dyn Fn(RunEvent) + Sync),
) -> Result<Vec<Done>, Error> {
    let config = &*settled(config, options.stages)?;
    check_weights(config, store, options)?;
    let mut run = Run::new(config, store, options, progress, Part::Whole);
    let mut done = Vec::new();
    for &stage in options.stages {
        if stage == Stage::Ingest {
            let listing = |done, total| progress(RunEvent::Sources { done, total });
            run.sources = Some(sources::list(&config.ingest, store, &listing)?);
        }
        let begun = Instant::now();
        let mut end = Done::begin(stage);
        for step in Step::of(stage) {
            run.step(stage, step, &mut end)?;
        }
        end.ran = (end.n_made > 0).then(|| begun.elapsed());
        progress(RunEvent::End(end.clone()));
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
    progress: &'a (dyn Fn(RunEvent) + Sync),
    /// The outputs of this run. Another run may make others current at the same time.
    made: Vec<Version>,
    sources: Option<Sources>,
    part: Part<'a>,
    /// How the shards stand, where that alone is asked.
    shards: Shards,
}

impl<'a> Run<'a> {
    fn new(
        config: &'a Config,
        store: &'a Store,
        options: &'a Options<'a>,
        progress: &'a (dyn Fn(RunEvent) + Sync),
        part: Part<'a>,
    ) -> Self {
        let (made, sources, shards) = (Vec::new(), None, Shards::default());
        Self { config, store, options, progress, made, sources, part, shards }
    }

    fn step(&mut self, stage: Stage, step: Step, end: &mut Done) -> Result<(), Error> {
        let inputs = inputs(self.config, self.store, stage, step, self.options.chosen, &self.made)?;
        let none = Sources::default();
        let roots = roots(self.config);
        let report = |event| (self.progress)(RunEvent::Stage(stage, event));
        let weights = outside_weights(self.config, stage)?;
        let mut task = Task {
            store: self.store,
            inputs: &inputs,
            sources: self.sources.as_ref().filter(|_| stage == Stage::Ingest).unwrap_or(&none),
            places: &|| places(self.config, self.store, self.sources.as_ref()),
            roots: &roots,
            tolerances: self.config.ingest.reading(),
            weights: weights.as_ref().map(|(path, _)| path.as_path()),
            device: self.options.device,
            max_memory: self.options.max_memory,
            plans_only: self.options.keep.contains(&stage),
            is_incomplete: false,
            is_growth: false,
            progress: &report,
        };
        check(self.config, stage, step, &task)?;
        let weights = weights.as_ref().map(|(_, input)| input.clone());
        let before = current(self.store, stage, step)?;
        let is_current = |job: &Job| {
            let mut versions = before.iter();
            versions.all(|v| v.as_ref().is_some_and(|v| v.manifest.key == job.key()))
        };
        if self.options.keep.contains(&stage) {
            // Decisions that take long are not needed to know that something changed.
            let spec = job_spec(self.config, stage, step, &task, weights.clone(), None)?;
            let job = spec.map(|spec| self.store.job(spec));
            if !job.as_ref().is_some_and(is_current) {
                let beside = match &job {
                    Some(job) => job.spec().inputs.clone(),
                    None => plan::input_refs(&inputs, weights),
                };
                return self.keep(stage, before, &beside, end);
            }
            task.plans_only = false;
        }
        let of_plan = self.part.of();
        let spec = if let Some(spec) = of_plan.and_then(|of| of.ingest.clone()) {
            spec
        } else {
            let decisions = of_plan.map(|of| of.decisions.as_path());
            job_spec(self.config, stage, step, &task, weights, decisions)?
                .unwrap_or_else(|| unreachable!("only a plan goes without a decision"))
        };
        let mut job = self.store.job(spec);
        self.part.restrict(&mut job)?;
        if let Part::Look(_) = self.part {
            self.shards = Shards::of(&job)?;
            return Ok(());
        }
        let standing = job.check_shards()?;
        let is_committed_alone = self.part.is_commit() && step == Step::Shards;
        if is_committed_alone && !standing.pending.is_empty() {
            return Err(Error::ShardsMissing { stage, missing: standing.pending });
        }
        let again =
            if is_committed_alone { Vec::new() } else { again(&standing, stage, self.options) };
        let n_pending = again.iter().chain(&standing.pending).collect::<BTreeSet<_>>().len();
        job.redo(again);
        if n_pending > 0 {
            if step == Step::Shards {
                (self.progress)(RunEvent::Begin(stage));
            }
            if stage == Stage::Train {
                self.check_training(&task)?;
            }
            step.run(stage)(self.config, &task, &job)
                .map_err(|source| Error::Stage { stage, source })?;
        }
        let left = job.set_back();
        if !left.is_empty() {
            return Err(Error::set_back(stage, job.n_shards(), &left));
        }
        if self.part.is_shard() {
            end.n_failures += job.standing()?.n_failures();
            end.n_made += n_pending;
            return Ok(());
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
        let current = before.iter().flatten().map(|version| &version.manifest.key);
        end.switched |= !current.eq(versions.iter().map(|version| &version.manifest.key));
        for version in versions {
            end.n_failures += version.manifest.n_failures();
            self.made.push(version);
        }
        Ok(())
    }

    /// Fails if a training would be in vain, for the patients that it has or those that are predicted afterwards.
    fn check_training(&self, task: &Task<'_>) -> Result<(), Error> {
        let read = |table| {
            let source = |error: crate::tables::Error| error.into();
            task.table(table).map_err(|e| Error::Stage { stage: Stage::Train, source: source(e) })
        };
        let (scans, samples) = (read(Table::Scans)?, read(Table::Samples)?);
        Patients::of(scans, samples)?.check_training(self.config, self.options.stages)
    }

    /// Goes on with the current outputs of a step as they are.
    fn keep(
        &mut self,
        stage: Stage,
        before: Vec<Option<Version>>,
        beside: &[InputRef],
        end: &mut Done,
    ) -> Result<(), Error> {
        for (n, version) in kept(self.store, stage, before)?.into_iter().enumerate() {
            let version = self.store.keep(version, beside)?;
            if n == 0 {
                end.n_shards += version.manifest.n_shards();
                end.rows = version.manifest.rows;
            }
            end.n_failures += version.manifest.n_failures();
            self.made.push(version);
        }
        end.kept = true;
        Ok(())
    }
}

/// The current outputs of a step.
pub(super) fn current(
    store: &Store,
    stage: Stage,
    step: Step,
) -> Result<Vec<Option<Version>>, nodulus_store::Error> {
    step.writes(stage).iter().map(|output| store.current(*output)).collect()
}

/// The outputs of a step that are kept.
///
/// # Errors
///
/// Fails if one is missing.
pub(super) fn kept(
    store: &Store,
    stage: Stage,
    current: Vec<Option<Version>>,
) -> Result<Vec<Version>, Error> {
    let store = store.root().to_owned();
    let all: Option<Vec<Version>> = current.into_iter().collect();
    all.ok_or(Error::NothingToKeep { stage, store })
}

/// Whether a stage's outputs can be kept although what they are made from changed.
///
/// METHOD: a table in shards is joined with others shard by shard, so that an older one would be joined with other scans.
/// Outputs over the whole cohort are not, and nothing comes before ingest.
pub fn can_be_kept(stage: Stage) -> bool {
    stage == Stage::Ingest || !stage.spec().is_sharded
}

/// The positions of the committed shards that are made again: all where the stage is forced; those with a case that fits
/// into memory now, or with any failed case where these are tried again.
pub(super) fn again(standing: &Standing, stage: Stage, options: &Options<'_>) -> Vec<usize> {
    if options.force.contains(&stage) {
        return (0..standing.committed.len()).collect();
    }
    let is_again = |shard: &ShardSummary| {
        let fits = shard.needs_bytes.is_some_and(|needed| needed <= options.max_memory);
        fits || (options.retry_failed && shard.n_failures > 0)
    };
    let committed = standing.committed.iter().enumerate();
    committed.filter(|(_, shard)| shard.as_ref().is_some_and(is_again)).map(|(n, _)| n).collect()
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

/// Bytes of memory with which the smallest of the cases that did not fit would fit; `None` where all did.
///
/// # Errors
///
/// Fails if the store cannot be read.
pub fn least_memory(store: &Store) -> Result<Option<u64>, nodulus_store::Error> {
    let mut least: Option<u64> = None;
    for output in Output::all() {
        let version = store.current(output)?;
        let shards = version.iter().flat_map(|version| &version.manifest.shards);
        least = shards.filter_map(|shard| shard.needs_bytes).chain(least).min();
    }
    Ok(least)
}
