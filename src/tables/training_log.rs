//! `training_log`: one row for each epoch.

use nodulus_store::{Row, TableSpec, columns};
use serde::{Deserialize, Serialize};

columns! {
    /// An epoch.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct TrainingLog {
        /// key of the training run
        pub run_id: String,
        /// name of the phase in the pipeline file
        pub phase: String,
        /// epoch within the phase, from 1
        pub epoch: i64,
        /// fold that is held out; null without one
        pub fold: Option<i64>,
        /// learning rate in the middle of the epoch
        pub learning_rate: f64,
        /// mean loss over the epoch's samples
        pub loss: f64,
        /// part of the loss for the segmentation
        pub loss_segmentation: f64,
        /// part of the loss for the classification; null for a network without a classifier
        pub loss_classification: Option<f64>,
        /// mean Dice over the epoch's slices with nodule
        pub dice: Option<f64>,
        /// mean IoU over the epoch's slices with nodule
        pub iou: Option<f64>,
        /// mean Dice over the validation slices with nodule
        pub validation_dice: Option<f64>,
        /// calibrated logits of pixels at logits of -31, -25, -20, -16, -13, -10, -8, -6, -4, -3, -2, -1, -0.5, 0, 0.5 … 31, at which the probabilities fit the validation slices best (docs/training.md); null without validation slices, or where nothing is best
        pub pixel_calibration: Option<Vec<f64>>,
        /// temperature of the probability that a slice shows nodule at which it fits the validation slices best: the logits are divided by it; null for a network without a classifier, and as above
        pub slice_temperature: Option<f64>,
        /// whether the network marks nothing after this epoch (the Dice is below 0.01) though it did after an earlier one of the phase; over the validation slices, or without any over the training slices
        pub collapsed: bool,
        /// slices learnt from in the epoch
        pub n_samples: i64,
        /// wall time of the epoch; no part of the table's hash
        pub seconds: Option<f64>,
        /// slices learnt from in a second; no part of the table's hash
        pub samples_per_second: Option<f64>,
    }
}

impl Row for TrainingLog {
    const TABLE: &'static TableSpec = &TableSpec {
        schema_version: 5,
        volatile_columns: &["seconds", "samples_per_second"],
        ..TableSpec::new::<Self>("training_log", "an epoch")
    };
}
