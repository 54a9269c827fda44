//! Reports how near the chosen samples come to the ratio of the settings.

use crate::tables::{Role, Sample};
use std::fmt;

/// Number of slices without the nodule to choose beside those with it.
pub(super) fn wanted(ratio: f64, n_nodule: usize) -> usize {
    (n_nodule as f64 * ratio).round() as usize
}

/// Counts of the chosen samples.
#[derive(Debug, Default)]
pub(super) struct Reached {
    asked: f64,
    n_nodule: usize,
    n_empty: usize,
    n_nodules: usize,
    n_short: usize,
}

impl Reached {
    /// Counts samples; all samples of a nodule must come in one call, next to each other.
    pub(super) fn add(&mut self, ratio: f64, samples: &[Sample]) {
        self.asked = ratio;
        for nodule in samples.chunk_by(|a, b| a.nodule_id == b.nodule_id) {
            let n_nodule = nodule.iter().filter(|s| s.role == Role::Nodule.name()).count();
            let n_empty = nodule.len() - n_nodule;
            self.n_nodule += n_nodule;
            self.n_empty += n_empty;
            self.n_nodules += 1;
            self.n_short += usize::from(n_empty < wanted(ratio, n_nodule));
        }
    }
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked, n_nodule, n_empty, n_nodules, n_short } = self;
        let ratio = *n_empty as f64 / (*n_nodule).max(1) as f64;
        write!(f, "{n_nodule} slices with nodule, {n_empty} without: ratio {ratio:.2} of {asked}")?;
        if *n_short > 0 {
            write!(
                f,
                "; {n_short} of {n_nodules} nodules have too few slices without any within \
                 `crop.margin_slices`"
            )?;
        }
        Ok(())
    }
}
