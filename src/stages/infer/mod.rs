//! Infer: `rois`, `samples`, checkpoint → `predictions`.

pub(super) mod config;
mod error;
mod network;
mod nodules;
mod threshold;

use crate::stages::spec::{OutsideWeights, StageSpec};
use crate::stages::task::Task;
use crate::tables::{Output, Prediction, Roi, Sample, Split, Table, leak};
pub use config::{Batch, BatchName, Config, ProbabilityThreshold, ThresholdName, Weights};
pub use error::Error;
use network::Network;
use nodules::Nodules;
use nodulus_formats::volume::Mask;
use nodulus_nets::{self as model, Ensemble};
use std::path::PathBuf;

pub use threshold::{THRESHOLD, Threshold};

/// The stage.
pub const SPEC: StageSpec = StageSpec {
    name: "infer",
    description: "predict a mask for each slice",
    example: "",
    reads: &[Output::Table(Table::Rois), Output::Table(Table::Samples), Output::Checkpoint],
    writes: &[Output::Table(Table::Predictions)],
    version: 3,
    needs_images: true,
    is_sharded: true,
    is_on: |_| true,
    settings: |config| serde_json::to_value(&config.infer),
    outside_weights: |config| {
        let path = config.infer.checkpoint.as_deref()?;
        Some(OutsideWeights { setting: "infer.checkpoint", input: "checkpoint", path })
    },
    run: |config, task| Ok(run(&config.infer, task)?),
};

/// Predicts the slices of every pending shard.
///
/// # Errors
///
/// Fails if a patient is in two splits, the weights cannot be read, the network cannot run, or the store cannot be read
/// or written to; a slice that cannot be predicted becomes a row of `failures`.
pub fn run(config: &Config, task: &Task<'_>) -> Result<(), Error> {
    let (rois, samples) = (task.table(Table::Rois)?, task.table(Table::Samples)?);
    let weights = match task.weights {
        Some(path) => vec![path.to_owned()],
        None => stored_weights(config, task)?,
    };
    leak::check(samples.rows::<Sample>())?;
    let device = task.device.with_precision(config.precision)?;
    let predictor = Ensemble::load(&weights, &device)?;
    check_fold(config, &predictor)?;
    let architecture = predictor.config().architecture.name();
    let model_id = config.model_id.clone().unwrap_or_else(|| architecture.to_owned());
    let mut nodules = Nodules::default();
    for batch in samples.rows::<Sample>() {
        batch?.into_iter().for_each(|sample| nodules.add(config, sample));
    }
    let network = Network {
        batch: match config.batch {
            Batch::Slices(slices) => slices.max(1),
            Batch::Named(BatchName::Auto) => {
                let bytes = device.free_bytes()?.unwrap_or(task.max_memory);
                predictor.batch_within(bytes)
            }
        },
        flips: config.flips,
        predictor,
    };
    if task.job.pending().is_empty() {
        return Ok(());
    }
    let probability = match config.probability_threshold {
        ProbabilityThreshold::Fixed(value) => Threshold { value, from: "setting" },
        ProbabilityThreshold::Named(ThresholdName::Validation) => Threshold {
            value: network.best_probability(&rois, &nodules.validation)?,
            from: Split::Validation.name(),
        },
    };
    let baseline = if config.threshold { nodules.best_hu(&rois)? } else { None };
    let chosen = &nodules.chosen;
    let total = task.job.spec().n_shards;
    for shard in task.job.pending() {
        let writer = task.job.shard(shard)?;
        let mut predictions = writer.part::<Prediction>()?;
        let mut failures = Vec::new();
        for batch in rois.shard_rows::<Roi>(shard) {
            let batch: Vec<Roi> =
                batch?.into_iter().filter(|roi| chosen.contains(&roi.nodule_id)).collect();
            for slices in batch.chunks(network.batch) {
                let (predicted, failed) = network.predict(slices)?;
                let rows = predicted.into_iter();
                predictions.write(
                    rows.map(|(roi, predicted)| transform(&model_id, roi, &predicted, probability)),
                )?;
                failures.extend(failed);
            }
            if let Some(baseline) = baseline {
                predictions
                    .write(batch.iter().filter_map(|roi| threshold::predict(roi, baseline)))?;
            }
        }
        writer.commit(vec![predictions.finish()?], failures)?;
        task.cases(shard + 1, total);
    }
    Ok(())
}

/// The weights files of the store's checkpoints.
fn stored_weights(config: &Config, task: &Task<'_>) -> Result<Vec<PathBuf>, Error> {
    let mut paths = Vec::new();
    for version in task.inputs(Output::Checkpoint)? {
        let path = version.files_folder().join(config.weights.file());
        if config.weights == Weights::Best && !path.exists() {
            return Err(Error::NoBest(version.manifest.key));
        }
        paths.push(path);
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
        threshold_from: threshold.from.to_owned(),
        mask_bits: mask.into_bits(),
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
        let threshold = Threshold { value: 0.5, from: "setting" };
        let row = transform("m", &roi, &predicted, threshold);
        assert_eq!(row.probability, Some(vec![0, 127, 128, 255]));
        assert_eq!(row.mask_bits, [0b1100]);
        assert_eq!((row.model_id.as_str(), row.nodule_probability), ("m", Some(0.25)));
        let lower = transform("m", &roi, &predicted, Threshold { value: 0.4, ..threshold });
        assert_eq!((lower.mask_bits, lower.threshold), (vec![0b1110], 0.4));
    }
}
