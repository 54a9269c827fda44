//! `summary`: one row for each model, metric and subgroup.

use arrow::datatypes::{DataType, Schema};
use nodulus_store::schema::{column, nullable};
use nodulus_store::{Row, TableSpec};
use serde::{Deserialize, Serialize};

/// A model × metric × subgroup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each column is described in `schema`")]
pub struct Summary {
    pub model_id: String,
    pub metric: String,
    pub subgroup: String,
    pub n_total: i64,
    pub n_valid: i64,
    pub n_missed: i64,
    pub mean: Option<f64>,
    pub sd: Option<f64>,
    pub median: Option<f64>,
    pub ci_low: Option<f64>,
    pub ci_high: Option<f64>,
    pub worst_case_mean: Option<f64>,
}

impl Row for Summary {
    const TABLE: &'static TableSpec = &TableSpec {
        schema_version: 2,
        ..TableSpec::new("summary", "a model × metric × subgroup", schema)
    };
}

/// Columns of `summary`.
pub fn schema() -> Schema {
    use DataType::{Float64, Int64, Utf8};
    Schema::new(vec![
        column(
            "model_id",
            Utf8,
            "model, `threshold` for the best single threshold, or `reader` for each reader against the consensus of the others",
        ),
        column(
            "metric",
            Utf8,
            "column of `nodule_metrics`; with `slice_` over slices; `*_absolute_error_*`; `classifier_auc`, `_brier` and `_ece` (docs/metrics.md)",
        ),
        column("subgroup", Utf8, "all, or `name=value`"),
        column("n_total", Int64, "nodules (or slices) in the subgroup"),
        column("n_valid", Int64, "nodules for which the metric is defined"),
        column("n_missed", Int64, "nodules without any predicted voxel"),
        nullable("mean", Float64, "mean over the valid; of a classifier the metric itself"),
        nullable("sd", Float64, "standard deviation over the valid; null under two"),
        nullable("median", Float64, "median over the valid"),
        nullable(
            "ci_low",
            Float64,
            "lower end of the mean's (or the classifier's metric's) 95% bootstrap interval, by patient",
        ),
        nullable(
            "ci_high",
            Float64,
            "upper end of the mean's (or the classifier's metric's) 95% bootstrap interval, by patient",
        ),
        nullable(
            "worst_case_mean",
            Float64,
            "mean in which a missed nodule counts with the region's diagonal; null of a classifier",
        ),
    ])
}
