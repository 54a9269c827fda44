//! Decides the thresholds that every shard is predicted with.

use super::config::{Config, ProbabilityThreshold, ThresholdName};
use super::error::Error;
use super::network::Network;
use super::nodules::Nodules;
use super::threshold::{Threshold, ThresholdSource};
use super::{SPEC, open};
use crate::stages::task::Task;
use crate::tables::{Output, Sample, Table};
use nodulus_store::hash;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::{Path, PathBuf};

/// The thresholds of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Thresholds {
    /// Least probability of a nodule's pixel.
    pub(super) probability: Threshold,
    /// Least HU of the baseline; none where it does not predict.
    pub(super) hu: Option<Threshold>,
}

impl Thresholds {
    /// The thresholds. Those that are chosen on slices are kept in the store, because choosing them reads many slices and
    /// may need the network; `None` where a plan would have to choose them.
    pub(super) fn decide(
        config: &Config,
        task: &Task<'_>,
        network: Option<&Network>,
    ) -> Result<Option<Self>, Error> {
        let chosen_on_slices = config.threshold
            || matches!(config.probability_threshold, ProbabilityThreshold::Named(_));
        let path = record_path(config, task)?;
        if chosen_on_slices && let Some(kept) = task.store.read_record(&path)? {
            return Ok(Some(kept));
        }
        if chosen_on_slices && task.plans_only {
            return Ok(None);
        }
        let mut nodules = Nodules::default();
        if chosen_on_slices {
            for batch in task.table(Table::Samples)?.rows::<Sample>() {
                batch?.into_iter().for_each(|sample| nodules.add(config, sample));
            }
        }
        let rois = task.table(Table::Rois)?;
        let probability = match config.probability_threshold {
            ProbabilityThreshold::Fixed(value) => {
                Threshold { value, from: ThresholdSource::Setting }
            }
            ProbabilityThreshold::Named(ThresholdName::Validation) => {
                let best = |network: &Network| network.best_probability(rois, &nodules.validation);
                let value = match network {
                    Some(network) => best(network)?,
                    None => best(&open(config, task)?)?,
                };
                Threshold { value, from: ThresholdSource::Validation }
            }
        };
        let hu = if config.threshold { nodules.best_hu(rois)? } else { None };
        let thresholds = Self { probability, hu };
        if chosen_on_slices {
            task.store.write_record(&path, &thresholds)?;
        }
        Ok(Some(thresholds))
    }
}

/// Path of the record, in the store: its name is a hash of what the thresholds are chosen on.
fn record_path(config: &Config, task: &Task<'_>) -> Result<PathBuf, Error> {
    let inputs: Vec<_> =
        task.inputs.iter().map(|input| input.manifest.content_sha256.as_str()).collect();
    let weights = task.weights.map(hash::sha256_file).transpose();
    let weights = weights.map_err(nodulus_store::Error::from)?;
    let key = hash::key(&json!([SPEC.version, config, inputs, weights]))
        .map_err(|source| nodulus_store::Error::Record { path: PathBuf::from("infer"), source })?;
    let folder = Path::new(Output::Table(Table::Predictions).name()).join("thresholds");
    Ok(folder.join(format!("{key}.json")))
}
