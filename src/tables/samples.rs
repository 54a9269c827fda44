//! `samples`: one row for each slice chosen for learning.

use arrow::datatypes::{DataType, Schema};
use nodulus_store::schema::column;
use nodulus_store::{Row, TableSpec};
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

/// A slice chosen for learning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each column is described in `schema`")]
pub struct Sample {
    pub roi_id: String,
    pub nodule_id: String,
    pub cohort: String,
    pub series_instance_uid: String,
    pub patient_id: String,
    pub role: String,
    pub split_by: String,
    pub split: String,
    pub fold: Option<i64>,
}

impl Row for Sample {
    const TABLE: &'static TableSpec = &TableSpec {
        schema_version: 2,
        id_columns: &["roi_id", "nodule_id", "patient_id"],
        ..TableSpec::new("samples", "a slice chosen for learning", schema)
    };
}

/// Columns of `samples`.
pub fn schema() -> Schema {
    use DataType::{Int64, Utf8};
    Schema::new(vec![
        column("roi_id", Utf8, "slice of `rois`"),
        column("nodule_id", Utf8, "nodule at the centre"),
        column("cohort", Utf8, "name of the cohort in the pipeline file"),
        column("series_instance_uid", Utf8, "series of the slice"),
        column("patient_id", Utf8, "patient, who is in one split alone unless split by lesion"),
        column("role", Utf8, "nodule or adjacent_empty"),
        column("split_by", Utf8, "what is in one split whole: patient or lesion"),
        column("split", Utf8, "train, validation or test"),
        column("fold", Int64, "cross-validation fold, from 0; null on test").with_nullable(true),
    ])
}
