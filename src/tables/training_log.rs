//! `training_log`: one row for each epoch.

use arrow::datatypes::{DataType, Schema};
use nodulus_store::schema::{column, nullable};
use nodulus_store::{Row, TableSpec};
use serde::{Deserialize, Serialize};

/// An epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each column is described in `schema`")]
pub struct TrainingLog {
    pub run_id: String,
    pub phase: String,
    pub epoch: i64,
    pub fold: Option<i64>,
    pub learning_rate: f64,
    pub loss: f64,
    pub loss_segmentation: f64,
    pub loss_classification: Option<f64>,
    pub dice: Option<f64>,
    pub iou: Option<f64>,
    pub validation_dice: Option<f64>,
    pub n_samples: i64,
    pub seconds: Option<f64>,
    pub samples_per_second: Option<f64>,
}

impl Row for TrainingLog {
    const TABLE: &'static TableSpec = &TableSpec {
        schema_version: 2,
        volatile_columns: &["seconds", "samples_per_second"],
        ..TableSpec::new("training_log", "an epoch", schema)
    };
}

/// Columns of `training_log`.
pub fn schema() -> Schema {
    use DataType::{Float64, Int64, Utf8};
    Schema::new(vec![
        column("run_id", Utf8, "key of the training run"),
        column("phase", Utf8, "name of the phase in the pipeline file"),
        column("epoch", Int64, "epoch within the phase, from 1"),
        nullable("fold", Int64, "fold held out; null where none is"),
        column("learning_rate", Float64, "learning rate of the epoch"),
        column("loss", Float64, "mean loss over the epoch's samples"),
        column("loss_segmentation", Float64, "its segmentation part"),
        nullable(
            "loss_classification",
            Float64,
            "its classification part; null for a network without a classifier",
        ),
        nullable("dice", Float64, "mean Dice over the epoch's slices with nodule"),
        nullable("iou", Float64, "mean IoU over the epoch's slices with nodule"),
        nullable("validation_dice", Float64, "mean Dice over the validation slices with nodule"),
        column("n_samples", Int64, "slices seen in the epoch"),
        nullable("seconds", Float64, "wall time of the epoch; not part of the table's hash"),
        nullable("samples_per_second", Float64, "slices a second; not part of the table's hash"),
    ])
}
