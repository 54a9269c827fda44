//! Tells from headers which scans of a case can be read.

use super::case_files::CaseFiles;
use super::error::Error;
use super::read::ScanFacts;
use crate::repair::Repairs;
use crate::volume::{Geometry, ImageFacts, SliceRanges};
use crate::{dicom, image_file, mask_file};
use nodulus_faults::in_words;
use std::path::Path;

/// What the headers of a case show.
#[derive(Debug, Default)]
pub struct HeaderCheck {
    /// Number of scans whose headers are in order.
    pub n_readable: usize,
    /// These scans, without what only voxels tell; an image file whose name is no series has an empty UID.
    pub scans: Vec<ScanFacts>,
    /// Series that make up no volume, of which no mask is asked for.
    pub refused_series: Vec<String>,
    /// Series that cannot be read, with what they say that they are.
    pub unreadable: Vec<dicom::UnreadableSeries>,
    /// Why other scans, and files that may be slices of any scan, cannot be read.
    pub refusals: Vec<Refusal>,
    /// Number of files that are left aside.
    pub n_passed_over: usize,
    /// The error of files of which none is a slice, or damaged so that it could be one.
    pub without_series: Option<Error>,
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
            dicom::Error::Refused { reason, .. } => in_words(reason),
            other => in_words(other),
        };
        Self { cause, setting, message }
    }

    /// A refusal whose error does not name the file.
    pub fn of_file(
        path: &Path,
        cause: &'static str,
        setting: Option<&'static str>,
        error: &dyn std::error::Error,
    ) -> Self {
        Self { cause, setting, message: format!("`{}`: {}", path.display(), in_words(error)) }
    }

    /// Names the cause of a mask's error.
    pub fn of_mask(error: &mask_file::Error) -> Self {
        let (cause, setting) = error.cause();
        Self { cause, setting, message: in_words(error) }
    }
}

/// Why a case is refused before its files are read.
pub fn refused_case(problem: &str) -> HeaderCheck {
    let cause = "a patient whose files do not fit together";
    let refusals = vec![Refusal { cause, setting: None, message: problem.to_owned() }];
    HeaderCheck { refusals, ..HeaderCheck::default() }
}

/// Why a case's files cannot be listed.
pub fn unreadable_case(error: &dyn std::error::Error) -> HeaderCheck {
    let cause = "a folder or archive that cannot be read";
    let refusals = vec![Refusal { cause, setting: None, message: in_words(error) }];
    HeaderCheck { refusals, ..HeaderCheck::default() }
}

fn facts(
    series_instance_uid: String,
    info: Option<dicom::SeriesInfo>,
    geometry: Geometry,
) -> ScanFacts {
    let image = ImageFacts { geometry, hu_range: None, sha256: None };
    ScanFacts { series_instance_uid, info, image, repairs: Repairs::default() }
}

/// Reads the headers of a case's scans, and none of their voxels.
pub fn check_headers(files: &CaseFiles, tolerances: &dicom::Tolerances) -> HeaderCheck {
    let mut check = HeaderCheck::default();
    if files.is_image_file() {
        match image_file::read_slices(&files.path, &SliceRanges::default(), &tolerances.image_files)
        {
            Ok(slices) => {
                check.n_readable += 1;
                let series = image_file::series_uid_in_name(&files.path).unwrap_or_default();
                check.scans.push(facts(series, None, *slices.geometry()));
            }
            Err(error) => {
                let (cause, setting) = error.cause();
                check.refusals.push(Refusal { cause, setting, message: in_words(&error) });
            }
        }
        return check;
    }
    let mut listing = dicom::list_series(&files.dicom, &files.beside);
    check.n_passed_over = listing.passed_over.len();
    if listing.series.is_empty() && listing.damaged.is_empty() {
        check.without_series = Some(Error::no_series(files, listing.passed_over));
        return check;
    }
    let mut errors = listing.damaged;
    for series in listing.series {
        match dicom::OpenSeries::open(&series.files, tolerances) {
            Ok(open) => {
                check.n_passed_over += open.aside.len();
                if let Some(error) = listing.incomplete.remove(&series.series_instance_uid) {
                    errors.push(error);
                    continue;
                }
                check.n_readable += 1;
                let series = open.info.series_instance_uid.clone();
                check.scans.push(facts(series, Some(open.info), open.geometry));
            }
            Err(dicom::Error::NoSlices { aside, .. }) if !aside.is_empty() => {
                check.n_passed_over += aside.len();
            }
            Err(error @ dicom::Error::File { .. }) => {
                let named = |error| files.named(error);
                check.unreadable.push(dicom::UnreadableSeries::new(error, &series.files, named));
            }
            Err(error) => {
                if matches!(error, dicom::Error::Refused { .. }) {
                    check.refused_series.push(series.series_instance_uid);
                }
                errors.push(error);
            }
        }
    }
    check.refusals = errors.into_iter().map(|error| Refusal::of(&files.named(error))).collect();
    check
}
