//! The list of sources: the cases of all cohorts, in shards.

use super::file_stamp;
use nodulus_formats::cohort;
use nodulus_store::FailedCase;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A case of the list of sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceCase {
    /// Name of its cohort.
    pub cohort: String,
    /// Its files.
    pub case: cohort::Case,
    /// SHA-256 of its content: the files' bytes, and what their names say of the scan. Where the files lie is no part
    /// of it.
    pub content_sha256: String,
    /// SHA-256 of the bytes of its files alone, whatever their names.
    pub files_sha256: String,
    /// SHA-256 of where its files lie, relative to the cohort's folders.
    pub places_sha256: String,
    /// Why its content is not known, where the machine is at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<FailedCase>,
    /// Sizes and times that its files had before they were hashed.
    pub stamp: String,
}

impl SourceCase {
    /// Whether its files are still those whose content was hashed.
    pub fn is_unchanged(&self) -> bool {
        file_stamp::is_unchanged(&self.case, &self.stamp)
    }

    /// Why the case failed in a stage, where a file of it is gone since it was listed, as where a disk was taken away: the
    /// machine is at fault then, and the file's content may be sound.
    pub fn gone(&self, stage: &str) -> Option<FailedCase> {
        let gone = file_stamp::files(&self.case).find(|file| !file.exists())?;
        let cause = format!("`{}` is gone since it was listed", gone.display());
        let failed = FailedCase::by_machine(stage, &self.case.case_id, cause);
        Some(failed.of_cohort(&self.cohort))
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
    /// The cases whose content is not known, as the machine is at fault.
    pub fn faults(&self) -> impl Iterator<Item = &FailedCase> {
        self.shards.iter().flatten().filter_map(|source| source.fault.as_ref())
    }

    /// Number of cases.
    pub fn n_cases(&self) -> usize {
        self.shards.iter().map(Vec::len).sum()
    }
}
