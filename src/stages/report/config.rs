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
    /// Key of an earlier version of `nodule_metrics` in the store (`nodulus tables` prints keys); the report then shows each
    /// model's Dice before and after on the nodules of both. Without it, the report has no such table.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["1f0c3a5b7d9e2468"]))]
    pub before: Option<String>,
    /// Seed of the resamples for the intervals of the readers' agreement.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { title: "Lung nodule segmentation".to_owned(), before: None, seed: 1 }
    }
}
