//! `summary`: one row for each model, metric and subgroup.

use nodulus_store::{Row, TableSpec, columns};
use serde::{Deserialize, Serialize};

columns! {
    /// A model × metric × subgroup.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Summary {
        /// model, `region_growing` for the baseline, or `reader` for each reader against the consensus
        /// of the others
        pub model_id: String,
        /// column of `nodule_metrics`, with the prefix `slice_` where it is over slices in 2D, or the prefix `all_` or
        /// `centre_` for the rule of components that was not delivered; or `*_absolute_error_*`,
        /// `classifier_auc`, `classifier_brier` or `classifier_ece` (docs/metrics.md)
        pub metric: String,
        /// subgroup: all, or `name=value`
        pub subgroup: String,
        /// nodules (or slices) in the subgroup
        pub n_total: i64,
        /// nodules for which the metric is defined
        pub n_valid: i64,
        /// nodules without any predicted voxel
        pub n_missed: i64,
        /// patients of the nodules with a value: the units of the interval
        pub n_patients: i64,
        /// mean over the nodules with a value; for classifier_*, the metric itself
        pub mean: Option<f64>,
        /// standard deviation over the nodules with a value; null with fewer than two
        pub sd: Option<f64>,
        /// median over the nodules with a value
        pub median: Option<f64>,
        /// lower end of the mean's (or the classifier's metric's) 95% interval, by patient (studentised bootstrap)
        pub ci_low: Option<f64>,
        /// upper end of the mean's (or the classifier's metric's) 95% interval, by patient
        pub ci_high: Option<f64>,
        /// why there is no interval; null where there is one
        pub ci_missing_reason: Option<String>,
        /// mean in which a missed nodule counts with the worst value: the region's diagonal, or no overlap; null for
        /// classifier_*
        pub worst_case_mean: Option<f64>,
        /// reasons to doubt the prediction of any of the nodules, as in `predictions`
        pub doubts: Vec<String>,
    }
}

impl Row for Summary {
    const TABLE: &'static TableSpec = &TableSpec {
        schema_version: 3,
        ..TableSpec::new::<Self>("summary", "a model × metric × subgroup")
    };
}
