//! Decides the thresholds that every shard is predicted with.

use super::config::{Config, ProbabilityThreshold, ThresholdName};
use super::error::Error;
use super::nodules::Nodules;
use super::region_growing::ChosenGrowing;
use super::{SPEC, open};
use crate::stages::task::Task;
use crate::tables::{Output, Sample, Table};
use nodulus_store::hash;
use serde::{Deserialize, Serialize};
use serde_json::json;
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Thresholds {
    /// Least probability of a nodule's pixel.
    pub(super) probability: Threshold,
    /// Settings of the baseline; none where it does not predict.
    pub(super) growing: Option<ChosenGrowing>,
}

impl Thresholds {
    /// The thresholds, where they are settings or were chosen before on the same slices.
    pub(super) fn known(config: &Config, task: &Task<'_>) -> Result<Option<Self>, Error> {
        match config.probability_threshold {
            ProbabilityThreshold::Fixed(value) if !config.region_growing => {
                let probability = Threshold { value, from: ThresholdSource::Setting };
                Ok(Some(Self { probability, growing: None }))
            }
            _ => Ok(task.store.read_record(&record_path(config, task)?)?),
        }
    }

    /// Chooses the thresholds on slices and keeps them in the store, because this reads many slices and may need the
    /// network.
    pub(super) fn choose(config: &Config, task: &Task<'_>) -> Result<Self, Error> {
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
        let thresholds = Self { probability, growing };
        task.store.write_record(&record_path(config, task)?, &thresholds)?;
        Ok(thresholds)
    }
}

/// Path of the record, in the store: its name is a hash of what the thresholds are chosen on.
fn record_path(config: &Config, task: &Task<'_>) -> Result<PathBuf, Error> {
    let inputs: Vec<_> =
        task.inputs.iter().map(|input| input.manifest.content_sha256.as_str()).collect();
    // The description says how the weights predict.
    let files = task.weights.map(|path| [path.to_owned(), path.with_extension("json")]);
    let weights = files.iter().flatten().map(|path| hash::sha256_file(path));
    let weights: Vec<String> =
        weights.collect::<Result<_, _>>().map_err(nodulus_store::Error::from)?;
    let key = hash::key(&json!([SPEC.version, config, inputs, weights]))
        .map_err(|source| nodulus_store::Error::Record { path: PathBuf::from("infer"), source })?;
    let folder = Path::new(Output::Table(Table::Predictions).name()).join("thresholds");
    Ok(folder.join(format!("{key}.json")))
}
