//! Why the stage stopped.

use crate::stages::balance;
use crate::stages::nodule_region::RegionError;
use crate::stages::nodule_slices::ScatteredSlices;
use crate::tables::{Roi, leak};

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
    /// The slices of a nodule have a gap.
    #[error(
        "the slice beside region `{roi_id}` has index {found}, expected {expected}: make `rois` again with `nodulus run --force crop`"
    )]
    Gap {
        /// The region.
        roi_id: String,
        /// Index k of the slice beside it.
        found: i64,
        /// Index k of its neighbour.
        expected: i64,
    },
    /// A slice has an unknown treatment of other nodules.
    #[error("region `{roi_id}` has neighbours `{found}`, expected include or ignore")]
    Neighbours {
        /// The region.
        roi_id: String,
        /// The treatment.
        found: String,
    },
    /// Test patients trained the initial weights.
    #[error(
        "{n} of {n_patients} test patients{of_folds} are among those that `train.initial.checkpoint` was trained on: {patients}; start \
         from other weights, put these patients into training by `[balance]`, or allow it with \
         `--allow-training-patients` (`infer.allow_training_patients = true`): tables, report and messages then say so"
    )]
    InitialLeak {
        /// Number of such patients.
        n: usize,
        /// Number of test patients.
        n_patients: usize,
        /// Who counts as one beside those of the test split; often empty.
        of_folds: &'static str,
        /// The first of them.
        patients: String,
    },
    /// The counts of readers do not fit the region.
    #[error(
        "region `{roi_id}` has {found} counts of {n_readers} readers, expected {expected}: make `rois` again with `nodulus run \
         --force crop`"
    )]
    ReaderCounts {
        /// The region.
        roi_id: String,
        /// Number of counts.
        found: usize,
        /// Number of pixels.
        expected: usize,
        /// Readers that the counts are of.
        n_readers: i64,
    },
    /// `rois` does not say how its regions were padded.
    #[error("the settings of `rois` have no `padding_hu`; run crop again with `--force crop`")]
    Padding,
    /// The rows to learn from cannot be told.
    #[error(transparent)]
    Rows(#[from] balance::Error),
    /// A patient is in two splits.
    #[error(transparent)]
    Leak(#[from] leak::Error),
    /// The slices of a nodule are no region.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// The slices of a nodule do not follow each other in `rois`.
    #[error(transparent)]
    Scattered(#[from] ScatteredSlices),
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

impl Error {
    /// A slice that does not have this number of rows and columns, or not their bytes.
    pub(super) fn pixels(roi: &Roi, [height, width]: [i64; 2]) -> Self {
        Self::Pixels { roi_id: roi.roi_id.clone(), found: roi.hu.len(), height, width }
    }
}
