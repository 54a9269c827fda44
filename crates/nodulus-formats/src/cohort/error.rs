//! Why the files of a cohort cannot be listed or read.

use super::pairing;
use crate::{archive, dicom, image_file};
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

/// A cohort's files could not be listed or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The path is not a folder.
    #[error("`{0}` is not a folder")]
    NotAFolder(PathBuf),
    /// A pattern of a patient's files is invalid.
    #[error(transparent)]
    Pattern(#[from] pairing::Error),
    /// A DICOM series could not be read.
    #[error(transparent)]
    Dicom(#[from] dicom::Error),
    /// An image file could not be read.
    #[error(transparent)]
    ImageFile(#[from] image_file::Error),
    /// An archive could not be unpacked.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// A folder or archive contains no CT series.
    #[error("`{path}` holds no CT series, but {}", kinds_text(kinds))]
    NoSeries {
        /// The folder or archive.
        path: PathBuf,
        /// The modalities of its DICOM files; for CT, what they are instead of slices.
        kinds: BTreeSet<String>,
    },
}

fn kinds_text(kinds: &BTreeSet<String>) -> String {
    match kinds.len() {
        0 => "no DICOM file".to_owned(),
        _ => kinds.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
    }
}
