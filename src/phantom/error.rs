//! Why a synthetic cohort cannot be written.

use nodulus_formats::volume::{InvalidGeometry, ShapeMismatch};
use nodulus_formats::{dicom, luna_csv, scan_geometry};
use std::io;
use std::path::PathBuf;

/// A synthetic cohort could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A setting is out of its range.
    #[error("`phantom.{key}` is {found}, expected {expected}")]
    Setting {
        /// Name of the setting.
        key: &'static str,
        /// Its value.
        found: usize,
        /// Values that are valid.
        expected: String,
    },
    /// The folder holds something else.
    #[error("`{0}` is not empty and holds no phantom; choose an empty folder")]
    Occupied(PathBuf),
    /// The folder holds a phantom of other settings or another version of the program.
    #[error(
        "`{path}` belongs to a phantom of other settings: found {found}, expected {expected}; choose another folder or remove \
         this one"
    )]
    OtherPhantom {
        /// The file with the settings.
        path: PathBuf,
        /// What the file holds.
        found: String,
        /// What it would hold.
        expected: String,
    },
    /// A JSON file of the phantom could not be written.
    #[error("`{path}` cannot be written as JSON")]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A scan's geometry is invalid.
    #[error(transparent)]
    Geometry(#[from] InvalidGeometry),
    /// A scan's voxels do not fit its geometry.
    #[error(transparent)]
    Shape(#[from] ShapeMismatch),
    /// A DICOM series could not be written.
    #[error(transparent)]
    Dicom(#[from] dicom::Error),
    /// A table of scan geometry could not be written.
    #[error(transparent)]
    ScanGeometry(#[from] scan_geometry::Error),
    /// A table of LUNA16 could not be written.
    #[error(transparent)]
    LunaCsv(#[from] luna_csv::Error),
}
