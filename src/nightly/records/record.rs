//! The record of a series: its results, when they were made, and of what.

use crate::nightly::deliver::OutputKind;
use crate::nightly::follow_up::scan::FollowUpScan;
use crate::nightly::scan::exclusion::SeriesExclusion;
use crate::nightly::scan::result_inputs::ResultInputs;
use crate::tables::{Score, ScoreExclusion};
use nodulus_faults::FaultClass;
use nodulus_store::hash;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

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
    /// Day of that time, which is the day of its rows.
    pub(super) scored_on: String,
    pub(crate) outcome: AttemptOutcome,
}

impl Attempt {
    /// An attempt at a time.
    pub(crate) fn new(inputs: ResultInputs, at: String, outcome: AttemptOutcome) -> Self {
        let scored_on = at.split('T').next().unwrap_or_default().to_owned();
        Self { inputs, at, scored_on, outcome }
    }

    /// The scan for the comparison with other scans of its patient.
    pub(super) fn follow_up_scan(&self) -> Option<&FollowUpScan> {
        match &self.outcome {
            AttemptOutcome::Scored(result) => result.visit.as_ref(),
            AttemptOutcome::Failed(_) | AttemptOutcome::Excluded(_) => None,
        }
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
    pub(crate) warnings: Vec<String>,
    /// The scan for the comparison with other scans of its patient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) visit: Option<FollowUpScan>,
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

    /// What its superseded results were made of, oldest first.
    pub(crate) fn superseded_inputs(&self) -> Vec<ResultInputs> {
        let is_result = |attempt: &&Attempt| matches!(attempt.outcome, AttemptOutcome::Scored(_));
        self.superseded.iter().filter(is_result).map(|attempt| attempt.inputs.clone()).collect()
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

    /// Its attempts, oldest first, each with whether it is superseded.
    fn attempts(&self) -> impl Iterator<Item = (&Attempt, bool)> {
        let old = self.superseded.iter().map(|attempt| (attempt, true));
        old.chain(self.current.iter().map(|attempt| (attempt, false)))
    }

    /// Its results, oldest first, each with whether it is superseded.
    fn results(&self) -> impl Iterator<Item = (&Attempt, &SeriesResult, bool)> {
        self.attempts().filter_map(|(attempt, superseded)| match &attempt.outcome {
            AttemptOutcome::Scored(result) => Some((attempt, &**result, superseded)),
            AttemptOutcome::Failed(_) | AttemptOutcome::Excluded(_) => None,
        })
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
            excluded_at: attempt.at.clone(),
            superseded,
        })
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
        let mut days: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (attempt, _, superseded) in self.results() {
            let ResultInputs { content_sha256, candidates_sha256, recipe_sha256, .. } =
                &attempt.inputs;
            let state = if superseded { "superseded" } else { "current" };
            let parts = [content_sha256, candidates_sha256, recipe_sha256, &attempt.at, state];
            days.entry(attempt.scored_on.clone()).or_default().extend(parts);
        }
        for (attempt, SeriesExclusion { rule, reason, .. }, superseded) in self.exclusions() {
            let state = if superseded { "superseded" } else { "current" };
            let parts = [attempt.at.as_str(), rule, reason, state];
            days.entry(attempt.scored_on.clone()).or_default().extend(parts);
        }
        days.into_iter().map(|(day, parts)| (day, hash::sha256_parts(parts))).collect()
    }
}
