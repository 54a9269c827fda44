//! Shards that were not committed, because a fault of the machine or of the program stood in their way.

use crate::FailedCase;
use nodulus_faults::retry::WAITS;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A shard that was not committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setback {
    /// Attempts to make it.
    pub n_attempts: usize,
    /// The cases that could not be done in the last attempt; at least one.
    pub cases: Vec<FailedCase>,
}

/// The shards of a job that were not committed, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Setbacks(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    left: BTreeMap<usize, Setback>,
    /// The shards that are given out again, and when.
    again: VecDeque<(usize, Instant)>,
}

impl Setbacks {
    /// Adds a shard; it is given out again where it was tried only a few times.
    pub(crate) fn add(&self, shard: usize, cases: Vec<FailedCase>, is_tried_again: bool) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let n_attempts = state.left.get(&shard).map_or(0, |setback| setback.n_attempts) + 1;
        state.left.insert(shard, Setback { n_attempts, cases });
        if let Some(wait) = WAITS.get(n_attempts - 1).filter(|_| is_tried_again) {
            state.again.push_back((shard, Instant::now() + *wait));
        }
    }

    /// Removes a shard that is committed.
    pub(crate) fn remove(&self, shard: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).left.remove(&shard);
    }

    /// Whether a shard was given out and not committed.
    pub(crate) fn has(&self, shard: usize) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).left.contains_key(&shard)
    }

    /// The next shard to try again, and how long to wait before.
    pub(crate) fn next(&self) -> Option<(usize, Duration)> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (shard, due) = state.again.pop_front()?;
        Some((shard, due.saturating_duration_since(Instant::now())))
    }

    /// The shards that are left, in order.
    pub(crate) fn all(&self) -> Vec<Setback> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.left.values().cloned().collect()
    }
}
