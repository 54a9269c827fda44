//! `drift`: one row for each night × quantity × model, in a folder for each day.

use arrow::datatypes::{DataType, Schema};
use nodulus_store::schema::{column, list, nullable};
use nodulus_store::{Row, TableSpec};
use serde::{Deserialize, Serialize};

/// A quantity of the nodules that a model scored in a night, or in several.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each column is described in `schema`")]
pub struct Drift {
    pub first_night: String,
    pub last_night: String,
    pub model_id: String,
    pub quantity: String,
    pub n_nodules: i64,
    pub n: i64,
    pub mean: Option<f64>,
    pub median: Option<f64>,
    pub n_training: i64,
    pub training_mean: Option<f64>,
    pub training_median: Option<f64>,
    pub edges: Vec<f64>,
    pub counts: Vec<i64>,
    pub training_counts: Vec<i64>,
    pub psi: Option<f64>,
    pub psi_limit: Option<f64>,
}

impl Row for Drift {
    const TABLE: &'static TableSpec = &TableSpec {
        partition_column: Some("scored_on"),
        ..TableSpec::new("drift", "a night × quantity × model", schema)
    };
}

/// Columns of `drift`.
pub fn schema() -> Schema {
    use DataType::{Float64, Int64, Utf8};
    Schema::new(vec![
        column("first_night", Utf8, "first day scored on, YYYY-MM-DD"),
        column("last_night", Utf8, "last day scored on: the first one where the row is of a night"),
        column("model_id", Utf8, "model that scored"),
        column("quantity", Utf8, "probability, volume_mm3 or mean_hu of a nodule"),
        column("n_nodules", Int64, "nodules scored"),
        column("n", Int64, "of these, those that have a value"),
        nullable("mean", Float64, "mean of the values; null of none"),
        nullable("median", Float64, "median of the values; null of none"),
        column(
            "n_training",
            Int64,
            "nodules that the model's profile has a value of; 0 without a profile",
        ),
        nullable("training_mean", Float64, "mean of the profile's values; null of none"),
        nullable("training_median", Float64, "median of the profile's values; null of none"),
        column(
            "edges",
            list(Float64),
            "where bins part: a value there is in the upper one; the outer bins have no end",
        ),
        column("counts", list(Int64), "values in each bin, one more than edges"),
        column(
            "training_counts",
            list(Int64),
            "the profile's values in each bin; empty without a profile",
        ),
        nullable(
            "psi",
            Float64,
            "population stability index against the profile; null under 20 values of either",
        ),
        nullable(
            "psi_limit",
            Float64,
            "what the index stays under in 95 of 100 nights by chance alone; null as psi",
        ),
    ])
}
