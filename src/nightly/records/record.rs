//! The record of a series: its results, when they were made, and of what.

use super::output_files::OutputFiles;
use crate::nightly::deliver::{OutputKind, ResultObjects, is_dicom_file};
use crate::nightly::follow_up::scan::FollowUpScan;
use crate::nightly::scan::exclusion::SeriesExclusion;
use crate::nightly::scan::result_inputs::ResultInputs;
use crate::tables::{Receipt, Score, ScoreExclusion};
use nodulus_faults::FaultClass;
use nodulus_store::hash;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The record of a series, or of a source in the input that cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SeriesRecord {
    pub(crate) id: String,
    /// Since when it waits for candidates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) waiting_since: Option<String>,
    /// The last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<Attempt>,
    /// Why the last run left it undone, where the machine or the program was at fault. That is no result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) undone: Option<Undone>,
    /// The last attempt, where its candidates could not be used; the result before it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<RefusedAttempt>,
    /// Earlier attempts with a result or an exclusion, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) superseded: Vec<Attempt>,
    /// The DICOM objects of its results that were written together, in the order in which they were written. An earlier
    /// result that becomes current again has new objects, so that each object has one place. Empty in a record of an
    /// earlier version, whose results tell it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) written: Vec<ResultObjects>,
    /// Answers of archives for its objects, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) receipts: Vec<Receipt>,
}

/// Why a series was left undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Undone {
    /// Time of the last attempt.
    pub(crate) at: String,
    /// Whose fault it is: `machine` or `bug`.
    pub(crate) class: FaultClass,
    /// The cause.
    pub(crate) cause: String,
}

/// An attempt that failed on its candidates alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RefusedAttempt {
    #[serde(rename = "of")]
    pub(crate) inputs: ResultInputs,
    /// Its time.
    pub(crate) at: String,
    /// The cause.
    pub(crate) cause: String,
}

/// An attempt to score a series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    #[serde(rename = "of")]
    pub(crate) inputs: ResultInputs,
    /// Time when the series was scored, or failed.
    pub(super) at: String,
    /// Day of its rows: that of `at`, or where patients are replaced the day that it is moved to.
    pub(super) scored_on: String,
    pub(crate) outcome: AttemptOutcome,
}

impl Attempt {
    /// An attempt at a time, whose rows are of the day `scored_on`.
    pub(crate) fn new(
        inputs: ResultInputs,
        at: String,
        scored_on: String,
        outcome: AttemptOutcome,
    ) -> Self {
        Self { inputs, at, scored_on, outcome }
    }

    /// The day on which it was made, whatever day its rows are of.
    pub(super) fn night(&self) -> &str {
        self.at.split('T').next().unwrap_or_default()
    }

    /// Its result.
    fn result(&self) -> Option<&SeriesResult> {
        match &self.outcome {
            AttemptOutcome::Scored(result) => Some(result),
            AttemptOutcome::Failed(_) | AttemptOutcome::Excluded(_) => None,
        }
    }

    /// The scan for the comparison with other scans of its patient.
    pub(super) fn follow_up_scan(&self) -> Option<&FollowUpScan> {
        self.result()?.visit.as_ref()
    }
}

/// Outcome of an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AttemptOutcome {
    /// It has a result.
    Scored(Box<SeriesResult>),
    /// It failed for this cause, which is one of its content.
    Failed(String),
    /// A rule excludes it.
    Excluded(SeriesExclusion),
}

/// The result of a series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SeriesResult {
    pub(crate) rows: Vec<Score>,
    /// Kinds of files that were requested.
    #[serde(default, rename = "asked")]
    pub(crate) requested: BTreeSet<OutputKind>,
    /// Files that were written for it, below the folder of outputs.
    pub(crate) outputs: Vec<PathBuf>,
    /// Sizes and hashes of these files; none in a result of an earlier version.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) files: OutputFiles,
    /// DICOM objects among the files; none in a result of an earlier version.
    #[serde(default, skip_serializing_if = "ResultObjects::is_empty")]
    pub(crate) objects: ResultObjects,
    /// Who its rows and files name, as `Identity::fingerprint` says; empty in a result of an earlier version.
    #[serde(default)]
    pub(crate) identity: String,
    pub(crate) warnings: Vec<String>,
    /// When and where its files were written anew, as it became current again after others had objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rewritten: Option<Rewritten>,
    /// The scan for the comparison with other scans of its patient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) visit: Option<FollowUpScan>,
}

/// When and where the files of a result were written anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rewritten {
    /// The time that they hold.
    pub(crate) at: String,
    /// How many times objects of the series had been written before, which names their folder.
    pub(crate) n_before: usize,
}

/// A superseded result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SupersededResult {
    pub(crate) inputs: ResultInputs,
    /// Kinds of files that were requested.
    pub(crate) requested: BTreeSet<OutputKind>,
    /// Whether objects of another result were written after its own.
    pub(crate) is_overwritten: bool,
}

