//! `drift`: one row for each night × quantity × model, in a folder for each day.

use nodulus_store::{Row, TableSpec, columns};
use serde::{Deserialize, Serialize};

columns! {
    /// A quantity of the nodules that a model scored in a night, or in several.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub struct Drift {
        /// first day scored on, YYYY-MM-DD
        pub first_night: String,
        /// last day scored on; in the row of a single night, the same as first_night
        pub last_night: String,
        /// model that predicted the nodules
        pub model_id: String,
        /// probability, volume_mm3 or mean_hu of a nodule
        pub quantity: String,
        /// nodules scored
        pub n_nodules: i64,
        /// nodules with a value
        pub n: i64,
        /// mean of the values; null without values
        pub mean: Option<f64>,
        /// median of the values; null without values
        pub median: Option<f64>,
        /// nodules with a value in the model's training profile; 0 where nothing is compared
        pub n_training: i64,
        /// mean of the profile's values; null without values
        pub training_mean: Option<f64>,
        /// median of the profile's values; null without values
        pub training_median: Option<f64>,
        /// edges of the bins: a value on an edge belongs to the upper bin; the outer bins are open
        pub edges: Vec<f64>,
        /// number of values in each bin; there is one more bin than edges
        pub counts: Vec<i64>,
        /// number of the profile's values in each bin; empty where nothing is compared
        pub training_counts: Vec<i64>,
        /// population stability index against the profile
        pub psi: Option<f64>,
        /// why psi is null, such as masks that were made by another rule than the profile's; null where there is one
        pub psi_missing_reason: Option<String>,
        /// limit that psi exceeds by chance alone in 5 of 100 nights; null where psi is null
        pub psi_limit: Option<f64>,
    }
}

impl Row for Drift {
    const TABLE: &'static TableSpec = &TableSpec {
        schema_version: 2,
        partition_column: Some("scored_on"),
        ..TableSpec::new::<Self>("drift", "a night × quantity × model")
    };
}
