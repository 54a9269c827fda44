//! `reader_agreement`: one row for each nodule that two or more readers marked.

use super::{PairAgreement, PerRating};
use arrow::datatypes::DataType;
use nodulus_store::{ColumnValue, Row, TableSpec, columns, struct_type};
use serde::{Deserialize, Serialize};

columns! {
    /// Two readers of a nodule.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct ReaderPair {
        /// Session of the first reader.
        pub session_a: i64,
        /// Session of the second reader, later than the first.
        pub session_b: i64,
        /// Dice of their masks.
        pub dice: f64,
        /// Intersection over union of their masks.
        pub iou: f64,
        /// Average symmetric surface distance of their masks.
        pub assd_mm: f64,
    }
}

impl ColumnValue for ReaderPair {
    fn data_type() -> DataType {
        struct_type::<Self>()
    }
}

columns! {
    /// How far the readers of a nodule agree.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct ReaderAgreement {
        /// nodule
        pub nodule_id: String,
        /// name of the cohort in the pipeline file
        pub cohort: String,
        /// series that was read
        pub series_instance_uid: String,
        /// patient of the series
        pub patient_id: String,
        /// reading sessions with a mark on the nodule
        pub n_readers: i64,
        /// pairs of these sessions
        pub n_pairs: i64,
        /// mean Dice over the pairs
        pub dice_mean: f64,
        /// lowest Dice of a pair
        pub dice_min: f64,
        /// mean intersection over union over the pairs
        pub iou_mean: f64,
        /// lowest intersection over union of a pair
        pub iou_min: f64,
        /// mean of the pairs' average symmetric surface distances
        pub assd_mean_mm: f64,
        /// largest average symmetric surface distance of a pair
        pub assd_max_mm: f64,
        /// each pair: its sessions, Dice, IoU and ASSD in mm
        pub pairs: Vec<ReaderPair>,
        /// agreement in each rating
        #[serde(flatten)]
        pub ratings: PerRating<PairAgreement>,
        /// name and version of the definitions of Dice, IoU and distance
        pub metric_definition: String,
    }
}

impl Row for ReaderAgreement {
    const TABLE: &'static TableSpec = &TableSpec {
        id_columns: &["nodule_id", "series_instance_uid", "patient_id"],
        ..TableSpec::new::<Self>("reader_agreement", "a nodule that two or more readers marked")
    };
}
