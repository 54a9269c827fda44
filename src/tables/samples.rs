//! `samples`: one row for each slice chosen for learning.

use nodulus_store::{Row, TableSpec, columns};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a patient's slices are used for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Weights are fitted on it.
    Train,
    /// Epochs and thresholds are chosen on it.
    Validation,
    /// Nothing is chosen on it.
    Test,
}

impl Split {
    /// Name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// Why a slice was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It shows its nodule.
    Nodule,
    /// It lies near its nodule and shows none.
    AdjacentEmpty,
}

impl Role {
    /// Name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nodule => "nodule",
            Self::AdjacentEmpty => "adjacent_empty",
        }
    }
}

/// What goes into one split whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SplitBy {
    /// A patient, with all scans and nodules.
    Patient,
    /// A nodule; a patient may then be in several splits.
    Lesion,
}

impl SplitBy {
    /// Name in pipeline files and in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::Lesion => "lesion",
        }
    }
}

columns! {
    /// A slice chosen for learning.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Sample {
        /// slice of `rois`
        pub roi_id: String,
        /// nodule at the centre
        pub nodule_id: String,
        /// name of the cohort in the pipeline file
        pub cohort: String,
        /// series of the slice
        pub series_instance_uid: String,
        /// patient; in one split only, unless split_by is lesion
        pub patient_id: String,
        /// why the slice was chosen: nodule (shows it) or adjacent_empty (lies near it and shows none)
        pub role: String,
        /// unit that is in one split only: patient or lesion
        pub split_by: String,
        /// train, validation or test
        pub split: String,
        /// cross-validation fold, from 0; null in the test split
        pub fold: Option<i64>,
    }
}

impl Row for Sample {
    const TABLE: &'static TableSpec = &TableSpec {
        schema_version: 2,
        id_columns: &["roi_id", "nodule_id", "patient_id"],
        ..TableSpec::new::<Self>("samples", "a slice chosen for learning")
    };
}
