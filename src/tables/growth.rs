//! `growth`: one row for each nodule of two scans of a patient, matched or not, in a folder for each day.

use arrow::datatypes::{DataType, Schema};
use nodulus_store::schema::{axes, column, nullable, nullable_axes};
use nodulus_store::{Row, TableSpec};
use serde::{Deserialize, Serialize};

/// A nodule of two scans.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each column is described in `schema`")]
pub struct Growth {
    pub patient_id: String,
    pub series_instance_uid: String,
    pub earlier_series_instance_uid: String,
    pub acquired_on: Option<String>,
    pub earlier_acquired_on: Option<String>,
    pub days: Option<i64>,
    pub model_id: String,
    pub earlier_model_id: String,
    pub nodule_id: Option<String>,
    pub earlier_nodule_id: Option<String>,
    pub matched: bool,
    pub reason: Option<String>,
    pub shift_x_mm: Option<f64>,
    pub shift_y_mm: Option<f64>,
    pub shift_z_mm: Option<f64>,
    pub x_mm: f64,
    pub y_mm: f64,
    pub z_mm: f64,
    pub distance_mm: Option<f64>,
    pub volume_mm3: Option<f64>,
    pub earlier_volume_mm3: Option<f64>,
    pub change_mm3: Option<f64>,
    pub change_percent: Option<f64>,
    pub doubling_days: Option<f64>,
    pub shrunk: Option<bool>,
    pub significant: Option<bool>,
}

impl Row for Growth {
    const TABLE: &'static TableSpec = &TableSpec {
        partition_column: Some("scored_on"),
        id_columns: &["series_instance_uid", "patient_id", "nodule_id"],
        ..TableSpec::new("growth", "a nodule of two scans of a patient", schema)
    };
}

/// Columns of `growth`.
pub fn schema() -> Schema {
    use DataType::{Boolean, Float64, Int64, Utf8};
    let mut fields = vec![
        column("patient_id", Utf8, "patient of both scans"),
        column("series_instance_uid", Utf8, "the later series"),
        column("earlier_series_instance_uid", Utf8, "the earlier series"),
        nullable(
            "acquired_on",
            Utf8,
            "day of the later scan, YYYY-MM-DD; null where it is unknown",
        ),
        nullable("earlier_acquired_on", Utf8, "day of the earlier scan; null where it is unknown"),
        nullable("days", Int64, "days between both; null where a day is unknown"),
        column("model_id", Utf8, "model that scored the later scan"),
        column(
            "earlier_model_id",
            Utf8,
            "model that scored the earlier scan: another one may draw otherwise",
        ),
        nullable("nodule_id", Utf8, "nodule of the later scan; null where it has none"),
        nullable("earlier_nodule_id", Utf8, "nodule of the earlier scan; null where it has none"),
        column("matched", Boolean, "whether both are one nodule"),
        nullable("reason", Utf8, "why it is not matched; null where it is"),
    ];
    fields.extend(nullable_axes(
        "shift_",
        &["x", "y", "z"],
        "_mm",
        &Float64,
        "what takes a place of the earlier scan to that of the later one, LPS; null where the lungs do not tell",
    ));
    fields.extend(axes(
        "",
        &["x", "y", "z"],
        "_mm",
        &Float64,
        "centroid in the later scan, LPS; in the earlier one where it has no nodule",
    ));
    fields.extend([
        nullable(
            "distance_mm",
            Float64,
            "distance of both centroids once aligned; null unless matched",
        ),
        nullable("volume_mm3", Float64, "volume in the later scan; null where it has no nodule"),
        nullable(
            "earlier_volume_mm3",
            Float64,
            "volume in the earlier scan; null where it has no nodule",
        ),
        nullable("change_mm3", Float64, "later minus earlier volume; null unless matched"),
        nullable(
            "change_percent",
            Float64,
            "that, % of the earlier volume; null unless matched, or where it was 0",
        ),
        nullable(
            "doubling_days",
            Float64,
            "volume doubling time, days; null unless the volume grew over some days",
        ),
        nullable("shrunk", Boolean, "whether the volume fell; null unless matched"),
        nullable(
            "significant",
            Boolean,
            "whether the volume changed by 25% or more; null as change_percent",
        ),
    ]);
    Schema::new(fields)
}
