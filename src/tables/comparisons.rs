//! `comparisons`: one row for each two models and metric, on the nodules for which both models have a value.

use nodulus_store::{Row, TableSpec, columns};
use serde::{Deserialize, Serialize};

columns! {
    /// Two models × a metric.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Comparison {
        /// column of `nodule_metrics`
        pub metric: String,
        /// the model
        pub model_id: String,
        /// the model that it is compared with
        pub baseline_id: String,
        /// nodules for which both models have a value
        pub n_pairs: i64,
        /// mean of model minus baseline
        pub mean_difference: Option<f64>,
        /// lower end of the mean's 95% bootstrap interval, by patient; null under two patients
        pub ci_low: Option<f64>,
        /// upper end of the mean's 95% bootstrap interval, by patient; null under two patients
        pub ci_high: Option<f64>,
        /// median of model minus baseline
        pub median_difference: Option<f64>,
        /// smaller rank sum of Wilcoxon's signed-rank test; null where no pair differs
        pub wilcoxon_statistic: Option<f64>,
        /// two-sided p of Wilcoxon's signed-rank test
        pub p: Option<f64>,
        /// p after Holm's correction over all rows of the table
        pub p_holm: Option<f64>,
        /// matched-pairs rank-biserial correlation, -1 to 1; above 0 where the model's values are larger
        pub rank_biserial: Option<f64>,
    }
}

impl Row for Comparison {
    const TABLE: &'static TableSpec = &TableSpec::new::<Self>("comparisons", "two models × metric");
}
