//! `samples`: one row for each slice chosen for learning.

use super::schema::column;
use super::{Row, Table};
use arrow::datatypes::{DataType, Schema};
use serde::{Deserialize, Serialize};

/// What a patient's slices are used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

/// A slice chosen for learning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each column is described in `schema`")]
pub struct Sample {
    pub roi_id: String,
    pub nodule_id: String,
    pub cohort: String,
    pub patient_id: String,
    pub role: String,
    pub split: String,
    pub fold: Option<i64>,
}

impl Row for Sample {
    const TABLE: Table = Table::Samples;
}

/// Columns of `samples`.
pub fn schema() -> Schema {
    use DataType::{Int64, Utf8};
    Schema::new(vec![
        column("roi_id", Utf8, "slice of `rois`"),
        column("nodule_id", Utf8, "nodule at the centre"),
        column("cohort", Utf8, "name of the cohort in the pipeline file"),
        column("patient_id", Utf8, "patient, who is in one split alone"),
        column("role", Utf8, "nodule or adjacent_empty"),
        column("split", Utf8, "train, validation or test"),
        column("fold", Int64, "cross-validation fold, from 0; null on test").with_nullable(true),
    ])
}
