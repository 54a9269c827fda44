//! Why the stage stopped.

use crate::tables::leak;

/// The stage stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A phase has no training samples.
    #[error(
        "phase `{phase}` has no training samples from cohorts {cohorts}: look at the `samples` table and `[balance]`"
    )]
    NoSamples {
        /// The phase.
        phase: String,
        /// Its cohorts.
        cohorts: String,
    },
    /// A phase has `patience` and no validation samples.
    #[error(
        "phase `{phase}` has `patience` and no validation samples from cohorts {cohorts}: set `[balance]` \
         split or `train.fold`, or leave `patience` out"
    )]
    NoValidation {
        /// The phase.
        phase: String,
        /// Its cohorts.
        cohorts: String,
    },
    /// A slice's pixels do not have its size.
    #[error("region `{roi_id}` has {found} bytes of pixels, expected {height} × {width} × 2")]
    Pixels {
        /// The region.
        roi_id: String,
        /// Number of bytes.
        found: usize,
        /// Rows.
        height: i64,
        /// Columns.
        width: i64,
    },
    /// A slice has an unknown treatment of other nodules.
    #[error("region `{roi_id}` has neighbours `{found}`, expected include or ignore")]
    Neighbours {
        /// The region.
        roi_id: String,
        /// The treatment.
        found: String,
    },
    /// A patient is in two splits.
    #[error(transparent)]
    Leak(#[from] leak::Error),
    /// The network could not be trained.
    #[error(transparent)]
    Model(#[from] nodulus_nets::Error),
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The store could not be used.
    #[error(transparent)]
    Tables(#[from] crate::tables::Error),
}
