//! `comparisons`: one row for each two models and metric, on the nodules for which both have a value.

use arrow::datatypes::{DataType, Schema};
use nodulus_store::schema::{column, nullable};
use nodulus_store::{Row, TableSpec};
use serde::{Deserialize, Serialize};

/// Two models × a metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each column is described in `schema`")]
pub struct Comparison {
    pub metric: String,
    pub model_id: String,
    pub baseline_id: String,
    pub n_pairs: i64,
    pub mean_difference: Option<f64>,
    pub ci_low: Option<f64>,
    pub ci_high: Option<f64>,
    pub median_difference: Option<f64>,
    pub wilcoxon_statistic: Option<f64>,
    pub p: Option<f64>,
    pub p_holm: Option<f64>,
    pub rank_biserial: Option<f64>,
}

impl Row for Comparison {
    const TABLE: &'static TableSpec = &TableSpec::new("comparisons", "two models × metric", schema);
}

/// Columns of `comparisons`.
pub fn schema() -> Schema {
    use DataType::{Float64, Int64, Utf8};
    Schema::new(vec![
        column("metric", Utf8, "column of `nodule_metrics`"),
        column("model_id", Utf8, "the model"),
        column("baseline_id", Utf8, "the model that it is compared with"),
        column("n_pairs", Int64, "nodules for which both have a value"),
        nullable("mean_difference", Float64, "mean of model minus baseline"),
        nullable(
            "ci_low",
            Float64,
            "lower end of the mean's 95% bootstrap interval, by patient; null under two patients",
        ),
        nullable(
            "ci_high",
            Float64,
            "upper end of the mean's 95% bootstrap interval, by patient; null under two patients",
        ),
        nullable("median_difference", Float64, "median of model minus baseline"),
        nullable(
            "wilcoxon_statistic",
            Float64,
            "smaller rank sum of Wilcoxon's signed-rank test; null where no pair differs",
        ),
        nullable("p", Float64, "two-sided p of Wilcoxon's signed-rank test"),
        nullable("p_holm", Float64, "the same after Holm's correction over all rows of the table"),
        nullable(
            "rank_biserial",
            Float64,
            "matched-pairs rank-biserial correlation, -1 to 1; above 0 where the model's values are larger",
        ),
    ])
}
