//! A part of a stage's work: one shard, or the commit of all that were made.

use super::{Done, Error, Options, Run, RunEvent, check_weights};
use crate::pipeline::config::Config;
use crate::pipeline::plan::Step;
use crate::pipeline::preprocessing::settled;
use crate::stages::Stage;
use crate::stages::ingest::Sources;
use crate::tables::failures;
use nodulus_store::{Job, JobSpec, Store, Version};
use std::path::PathBuf;

/// What of a stage is done.
pub(super) enum Part<'a> {
    /// All of it.
    Whole,
    /// One shard, without a version that lists it.
    Shard(usize, &'a PartOf),
    /// The versions that list the shards, all of which were made, and the reduction that sums them up.
    Commit(&'a PartOf),
    /// Nothing: how the shards stand.
    Look(&'a PartOf),
}

/// How the shards of a stage stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shards {
    /// The positions of the shards that are still to be made, ascending.
    pub pending: Vec<usize>,
    /// Those among them that a process works on.
    pub claimed: Vec<usize>,
    /// Number of cases that failed, in the shards that are made.
    pub n_failures: usize,
}

/// A stage of a plan, of which a part is done.
pub struct PartOf {
    /// The stage.
    pub stage: Stage,
    /// Number of its shards.
    pub n_shards: usize,
    /// The job of ingest, if that is the stage: its sources are not listed again.
    pub ingest: Option<JobSpec>,
    /// Folder with decisions over the whole cohort, which one who makes a shard of many need not make again.
    pub decisions: PathBuf,
}

impl<'a> Part<'a> {
    pub(super) const fn is_shard(&self) -> bool {
        matches!(self, Self::Shard(..))
    }

    pub(super) const fn is_commit(&self) -> bool {
        matches!(self, Self::Commit(_))
    }

    /// The stage of the plan, where it is one.
    pub(super) const fn of(&self) -> Option<&'a PartOf> {
        match self {
            Self::Whole => None,
            Self::Shard(_, of) | Self::Commit(of) | Self::Look(of) => Some(of),
        }
    }

    /// Restricts a job to the shard, where it is one.
    ///
    /// # Errors
    ///
    /// Fails if the job has another number of shards than the plan.
    pub(super) fn restrict(&self, job: &mut Job) -> Result<(), Error> {
        let Self::Shard(number, of) = *self else { return Ok(()) };
        if job.n_shards() != of.n_shards {
            let (stage, found, expected) = (of.stage, job.n_shards(), of.n_shards);
            return Err(Error::OtherShards { stage, found, expected });
        }
        job.only([number]);
        Ok(())
    }
}

impl Shards {
    pub(super) fn of(job: &Job) -> Result<Self, Error> {
        let standing = job.standing()?;
        let mut claimed = Vec::new();
        for &n in &standing.pending {
            if job.is_claimed(n)? {
                claimed.push(n);
            }
        }
        Ok(Self { n_failures: standing.n_failures(), pending: standing.pending, claimed })
    }
}

/// Looks how the shards of a stage stand. Nothing is written but decisions that nobody has made before.
///
/// # Errors
///
/// Fails if an input cannot be read, or a decision over the cohort fails.
pub fn look(
    config: &Config,
    store: &Store,
    options: &Options<'_>,
    part: &PartOf,
) -> Result<Shards, Error> {
    let config = &*settled(config, options.stages)?;
    let mut run = Run::new(config, store, options, &|_| {}, Part::Look(part));
    run.step(part.stage, Step::Shards, &mut Done::begin(part.stage))?;
    Ok(run.shards)
}

/// Makes one shard of a stage, if it is not there. `sources` are the cases of that shard.
///
/// # Errors
///
/// Fails if the stage stops, or the shard met a fault of the machine. Cases that fail are counted.
pub fn work(
    config: &Config,
    store: &Store,
    options: &Options<'_>,
    part: &PartOf,
    (number, sources): (usize, Sources),
    progress: &(dyn Fn(RunEvent) + Sync),
) -> Result<Done, Error> {
    let config = &*settled(config, options.stages)?;
    check_weights(config, store, options)?;
    let mut run = Run::new(config, store, options, progress, Part::Shard(number, part));
    run.sources = Some(sources);
    let mut end = Done::begin(part.stage);
    run.step(part.stage, Step::Shards, &mut end)?;
    end.n_shards = part.n_shards;
    Ok(end)
}

/// Writes the versions that list the shards of a stage, and sums the shards up where the stage does.
///
/// # Errors
///
/// Fails if a shard is missing, or the stage stops.
pub fn commit(
    config: &Config,
    store: &Store,
    options: &Options<'_>,
    part: &PartOf,
    progress: &(dyn Fn(RunEvent) + Sync),
) -> Result<(Done, Vec<Version>), Error> {
    let config = &*settled(config, options.stages)?;
    let mut run = Run::new(config, store, options, progress, Part::Commit(part));
    let mut end = Done::begin(part.stage);
    for step in Step::of(part.stage) {
        run.step(part.stage, step, &mut end)?;
    }
    failures::refresh(store, &run.made)?;
    Ok((end, run.made))
}
