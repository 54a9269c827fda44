//! Settings of the stage: `[infer]`.

use crate::tables::Split;
use nodulus_imaging::components::{ComponentRule, REACH_MM};
use nodulus_nets::{BEST_WEIGHTS_FILE, Precision, WEIGHTS_FILE};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What is predicted, and with which weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Infer")]
#[expect(clippy::struct_excessive_bools, reason = "independent settings")]
pub struct Config {
    /// Weights from outside the store: a `model.safetensors` with its `model.json` beside it, or another store
    /// for its current weights; the file's content, not its path, is part of the key.
    #[serde(skip_serializing)]
    #[schemars(length(min = 1), extend("examples" = ["store/demo"]))]
    pub checkpoint: Option<PathBuf>,
    /// Weights of the store's checkpoint that predict.
    pub weights: Weights,
    /// Id of the model in the tables, but not `region_growing`, which is the baseline's; without it, the architecture's name.
    #[schemars(length(min = 1), extend("examples" = ["proposed-tiny"]))]
    pub model_id: Option<String>,
    /// Splits whose nodules are predicted.
    #[schemars(length(min = 1))]
    pub splits: Vec<Split>,
    /// Fold whose nodules are predicted, instead of `splits`: the one that the weights were trained without.
    #[schemars(range(min = 0, max = 999))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fold: Option<i64>,
    /// Cohorts whose nodules are predicted; all cohorts where empty.
    #[schemars(extend("examples" = [["clinical"]]))]
    pub cohorts: Vec<String>,
    /// Number of slices that go through the network together; predictions do not depend on it, so it
    /// is not part of the key.
    #[serde(skip_serializing)]
    #[schemars(extend("default" = "auto"))]
    pub batch: Batch,
    /// Precision of multiplications on a card; the processor always uses `f32`.
    #[serde(skip_serializing_if = "Precision::is_default")]
    #[schemars(extend("default" = "f32"))]
    pub precision: Precision,
    /// Whether mirror images are predicted too and the mean is taken, which is four times the work.
    pub flips: bool,
    /// Least probability of a nodule's pixel.
    pub probability_threshold: ProbabilityThreshold,
    /// Whether nodules of patients that the weights were trained or validated on are predicted; tables, report and
    /// messages then say so. `--allow-training-patients` sets it.
    #[serde(skip_serializing_if = "is_false")]
    pub allow_training_patients: bool,
    /// Whether regions with another window, padding or pixel spacing than the weights were trained with are predicted;
    /// tables, report and messages then say so.
    #[serde(skip_serializing_if = "is_false")]
    pub allow_other_preprocessing: bool,
    /// Components that a mask keeps, of the pixels that reach the threshold; `evaluate` measures this mask.
    pub component: ComponentRule,
    /// Greatest distance from the centre of a nodule's region to the nearest voxel of its mask; nothing is kept beyond it.
    #[schemars(range(min = 0, max = 50))]
    pub reach_mm: f64,
    /// Whether region growing from the nodule's centre predicts too, as a baseline.
    pub region_growing: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// Weights of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// Weights of the last epoch.
    Last,
    /// Weights of the epoch with the highest validation Dice.
    Best,
}

impl Weights {
    /// Their file in a checkpoint's folder.
    pub(super) const fn file(self) -> &'static str {
        match self {
            Self::Last => WEIGHTS_FILE,
            Self::Best => BEST_WEIGHTS_FILE,
        }
    }
}

/// Number of slices that go through the network together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a number of slices or \"auto\"")]
pub enum Batch {
    /// A fixed number.
    Slices(#[schemars(range(min = 1, max = 4096))] usize),
    /// A number that the program chooses.
    Named(BatchName),
}

/// See [`Batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchName {
    /// As many as `--max-memory` or the card's free memory holds, up to 32.
    Auto,
}

/// Least probability of a nodule's pixel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a number or \"validation\"")]
pub enum ProbabilityThreshold {
    /// A fixed number.
    Fixed(#[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))] f64),
    /// A number that is chosen on other nodules.
    Named(ThresholdName),
}

/// See [`ProbabilityThreshold`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdName {
    /// The threshold of 0.01 to 0.99 with the highest mean Dice over the nodules of the validation split.
    Validation,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            checkpoint: None,
            weights: Weights::Last,
            model_id: None,
            splits: vec![Split::Test],
            fold: None,
            cohorts: Vec::new(),
            batch: Batch::Named(BatchName::Auto),
            precision: Precision::F32,
            flips: false,
            // METHOD: the paper's text names no threshold; 0.5 is where nodule is as likely as not.
            probability_threshold: ProbabilityThreshold::Fixed(0.5),
            allow_training_patients: false,
            allow_other_preprocessing: false,
            // METHOD: the component at the centre is what a reader is shown and what `score` delivers; other components
            // are specks, vessels or other nodules.
            component: ComponentRule::Centre,
            reach_mm: REACH_MM,
            region_growing: true,
        }
    }
}
