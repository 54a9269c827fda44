//! Decides which series are read.

use super::event::RunEvent;
use super::summary::RunSummary;
use crate::nightly::input::candidates::CandidateIndex;
use crate::nightly::input::series::DiscoveredSeries;
use crate::nightly::records::entry::SeriesState;
use crate::nightly::records::ledger::Ledger;
use crate::nightly::records::record::SupersededResult;
use crate::nightly::redaction;
use crate::nightly::scan::read::{EarlierResult, KnownResult, PendingSeries};
use crate::nightly::scan::result_inputs::ResultInputs;
use crate::nightly::settings::ScoreSettings;
use nodulus_store::clock;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

/// Decides which series are read.
pub(super) struct Triage<'a> {
    pub(super) settings: &'a ScoreSettings,
    /// Whether unchanged series that failed before are tried again.
    pub(super) retry_failed: bool,
    pub(super) candidates: &'a CandidateIndex,
    pub(super) now: SystemTime,
    pub(super) summary: &'a mut RunSummary,
    pub(super) notify: &'a (dyn Fn(RunEvent) + Sync),
}

impl Triage<'_> {
    /// The series to read, those first that have waited longest.
    pub(super) fn sort(
        &mut self,
        discovered: Vec<DiscoveredSeries>,
        recipe: &str,
        model_id: &str,
        ledger: &mut Ledger,
    ) -> Result<Vec<PendingSeries>, nodulus_store::Error> {
        // The record of a file or folder that could not be read ends with the file or folder.
        let ids: BTreeSet<&str> = discovered.iter().map(|series| series.name.as_str()).collect();
        let recorded = ledger.states().map(|(id, _)| id.clone());
        let gone: Vec<String> = recorded
            .filter(|id| redaction::is_path_name(id) && !ids.contains(id.as_str()))
            .collect();
        gone.iter().try_for_each(|id| ledger.remove(id))?;
        let mut pending = Vec::new();
        for series in discovered {
            let found = self.pending(series, recipe, model_id, ledger)?;
            self.summary.left -= usize::from(found.is_none());
            pending.extend(found);
        }
        pending.sort_by(|a, b| {
            let order = |pending: &PendingSeries| {
                (pending.series.stamp.newest, pending.series.name.clone())
            };
            order(a).cmp(&order(b))
        });
        Ok(pending)
    }

    /// The series with what reading needs; `None` where it is not read.
    fn pending(
        &mut self,
        series: DiscoveredSeries,
        recipe: &str,
        model_id: &str,
        ledger: &mut Ledger,
    ) -> Result<Option<PendingSeries>, nodulus_store::Error> {
        if self.is_settling(&series) {
            self.summary.settling += 1;
            self.summary.settling_series.push(series.name.clone());
            (self.notify)(RunEvent::Settling { series: series.name });
            return Ok(None);
        }
        let names = series.candidate_names();
        let mut candidates = self.candidates.of(names.iter().map(String::as_str));
        let state = ledger.state(&series.name).cloned();
        let refused = ledger.entry(&series.name).and_then(|entry| entry.refused.clone());
        if candidates.says_nothing() && series.is_readable() && series.no_scan.is_none() {
            match state {
                // A result stays, even if its candidates are gone.
                Some(SeriesState::Scored { .. }) => {
                    self.summary.unchanged += 1;
                    if refused.is_some() {
                        forget_refused(&series.name, ledger)?;
                    }
                }
                Some(SeriesState::Failed(..)) => self.summary.failed_before += 1,
                Some(SeriesState::Excluded(..)) => self.summary.excluded_before += 1,
                Some(SeriesState::Waiting(_)) => self.summary.waiting += 1,
                Some(SeriesState::Undone(_)) | None => {
                    self.summary.waiting += 1;
                    let mut record = ledger.read(&series.name)?;
                    record.waiting_since = Some(clock::timestamp(self.now));
                    record.undone = None;
                    ledger.write(&record)?;
                    (self.notify)(RunEvent::Waiting { series: series.name });
                }
            }
            return Ok(None);
        }
        // METHOD: rows of a file that cannot be read may be of any series, and so may rows that name none. Rows with nearly a UID of
        // the input are mostly of another series, so that they matter only where a result would be replaced.
        let names = names.iter().map(String::as_str);
        candidates.may_lack_rows = (self.candidates.may_lack_rows()
            || self.candidates.may_lack_rows_of(names))
            && matches!(&state, Some(SeriesState::Scored { inputs, .. })
                if inputs.candidates_sha256 != candidates.sha256());
        // METHOD: a list of scans says that one has no candidates only beside the file that had them. If that file is gone, it may be lost.
        if let Some(SeriesState::Scored { inputs, .. }) = &state
            && candidates.n_places() == 0
            && !candidates.is_stated
            && !self.settings.allow_empty
        {
            let mut files = inputs.candidate_files.iter();
            candidates.lost_file = files.find(|file| !self.candidates.has_file(file)).cloned();
        }
        let candidates_sha256 = candidates.sha256();
        let is_same =
            |inputs: &ResultInputs| inputs.matches(&series.stamp.text, &candidates_sha256, recipe);
        if refused.as_ref().is_some_and(|(inputs, _)| is_same(inputs)) && !self.retry_failed {
            self.summary.failed_before += 1;
            return Ok(None);
        }
        let (previous, known) = match state {
            Some(SeriesState::Scored { inputs, at, requested }) if is_same(&inputs) => {
                if refused.is_some() {
                    forget_refused(&series.name, ledger)?;
                }
                let lacks_files = ledger.entry(&series.name).is_some_and(|entry| entry.lacks_files);
                if self.settings.outputs.is_subset(&requested) && !lacks_files {
                    self.summary.unchanged += 1;
                    return Ok(None);
                }
                (None, Some(KnownResult::Current(at)))
            }
            Some(SeriesState::Failed(inputs, _)) if is_same(&inputs) && !self.retry_failed => {
                self.summary.failed_before += 1;
                return Ok(None);
            }
            Some(SeriesState::Excluded(inputs, _)) if is_same(&inputs) => {
                self.summary.excluded_before += 1;
                return Ok(None);
            }
            Some(SeriesState::Scored { inputs, .. } | SeriesState::Excluded(inputs, _)) => {
                (Some(inputs), None)
            }
            Some(SeriesState::Failed(inputs, _)) if !self.retry_failed => (Some(inputs), None),
            Some(SeriesState::Failed(..) | SeriesState::Waiting(_) | SeriesState::Undone(_))
            | None => (None, None),
        };
        let earlier = match &known {
            None => self.earlier(ledger.read(&series.name)?.superseded_results()),
            Some(_) => Vec::new(),
        };
        let inputs = ResultInputs {
            stamp: series.stamp.text.clone(),
            content_sha256: String::new(),
            candidates_sha256,
            recipe_sha256: recipe.to_owned(),
            model_id: model_id.to_owned(),
            outside: BTreeSet::new(),
            candidate_files: candidates.files.clone(),
        };
        Ok(Some(PendingSeries { series, candidates, inputs, previous, earlier, known }))
    }

    /// What superseded results need to become current again.
    ///
    /// METHOD: an archive that has the objects of a later result has hidden or replaced those of the earlier one, and takes
    /// no object twice. A result that becomes current again therefore has new objects after those.
    fn earlier(&self, results: Vec<SupersededResult>) -> Vec<EarlierResult> {
        let of = |SupersededResult { inputs, requested, is_overwritten }: SupersededResult| {
            let mut kinds = self.settings.outputs.iter().chain(&requested);
            let needs_files = is_overwritten && kinds.any(|kind| kind.is_dicom());
            EarlierResult { inputs, needs_files }
        };
        results.into_iter().map(of).collect()
    }

    /// METHOD: files arrive one by one, and the last ones of a series may be missing for a while. A series
    /// is read when no file has changed for `settle_seconds`, and either as many instances are there as its
    /// headers announce or `announced_hours` have passed.
    fn is_settling(&self, series: &DiscoveredSeries) -> bool {
        // A time in the future counts as now.
        let age = self.now.duration_since(series.stamp.newest).unwrap_or_default();
        if age < Duration::from_secs(self.settings.settle_seconds) {
            return true;
        }
        let is_whole = series.announced.is_none_or(|announced| series.n_files >= announced);
        !is_whole && age.as_secs_f64() < 3600.0 * self.settings.announced_hours
    }
}

/// Forgets that candidates could not be used, which are gone or are those of the result again.
fn forget_refused(name: &str, ledger: &mut Ledger) -> Result<(), nodulus_store::Error> {
    let mut record = ledger.read(name)?;
    record.refused = None;
    ledger.write(&record).map(drop)
}
