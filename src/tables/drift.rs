//! `drift`: one row for each night × quantity × model, in a folder for each day.

use nodulus_store::{Row, TableSpec, columns};
use serde::{Deserialize, Serialize};

columns! {
    /// A quantity of the nodules that a model scored in a night, or in several.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub struct Drift {
        /// first day scored on, YYYY-MM-DD
        pub first_night: String,
        /// last day scored on: the first one where the row is of a night
        pub last_night: String,
        /// model that scored
        pub model_id: String,
        /// probability, volume_mm3 or mean_hu of a nodule
        pub quantity: String,
        /// nodules scored
        pub n_nodules: i64,
        /// of these, those that have a value
        pub n: i64,
        /// mean of the values; null of none
        pub mean: Option<f64>,
        /// median of the values; null of none
        pub median: Option<f64>,
        /// nodules that the model's profile has a value of; 0 without a profile
        pub n_training: i64,
        /// mean of the profile's values; null of none
        pub training_mean: Option<f64>,
        /// median of the profile's values; null of none
        pub training_median: Option<f64>,
        /// where bins part: a value there is in the upper one; the outer bins have no end
        pub edges: Vec<f64>,
        /// values in each bin, one more than edges
        pub counts: Vec<i64>,
        /// the profile's values in each bin; empty without a profile
        pub training_counts: Vec<i64>,
        /// population stability index against the profile; null under 20 values of either
        pub psi: Option<f64>,
        /// what the index stays under in 95 of 100 nights by chance alone; null as psi
        pub psi_limit: Option<f64>,
    }
}

impl Row for Drift {
    const TABLE: &'static TableSpec = &TableSpec {
        partition_column: Some("scored_on"),
        ..TableSpec::new::<Self>("drift", "a night × quantity × model")
    };
}
