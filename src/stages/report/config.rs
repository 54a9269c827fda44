//! Settings of the stage: `[report]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the report is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Report")]
pub struct Config {
    /// Title of the report.
    #[schemars(length(min = 1))]
    pub title: String,
    /// Seed of the resamples for the intervals of the readers' agreement.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { title: "Lung nodule segmentation".to_owned(), seed: 1 }
    }
}
