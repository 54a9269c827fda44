//! `scans`: one row for each CT series.

use arrow::datatypes::{DataType, Schema};
use nodulus_store::schema::{axes, column, fixed_list, list, nullable, nullable_axes};
use nodulus_store::{Row, TableSpec};
use serde::{Deserialize, Serialize};

/// A CT series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each column is described in `schema`")]
pub struct Scan {
    pub cohort: String,
    pub series_instance_uid: String,
    pub study_instance_uid: Option<String>,
    pub patient_id: String,
    pub source: String,
    pub n_columns: Option<i64>,
    pub n_rows: Option<i64>,
    pub n_slices: i64,
    pub spacing_i_mm: f64,
    pub spacing_j_mm: f64,
    pub spacing_k_mm: Option<f64>,
    pub origin_x_mm: Option<f64>,
    pub origin_y_mm: Option<f64>,
    pub origin_z_mm: Option<f64>,
    pub direction: Option<Vec<f64>>,
    pub slice_thickness_mm: Option<f64>,
    pub slice_gap_max_deviation_mm: Option<f64>,
    pub n_missing_slices: Option<i64>,
    pub n_duplicate_slices: Option<i64>,
    pub manufacturer: Option<String>,
    pub model: Option<String>,
    pub kernel: Option<String>,
    pub kvp: Option<f64>,
    pub tube_current: Option<f64>,
    pub transfer_syntax: Option<String>,
    pub hu_min: Option<i64>,
    pub hu_max: Option<i64>,
    pub content_sha256: String,
    pub path: Option<String>,
    pub annotation_paths: Vec<String>,
    pub included: bool,
    pub exclusion_reasons: Vec<String>,
    pub n_reading_sessions: i64,
}

impl Scan {
    /// Distance between voxel centres along i, j, k; `None` for a series refused without one.
    pub fn spacing_mm(&self) -> Option<[f64; 3]> {
        Some([self.spacing_i_mm, self.spacing_j_mm, self.spacing_k_mm?])
    }
}

impl Row for Scan {
    const TABLE: &'static TableSpec = &TableSpec {
        schema_version: 2,
        id_columns: &["series_instance_uid", "patient_id"],
        ..TableSpec::new("scans", "a CT series", schema)
    };
}

/// Columns of `scans`.
pub fn schema() -> Schema {
    use DataType::{Boolean, Float64, Int64, Utf8};
    let mut fields = vec![
        column("cohort", Utf8, "name of the cohort in the pipeline file"),
        column(
            "series_instance_uid",
            Utf8,
            "DICOM SeriesInstanceUID, or the file's name without extension",
        ),
        nullable("study_instance_uid", Utf8, "DICOM StudyInstanceUID"),
        column(
            "patient_id",
            Utf8,
            "DICOM PatientID, or the patient in the file's path; the series where neither is known",
        ),
        column("source", Utf8, "layout of the files: lidc, luna16 or volumes"),
        nullable("n_columns", Int64, "voxels along i; null where only annotations are there"),
        nullable("n_rows", Int64, "voxels along j; null where only annotations are there"),
        column("n_slices", Int64, "voxels along k"),
    ];
    fields.extend(axes("spacing_", &["i", "j"], "_mm", &Float64, "distance between voxel centres"));
    fields.push(nullable(
        "spacing_k_mm",
        Float64,
        "distance between slices: the median gap; null where a refused series has none",
    ));
    fields.extend(nullable_axes(
        "origin_",
        &["x", "y", "z"],
        "_mm",
        &Float64,
        "centre of voxel (0, 0, 0), LPS",
    ));
    fields.extend([
        nullable(
            "direction",
            fixed_list(Float64, 9),
            "3×3 matrix, row by row; its columns are the unit vectors of i, j, k",
        ),
        nullable("slice_thickness_mm", Float64, "DICOM SliceThickness, which is not the spacing"),
        nullable(
            "slice_gap_max_deviation_mm",
            Float64,
            "largest deviation of a slice gap from the spacing along k",
        ),
        nullable(
            "n_missing_slices",
            Int64,
            "slices that the spacing leaves room for and no file fills",
        ),
        nullable(
            "n_duplicate_slices",
            Int64,
            "identical slices at one position that were left out",
        ),
        nullable("manufacturer", Utf8, "DICOM Manufacturer"),
        nullable("model", Utf8, "DICOM ManufacturerModelName"),
        nullable("kernel", Utf8, "DICOM ConvolutionKernel"),
        nullable("kvp", Float64, "DICOM KVP, kV"),
        nullable("tube_current", Float64, "DICOM XRayTubeCurrent, mA"),
        nullable("transfer_syntax", Utf8, "DICOM transfer syntax UID"),
        nullable("hu_min", Int64, "least voxel value"),
        nullable("hu_max", Int64, "greatest voxel value"),
        column("content_sha256", Utf8, "SHA-256 over the case's files, image and annotations"),
        nullable(
            "path",
            Utf8,
            "image file or folder, relative to the cohort's root; null where only annotations are there",
        ),
        column(
            "annotation_paths",
            list(Utf8),
            "files whose marks were read, relative to the annotations' folder",
        ),
        column("included", Boolean, "whether later stages use the scan"),
        column("exclusion_reasons", list(Utf8), "why not, empty where included"),
        column("n_reading_sessions", Int64, "readers' sessions found, with or without marks"),
    ]);
    Schema::new(fields)
}
