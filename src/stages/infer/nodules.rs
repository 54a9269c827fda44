//! Selects the nodules to predict, and those that thresholds are chosen on.

use super::config::Config;
use super::error::Error;
use super::region_growing::{self, ChosenGrowing};
use super::thresholds::ThresholdSource;
use crate::stages::balance::Group;
use crate::tables::{Sample, Split};
use nodulus_store::Version;
use std::collections::BTreeSet;

/// The nodules of the chosen cohorts, by their use.
#[derive(Default)]
pub(super) struct Nodules {
    /// Nodules to predict.
    pub(super) chosen: BTreeSet<String>,
    /// Nodules of the validation split.
    pub(super) validation: BTreeSet<String>,
    /// Nodules of the train and validation splits, but not of the fold to predict.
    learning: BTreeSet<String>,
}

/// What the nodules of a group of samples are used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Uses {
    /// They are predicted.
    pub(super) is_wanted: bool,
    /// They are of the validation split.
    pub(super) is_validation: bool,
    /// They are of the train or validation split, and not of the fold to predict.
    pub(super) is_learning: bool,
}

impl Uses {
    pub(super) fn of(config: &Config, group: &Group) -> Self {
        if !config.cohorts.is_empty() && !config.cohorts.contains(&group.cohort) {
            return Self::default();
        }
        let is_test = group.split == Split::Test.name();
        let is_wanted = match config.fold {
            Some(fold) => !is_test && group.fold == Some(fold),
            None => config.splits.iter().any(|split| split.name() == group.split),
        };
        Self {
            is_wanted,
            is_validation: group.split == Split::Validation.name(),
            // A fold that is predicted plays no part in what it is predicted with.
            is_learning: !(is_test || config.fold.is_some() && is_wanted),
        }
    }
}

/// Whether the nodule of a sample is to be predicted.
pub(super) fn is_wanted(config: &Config, sample: &Sample) -> bool {
    Uses::of(config, &Group::of(sample)).is_wanted
}

/// Whether a threshold may be chosen on the nodule of a sample.
pub(super) fn is_validation(config: &Config, sample: &Sample) -> bool {
    Uses::of(config, &Group::of(sample)).is_validation
}

/// Whether a sample is of a fold that a cross-validation predicts, each with the weights that were trained without it.
pub fn is_of_a_fold(config: &Config, sample: &Sample) -> bool {
    let of_fold = |fold| is_wanted(&Config { fold: Some(fold), ..config.clone() }, sample);
    sample.fold.is_some_and(of_fold)
}

impl Nodules {
    /// Adds the nodule of a sample to those of its uses.
    pub(super) fn add(&mut self, uses: Uses, sample: Sample) {
        if uses.is_validation {
            self.validation.insert(sample.nodule_id.clone());
        }
        if uses.is_learning {
            self.learning.insert(sample.nodule_id.clone());
        }
        if uses.is_wanted {
            self.chosen.insert(sample.nodule_id);
        }
    }

    /// Whether a threshold or settings of a source were chosen on a nodule that is predicted.
    pub(super) fn are_chosen_on(&self, from: ThresholdSource, nodule_id: &str) -> bool {
        match from {
            ThresholdSource::Setting => false,
            ThresholdSource::Validation => self.validation.contains(nodule_id),
            ThresholdSource::Learning => self.learning.contains(nodule_id),
            ThresholdSource::Scored => true,
        }
    }

    /// The settings of region growing.
    ///
    /// METHOD: they are chosen on the nodules of the train and validation splits. Where there are none, they are chosen on
    /// the predicted nodules themselves, which favours the baseline: no settings chosen beforehand can do better.
    /// `predictions.threshold_from` says which, and [`Doubt::TunedOnScored`](crate::tables::Doubt) marks them.
    pub(super) fn best_growing(
        &self,
        rois: &Version,
        reach_mm: f64,
    ) -> Result<Option<ChosenGrowing>, Error> {
        let (nodules, from) = if self.learning.is_empty() {
            (&self.chosen, ThresholdSource::Scored)
        } else {
            (&self.learning, ThresholdSource::Learning)
        };
        let settings = region_growing::choose(rois, nodules, reach_mm)?;
        Ok(settings.map(|settings| ChosenGrowing { settings, from }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_never_chosen_on_test() {
        let mut nodules = Nodules::default();
        let config = Config { cohorts: vec!["a".to_owned()], ..Config::default() };
        let samples = [
            ("n1", "a", Split::Test),
            ("n2", "a", Split::Validation),
            ("n3", "a", Split::Train),
            ("n4", "b", Split::Validation),
        ]
        .map(|(id, cohort, split)| Sample {
            roi_id: format!("{id}-0"),
            nodule_id: id.to_owned(),
            cohort: cohort.to_owned(),
            patient_id: id.to_owned(),
            series_instance_uid: id.to_owned(),
            role: "nodule".to_owned(),
            split: split.name().to_owned(),
            fold: (split != Split::Test).then_some(1),
            split_by: "patient".to_owned(),
        });
        for sample in &samples {
            nodules.add(Uses::of(&config, &Group::of(sample)), sample.clone());
        }
        let of_fold = |fold| {
            let mut nodules = Nodules::default();
            let config = Config { fold: Some(fold), ..Config::default() };
            for sample in &samples {
                nodules.add(Uses::of(&config, &Group::of(sample)), sample.clone());
            }
            (nodules.chosen, nodules.learning)
        };
        let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(nodules.chosen, set(&["n1"]));
        assert_eq!(nodules.validation, set(&["n2"]));
        assert_eq!(nodules.learning, set(&["n2", "n3"]));
        let sources = [
            (ThresholdSource::Setting, ""),
            (ThresholdSource::Validation, "n2"),
            (ThresholdSource::Learning, "n2 n3"),
            (ThresholdSource::Scored, "n1 n2 n3"),
        ];
        for (from, expected) in sources {
            let chosen_on =
                ["n1", "n2", "n3"].into_iter().filter(|id| nodules.are_chosen_on(from, id));
            assert_eq!(chosen_on.collect::<Vec<_>>().join(" "), expected);
        }
        let validated: Vec<bool> = samples.iter().map(|s| is_of_a_fold(&config, s)).collect();
        assert_eq!(validated, [false, true, true, false]);
        let of_folds = [set(&["n2", "n3", "n4"]), set(&[])];
        assert_eq!(of_fold(1), (of_folds[0].clone(), set(&[])));
        assert_eq!(of_fold(0), (set(&[]), of_folds[0].clone()));
    }
}
