//! `predictions`: one row for each slice and model.

use nodulus_store::{Row, TableSpec, columns};
use serde::{Deserialize, Serialize};

columns! {
    /// A slice predicted by a model.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Prediction {
        /// slice of `rois`
        pub roi_id: String,
        /// nodule at the centre
        pub nodule_id: String,
        /// model, or `region_growing` for the baseline
        pub model_id: String,
        /// probability of nodule for each pixel × 255, one byte each, row by row; null for region_growing
        #[serde(with = "serde_bytes")]
        pub probability: Option<Vec<u8>>,
        /// probability that the slice shows the nodule; null for a model without a classifier
        pub nodule_probability: Option<f64>,
        /// how far the networks and mirror images that the probability is the mean of disagree about the nodule: 1 minus the mean Dice of each one's mask with that of the mean, over the nodule's slices; the same in each slice; null where one network predicted without mirror images
        pub disagreement: Option<f64>,
        /// how unusual the mask's volume and mean HU are among the masks that the weights' profile was made of, 0 to 1 (docs/inference.md); the same in each slice; null for an empty mask, for weights without a profile of 20 nodules, and for region_growing
        pub training_distance: Option<f64>,
        /// lowest probability that counts as nodule; for region_growing, the lowest HU, which is the nodule's own
        pub threshold: f64,
        /// nodules on which the threshold, or region_growing's share and opening, was chosen: setting (none: it is a setting), validation, learning (train
        /// and validation) or scored (the predicted nodules themselves)
        pub threshold_from: String,
        /// components that mask_bits keeps: centre (the one at the nodule's centre) or all
        pub component: String,
        /// predicted mask, which is evaluated: packed bits, row by row, least significant bit first
        #[serde(with = "serde_bytes")]
        pub mask_bits: Vec<u8>,
        /// mask by the other rule of components, packed like mask_bits
        #[serde(with = "serde_bytes")]
        pub other_rule_mask_bits: Vec<u8>,
        /// reasons to doubt the prediction: training_patient, validation_patient, tuned_on_scored, unlisted_patients,
        /// other_preprocessing, unchecked_preprocessing, other_spacing or mask_at_region_end (docs/training.md); empty
        /// without any
        pub doubts: Vec<String>,
    }
}

/// The columns of a prediction that judge its slice as a whole.
#[derive(Debug, Deserialize)]
pub struct SliceProbability {
    /// Slice of `rois`.
    pub roi_id: String,
    /// Model.
    pub model_id: String,
    /// Probability that the slice shows the nodule; `None` for a model without a classifier.
    pub nodule_probability: Option<f64>,
}

impl SliceProbability {
    /// The names of the columns.
    pub const COLUMNS: &'static [&'static str] = &["roi_id", "model_id", "nodule_probability"];
}

impl Row for Prediction {
    const TABLE: &'static TableSpec = &TableSpec {
        schema_version: 4,
        pixel_columns: &["probability", "mask_bits", "other_rule_mask_bits"],
        id_columns: &["roi_id", "nodule_id"],
        row_group_rows: 128,
        ..TableSpec::new::<Self>("predictions", "a slice predicted by a model")
    };
}