impl SeriesRecord {
    /// Adds an attempt. The result or exclusion before it, if any, becomes superseded.
    pub(crate) fn supersede(&mut self, attempt: Attempt) {
        self.waiting_since = None;
        self.undone = None;
        self.refused = None;
        if let Some(previous) = self.current.replace(attempt)
            && matches!(previous.outcome, AttemptOutcome::Scored(_) | AttemptOutcome::Excluded(_))
        {
            self.superseded.push(previous);
        }
    }

    /// Its superseded results, oldest first.
    pub(crate) fn superseded_results(&self) -> Vec<SupersededResult> {
        let of = |(attempt, result): (&Attempt, &SeriesResult)| SupersededResult {
            inputs: attempt.inputs.clone(),
            requested: result.requested.clone(),
            is_overwritten: self
                .objects_written(&result.identity)
                .last()
                .is_some_and(|last| *last != result.objects),
        };
        let results = self.results().filter(|(.., superseded)| *superseded);
        results.map(|(attempt, result, _)| of((attempt, result))).collect()
    }

    /// The objects of its results that were written together, oldest first; those of a record of an earlier version are of
    /// the results that name `identity`.
    fn objects_written(&self, identity: &str) -> Vec<ResultObjects> {
        if !self.written.is_empty() {
            return self.written.clone();
        }
        let of_identity = self.results().filter(|(_, result, _)| result.identity == identity);
        let objects = of_identity.map(|(_, result, _)| result.objects.clone());
        objects.filter(|objects| !objects.is_empty()).collect()
    }

    /// The objects that were written before those of a new result, or before those of the current one if it is `completed`.
    pub(crate) fn objects_before(&self, identity: &str, completed: bool) -> Vec<ResultObjects> {
        let mut written = self.objects_written(identity);
        let current = self.current.as_ref().and_then(Attempt::result);
        if completed && current.is_some_and(|result| written.last() == Some(&result.objects)) {
            written.pop();
        }
        written
    }

    /// Notes objects that were written after `before`.
    pub(crate) fn note_objects(&mut self, before: Vec<ResultObjects>, objects: &ResultObjects) {
        self.written = before;
        self.written.extend((!objects.is_empty()).then(|| objects.clone()));
    }

    /// Makes the superseded result that was made of `inputs` the current one again; its files have the stamp `stamp` now.
    /// Returns false if there is none.
    pub(crate) fn restore(&mut self, inputs: &ResultInputs, stamp: String) -> bool {
        let is_it = |attempt: &Attempt| {
            matches!(attempt.outcome, AttemptOutcome::Scored(_))
                && attempt.inputs.has_same_content(inputs)
        };
        let Some(n) = self.superseded.iter().rposition(is_it) else { return false };
        let mut attempt = self.superseded.remove(n);
        attempt.inputs.stamp = stamp;
        self.supersede(attempt);
        true
    }

    /// Its current result.
    pub(crate) fn result(&mut self) -> Option<&mut SeriesResult> {
        match &mut self.current.as_mut()?.outcome {
            AttemptOutcome::Scored(result) => Some(result),
            AttemptOutcome::Failed(_) | AttemptOutcome::Excluded(_) => None,
        }
    }

    /// Whether it has a result, current or superseded.
    pub(super) fn has_result(&self) -> bool {
        self.results().next().is_some()
    }

    /// The DICOM objects of its current result, as files below the folder of outputs, and the day of the result.
    pub(crate) fn objects(&self) -> (&str, Vec<&Path>) {
        let Some(Attempt { scored_on, outcome: AttemptOutcome::Scored(result), .. }) =
            &self.current
        else {
            return ("", Vec::new());
        };
        let files = result.outputs.iter().map(PathBuf::as_path);
        (scored_on, files.filter(|file| is_dicom_file(file)).collect())
    }

    /// Whether an archive has answered for the object in a file.
    pub(crate) fn has_receipt(&self, destination: &str, file: &Path) -> bool {
        let is_of = |receipt: &Receipt| {
            receipt.destination == destination && Path::new(&receipt.file) == file
        };
        self.receipts.iter().any(is_of)
    }

    /// The archives that have answered for all objects of the current result.
    pub(super) fn complete_destinations(&self) -> Vec<String> {
        let (_, files) = self.objects();
        let names: BTreeSet<&str> = self.receipts.iter().map(|r| r.destination.as_str()).collect();
        let has_all = |name: &&str| files.iter().all(|file| self.has_receipt(name, file));
        names.into_iter().filter(has_all).map(str::to_owned).collect()
    }

    /// Its rows of `receipts` of a day.
    pub(super) fn receipts_on(&self, day: &str) -> impl Iterator<Item = Receipt> {
        self.receipts.iter().filter(move |receipt| day_of(&receipt.answered_at) == day).cloned()
    }

    /// For each day with a receipt, a hash of its rows.
    pub(super) fn receipt_hashes_by_day(&self) -> BTreeMap<String, String> {
        let mut days: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for receipt in &self.receipts {
            let Receipt { destination, sop_instance_uid, answered_at, .. } = receipt;
            let day = day_of(answered_at).to_owned();
            days.entry(day).or_default().extend([&**destination, sop_instance_uid, answered_at]);
        }
        days.into_iter().map(|(day, parts)| (day, hash::sha256_parts(parts))).collect()
    }

