//! Cases that a job could not process.

use serde::{Deserialize, Serialize};
use std::error::Error;

/// A case that failed, as the record of its shard keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedCase {
    /// The stage that failed.
    pub stage: String,
    /// The case, by the stage's own name for it.
    pub case_id: String,
    /// The chain of causes, outermost first.
    pub cause: String,
    /// The file or folder at fault, where there is one.
    pub path: Option<String>,
}

impl FailedCase {
    /// A failed case with the whole chain of an error's causes.
    pub fn new(
        stage: &str,
        case_id: impl Into<String>,
        error: &dyn Error,
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
