//! Decides the thresholds that every shard is predicted with.

use super::config::{Config, ProbabilityThreshold, ThresholdName};
use super::error::Error;
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
    /// The thresholds, where nothing has to be predicted or grown for them: they are settings, were chosen before on the same
    /// rows, or stay with a checkpoint that was kept.
    ///
    /// In a plan with rows that are still to be made, only settings and what stays with a kept checkpoint are known.
    pub(super) fn known(config: &Config, task: &Task<'_>) -> Result<Option<Self>, Error> {
        if let Some(settings) = Self::of_settings(config) {
            return Ok(Some(settings));
        }
        if let Some(kept) = Self::kept(config, task)? {
            return Ok(Some(kept));
        }
        if task.is_incomplete {
            return Ok(None);
        }
        Ok(task.store.read_record(&rows_path(config, task)?)?)
    }

    /// The thresholds that are known, or else those that are chosen now and kept in the store, because this reads many
    /// slices and may need the network.
    pub(super) fn decide(config: &Config, task: &Task<'_>) -> Result<Self, Error> {
        let known = Self::known(config, task)?;
        let thresholds = match known {
            Some(known) => known,
            None => Self::choose(config, task)?,
        };
        if known.is_none() {
            task.store.write_record(&rows_path(config, task)?, &thresholds)?;
        }
        if Self::of_settings(config).is_none()
            && let Some(path) = weights_path(config, task)?
            && task.store.read_record::<Self>(&path)? != Some(thresholds)
        {
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

    /// The thresholds that were last used with a checkpoint that was kept beside newer inputs.
    ///
    /// METHOD: what is learnt stays as it is together: the weights, and what is chosen on the patients that they learnt
    /// from.
    fn kept(config: &Config, task: &Task<'_>) -> Result<Option<Self>, Error> {
        let mut checkpoints = checkpoints(task);
        if !checkpoints.any(|version| !version.manifest.newer_inputs().is_empty()) {
            return Ok(None);
        }
        let Some(path) = weights_path(config, task)? else { return Ok(None) };
        Ok(task.store.read_record(&path)?)
    }

    fn choose(config: &Config, task: &Task<'_>) -> Result<Self, Error> {
        let mut nodules = Nodules::default();
        for batch in task.table(Table::Samples)?.rows::<Sample>() {
            batch?.into_iter().for_each(|sample| nodules.add(config, sample));
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
/// where the network takes part.
fn rows_path(config: &Config, task: &Task<'_>) -> Result<PathBuf, Error> {
    let mut sums = [RowSum::default(); 3];
    let mut has_learning = false;
    for (group, rows) in balance::digests(task)? {
        let Uses { is_wanted, is_validation, is_learning } = Uses::of(config, &group);
        has_learning |= is_learning;
        let uses = [is_validation, is_learning, is_wanted];
        sums.iter_mut()
            .zip(uses)
            .filter(|(_, is_used)| *is_used)
            .for_each(|(sum, _)| sum.merge(rows));
    }
    let [validation, learning, wanted] = sums.map(|sum| sum.to_string());
    // The baseline is chosen on the predicted nodules where there are no others.
    let growing = if has_learning { learning } else { wanted };
    let is_fixed = matches!(config.probability_threshold, ProbabilityThreshold::Fixed(_));
    let weights = if is_fixed { Vec::new() } else { weights(task)? };
    path(&json!([SPEC.version, config, validation, growing, weights]))
}

/// Path of the record of the thresholds that go with a checkpoint of the store; `None` with weights from outside.
fn weights_path(config: &Config, task: &Task<'_>) -> Result<Option<PathBuf>, Error> {
    if task.weights.is_some() {
        return Ok(None);
    }
    path(&json!([SPEC.version, config, "with weights", weights(task)?])).map(Some)
}

fn checkpoints<'a>(task: &'a Task<'_>) -> impl Iterator<Item = &'a Version> {
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
