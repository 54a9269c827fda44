//! `slice_metrics`: one row for each slice and model; 2D, on the slice.

use arrow::datatypes::{DataType, Schema};
use nodulus_store::schema::{column, nullable};
use nodulus_store::{Row, TableSpec};
use serde::{Deserialize, Serialize};

/// A slice × a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each column is described in `schema`")]
pub struct SliceMetrics {
    pub roi_id: String,
    pub nodule_id: String,
    pub patient_id: String,
    pub model_id: String,
    pub true_positive: i64,
    pub false_positive: i64,
    pub false_negative: i64,
    pub precision: Option<f64>,
    pub sensitivity: Option<f64>,
    pub dice: Option<f64>,
    pub iou: Option<f64>,
    pub hausdorff_mm: Option<f64>,
    pub hausdorff_95_mm: Option<f64>,
    pub assd_mm: Option<f64>,
    pub masd_mm: Option<f64>,
    pub surface_dice_1mm: Option<f64>,
    pub predicted_volume_mm3: f64,
    pub reference_volume_mm3: f64,
    pub predicted_long_axis_mm: f64,
    pub reference_long_axis_mm: f64,
    pub predicted_short_axis_mm: f64,
    pub reference_short_axis_mm: f64,
    pub outcome: String,
    pub metric_definition: String,
}

impl Row for SliceMetrics {
    const TABLE: &'static TableSpec = &TableSpec {
        schema_version: 2,
        id_columns: &["roi_id", "nodule_id"],
        ..TableSpec::new("slice_metrics", "a slice × model", schema)
    };
}

/// Columns of `slice_metrics`.
pub fn schema() -> Schema {
    use DataType::{Float64, Int64, Utf8};
    Schema::new(vec![
        column("roi_id", Utf8, "slice of `rois`"),
        column("nodule_id", Utf8, "nodule at the centre"),
        column("patient_id", Utf8, "patient of the series"),
        column("model_id", Utf8, "model, or `threshold` for the best single threshold"),
        column("true_positive", Int64, "voxels in both masks"),
        column("false_positive", Int64, "voxels in the prediction alone"),
        column("false_negative", Int64, "voxels in the reference alone"),
        nullable("precision", Float64, "TP / (TP + FP)"),
        nullable("sensitivity", Float64, "TP / (TP + FN)"),
        nullable("dice", Float64, "2 TP / (2 TP + FP + FN)"),
        nullable("iou", Float64, "TP / (TP + FP + FN)"),
        nullable("hausdorff_mm", Float64, "larger of the two directed maximum surface distances"),
        nullable(
            "hausdorff_95_mm",
            Float64,
            "larger of the two directed 95th percentiles of surface distance",
        ),
        nullable("assd_mm", Float64, "mean over both surfaces' distances, pooled"),
        nullable("masd_mm", Float64, "mean of the two directed mean surface distances"),
        nullable("surface_dice_1mm", Float64, "share of both surfaces within 1 mm of the other"),
        column("predicted_volume_mm3", Float64, "volume of the prediction"),
        column("reference_volume_mm3", Float64, "volume of the reference"),
        column("predicted_long_axis_mm", Float64, "longest diameter of the prediction"),
        column("reference_long_axis_mm", Float64, "longest diameter of the reference"),
        column("predicted_short_axis_mm", Float64, "longest diameter across it"),
        column("reference_short_axis_mm", Float64, "longest diameter across it"),
        column("outcome", Utf8, "scored, missed, spurious or both_empty"),
        column("metric_definition", Utf8, "name and version of the definitions"),
    ])
}
