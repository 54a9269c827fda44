//! Why the stage stopped.

use super::preprocessing::Contradiction;
use crate::stages::balance;
use crate::stages::nodule_slices::ScatteredSlices;
use crate::tables::Roi;
use crate::tables::leak;
use nodulus_nets as model;

/// The stage stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A slice does not have the size that the network takes.
    #[error("region `{roi_id}` is {height} × {width} pixels in {bytes} bytes, the network takes {side} × {side} in {}", side * side * 2)]
    Shape {
        /// The slice.
        roi_id: String,
        /// Its rows.
        height: i64,
        /// Its columns.
        width: i64,
        /// Its bytes.
        bytes: usize,
        /// Rows and columns that the network takes.
        side: usize,
    },
    /// The weights' profile of their training cohort is damaged.
    #[error(
        "the profile of the weights' training cohort in their description cannot be read: take both files from the same checkpoint"
    )]
    Profile(#[from] serde_json::Error),
    /// The checkpoint has no weights of a best epoch.
    #[error(
        "`infer.weights` is \"best\", and checkpoint {0} has none: its last phase had no validation samples"
    )]
    NoBest(String),
    /// No epoch of the weights to come can be the best one.
    #[error(
        "`infer.weights` is \"best\", and no patient of the last phase's cohorts is in the validation split, by which epochs are \
         chosen: set `balance.split` or `train.fold`, or leave `infer.weights` out"
    )]
    NoValidationForBest,
    /// The threshold would be chosen on nodules that the weights learnt from.
    #[error(
        "with `infer.fold`, \"validation\" would choose the threshold on nodules that the weights learnt from: give \
         `infer.probability_threshold` a number"
    )]
    FoldThreshold,
    /// The weights learnt from the fold to predict.
    #[error(
        "`infer.fold` is {expected}, but the weights were trained with {found} held out; name the fold that they did not learn from"
    )]
    Fold {
        /// The fold that the weights were trained without, if any.
        found: String,
        /// The fold to predict.
        expected: i64,
    },
    /// The weights to come learn from the split that is to be predicted.
    #[error(
        "`infer.splits` has \"train\", whose patients the weights will have learnt from: leave it out, or allow it with \
         `--allow-training-patients` (`infer.allow_training_patients = true`): tables, report and messages then say so"
    )]
    TrainingSplit,
    /// The weights saw patients that are to be predicted.
    #[error(
        "the weights were trained or validated on {n} of {n_patients} patients to predict: {patients}; leave them out, as by \
         `[balance]` or `infer.cohorts`, or allow it with `--allow-training-patients` \
         (`infer.allow_training_patients = true`): tables, report and messages then say so"
    )]
    TrainingPatients {
        /// Number of such patients.
        n: usize,
        /// Number of patients to predict.
        n_patients: usize,
        /// The first of them.
        patients: String,
    },
    /// Regions are made otherwise than those that the weights were trained on.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
    /// Neither the weights nor the settings state a window.
    #[error(
        "the weights do not say with which window they were trained, and the settings state none for cohort `{cohort}`: set \
         `crop.window` to the one that they were trained with, as in `window = {{ low_hu = -1000, high_hu = 400 }}`; nobody \
         can check it, and tables, report and messages then say so"
    )]
    UnknownWindow {
        /// The cohort.
        cohort: String,
    },
    /// `rois` does not say how its regions were padded.
    #[error("the settings of `rois` have no `padding_hu`; run crop again with `--force crop`")]
    Padding,
    /// The rows that thresholds are chosen on cannot be told.
    #[error(transparent)]
    Rows(#[from] balance::Error),
    /// A patient is in two splits.
    #[error(transparent)]
    Leak(#[from] leak::Error),
    /// There is no nodule to choose the threshold on.
    #[error(
        "`infer.probability_threshold` is \"validation\", and no nodule of the cohorts predicted is in the validation split: set `balance.split`, or give a number"
    )]
    NoValidation,
    /// The slices of a nodule do not follow each other in `rois`.
    #[error(transparent)]
    Scattered(#[from] ScatteredSlices),
    /// The network could not be loaded or run.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// The store could not be used.
    #[error(transparent)]
    Tables(#[from] crate::tables::Error),
}

impl Error {
    /// Weights of another training than the one without the fold to predict.
    pub(super) fn fold(found: Option<i64>, expected: i64) -> Self {
        let found = found.map_or("no fold".to_owned(), |fold| format!("fold {fold}"));
        Self::Fold { found, expected }
    }

    pub(super) fn shape(roi: &Roi, side: usize) -> Self {
        let (height, width, bytes) = (roi.height, roi.width, roi.hu.len());
        Self::Shape { roi_id: roi.roi_id.clone(), height, width, bytes, side }
    }
}
