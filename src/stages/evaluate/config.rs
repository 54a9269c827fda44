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
        Self { seed: 1, predictions: Vec::new() }
    }
}
