//! Why the files of a cohort cannot be listed or read.

use super::case_files::CaseFiles;
use super::pairing;
use crate::dicom::{PassedOver, PassedOverRule};
use crate::{archive, dicom, image_file};
use nodulus_faults::quoted;
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

/// A cohort's files could not be listed or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system failed.
    #[error("{}", quoted::io(.0))]
    Io(#[from] io::Error),
    /// The path is not a folder.
    #[error("{path} is not a folder", path = quoted::path(.0))]
    NotAFolder(PathBuf),
    /// A pattern of a patient's files is invalid.
    #[error(transparent)]
    Pattern(#[from] pairing::Error),
    /// A DICOM series could not be read.
    #[error(transparent)]
    Dicom(#[from] dicom::Error),
    /// A DICOM series could not be read, and says what it is.
    #[error(transparent)]
    Unreadable(#[from] dicom::UnreadableSeries),
    /// An image file could not be read.
    #[error(transparent)]
    ImageFile(#[from] image_file::Error),
    /// An archive could not be unpacked.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// A folder or archive contains no CT series.
    #[error(
        "{path} holds no CT series{}",
        kinds_text(&kinds(passed_over), *n_files),
        path = quoted::path(path)
    )]
    NoSeries {
        /// The folder or archive.
        path: PathBuf,
        /// What its files are instead.
        passed_over: Vec<PassedOver>,
        /// Number of files that may be DICOM by their names.
        n_files: usize,
    },
}

impl Error {
    /// The error of files of which none is a slice.
    pub(super) fn no_series(files: &CaseFiles, mut passed_over: Vec<PassedOver>) -> Self {
        for other in &mut passed_over {
            other.path = files.name(&other.path);
        }
        Self::NoSeries { path: files.path.clone(), passed_over, n_files: files.dicom.len() }
    }
}

/// The modalities of DICOM files that hold no scan; for CT, what they are instead of slices.
pub fn kinds(passed_over: &[PassedOver]) -> BTreeSet<String> {
    let of_dicom = passed_over.iter().filter(|other| other.rule != PassedOverRule::NotDicom);
    of_dicom.map(|other| other.what.clone()).collect()
}

fn kinds_text(kinds: &BTreeSet<String>, n_files: usize) -> String {
    match (kinds.len(), n_files) {
        (0, 0) => ", and no file that may be DICOM".to_owned(),
        (0, 1) => ": its only file is not DICOM".to_owned(),
        (0, n) => format!(": none of its {n} files is DICOM"),
        _ => {
            let kinds = kinds.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            format!(", but {}", quoted::text(&kinds))
        }
    }
}
