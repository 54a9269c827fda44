//! `comparisons`: one row for each two models, and each model and the readers, and metric, on the nodules for which
//! both have a value.

use nodulus_store::{Row, TableSpec, columns};
use serde::{Deserialize, Serialize};

columns! {
    /// Two models, or a model and the readers × a metric.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Comparison {
        /// column of `nodule_metrics`
        pub metric: String,
        /// the model
        pub model_id: String,
        /// the model that it is compared with, or `reader` for each reader against the consensus of the others
        pub baseline_id: String,
        /// nodules for which both have a value
        pub n_nodules: i64,
        /// patients of these nodules: the units of interval and test
        pub n_patients: i64,
        /// mean of model minus baseline over the nodules
        pub mean_difference: Option<f64>,
        /// lower end of the mean's 95% interval, by patient (studentised bootstrap)
        pub ci_low: Option<f64>,
        /// upper end of the mean's 95% interval, by patient
        pub ci_high: Option<f64>,
        /// why there is no interval; null where there is one
        pub ci_missing_reason: Option<String>,
        /// median of model minus baseline over the nodules
        pub median_difference: Option<f64>,
        /// name of the test of the mean difference: it flips the signs of patients, under all patterns or random ones;
        /// null where there is none
        pub test: Option<String>,
        /// two-sided p of the test
        pub p: Option<f64>,
        /// why there is no test; null where there is one
        pub p_missing_reason: Option<String>,
        /// p after Holm's correction over all rows of the table
        pub p_holm: Option<f64>,
        /// matched-pairs rank-biserial correlation over the nodules, -1 to 1; above 0 where the model's values are larger
        pub rank_biserial: Option<f64>,
    }
}

impl Row for Comparison {
    const TABLE: &'static TableSpec = &TableSpec {
        schema_version: 2,
        ..TableSpec::new::<Self>("comparisons", "two models × metric")
    };
}
