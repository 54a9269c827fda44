//! `nodule_metrics`: one row for each nodule and model; 3D, over the nodule's region.

use arrow::datatypes::{DataType, Schema};
use nodulus_metrics::{Metric, SizeError, SizeMeasure};
use nodulus_store::schema::{column, nullable};
use nodulus_store::{Row, TableSpec};
use serde::{Deserialize, Serialize};

/// A nodule × a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Default))]
#[expect(missing_docs, reason = "each column is described in `schema`")]
pub struct NoduleMetrics {
    pub nodule_id: String,
    pub patient_id: String,
    pub model_id: String,
    pub n_slices: i64,
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
    pub cut_volume_mm3: f64,
    pub oversize: Option<String>,
    pub volume_error_mm3: Option<f64>,
    pub volume_relative_error: Option<f64>,
    pub predicted_equivalent_diameter_mm: f64,
    pub reference_equivalent_diameter_mm: f64,
    pub equivalent_diameter_error_mm: Option<f64>,
    pub equivalent_diameter_relative_error: Option<f64>,
    pub predicted_long_axis_mm: f64,
    pub reference_long_axis_mm: f64,
    pub long_axis_error_mm: Option<f64>,
    pub long_axis_relative_error: Option<f64>,
    pub predicted_short_axis_mm: f64,
    pub reference_short_axis_mm: f64,
    pub short_axis_error_mm: Option<f64>,
    pub short_axis_relative_error: Option<f64>,
    pub outcome: String,
    pub metric_definition: String,
}

impl NoduleMetrics {
    /// The value of a metric, where it is defined.
    pub const fn value(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::Dice => self.dice,
            Metric::Iou => self.iou,
            Metric::Precision => self.precision,
            Metric::Sensitivity => self.sensitivity,
            Metric::Hausdorff => self.hausdorff_mm,
            Metric::Hausdorff95 => self.hausdorff_95_mm,
            Metric::Assd => self.assd_mm,
            Metric::Masd => self.masd_mm,
            Metric::SurfaceDice => self.surface_dice_1mm,
        }
    }

    /// How far a measure of the prediction is off.
    pub const fn size_error(&self, measure: SizeMeasure) -> SizeError {
        let (signed, relative) = match measure {
            SizeMeasure::Volume => (self.volume_error_mm3, self.volume_relative_error),
            SizeMeasure::EquivalentDiameter => {
                (self.equivalent_diameter_error_mm, self.equivalent_diameter_relative_error)
            }
            SizeMeasure::LongAxis => (self.long_axis_error_mm, self.long_axis_relative_error),
            SizeMeasure::ShortAxis => (self.short_axis_error_mm, self.short_axis_relative_error),
        };
        SizeError { signed, relative }
    }
}

impl Row for NoduleMetrics {
    const TABLE: &'static TableSpec = &TableSpec {
        schema_version: 3,
        id_columns: &["nodule_id"],
        ..TableSpec::new("nodule_metrics", "a nodule × model", schema)
    };
}

/// Columns of `nodule_metrics`.
pub fn schema() -> Schema {
    use DataType::{Float64, Int64, Utf8};
    let mut fields = vec![
        column("nodule_id", Utf8, "nodule at the centre"),
        column("patient_id", Utf8, "patient of the series"),
        column("model_id", Utf8, "model, or `threshold` for the best single threshold"),
        column("n_slices", Int64, "slices of the region"),
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
    ];
    for (measure, what) in MEASURES {
        let [name, error, _, relative] = measure.names();
        fields.extend([
            column(&format!("predicted_{name}"), Float64, &format!("{what} of the prediction")),
            column(
                &format!("reference_{name}"),
                Float64,
                &format!("{what} of the reference in the region"),
            ),
            nullable(error, Float64, "prediction minus reference; null where both are empty"),
            nullable(relative, Float64, "the same as a share; null where the reference is empty"),
        ]);
    }
    fields.extend([
        column(
            "cut_volume_mm3",
            Float64,
            "volume of the nodule past the region, of which no other column tells; 0 unless cropped",
        ),
        nullable(
            "oversize",
            Utf8,
            "resampled or cropped where the nodule is larger than the region: scored on larger pixels, or on the region's part alone",
        ),
        column("outcome", Utf8, "scored, missed, spurious or both_empty"),
        column("metric_definition", Utf8, "name and version of the definitions"),
    ]);
    Schema::new(fields)
}

/// What is measured of both masks; an empty mask measures 0.
const MEASURES: [(SizeMeasure, &str); 4] = [
    (SizeMeasure::Volume, "volume"),
    (SizeMeasure::EquivalentDiameter, "diameter of the sphere of the volume"),
    (SizeMeasure::LongAxis, "longest diameter in an axial slice"),
    (SizeMeasure::ShortAxis, "longest diameter across the long axis, in its slice,"),
];
