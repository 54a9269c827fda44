//! Counts the cases of each cohort: in all, new ones, and those that ingest would read.

use crate::pipeline::sources::Changes;
use crate::stages::ingest::Sources;
use serde::Serialize;
use std::collections::BTreeMap;

/// The cases of a cohort.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CohortForecast {
    /// Name of the cohort.
    pub cohort: String,
    /// Number of its cases.
    pub n_cases: usize,
    /// Number of cases that no earlier run has listed, or that changed since.
    pub n_new: usize,
    /// Number of cases that ingest reads: those in the shards that it makes whose rows no earlier shard has.
    pub n_to_read: usize,
    /// Whether its files are a synthetic cohort that the run writes first; the counts are then the most there can be.
    pub is_to_be_written: bool,
}

/// Counts the cases of each cohort, in the order of the sources.
pub(super) fn counted(
    sources: &Sources,
    changes: &Changes,
    is_to_be_written: &dyn Fn(&str) -> bool,
) -> Vec<CohortForecast> {
    let mut cohorts: Vec<CohortForecast> = Vec::new();
    for case in sources.shards.iter().flatten() {
        if cohorts.last().is_none_or(|last| last.cohort != case.cohort) {
            cohorts.push(CohortForecast {
                cohort: case.cohort.clone(),
                n_cases: 0,
                n_new: 0,
                n_to_read: 0,
                is_to_be_written: is_to_be_written(&case.cohort),
            });
        }
        let Some(cohort) = cohorts.last_mut() else { continue };
        cohort.n_cases += 1;
        let id = (case.cohort.clone(), case.case.case_id.clone());
        cohort.n_new += usize::from(changes.contains_key(&id));
    }
    cohorts
}

/// Adds the cases that ingest reads: those of the shards that it makes, given with the number that it reads of each.
pub(super) fn add_cases_to_read(
    cohorts: &mut [CohortForecast],
    sources: &Sources,
    to_read: &BTreeMap<usize, usize>,
) {
    for (shard, n) in to_read {
        let first = sources.shards.get(*shard).and_then(|shard| shard.first());
        let name = first.map(|case| &case.cohort);
        if let Some(cohort) = cohorts.iter_mut().find(|cohort| Some(&cohort.cohort) == name) {
            cohort.n_to_read += n;
        }
    }
}