    /// Its attempts, oldest first, each with whether it is superseded.
    fn attempts(&self) -> impl Iterator<Item = (&Attempt, bool)> {
        let old = self.superseded.iter().map(|attempt| (attempt, true));
        old.chain(self.current.iter().map(|attempt| (attempt, false)))
    }

    /// Its results, oldest first, each with whether it is superseded.
    fn results(&self) -> impl Iterator<Item = (&Attempt, &SeriesResult, bool)> {
        let of = |(attempt, superseded)| Some((attempt, Attempt::result(attempt)?, superseded));
        self.attempts().filter_map(of)
    }

    /// The rows of its results that name `identity`: of the current one first, then of the superseded ones, the last first.
    pub(crate) fn rows_of_results(&self, identity: &str) -> Vec<&[Score]> {
        let of_identity = self.results().filter(|(_, result, _)| result.identity == identity);
        let mut rows: Vec<&[Score]> = of_identity.map(|(_, result, _)| &*result.rows).collect();
        rows.reverse();
        rows
    }

    /// Whether one of its results names another identity, so far as it says so.
    pub(super) fn has_other_identity(&self, identity: &str) -> bool {
        let is_other =
            |result: &SeriesResult| !result.identity.is_empty() && result.identity != identity;
        self.results().any(|(_, result, _)| is_other(result))
    }

    /// Its exclusions, oldest first, each with whether it is superseded.
    fn exclusions(&self) -> impl Iterator<Item = (&Attempt, &SeriesExclusion, bool)> {
        self.attempts().filter_map(|(attempt, superseded)| match &attempt.outcome {
            AttemptOutcome::Excluded(exclusion) => Some((attempt, exclusion, superseded)),
            AttemptOutcome::Scored(_) | AttemptOutcome::Failed(_) => None,
        })
    }

    /// Its rows of `score_exclusions` of a day.
    pub(super) fn exclusions_on(&self, day: &str) -> impl Iterator<Item = ScoreExclusion> {
        let on_day = self.exclusions().filter(move |(attempt, ..)| attempt.scored_on == day);
        on_day.map(|(attempt, exclusion, superseded)| ScoreExclusion {
            series_instance_uid: self.id.clone(),
            rule: exclusion.rule.clone(),
            reason: exclusion.reason.clone(),
            n_candidates: exclusion.n_candidates as i64,
            // A moved day has no time of day.
            excluded_at: if attempt.scored_on == attempt.night() {
                attempt.at.clone()
            } else {
                attempt.scored_on.clone()
            },
            superseded,
        })
    }

    /// The rows of its current result, if it was made in a night.
    pub(super) fn rows_of_night(&self, night: &str) -> impl Iterator<Item = &Score> {
        let of_night = self
            .results()
            .filter(move |(attempt, _, superseded)| !superseded && attempt.night() == night);
        of_night.flat_map(|(_, result, _)| &result.rows)
    }

    /// Its rows of `scores` of a day.
    pub(super) fn rows_on(&self, day: &str) -> impl Iterator<Item = Score> {
        let on_day = self.results().filter(move |(attempt, ..)| attempt.scored_on == day);
        on_day.flat_map(|(_, result, superseded)| {
            result.rows.iter().map(move |row| Score { superseded, ..row.clone() })
        })
    }

    /// For each day with a result or an exclusion, a hash of what its rows are made of.
    pub(super) fn hashes_by_day(&self) -> BTreeMap<String, String> {
        self.hashes_by(|attempt| &attempt.scored_on)
    }

    /// For each night with a result or an exclusion, a hash of them.
    pub(super) fn hashes_by_night(&self) -> BTreeMap<String, String> {
        self.hashes_by(Attempt::night)
    }

    fn hashes_by(&self, day: fn(&Attempt) -> &str) -> BTreeMap<String, String> {
        let mut days: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (attempt, _, superseded) in self.results() {
            let ResultInputs { content_sha256, candidates_sha256, recipe_sha256, .. } =
                &attempt.inputs;
            let state = if superseded { "superseded" } else { "current" };
            let parts = [content_sha256, candidates_sha256, recipe_sha256, &attempt.at, state];
            days.entry(day(attempt)).or_default().extend(parts);
        }
        for (attempt, SeriesExclusion { rule, reason, .. }, superseded) in self.exclusions() {
            let state = if superseded { "superseded" } else { "current" };
            // The recipe depends on the key of pseudonyms: without it, the time could be found by trying all.
            let parts = [&*attempt.inputs.recipe_sha256, &attempt.at, rule, reason, state];
            days.entry(day(attempt)).or_default().extend(parts);
        }
        days.into_iter().map(|(day, parts)| (day.to_owned(), hash::sha256_parts(parts))).collect()
    }
}

/// The day of a time.
pub(crate) fn day_of(time: &str) -> &str {
    time.split('T').next().unwrap_or_default()
}
