//! `failures`: one row for each case that a stage could not do.

use super::schema::{column, nullable};
use super::{Row, Table};
use arrow::datatypes::{DataType, Schema};
use serde::{Deserialize, Serialize};

/// A case that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each column is described in `schema`")]
pub struct Failure {
    pub stage: String,
    pub case_id: String,
    pub cause: String,
    pub path: Option<String>,
}

impl Failure {
    /// A failure with its whole chain of causes, outermost first.
    pub fn new(
        stage: &str,
        case_id: impl Into<String>,
        error: &dyn std::error::Error,
        path: Option<String>,
    ) -> Self {
        let mut cause = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            cause.push_str(": ");
            cause.push_str(&inner.to_string());
            source = inner.source();
        }
        Self { stage: stage.to_owned(), case_id: case_id.into(), cause, path }
    }
}

impl Row for Failure {
    const TABLE: Table = Table::Failures;
}

/// Columns of `failures`.
pub fn schema() -> Schema {
    use DataType::Utf8;
    Schema::new(vec![
        column("stage", Utf8, "stage that failed"),
        column("case_id", Utf8, "case: an image's path, a series or a nodule"),
        column("cause", Utf8, "chain of causes, outermost first"),
        nullable("path", Utf8, "file or folder at fault, relative to the cohort's root"),
    ])
}
