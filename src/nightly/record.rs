//! The record of a series: what was scored of it, when, and what of.

use super::deliver::Output;
use super::visit::Visit;
use crate::tables::{Score, hash};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What is known of a series, or of a place of the input that cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) id: String,
    /// Since when it waits for candidates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) waiting_since: Option<String>,
    /// What became of it the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) current: Option<Attempt>,
    /// Results of before, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) superseded: Vec<Attempt>,
}

/// What became of a series, and what it was made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Attempt {
    pub(super) of: Made,
    /// When it was scored, or failed.
    pub(super) at: String,
    /// Its day, which is that of its rows.
    pub(super) scored_on: String,
    pub(super) outcome: Outcome,
}

impl Attempt {
    /// What later scans of the patient are compared with.
    pub(super) fn visit(&self) -> Option<&Visit> {
        match &self.outcome {
            Outcome::Scored(scored) => scored.visit.as_ref(),
            Outcome::Failed(_) => None,
        }
    }
}

/// What a result is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Made {
    /// Stamp of the files: while it is the same, so is their content.
    pub(super) stamp: String,
    /// SHA-256 of the files' content; empty where they could not be read.
    pub(super) content_sha256: String,
    pub(super) candidates_sha256: String,
    /// SHA-256 of the model, the settings that results depend on, and the version of scoring.
    pub(super) recipe_sha256: String,
    pub(super) model_id: String,
}

impl Made {
    /// Whether it would be the same again, told without reading files.
    pub(super) fn is_as(&self, stamp: &str, candidates_sha256: &str, recipe_sha256: &str) -> bool {
        self.stamp == stamp
            && self.candidates_sha256 == candidates_sha256
            && self.recipe_sha256 == recipe_sha256
    }

    /// Whether it is made of the same, wherever that lies.
    pub(super) fn is_of_same(&self, other: &Self) -> bool {
        self.content_sha256 == other.content_sha256
            && self.candidates_sha256 == other.candidates_sha256
            && self.recipe_sha256 == other.recipe_sha256
    }
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// Its nodules.
    Scored(Box<Scored>),
    /// Why not.
    Failed(String),
}

/// A series' results.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Scored {
    pub(super) rows: Vec<Score>,
    /// Kinds of files that were asked for.
    #[serde(default)]
    pub(super) asked: BTreeSet<Output>,
    /// Files that were written for it, below the folder of outputs.
    pub(super) outputs: Vec<PathBuf>,
    pub(super) warnings: Vec<String>,
    /// What later scans of the patient are compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) visit: Option<Visit>,
}

impl Record {
    /// Takes the result of an attempt; the one before stays as superseded.
    pub(super) fn supersede(&mut self, attempt: Attempt) {
        self.waiting_since = None;
        if let Some(before) = self.current.replace(attempt)
            && matches!(before.outcome, Outcome::Scored(_))
        {
            self.superseded.push(before);
        }
    }

    /// The result that it has.
    pub(super) fn result(&mut self) -> Option<&mut Scored> {
        match &mut self.current.as_mut()?.outcome {
            Outcome::Scored(scored) => Some(scored),
            Outcome::Failed(_) => None,
        }
    }

    /// Its results, oldest first, and whether each is superseded.
    fn results(&self) -> impl Iterator<Item = (&Attempt, &Scored, bool)> {
        let old = self.superseded.iter().map(|attempt| (attempt, true));
        let all = old.chain(self.current.iter().map(|attempt| (attempt, false)));
        all.filter_map(|(attempt, superseded)| match &attempt.outcome {
            Outcome::Scored(scored) => Some((attempt, &**scored, superseded)),
            Outcome::Failed(_) => None,
        })
    }

    /// Its rows of a day.
    pub(super) fn rows_on(&self, day: &str) -> impl Iterator<Item = Score> {
        let on_day = self.results().filter(move |(attempt, ..)| attempt.scored_on == day);
        on_day.flat_map(|(_, scored, superseded)| {
            scored.rows.iter().map(move |row| Score { superseded, ..row.clone() })
        })
    }

    /// For each day that has results of it, a hash of what its rows are made of.
    pub(super) fn made_on(&self) -> BTreeMap<String, String> {
        let mut days: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (attempt, _, superseded) in self.results() {
            let Made { content_sha256, candidates_sha256, recipe_sha256, .. } = &attempt.of;
            let state = if superseded { "superseded" } else { "current" };
            let made = [content_sha256, candidates_sha256, recipe_sha256, &attempt.at, state];
            days.entry(attempt.scored_on.clone()).or_default().extend(made);
        }
        days.into_iter().map(|(day, made)| (day, hash::sha256_parts(made))).collect()
    }
}
