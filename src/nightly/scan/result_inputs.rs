//! What a result is made of.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a result is made of. While it is the same, so is the result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResultInputs {
    /// Stamp of the files. While it is the same, so is their content.
    pub(crate) stamp: String,
    /// SHA-256 of the files' content; empty where they could not be read.
    pub(crate) content_sha256: String,
    pub(crate) candidates_sha256: String,
    /// SHA-256 of the model, the settings that results depend on, and the version of scoring.
    pub(crate) recipe_sha256: String,
    pub(crate) model_id: String,
    /// Keys of the candidates that lie outside the scan.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) outside: BTreeSet<String>,
    /// Redacted names of the files that had the candidates.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) candidate_files: BTreeSet<String>,
}

impl ResultInputs {
    /// Whether the result stays the same, by the stamp of the files instead of their content.
    pub(crate) fn matches(
        &self,
        stamp: &str,
        candidates_sha256: &str,
        recipe_sha256: &str,
    ) -> bool {
        self.stamp == stamp
            && self.candidates_sha256 == candidates_sha256
            && self.recipe_sha256 == recipe_sha256
    }

    /// Whether the result stays the same, by the content of the files, wherever they lie.
    pub(crate) fn has_same_content(&self, other: &Self) -> bool {
        self.content_sha256 == other.content_sha256
            && self.candidates_sha256 == other.candidates_sha256
            && self.recipe_sha256 == other.recipe_sha256
    }
}
