//! What became of the candidates' rows after a run.

use crate::nightly::input::candidates::CandidateIndex;
use crate::nightly::input::reconciliation::Reconciliation;
use crate::nightly::input::series::DiscoveredSeries;
use crate::nightly::records::entry::LedgerEntry;
use crate::nightly::records::ledger::Ledger;
use std::collections::{BTreeMap, BTreeSet};

/// The series of the input for which files of candidates hold anything: as the files name them, and as results do.
pub(super) fn claims(
    series: &[DiscoveredSeries],
    candidates: &CandidateIndex,
) -> BTreeMap<String, String> {
    let claimed = series.iter().filter_map(|series| {
        let names = series.candidate_names();
        let name = candidates.name_of(names.iter().map(String::as_str))?;
        Some((name.to_owned(), series.name.clone()))
    });
    claimed.collect()
}

/// What became of the candidates' rows.
pub(super) fn reconciled(
    claims: &BTreeMap<String, String>,
    candidates: &CandidateIndex,
    ledger: &Ledger,
) -> Reconciliation {
    let names: BTreeSet<&str> = claims.keys().map(String::as_str).collect();
    candidates.reconcile(&names, &|name| {
        let entry = claims.get(name).and_then(|series| ledger.entry(series));
        entry
            .and_then(LedgerEntry::last_inputs)
            .map(|inputs| inputs.outside.clone())
            .unwrap_or_default()
    })
}
