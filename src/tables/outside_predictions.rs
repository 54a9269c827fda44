//! `outside_predictions`: one row for each slice and model of another program, whose masks `evaluate` measures.

use nodulus_store::{Row, TableSpec, columns};
use serde::{Deserialize, Serialize};

columns! {
    /// A slice predicted by a model of another program.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct OutsidePrediction {
        /// slice of `rois`
        pub roi_id: String,
        /// nodule at the centre
        pub nodule_id: String,
        /// model, as `evaluate.predictions` names it
        pub model_id: String,
        /// probability that the slice shows the nodule; null where its file has none
        pub nodule_probability: Option<f64>,
        /// components that mask_bits keeps: centre (the one at the nodule's centre) or all
        pub component: String,
        /// mask that is evaluated: packed bits, row by row, least significant bit first
        #[serde(with = "serde_bytes")]
        pub mask_bits: Vec<u8>,
        /// mask by the other rule of components, packed like mask_bits
        #[serde(with = "serde_bytes")]
        pub other_rule_mask_bits: Vec<u8>,
        /// reasons to doubt the prediction: unlisted_patients, as nobody can say whom the model learnt from, and
        /// mask_at_region_end (docs/training.md)
        pub doubts: Vec<String>,
    }
}

impl Row for OutsidePrediction {
    const TABLE: &'static TableSpec = &TableSpec {
        pixel_columns: &["mask_bits", "other_rule_mask_bits"],
        id_columns: &["roi_id", "nodule_id"],
        row_group_rows: 128,
        ..TableSpec::new::<Self>(
            "outside_predictions",
            "a slice predicted by a model of another program",
        )
    };
}
