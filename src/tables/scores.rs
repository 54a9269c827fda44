//! `scores`: one row for each nodule of a scan that the nightly job scored, in a folder for each day.

use arrow::datatypes::{DataType, Schema};
use nodulus_store::schema::{axes, column, list, nullable};
use nodulus_store::{Row, TableSpec};
use serde::{Deserialize, Serialize};

/// A nodule of a scored scan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each column is described in `schema`")]
pub struct Score {
    pub series_instance_uid: String,
    pub study_instance_uid: Option<String>,
    pub patient_id: Option<String>,
    pub nodule_id: String,
    pub nodule_number: i64,
    pub candidate_x_mm: f64,
    pub candidate_y_mm: f64,
    pub candidate_z_mm: f64,
    pub candidate_score: Option<f64>,
    pub centroid_x_mm: f64,
    pub centroid_y_mm: f64,
    pub centroid_z_mm: f64,
    pub probability: Option<f64>,
    pub volume_mm3: f64,
    pub equivalent_diameter_mm: f64,
    pub axial_diameter_mm: Option<f64>,
    pub axial_short_diameter_mm: Option<f64>,
    pub mean_hu: Option<f64>,
    pub nodule_type: Option<String>,
    pub model_id: String,
    pub warnings: Vec<String>,
    pub scan_warnings: Vec<String>,
    pub superseded: bool,
}

impl Row for Score {
    const TABLE: &'static TableSpec = &TableSpec {
        partition_column: Some("scored_on"),
        id_columns: &["series_instance_uid", "patient_id", "nodule_id"],
        ..TableSpec::new("scores", "a nodule of a scan that the nightly job scored", schema)
    };
}

/// Columns of `scores`, but for `scored_on`.
pub fn schema() -> Schema {
    use DataType::{Boolean, Float64, Int64, Utf8};
    let place = |prefix: &str, what: &str| axes(prefix, &["x", "y", "z"], "_mm", &Float64, what);
    let first = vec![
        column(
            "series_instance_uid",
            Utf8,
            "series of the scan; replaced where outputs are de-identified",
        ),
        nullable("study_instance_uid", Utf8, "study of the scan; null for an image file"),
        nullable("patient_id", Utf8, "patient, or what replaces them; null for an image file"),
        column(
            "nodule_id",
            Utf8,
            "stable id of the nodule: of its series and its candidate's place",
        ),
        column("nodule_number", Int64, "number in the scan, from 1: its segment in the SEG"),
    ];
    let measured = vec![
        nullable(
            "probability",
            Float64,
            "greatest probability of nodule of its slices; null for a model without a classifier",
        ),
        column("volume_mm3", Float64, "volume of the mask; 0 where the model marks no voxel"),
        column("equivalent_diameter_mm", Float64, "diameter of the sphere of that volume"),
        nullable(
            "axial_diameter_mm",
            Float64,
            "longest diameter in an axial slice; null without a mask",
        ),
        nullable(
            "axial_short_diameter_mm",
            Float64,
            "longest diameter at right angles to it, in the same slice; null without a mask",
        ),
        nullable("mean_hu", Float64, "mean of the mask's voxels; null without a mask"),
        nullable("nodule_type", Utf8, "type of the nodule; null for a model that gives none"),
        column("model_id", Utf8, "what scored it: architecture and start of the weights' SHA-256"),
        column("warnings", list(Utf8), "what makes the nodule's numbers doubtful"),
        column("scan_warnings", list(Utf8), "what makes all of the scan's numbers doubtful"),
        column(
            "superseded",
            Boolean,
            "whether the scan was scored again since, as its content, candidates or model changed",
        ),
    ];
    let fields = first
        .into_iter()
        .chain(place("candidate_", "the candidate's place, LPS"))
        .chain([nullable(
            "candidate_score",
            Float64,
            "the detector's score; null where it gave none",
        )])
        .chain(place(
            "centroid_",
            "mean place of the mask's voxels, LPS; the candidate's where there is none",
        ))
        .chain(measured);
    Schema::new(fields.collect::<Vec<_>>())
}
