//! Settings of the stage: `[evaluate]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How predictions are measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Evaluate")]
pub struct Config {
    /// Seed of the resamples for the intervals of the metrics, and of the random signs for the tests.
    pub seed: u64,
    /// Masks of models of other programs, which are measured beside the network's. `--predictions MODEL=PATH` sets them. The
    /// masks' content, not their path, is part of the key.
    #[serde(skip_serializing)]
    #[schemars(extend("default" = []))]
    pub predictions: Vec<OutsidePredictions>,
    /// Models that differ in the seed of their training alone, and the model that their mean is in `summary` and `comparisons`.
    /// `nodulus experiment` sets it for its `seeds`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("default" = []))]
    pub seed_means: Vec<SeedMean>,
}

/// A model that is the mean of models of several seeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SeedMean")]
pub struct SeedMean {
    /// Id of the mean in the tables, which no other model has.
    #[schemars(length(min = 1), extend("examples" = ["U-Net"]))]
    pub model: String,
    /// Ids of the models of each seed: two or more.
    #[schemars(length(min = 1), extend("examples" = [["U-Net, seed 1", "U-Net, seed 2"]]))]
    pub of: Vec<String>,
}

/// Masks of a model of another program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OutsidePredictions")]
pub struct OutsidePredictions {
    /// Id of the model in the tables, which no other model has.
    #[schemars(length(min = 1), extend("examples" = ["nnunet"]))]
    pub model: String,
    /// Parquet file with the columns `roi_id`, `mask_bits` and, where the model has it, `nodule_probability`; or folder with a
    /// NIfTI file or DICOM SEG for each nodule, named after it. `{store}` stands for the store's folder.
    #[schemars(length(min = 1), extend("examples" = ["out/nnunet.parquet"]))]
    pub path: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self { seed: 1, predictions: Vec::new(), seed_means: Vec::new() }
    }
}
