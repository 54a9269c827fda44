//! The frozen list of sources.

use nodulus_formats::cohort;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A case of the frozen list of sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceCase {
    /// Name of its cohort.
    pub cohort: String,
    /// Its files.
    pub case: cohort::Case,
    /// SHA-256 over their names and content.
    pub content_sha256: String,
}

/// The frozen list of sources: which cases there are, in the order that shards follow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    /// The series of `ingest.series_list`, where it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series_list: Option<BTreeSet<String>>,
    /// The cases.
    pub cases: Vec<SourceCase>,
}
