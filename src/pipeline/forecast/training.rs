//! Whether training starts again, and why.

use super::step::StepForecast;
use crate::tables::Output;
use nodulus_nets::WEIGHTS_FILE;
use nodulus_store::Version;
use serde::Serialize;

/// Whether training starts again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Training {
    /// Whether it does.
    pub starts: Starts,
    /// Settings and inputs that differ from those of the current checkpoint.
    pub reasons: Vec<String>,
}

/// Whether training starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Starts {
    /// The current checkpoint stays.
    No,
    /// The current checkpoint stays because the user wants so.
    Kept,
    /// There is no checkpoint yet.
    First,
    /// It starts again.
    Again,
    /// It goes on where an interrupted run saved it.
    GoesOn,
    /// It starts again if a table that is made anew gets another content.
    IfInputsChange,
}

/// Bytes of the states that a training keeps beside its outputs, by the weights there are; 0 before the first training.
///
/// A state has each weight with two moments of Adam. The next one is written before the last one is removed, and so are the
/// best weights so far.
pub(super) fn working_bytes(current: &[Option<Version>]) -> u64 {
    let mut versions = current.iter().flatten();
    let checkpoint = versions.find(|version| version.output().name() == Output::Checkpoint.name());
    let shards = checkpoint.iter().flat_map(|version| &version.manifest.shards);
    let weights = shards.flat_map(|shard| &shard.parts).find(|part| part.file == WEIGHTS_FILE);
    let bytes = weights.map_or(0, |weights| weights.bytes);
    2 * (3 * bytes + bytes)
}

impl Training {
    pub(super) fn of(step: &StepForecast) -> Self {
        let counts = &step.counts;
        let starts = match (counts.n_to_make, counts.n_to_make_at_most) {
            _ if step.is_kept => Starts::Kept,
            (_, 0) => Starts::No,
            (0, _) => Starts::IfInputsChange,
            _ if step.is_begun => Starts::GoesOn,
            _ if step.has_outputs => Starts::Again,
            _ => Starts::First,
        };
        let is_known = matches!(starts, Starts::No | Starts::First);
        let reasons = if is_known { Vec::new() } else { step.reasons.clone() };
        Self { starts, reasons }
    }
}
