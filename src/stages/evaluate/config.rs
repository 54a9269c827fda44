//! Settings of the stage: `[evaluate]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How predictions are measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Evaluate")]
pub struct Config {
    /// Seed of the resamples for the intervals of the metrics, and of the random signs for the tests.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { seed: 1 }
    }
}
