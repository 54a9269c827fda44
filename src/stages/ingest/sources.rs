//! The list of sources: the cases of all cohorts, in shards.

use super::file_stamp;
use nodulus_formats::cohort;
use std::collections::BTreeSet;

/// A case of the list of sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceCase {
    /// Name of its cohort.
    pub cohort: String,
    /// Its files.
    pub case: cohort::Case,
    /// SHA-256 of its content: the files' bytes, and what their names say of the scan. Where the files lie is no part
    /// of it.
    pub content_sha256: String,
    /// Sizes and times that its files had before they were hashed.
    pub stamp: String,
}

impl SourceCase {
    /// Whether its files are still those whose content was hashed.
    pub fn is_unchanged(&self) -> bool {
        file_stamp::is_unchanged(&self.case, &self.stamp)
    }
}

/// The list of sources: which cases there are, shard by shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// The series of `ingest.series_list`, where it is given.
    pub series_list: Option<BTreeSet<String>>,
    /// The cases of each shard; a shard holds cases of one cohort.
    pub shards: Vec<Vec<SourceCase>>,
}

impl Sources {
    /// Number of cases.
    pub fn n_cases(&self) -> usize {
        self.shards.iter().map(Vec::len).sum()
    }
}
