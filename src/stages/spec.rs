//! What a stage is: one constant with its facts and its functions.

use super::config::Config;
use super::task::Task;
use crate::tables::Output;
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
    /// Whether the stage keeps the shards of the sources; otherwise its outputs are one shard.
    ///
    /// METHOD: agree, train, evaluate and report look at the whole cohort and are one shard; every other
    /// stage keeps the shards of the sources, so that a scan stays in its shard from file to prediction.
    pub is_sharded: bool,
    /// Whether a pipeline file asks for the stage.
    pub is_on: fn(&Config) -> bool,
    /// The settings that the stage's key depends on. Fails for a number that JSON cannot hold.
    pub settings: fn(&Config) -> Result<serde_json::Value, serde_json::Error>,
    /// Weights from outside the store that the stage reads.
    pub outside_weights: fn(&Config) -> Option<OutsideWeights<'_>>,
    /// Makes the pending shards of the stage's job.
    pub run: fn(&Config, &Task<'_>) -> Result<(), StageError>,
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
