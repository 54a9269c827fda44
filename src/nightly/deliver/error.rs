//! Errors of writing the files of a scan.

use crate::nightly::redaction::OwnError;
use nodulus_faults::quoted;
use nodulus_formats::dicom;
use std::io;

/// The files of a scan could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused, or an axis is longer than a format allows.
    #[error("{}", quoted::io(.0))]
    Io(#[from] io::Error),
    /// The scan's own files could not be read again, or no object could be made.
    #[error(transparent)]
    Dicom(#[from] dicom::Error),
    /// The overlay could not be encoded.
    #[error("cannot make the overlay")]
    Png(#[from] png::EncodingError),
    /// The JSON document could not be encoded.
    #[error("cannot make the JSON document")]
    Json(#[from] serde_json::Error),
    /// A mask reaches beyond its scan.
    #[error(
        "series {series}: the mask of nodule {number} reaches to voxel {end:?}, expected within {size:?}",
        series = quoted::uid(series)
    )]
    OffScan {
        /// The series.
        series: String,
        /// The nodule.
        number: u16,
        /// First voxel past the mask's box.
        end: [usize; 3],
        /// The scan's size.
        size: [usize; 3],
    },
    /// The time of scoring is not a time.
    #[error("scored_at is `{found}`, expected a time in UTC such as 2026-11-24T12:52:27Z")]
    ScoredAt {
        /// What was found.
        found: String,
    },
}

impl OwnError for Error {}
