//! Infer: `rois`, `samples`, checkpoint → `predictions`.

pub(super) mod config;
mod error;
pub mod preprocessing;
mod doubts;
mod network;
mod nodules;
mod threshold;
mod thresholds;

use crate::stages::config::Config as Settings;
use crate::stages::spec::{OutsideWeights, StageError, StageSpec};
use crate::stages::task::Task;
use crate::tables::{Output, Prediction, Roi, Sample, Table, leak};
pub use config::{Batch, BatchName, Config, ProbabilityThreshold, ThresholdName, Weights};
pub use error::Error;
use network::Network;
use nodules::Nodules;
use nodulus_formats::volume::Mask;
use nodulus_nets::{self as model, Device, Ensemble};
use nodulus_store::Job;
use std::path::{Path, PathBuf};

pub use threshold::{THRESHOLD, Threshold};
use thresholds::Thresholds;

/// The stage.
pub const SPEC: StageSpec = StageSpec {
    name: "infer",
    description: "predict a mask for each slice",
    example: "",
    reads: &[
        Output::Table(Table::Scans),
        Output::Table(Table::Rois),
        Output::Table(Table::Samples),
        Output::Checkpoint,
    ],
    writes: &[Output::Table(Table::Predictions)],
    version: 5,
    needs_images: true,
    is_sharded: true,
    is_on: |_| true,
    settings: |config| serde_json::to_value(&config.infer),
    outside_weights: |config| {
        let path = config.infer.checkpoint.as_deref()?;
        Some(OutsideWeights { setting: "infer.checkpoint", input: "checkpoint", path })
    },
    decide: Some(|config, task| {
        let known = Thresholds::known(&config.infer, task)?;
        let thresholds = match known {
            None if task.plans_only => return Ok(None),
            None => Thresholds::choose(&config.infer, task)?,
            Some(known) => known,
        };
        let n_shards = task.table(Table::Rois)?.manifest.n_shards();
        Ok(Some(vec![serde_json::json!(thresholds); n_shards]))
    }),
    run: |config, task, job| Ok(run(config, task, job)?),
    reduction: None,
};

/// Predicts the slices of every pending shard.
///
/// # Errors
///
/// Fails if a patient is in two splits, the weights were trained on a patient to predict or on regions that were made
/// otherwise and no setting allows it, the weights cannot be read, the network cannot run, or the store cannot be read
/// or written to; a slice that cannot be predicted becomes a row of `failures`.
pub fn run(settings: &Settings, task: &Task<'_>, job: &Job) -> Result<(), Error> {
    let config = &settings.infer;
    let work = job.work()?;
    let total = work.n_left();
    if total == 0 {
        return Ok(());
    }
    let (rois, samples) = (task.table(Table::Rois)?, task.table(Table::Samples)?);
    leak::check(samples.rows::<Sample>())?;
    let network = open(config, task)?;
    let doubts = doubts::doubts(settings, task, &weights(config, task)?)?;
    let architecture = network.predictor.config().architecture.name();
    let model_id = config.model_id.clone().unwrap_or_else(|| architecture.to_owned());
    let thresholds = match Thresholds::known(config, task)? {
        Some(known) => known,
        None => Thresholds::choose(config, task)?,
    };
    for (n, writer) in work.enumerate() {
        let writer = writer?;
        let shard = writer.number();
        let mut nodules = Nodules::default();
        for batch in samples.shard_rows::<Sample>(shard) {
            batch?.into_iter().for_each(|sample| nodules.add(config, sample));
        }
        let chosen = &nodules.chosen;
        let mut predictions = writer.part::<Prediction>()?;
        let mut failures = Vec::new();
        let pixels = if chosen.is_empty() { None } else { Some(rois.shard_rows::<Roi>(shard)) };
        for batch in pixels.into_iter().flatten() {
            let batch: Vec<Roi> =
                batch?.into_iter().filter(|roi| chosen.contains(&roi.nodule_id)).collect();
            for slices in batch.chunks(network.batch) {
                let (predicted, failed) = network.predict(slices)?;
                let rows = predicted.into_iter().map(|(roi, predicted)| {
                    let row = transform(&model_id, roi, &predicted, thresholds.probability);
                    Prediction { doubts: doubts::names(&doubts, &roi.nodule_id), ..row }
                });
                predictions.write(rows)?;
                failures.extend(failed);
            }
            if let Some(baseline) = thresholds.hu {
                predictions
                    .write(batch.iter().filter_map(|roi| threshold::predict(roi, baseline)))?;
            }
        }
        writer.commit(vec![predictions.finish()?], failures)?;
        task.cases(n + 1, total);
    }
    Ok(())
}

