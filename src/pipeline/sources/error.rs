//! Why the sources could not be listed.

use nodulus_faults::FaultClass;
use nodulus_formats::{cohort, luna_csv, scan_geometry};
use std::io;
use std::path::PathBuf;

/// The sources could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A cohort's files could not be listed.
    #[error("cannot list cohort `{cohort}`")]
    Cohort {
        /// The cohort.
        cohort: String,
        /// What went wrong.
        source: cohort::Error,
    },
    /// A cohort has no cases.
    #[error("cohort `{cohort}` is empty: `{root}` holds no {expected}")]
    Empty {
        /// The cohort.
        cohort: String,
        /// Its folder.
        root: PathBuf,
        /// What a case of its layout looks like.
        expected: String,
    },
    /// A table of scan geometry could not be read.
    #[error(transparent)]
    ScanGeometry(#[from] scan_geometry::Error),
    /// The list of series could not be read.
    #[error("cannot read `ingest.series_list`")]
    SeriesList(#[from] luna_csv::Error),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] nodulus_store::Error),
    /// A part of the sources cannot be read by a fault of the machine, so that cases may be missing from the list.
    #[error(
        "the sources cannot be listed as a whole: {cause}; when this is put right, run it again"
    )]
    Fault {
        /// The error of the file system and its causes.
        cause: String,
    },
}

impl Error {
    /// Whether trying again may end otherwise.
    pub(in crate::pipeline) fn is_passing(&self) -> bool {
        match self {
            // The store's own disk: nothing was lost, and the caller says so.
            Self::Store(_) => false,
            other => FaultClass::of(other).is_passing(),
        }
    }
}
