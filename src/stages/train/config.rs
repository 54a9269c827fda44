//! Settings of the stage: `[train]`.

use nodulus_nets::{Precision, Start};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How the network is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Train")]
pub struct Config {
    /// Seed of the first weights, the order of samples, the flips and other random changes.
    #[serde(default = "one")]
    pub seed: u64,
    /// The network.
    #[serde(default)]
    pub model: nodulus_nets::Config,
    /// Rule of the first weights.
    #[serde(default, skip_serializing_if = "Start::is_default")]
    #[schemars(extend("default" = "he"))]
    pub start: Start,
    /// What a pixel of a nodule is learnt as.
    #[serde(default, skip_serializing_if = "Targets::is_default")]
    #[schemars(extend("default" = "consensus"))]
    pub targets: Targets,
    /// Number of samples that are shuffled among each other, each about 80 KiB of memory, and 32 KiB more for each further
    /// input slice.
    #[serde(default = "default_shuffle_buffer")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub shuffle_buffer: usize,
    /// Fold that is held out for validation, instead of the validation split.
    #[serde(default)]
    #[schemars(range(min = 0, max = 999))]
    pub fold: Option<i64>,
    /// Precision of multiplications on a card; the processor always uses `f32`.
    #[serde(default, skip_serializing_if = "Precision::is_default")]
    #[schemars(extend("default" = "f32"))]
    pub precision: Precision,
    /// Weights to start from; without the section, random ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial: Option<Initial>,
    /// Minutes between saves within an epoch, 0 for a save after each batch; every epoch is saved, and no result
    /// depends on it.
    #[serde(default = "default_save_minutes", skip_serializing)]
    #[schemars(range(min = 0, max = 1e6), extend("default" = 10.0))]
    pub save_minutes: f64,
    /// Whether the epochs are also written as an event file for `TensorBoard`, beside the metrics in `training_log/metrics`; no
    /// result depends on it.
    #[serde(default, skip_serializing)]
    #[schemars(extend("default" = false))]
    pub tensorboard: bool,
    /// Phases of training, in order; each goes on with the weights of the one before.
    #[schemars(length(min = 1))]
    pub phases: Vec<Phase>,
}

/// What the pixels of a nodule are learnt as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Targets {
    /// Nodule where the consensus mask has them.
    #[default]
    Consensus,
    /// The share of the readers whose masks have them, of those that the consensus level is a share of.
    Readers,
}

impl Targets {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Weights to start from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Initial {
    /// A safetensors file, a checkpoint's folder, or another store for its current weights; the file's content, not
    /// its path, is part of the key.
    #[serde(skip_serializing)]
    #[schemars(length(min = 1), extend("examples" = ["store/demo"]))]
    pub checkpoint: PathBuf,
    /// Text that is put before the names of the file's tensors: `classifier.` for torchvision's ResNet-50.
    #[serde(default)]
    pub prefix: String,
    /// Whether they were trained on no patients, as those of `ImageNet`; without it, predictions of weights that start
    /// from a file that names nobody are marked as in doubt.
    #[serde(default, skip_serializing_if = "is_false")]
    pub without_patients: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// A phase of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TrainPhase")]
pub struct Phase {
    /// Name of the phase in `training_log`.
    #[schemars(length(min = 1), extend("examples" = ["pretrain"]))]
    pub name: String,
    /// Cohorts whose samples are learnt from.
    #[schemars(length(min = 1), extend("examples" = [["luna16"]]))]
    pub cohorts: Vec<String>,
    /// Number of epochs in a row without a better validation Dice that end the phase; without it, the
    /// phase never ends early.
    #[schemars(range(min = 1, max = 100_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// How the samples are learnt from.
    pub schedule: nodulus_nets::Phase,
}

fn one() -> u64 {
    1
}

fn default_shuffle_buffer() -> usize {
    2048
}

fn default_save_minutes() -> f64 {
    10.0
}
