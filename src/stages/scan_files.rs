//! The files of a scan that was ingested, where they lie now.

use super::task::Places;
use crate::tables::Scan;
use nodulus_formats::cohort::{self, CaseFiles};
use std::path::{Path, PathBuf};

/// The files of a scan could not be read again.
#[derive(Debug, thiserror::Error)]
pub enum ScanFilesError {
    /// The scan has no image.
    #[error("series {0} has no image; only its annotations were ingested")]
    NoImage(String),
    /// The image could not be read.
    #[error(transparent)]
    Image(Box<cohort::Error>),
    /// No case of the cohort has the content that was ingested.
    #[error(
        "cohort `{cohort}` no longer has the files that ingest read at `{path}`, there or elsewhere: run ingest again"
    )]
    NotThere {
        /// The cohort.
        cohort: String,
        /// Where they were.
        path: String,
    },
    /// The series is no longer in its folder.
    #[error("series {0} is no longer where ingest found it")]
    Gone(String),
    /// The image has changed since it was ingested.
    #[error("`{0}` has another size than when it was ingested; run ingest again")]
    Changed(PathBuf),
    /// The files have changed since they were listed.
    #[error(
        "the files of `{0}` changed while they were read: run again with `--retry-failed`, or export again, once nothing writes to them"
    )]
    ChangedMeanwhile(PathBuf),
}

impl From<cohort::Error> for ScanFilesError {
    fn from(error: cohort::Error) -> Self {
        Self::Image(Box::new(error))
    }
}

/// Reads from the files of a scan, where its case lies now. Another case may lie where this one was.
///
/// `read` gives `None` where the series is not there, and otherwise the size of the scan with the result.
///
/// # Errors
///
/// Fails if no case has the content that was ingested, its files change meanwhile, or the scan has another size than then.
pub(crate) fn read_scan<R>(
    root: &Path,
    places: &Places<'_>,
    scan: &Scan,
    read: impl FnOnce(&CaseFiles) -> Result<Option<([usize; 3], R)>, cohort::Error>,
) -> Result<R, ScanFilesError> {
    let series = &scan.series_instance_uid;
    let path = scan.path.as_deref().ok_or_else(|| ScanFilesError::NoImage(series.clone()))?;
    let case = places.find(&scan.cohort, &scan.content_sha256);
    let (cohort, read_at) = (scan.cohort.clone(), path.to_owned());
    let not_there = || ScanFilesError::NotThere { cohort, path: read_at };
    let case = case.ok_or_else(not_there)?;
    let path = root.join(&case.case.case_id);
    let result = CaseFiles::of_case(root, &case.case).and_then(|files| read(&files));
    // Other errors may come from the change.
    if !case.is_unchanged() {
        return Err(ScanFilesError::ChangedMeanwhile(path));
    }
    let (size, result) = result?.ok_or_else(|| ScanFilesError::Gone(series.clone()))?;
    if size.map(|n| Some(n as i64)) != [scan.n_columns, scan.n_rows, Some(scan.n_slices)] {
        return Err(ScanFilesError::Changed(path));
    }
    Ok(result)
}
