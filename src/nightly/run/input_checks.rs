//! Refuses an input, outputs and candidates that cannot be as they are meant.

use super::error::Error;
use crate::nightly::input::candidate_file;
use crate::nightly::input::candidates::CandidateIndex;
use crate::nightly::input::series::DiscoveredSeries;
use crate::nightly::records::ledger::Ledger;
use crate::nightly::redaction;
use crate::nightly::settings::ScoreSettings;
use nodulus_store::disk;

/// Refuses a store or outputs in the input: outputs would be taken for scans.
pub(super) fn refuse_nested(settings: &ScoreSettings) -> Result<(), Error> {
    let output = settings.output();
    let named = [("score.store", &settings.store), ("score.output", &output)];
    let figures = settings.prometheus.iter().map(|path| ("score.prometheus", path));
    for (setting, path) in named.into_iter().chain(figures) {
        if disk::lies_in(path, &settings.input) {
            return Err(Error::InInput { setting });
        }
    }
    Ok(())
}

/// Refuses an empty input and empty folders of candidates where earlier nights had some: a disk may not be mounted.
pub(super) fn refuse_vanished(
    settings: &ScoreSettings,
    series: &[DiscoveredSeries],
    candidates: &CandidateIndex,
    ledger: &Ledger,
) -> Result<(), Error> {
    if settings.allow_empty {
        return Ok(());
    }
    let n_known = ledger.states().filter(|(id, _)| !redaction::is_path_name(id)).count();
    if series.is_empty() && n_known > 0 {
        return Err(Error::EmptyInput { n_known });
    }
    let n_scored = ledger.entries().filter(|(_, entry)| entry.has_result).count();
    let has_paths = !settings.candidates.0.is_empty();
    if has_paths && candidates.is_without_candidates() && n_scored > 0 {
        return Err(candidate_file::Error::Vanished { n_scored }.into());
    }
    Ok(())
}
