//! The list of sources: the cases of all cohorts, in shards.

use nodulus_formats::cohort;
use nodulus_store::FailedCase;
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
    /// Why its content is not known, where the machine is at fault.
    pub fault: Option<FailedCase>,
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
    /// The cases whose content is not known, as the machine is at fault.
    pub fn faults(&self) -> impl Iterator<Item = &FailedCase> {
        self.shards.iter().flatten().filter_map(|source| source.fault.as_ref())
    }

    /// Number of cases.
    pub fn n_cases(&self) -> usize {
        self.shards.iter().map(Vec::len).sum()
    }
}
