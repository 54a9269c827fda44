//! The state of a stage's outputs, compared with what a run would make.

use super::step::StepForecast;
use crate::stages::Stage;
use serde::Serialize;

/// State of a stage's outputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum StepState {
    /// The current outputs are up to date.
    Current,
    /// Outputs for these inputs and settings exist under another key; the run makes them current without work.
    Complete,
    /// There are no outputs yet.
    Missing,
    /// The outputs were made from other inputs or settings.
    Stale {
        /// Each difference.
        reasons: Vec<String>,
    },
    /// The outputs stay, because the user wants so, although they were made from other inputs or settings.
    Kept {
        /// Each difference.
        reasons: Vec<String>,
    },
    /// A run was interrupted.
    Unfinished {
        /// Committed shards.
        done: usize,
        /// Shards in all.
        total: usize,
    },
    /// An earlier stage has to run first.
    Waiting {
        /// That stage.
        waits_for: Stage,
    },
    /// The pipeline file does not ask for the stage, or the run leaves it out.
    Off,
}

/// The state of a step's outputs; `waits_for` is the first stage that has to run before it.
pub(super) fn of_step(step: &StepForecast, waits_for: Option<Stage>) -> StepState {
    let reasons = step.reasons.clone();
    let (total, most) = (step.counts.n_shards, step.counts.n_to_make_at_most);
    match waits_for {
        _ if step.is_kept => StepState::Kept { reasons },
        _ if most == 0 && step.is_current => StepState::Current,
        _ if most == 0 => StepState::Complete,
        Some(waits_for) => StepState::Waiting { waits_for },
        None if step.has_outputs => StepState::Stale { reasons },
        None if most < total || step.is_begun => {
            StepState::Unfinished { done: total - most, total }
        }
        None => StepState::Missing,
    }
}
