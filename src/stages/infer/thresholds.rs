//! Decides the thresholds that every shard is predicted with.

use super::config::{Config, ProbabilityThreshold, ThresholdName};
use super::error::Error;
use super::kept::{Kept, Tables, uses};
use super::nodules::{Nodules, Uses};
use super::region_growing::ChosenGrowing;
use super::{SPEC, open};
use crate::stages::balance;
use crate::stages::task::Task;
use crate::tables::{Output, Sample, Table};
use nodulus_store::{RowSum, Version, hash};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A threshold, and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// Least value of a nodule's pixel.
    pub value: f64,
    /// Its source, as in `predictions.threshold_from`.
    pub from: ThresholdSource,
}

/// What a threshold, or the baseline's settings, come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdSource {
    /// The setting `infer.probability_threshold`.
    Setting,
    /// The nodules of the validation split.
    Validation,
    /// The nodules of the train and validation splits.
    Learning,
    /// The predicted nodules themselves.
    Scored,
}

impl ThresholdSource {
    /// The value of `predictions.threshold_from`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Setting => "setting",
            Self::Validation => "validation",
            Self::Learning => "learning",
            Self::Scored => "scored",
        }
    }
}

/// The thresholds of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Thresholds {
    /// Least probability of a nodule's pixel.
    pub(super) probability: Threshold,
    /// Settings of the baseline; none where it does not predict.
    pub(super) growing: Option<ChosenGrowing>,
}

impl Thresholds {
    /// The thresholds, where nothing has to be predicted or grown for them: they are settings, or were chosen before on the
    /// same rows.
    ///
    /// In a plan with rows that are still to be made, only settings are known, and what goes with a kept checkpoint.
    pub(super) fn known(config: &Config, task: &Task<'_>) -> Result<Option<Self>, Error> {
        if let Some(settings) = Self::of_settings(config) {
            return Ok(Some(settings));
        }
        match rows_path(config, task)? {
            Some(path) => Ok(task.store.read_record_if_whole(&path)?),
            None => Ok(None),
        }
    }

    /// The thresholds that are known, or else those that are chosen now and kept in the store, because this reads many
    /// slices and may need the network.
    pub(super) fn decide(config: &Config, task: &Task<'_>) -> Result<Self, Error> {
        if let Some(known) = Self::known(config, task)? {
            return Ok(known);
        }
        let thresholds = Self::choose(config, task)?;
        if let Some(path) = rows_path(config, task)? {
            task.store.write_record(&path, &thresholds)?;
        }
        Ok(thresholds)
    }

    /// The thresholds, where they are settings.
    fn of_settings(config: &Config) -> Option<Self> {
        match config.probability_threshold {
            ProbabilityThreshold::Fixed(value) if !config.region_growing => {
                let probability = Threshold { value, from: ThresholdSource::Setting };
                Some(Self { probability, growing: None })
            }
            _ => None,
        }
    }

    fn choose(config: &Config, task: &Task<'_>) -> Result<Self, Error> {
        let kept = Kept::of(config, task, task.table(Table::Scans)?)?;
        let mut nodules = Nodules::default();
        for batch in task.table(Table::Samples)?.rows::<Sample>() {
            for sample in batch? {
                nodules.add(uses(config, kept.as_ref(), &sample), sample);
            }
        }
        let rois = task.table(Table::Rois)?;
        let probability = match config.probability_threshold {
            ProbabilityThreshold::Fixed(value) => {
                Threshold { value, from: ThresholdSource::Setting }
            }
            ProbabilityThreshold::Named(ThresholdName::Validation) => Threshold {
                value: open(config, task)?.best_probability(
                    rois,
                    &nodules.validation,
                    config.component,
                    config.reach_mm,
                )?,
                from: ThresholdSource::Validation,
            },
        };
        let growing =
            if config.region_growing { nodules.best_growing(rois, config.reach_mm)? } else { None };
        Ok(Self { probability, growing })
    }
}

/// Path of the record of thresholds, in the store: its name is a hash of the rows that they are chosen on, and of the weights
/// where the network takes part. `None` in a plan in which these rows are still to be made.
///
/// METHOD: nothing else decides on a choice, so that a cohort that grows in two steps has the thresholds of one that grows in
/// one.
fn rows_path(config: &Config, task: &Task<'_>) -> Result<Option<PathBuf>, Error> {
    let Some(rows) = rows(config, task)? else { return Ok(None) };
    let [validation, learning, wanted] = rows.map(|sum| sum.to_string());
    // The baseline is chosen on the predicted nodules where there are no others.
    let has_learning = learning != RowSum::default().to_string();
    if task.is_incomplete && !has_learning {
        return Ok(None);
    }
    let growing = if has_learning { learning } else { wanted };
    let is_fixed = matches!(config.probability_threshold, ProbabilityThreshold::Fixed(_));
    let weights = if is_fixed { Vec::new() } else { weights(task)? };
    path(&json!([SPEC.version, config, validation, growing, weights])).map(Some)
}

/// The digests of the rows of validation, of those to learn from and of those to predict; `None` where they are still to be
/// made.
fn rows(config: &Config, task: &Task<'_>) -> Result<Option<[RowSum; 3]>, Error> {
    let Some(tables) = Tables::of(task)? else { return Ok(None) };
    let used = |Uses { is_wanted, is_validation, is_learning }: Uses| {
        [is_validation, is_learning, is_wanted]
    };
    if let Some(kept) = Kept::of(config, task, &tables.scans)? {
        let is_used = |sample: &Sample| used(uses(config, Some(&kept), sample));
        let Tables { scans, rois, samples } = &tables;
        return Ok(Some(balance::digests_of(scans, rois, samples, &is_used)?));
    }
    if task.is_incomplete {
        return Ok(None);
    }
    let mut sums = [RowSum::default(); 3];
    for (group, rows) in balance::digests(task)? {
        let of_group = sums.iter_mut().zip(used(Uses::of(config, &group)));
        of_group.filter(|(_, is_used)| *is_used).for_each(|(sum, _)| sum.merge(rows));
    }
    Ok(Some(sums))
}

/// The checkpoints of the store that predict.
pub(super) fn checkpoints<'a>(task: &'a Task<'_>) -> impl Iterator<Item = &'a Version> {
    let is_checkpoint = |version: &&Version| version.output() == Output::Checkpoint.into();
    task.inputs.iter().filter(is_checkpoint)
}

/// The content of the weights that predict.
fn weights(task: &Task<'_>) -> Result<Vec<String>, Error> {
    // The description says how the weights predict.
    let files = task.weights.map(|path| [path.to_owned(), path.with_extension("json")]);
    let files = files.iter().flatten().map(|path| hash::sha256_file(path));
    let mut weights: Vec<String> =
        files.collect::<Result<_, _>>().map_err(nodulus_store::Error::from)?;
    weights.extend(checkpoints(task).map(|version| version.manifest.content_sha256.clone()));
    Ok(weights)
}

fn path(identity: &Value) -> Result<PathBuf, Error> {
    let key = hash::key(identity)
        .map_err(|source| nodulus_store::Error::Record { path: PathBuf::from("infer"), source })?;
    let folder = Path::new(Output::Table(Table::Predictions).name()).join("thresholds");
    Ok(folder.join(format!("{key}.json")))
}
