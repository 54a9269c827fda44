//! Why a pipeline file or a file of a nightly job cannot be used.

use nodulus_formats::cohort::PatternError;

/// A pipeline file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the file of settings")]
    Io(#[from] std::io::Error),
    /// The file says something that this program does not know.
    #[error("{place}: {message}\n{excerpt}")]
    Parse {
        /// File, line and column.
        place: String,
        /// What is wrong.
        message: String,
        /// The line with a caret.
        excerpt: String,
    },
    /// A `--set` is not `key=value`.
    #[error("`--set {0}` is not of the form key=value, as in `--set crop.margin_slices=2`")]
    Set(String),
    /// A `--set` names no setting, or gives it a value of the wrong kind.
    #[error("`--set {0}`: {1}")]
    Sets(String, String),
    /// There is nothing to ingest.
    #[error(
        "`ingest.cohorts` is empty: add a `[[ingest.cohorts]]` section with `name`, `source` and `root`"
    )]
    NoCohorts,
    /// Two cohorts have one name.
    #[error("two cohorts are named `{0}`")]
    SameCohort(String),
    /// A cohort has no folder.
    #[error("cohort `{0}` has no folder: give its `root`, or `ingest.root` for all cohorts")]
    NoRoot(String),
    /// A cohort without images has no geometry.
    #[error(
        "cohort `{0}` has annotations without images: give its `scan_geometry`, or `ingest.scan_geometry`"
    )]
    NoScanGeometry(String),
    /// Cohorts with images and without are in one file.
    #[error(
        "cohort `{0}` has annotations without images, and other cohorts have images: give it a pipeline file of its own"
    )]
    MixedCohorts(String),
    /// A cohort's pattern of files is none.
    #[error("cohort `{cohort}`: {source}")]
    Pattern {
        /// The cohort.
        cohort: String,
        /// What is wrong.
        source: PatternError,
    },
    /// A setting names a cohort that is not there.
    #[error("`{setting}` names cohort `{cohort}`; there are: {known}")]
    UnknownCohort {
        /// The setting.
        setting: &'static str,
        /// The name.
        cohort: String,
        /// The cohorts there are.
        known: String,
    },
    /// A setting lies outside what it can be.
    #[error("`{setting}` must be {expected}, got {found}")]
    Range {
        /// The setting.
        setting: &'static str,
        /// What it can be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// The network's settings make no network.
    #[error(transparent)]
    Model(#[from] nodulus_nets::Error),
    /// There are no weights to infer with.
    #[error(
        "nothing trains the weights that infer needs: give a `[train]` section or `infer.checkpoint`"
    )]
    NoWeights,
}

/// Fails unless a setting is what it can be.
///
/// # Errors
///
/// Names the setting, what was expected and what was found.
pub fn range(
    ok: bool,
    setting: &'static str,
    expected: &'static str,
    found: String,
) -> Result<(), Error> {
    if ok { Ok(()) } else { Err(Error::Range { setting, expected, found }) }
}