/// Fails if weights from outside the store cannot predict.
///
/// # Errors
///
/// Fails if the file holds no network, or one that was not trained without the fold to predict.
pub fn check_weights(config: &Config, weights: &Path) -> Result<(), StageError> {
    let predictor = Ensemble::load(&[weights.to_owned()], &Device::Cpu)?;
    Ok(check_fold(config, &predictor)?)
}

/// Loads the network.
fn open(config: &Config, task: &Task<'_>) -> Result<Network, Error> {
    let weights = weights(config, task)?;
    let device = task.device.with_precision(config.precision)?;
    let predictor = Ensemble::load(&weights, &device)?;
    check_fold(config, &predictor)?;
    let batch = match config.batch {
        Batch::Slices(slices) => slices.max(1),
        Batch::Named(BatchName::Auto) => {
            let bytes = device.free_bytes()?.unwrap_or(task.max_memory);
            predictor.batch_within(bytes)
        }
    };
    Ok(Network { batch, flips: config.flips, predictor })
}

/// The weights files that predict.
fn weights(config: &Config, task: &Task<'_>) -> Result<Vec<PathBuf>, Error> {
    match task.weights {
        Some(path) => Ok(vec![path.to_owned()]),
        None => stored_weights(config, task),
    }
}

/// The weights files of the store's checkpoints.
fn stored_weights(config: &Config, task: &Task<'_>) -> Result<Vec<PathBuf>, Error> {
    let mut paths = Vec::new();
    for version in task.inputs(Output::Checkpoint)? {
        match version.file(config.weights.file()) {
            Some(path) => paths.push(path),
            None => return Err(Error::NoBest(version.manifest.key.clone())),
        }
    }
    Ok(paths)
}

/// Fails unless all weights were trained without the fold that they predict.
fn check_fold(config: &Config, predictor: &Ensemble) -> Result<(), Error> {
    let Some(expected) = config.fold else { return Ok(()) };
    if matches!(config.probability_threshold, ProbabilityThreshold::Named(_)) {
        return Err(Error::FoldThreshold);
    }
    for metadata in predictor.metadata() {
        let found = metadata["fold"].as_i64();
        if found != Some(expected) {
            let found = found.map_or("no fold".to_owned(), |fold| format!("fold {fold}"));
            return Err(Error::Fold { found, expected });
        }
    }
    Ok(())
}

/// The row of a predicted slice. A pixel belongs to the nodule where its probability is at least the threshold.
pub fn transform(
    model_id: &str,
    roi: &Roi,
    predicted: &model::Prediction,
    threshold: Threshold,
) -> Prediction {
    let width = roi.width as usize;
    let mask = Mask::from_fn([width, roi.height as usize, 1], |i, j, _| {
        predicted.probability.get(j * width + i).is_some_and(|p| f64::from(*p) >= threshold.value)
    });
    let bytes = predicted.probability.iter().map(|p| (p * 255.0).round() as u8);
    Prediction {
        roi_id: roi.roi_id.clone(),
        nodule_id: roi.nodule_id.clone(),
        model_id: model_id.to_owned(),
        probability: Some(bytes.collect()),
        nodule_probability: predicted.nodule_probability.map(f64::from),
        threshold: threshold.value,
        threshold_from: threshold.from.name().to_owned(),
        mask_bits: mask.into_bits(),
        doubts: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::crop::test_rows::roi;

    #[test]
    fn probabilities_become_bytes_and_a_mask_at_one_half() {
        let roi = roi(&[0, 0, 0, 0], &[true; 4], &[0]);
        let probability = vec![0.0, 0.499, 0.5, 1.0];
        let predicted = model::Prediction { probability, nodule_probability: Some(0.25) };
        let threshold = Threshold { value: 0.5, from: threshold::ThresholdSource::Setting };
        let row = transform("m", &roi, &predicted, threshold);
        assert_eq!(row.probability, Some(vec![0, 127, 128, 255]));
        assert_eq!(row.mask_bits, [0b1100]);
        assert_eq!((row.model_id.as_str(), row.nodule_probability), ("m", Some(0.25)));
        let lower = transform("m", &roi, &predicted, Threshold { value: 0.4, ..threshold });
        assert_eq!((lower.mask_bits, lower.threshold), (vec![0b1110], 0.4));
    }
}
