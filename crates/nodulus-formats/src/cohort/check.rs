//! Tells from headers which scans of a case can be read.

use super::case_files::CaseFiles;
use crate::volume::SliceRanges;
use crate::{dicom, image_file};

/// What the headers of a case show.
#[derive(Debug, Default)]
pub struct HeaderCheck {
    /// Number of scans whose headers are in order.
    pub n_readable: usize,
    /// Why other scans, and files that may be slices of any scan, cannot be read.
    pub refusals: Vec<Refusal>,
    /// Number of files that are left aside.
    pub n_passed_over: usize,
}

/// Why a scan or file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// The cause, the same for all scans with it.
    pub cause: &'static str,
    /// The setting that would admit the scan, if there is one.
    pub setting: Option<&'static str>,
    /// What is wrong with this scan.
    pub message: String,
}

impl Refusal {
    /// Names the cause of an error.
    pub fn of(error: &dicom::Error) -> Self {
        let (cause, setting) = error.cause();
        let message = match error {
            dicom::Error::Refused { reason, .. } => reason.to_string(),
            other => other.to_string(),
        };
        Self { cause, setting, message }
    }
}

/// Reads the headers of a case's scans, and none of their voxels.
pub fn check_headers(files: &CaseFiles, tolerances: &dicom::Tolerances) -> HeaderCheck {
    let mut check = HeaderCheck::default();
    if files.is_image_file() {
        match image_file::read_slices(&files.path, &SliceRanges::default(), &tolerances.image_files)
        {
            Ok(_) => check.n_readable += 1,
            Err(error) => {
                let (cause, setting) = error.cause();
                check.refusals.push(Refusal { cause, setting, message: error.to_string() });
            }
        }
        return check;
    }
    let listing = dicom::list_series(&files.dicom);
    check.n_passed_over = listing.passed_over.len();
    let mut errors = listing.damaged;
    for series in listing.series {
        match dicom::OpenSeries::open(&series.files, tolerances) {
            Ok(open) => {
                check.n_readable += 1;
                check.n_passed_over += open.aside.len();
            }
            Err(dicom::Error::NoSlices { aside, .. }) if !aside.is_empty() => {
                check.n_passed_over += aside.len();
            }
            Err(error) => errors.push(error),
        }
    }
    check.refusals = errors.into_iter().map(|error| Refusal::of(&files.named(error))).collect();
    check
}
