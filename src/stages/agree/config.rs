//! Settings of the stage: `[agree]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far readers agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Agree")]
pub struct Config {
    /// Seed of the resamples for the intervals of the agreement.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { seed: 1 }
    }
}
