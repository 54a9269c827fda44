//! Why a case could not be read.

use nodulus_formats::{cohort, lidc_xml, mask_file};

/// One case could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum CaseError {
    #[error("cohort `{0}` is not in the pipeline file")]
    Cohort(String),
    #[error(
        "the files changed while they were read: run again with `--retry-failed` once nothing writes to them"
    )]
    Changed,
    #[error(transparent)]
    Image(#[from] cohort::Error),
    #[error(transparent)]
    Xml(#[from] lidc_xml::Error),
    #[error(transparent)]
    Mask(#[from] mask_file::Error),
    #[error("{0}")]
    Pairing(String),
    #[error("patient `{patient}` has no mask: nothing fits {patterns}")]
    NoMask { patient: String, patterns: String },
    #[error(
        "the mask names none of the folder's series, so it could belong to any: keep one series in a folder, or exclude \
         the others by `ingest.inclusion`"
    )]
    WhichSeries,
    #[error(
        "`{path}` annotates series {series}, which is not among the readable series of its folder or archive"
    )]
    OtherSeries { path: String, series: String },
    #[error("`{path}` annotates series {series}, and its folder holds no image")]
    NoImage { path: String, series: String },
    #[error("`{path}` annotates series {series}, which the table of scan geometry does not have")]
    NotInTable { path: String, series: String },
    #[error("the table of scan geometry no longer has series {0}")]
    NoGeometry(String),
}
