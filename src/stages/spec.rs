//! What a stage is: one constant with its facts and its functions.

use super::config::Config;
use super::task::Task;
use crate::tables::Output;
use nodulus_store::{InputRef, Job, ShardInput};
use std::path::Path;

/// Any error of a stage.
pub type StageError = Box<dyn std::error::Error + Send + Sync>;

/// Everything that the pipeline and the command line know of a stage.
pub struct StageSpec {
    /// Name on the command line, and of the stage's section in a pipeline file.
    pub name: &'static str,
    /// What the stage does, in one line.
    pub description: &'static str,
    /// Options of the command's example; often none.
    pub example: &'static str,
    /// Outputs that the stage reads.
    pub reads: &'static [Output],
    /// Outputs that the stage writes; the first one carries its failures.
    pub writes: &'static [Output],
    /// Version of the stage's code; raised when its results change.
    pub version: u32,
    /// Whether the stage works on images, beyond the readers' marks.
    pub needs_images: bool,
    /// Whether the stage works shard by shard, on the shards that ingest cut; otherwise `writes` are one shard.
    ///
    /// METHOD: a scan stays in its shard from file to metric, so that a cohort grows by the shards of its new
    /// cases. Training, the report and reductions look at the whole cohort and are one shard.
    pub is_sharded: bool,
    /// Whether a pipeline file asks for the stage.
    pub is_on: fn(&Config) -> bool,
    /// The settings that `writes` depend on. Fails for a number that JSON cannot hold.
    pub settings: Settings,
    /// Weights from outside the store that the stage reads.
    pub outside_weights: fn(&Config) -> Option<OutsideWeights<'_>>,
    /// Other files from outside the store that `writes` are made from. Keys depend on them by `decide` alone.
    pub outside_files: Option<OutsideFiles>,
    /// Whether the settings allow what the inputs are; asked before every run, also where the outputs exist already.
    pub check: Option<Check>,
    /// What a stage in one shard is made from, where it reads some rows of its inputs alone.
    pub contents: Option<Contents>,
    /// Decisions over the whole cohort that shards depend on, as the splits of patients.
    pub decide: Option<Decide>,
    /// Makes the shards of the stage's job.
    pub run: RunStep,
    /// Outputs that sum up those of all shards.
    pub reduction: Option<Reduction>,
}

/// Fails if the settings do not allow what the inputs are.
pub type Check = fn(&Config, &Task<'_>) -> Result<(), StageError>;

/// Files from outside the store as inputs of the stage, each with where it lies.
pub type OutsideFiles = fn(&Config) -> Result<Vec<InputRef>, StageError>;

/// Makes the shards of a job.
pub type RunStep = fn(&Config, &Task<'_>, &Job) -> Result<(), StageError>;

/// Settings of a stage as JSON.
pub type Settings = fn(&Config) -> Result<serde_json::Value, serde_json::Error>;

/// Digests of exactly the rows and settings that a stage reads of its inputs; where [`Task::is_incomplete`] is set, of the rows
/// that are there.
pub type Contents = fn(&Config, &Task<'_>) -> Result<Vec<ShardInput>, StageError>;

/// For each shard what was decided on it; null where nothing was. `None` where [`Task::plans_only`] is set and the
/// decision needs more than a glance at the tables, or all of them and [`Task::is_incomplete`] is set.
pub type Decide = fn(&Config, &Task<'_>) -> Result<Option<Vec<serde_json::Value>>, StageError>;

/// The second step of a stage: it reads the shards' outputs and writes one shard.
pub struct Reduction {
    /// Outputs that it reads, those of the stage included.
    pub reads: &'static [Output],
    /// Outputs that it writes.
    pub writes: &'static [Output],
    /// The settings that they depend on.
    pub settings: Settings,
    /// Makes the one shard.
    pub run: RunStep,
}

impl StageSpec {
    /// All outputs of the stage, those of the reduction last.
    pub fn outputs(&self) -> impl Iterator<Item = Output> + use<> {
        let reduced = self.reduction.as_ref().map_or(&[][..], |reduction| reduction.writes);
        self.writes.iter().chain(reduced).copied()
    }
}

/// Weights from outside the store that a stage reads.
pub struct OutsideWeights<'a> {
    /// The setting that names them.
    pub setting: &'static str,
    /// Their name among the stage's inputs.
    pub input: &'static str,
    /// A weights file, a checkpoint's folder or a store.
    pub path: &'a Path,
}
