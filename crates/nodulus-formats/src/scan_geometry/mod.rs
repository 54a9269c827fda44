//! Tables of scan geometry: what annotations need to know about a scan whose image is missing.
//!
//! Columns: `series_instance_uid`, `study_instance_uid`, `patient_id`, `slice_thickness_mm`, `pixel_spacing_mm` (of
//! columns and rows alike), `z_positions_mm` (z of each slice's `ImagePositionPatient`, in any order). In CSV, which
//! may be compressed (`.csv.xz`, `.csv.gz`), the heights are in one field with spaces between them; in Parquet they
//! are a list. Study, patient and thickness may be empty or null. The columns `origin_x_mm`, `origin_y_mm` and `direction` give
//! the place of the slices in the patient, and may be missing. Other columns are ignored.
//!
//! A folder of MetaImage headers (`.mhd`), as LUNA16 has them, is such a table too; their voxels are not read.

mod error;
mod in_plane;
mod read;
mod headers;
mod write;

use crate::volume::Slices;
pub use error::Error;
pub use in_plane::{InPlane, InPlaneError};
pub use read::read;
use std::collections::BTreeMap;
pub use write::{NewScanGeometry, write_csv};

/// The geometry of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct ScanGeometry {
    /// The study, if the table has it.
    pub study_instance_uid: Option<String>,
    /// The patient, if the table has it.
    pub patient_id: Option<String>,
    /// DICOM `SliceThickness`, if the table has it.
    pub slice_thickness_mm: Option<f64>,
    /// The slices, in ascending height.
    ///
    /// METHOD: k ascends with z, as in an image whose slices lie along the patient's z. Where the image has x and y
    /// reversed, the scan is rotated about z, which does not change k.
    pub slices: Slices,
    /// Where the slices' pixels lie in x and y, if that is known.
    pub in_plane: Option<InPlane>,
    /// Number of heights that repeat another one.
    pub n_duplicate_slices: usize,
}

/// A table of scan geometry, by series.
pub type ScanGeometries = BTreeMap<String, ScanGeometry>;

/// The names of the columns that a table must have.
const COLUMNS: [&str; 6] = [
    "series_instance_uid",
    "study_instance_uid",
    "patient_id",
    "slice_thickness_mm",
    "pixel_spacing_mm",
    "z_positions_mm",
];

/// The names of the columns that a table may have: all three or none, in the table and in each row.
const PLACE_COLUMNS: [&str; 3] = ["origin_x_mm", "origin_y_mm", "direction"];
