//! Narrows the choice of thresholds to the scans of a checkpoint that the user kept.

use super::config::Config;
use super::error::Error;
use super::nodules::Uses;
use super::stored_weights;
use super::thresholds::checkpoints;
use crate::stages::balance::Group;
use crate::stages::task::Task;
use crate::tables::scan_identity::{ScanIdentity, identities};
use crate::tables::{Sample, Table};
use nodulus_nets::{self as model, TrainedOn, TrainingUse};
use nodulus_store::Version;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// The scans that a kept checkpoint learnt from and was validated on.
///
/// METHOD: what is learnt stays as it is together: the weights, and what is chosen on the scans that they learnt from. A choice
/// on kept weights thus depends on the weights and on these scans alone, and not on the runs by which a cohort grew. Scans of
/// cohorts that the weights did not learn from are not narrowed: no other scans could be meant.
pub(super) struct Kept {
    lists: Vec<TrainedOn>,
    /// The cohorts that the weights learnt from.
    cohorts: BTreeSet<String>,
    scans: BTreeMap<(String, String), ScanIdentity>,
}

impl Kept {
    /// The scans of the checkpoint that predicts; `None` where it is none that was kept beside newer inputs, or does not say
    /// what it learnt from.
    ///
    /// # Errors
    ///
    /// Fails if the weights' description, the list beside them or `scans` cannot be read.
    pub(super) fn of(
        config: &Config,
        task: &Task<'_>,
        scans: &Version,
    ) -> Result<Option<Self>, Error> {
        let is_kept = |version: &Version| !version.manifest.newer_inputs().is_empty();
        if task.weights.is_some() || !checkpoints(task).any(is_kept) {
            return Ok(None);
        }
        let (mut lists, mut cohorts) = (Vec::new(), BTreeSet::new());
        for weights in stored_weights(config, task)? {
            let (Some(list), Some(contract)) =
                (TrainedOn::of_weights(&weights)?, model::contract(&weights)?)
            else {
                return Ok(None);
            };
            lists.push(list);
            cohorts.extend(contract.phases.into_iter().flat_map(|phase| phase.cohorts));
        }
        Ok(Some(Self { lists, cohorts, scans: identities(scans)? }))
    }

    fn narrow(&self, uses: Uses, sample: &Sample) -> Uses {
        if !(uses.is_validation || uses.is_learning) || !self.cohorts.contains(&sample.cohort) {
            return uses;
        }
        let scan = ScanIdentity::of_sample(sample, &self.scans);
        let used_for = self.lists.iter().filter_map(|list| scan.used_by(list)).min();
        Uses {
            is_validation: uses.is_validation && used_for == Some(TrainingUse::Validation),
            is_learning: uses.is_learning && used_for.is_some(),
            ..uses
        }
    }
}

/// What a sample's nodule is used for, where `kept` are the scans of a kept checkpoint.
pub(super) fn uses(config: &Config, kept: Option<&Kept>, sample: &Sample) -> Uses {
    let uses = Uses::of(config, &Group::of(sample));
    kept.map_or(uses, |kept| kept.narrow(uses, sample))
}

/// `scans`, `rois` and `samples`, from which the scans of a kept checkpoint are told.
pub(super) struct Tables<'a> {
    pub(super) scans: Cow<'a, Version>,
    pub(super) rois: Cow<'a, Version>,
    pub(super) samples: Cow<'a, Version>,
}

impl<'a> Tables<'a> {
    /// The tables of a task. In a plan of a cohort that only grows they are the store's current ones, which have all scans of
    /// the checkpoint, as those to be made will; `None` in any other plan with rows that are still to be made.
    ///
    /// # Errors
    ///
    /// Fails if a table is missing or cannot be read.
    pub(super) fn of(task: &'a Task<'_>) -> Result<Option<Self>, Error> {
        let tables = [Table::Scans, Table::Rois, Table::Samples];
        if !task.is_incomplete {
            let [scans, rois, samples] = tables.map(|table| task.table(table).map(Cow::Borrowed));
            return Ok(Some(Self { scans: scans?, rois: rois?, samples: samples? }));
        }
        if !task.is_growth {
            return Ok(None);
        }
        let [scans, rois, samples] = tables.map(|table| task.store.current(table.spec()));
        let (Some(scans), Some(rois), Some(samples)) = (scans?, rois?, samples?) else {
            return Ok(None);
        };
        let made_from = &samples.manifest.inputs;
        let is_input =
            |version: &Version| made_from.iter().any(|input| input.key == version.manifest.key);
        if !is_input(&scans) || !is_input(&rois) {
            return Ok(None);
        }
        let [scans, rois, samples] = [scans, rois, samples].map(Cow::Owned);
        Ok(Some(Self { scans, rois, samples }))
    }
}
