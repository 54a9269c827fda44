//! `predictions`: one row for each slice and model.

use arrow::datatypes::{DataType, Schema};
use nodulus_store::schema::{column, nullable};
use nodulus_store::{Row, TableSpec};
use serde::{Deserialize, Serialize};

/// A slice predicted by a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each column is described in `schema`")]
pub struct Prediction {
    pub roi_id: String,
    pub nodule_id: String,
    pub model_id: String,
    #[serde(with = "serde_bytes")]
    pub probability: Option<Vec<u8>>,
    pub nodule_probability: Option<f64>,
    pub threshold: f64,
    pub threshold_from: String,
    #[serde(with = "serde_bytes")]
    pub mask_bits: Vec<u8>,
}

impl Row for Prediction {
    const TABLE: &'static TableSpec = &TableSpec {
        schema_version: 2,
        pixel_columns: &["probability", "mask_bits"],
        id_columns: &["roi_id", "nodule_id"],
        row_group_rows: 128,
        ..TableSpec::new("predictions", "a slice predicted by a model", schema)
    };
}

/// Columns of `predictions`.
pub fn schema() -> Schema {
    use DataType::{Binary, Float64, Utf8};
    Schema::new(vec![
        column("roi_id", Utf8, "slice of `rois`"),
        column("nodule_id", Utf8, "nodule at the centre"),
        column("model_id", Utf8, "model, or `threshold` for the best single threshold"),
        nullable(
            "probability",
            Binary,
            "probability of nodule for each pixel × 255, one byte each, row by row; null for a threshold",
        ),
        nullable(
            "nodule_probability",
            Float64,
            "probability that the slice holds nodule; null for a model without a classifier",
        ),
        column(
            "threshold",
            Float64,
            "least probability, or for `threshold` least HU, of a nodule's pixel",
        ),
        column(
            "threshold_from",
            Utf8,
            "what the threshold was chosen on: setting (nothing), validation, learning (train and validation) or scored (the very nodules predicted)",
        ),
        column(
            "mask_bits",
            Binary,
            "predicted mask, packed bits, row by row, least significant bit first",
        ),
    ])
}
