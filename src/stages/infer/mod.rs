//! Infer: `rois`, `samples`, checkpoint → `predictions`.

mod threshold;

use super::Task;
use crate::imaging::normalise::normalise_slice;
use crate::model::{self, Ensemble};
use crate::tables::store::Version;
use crate::tables::{
    Failure, Output, Prediction, Roi, Sample, Split, Table, leak, parquet, shard, store,
};
use crate::volume::Mask;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;
use threshold::Histograms;

/// Outputs read.
pub const READS: &[Output] =
    &[Output::Table(Table::Rois), Output::Table(Table::Samples), Output::Checkpoint];
/// Outputs written.
pub const WRITES: &[Output] = &[Output::Table(Table::Predictions)];
/// Raised when the stage's results change.
pub const VERSION: u32 = 2;

/// Model id of the best single threshold.
pub const THRESHOLD: &str = "threshold";

/// Settings: `[infer]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Weights from outside the store: a `model.safetensors` with its `model.json` beside it, or
    /// another store, for its current ones. Their content, not their path, is part of the key.
    #[serde(skip_serializing)]
    pub checkpoint: Option<PathBuf>,
    /// Id of the model in the tables; left out, its architecture's name.
    pub model_id: Option<String>,
    /// Splits whose nodules are predicted.
    pub splits: Vec<Split>,
    /// Fold of `samples` whose nodules are predicted, in place of the splits': the one that the weights
    /// were trained without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fold: Option<i64>,
    /// Cohorts whose nodules are predicted; all where there are none.
    pub cohorts: Vec<String>,
    /// Slices that go through the network together.
    pub batch: usize,
    /// Also predict with the best single threshold, as a baseline.
    pub threshold: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            checkpoint: None,
            model_id: None,
            splits: vec![Split::Test],
            fold: None,
            cohorts: Vec::new(),
            batch: 16,
            threshold: true,
        }
    }
}

/// Predicts the slices of every pending shard.
///
/// # Errors
///
/// Fails if a patient is in two splits, the weights cannot be read, the network cannot run, or the store cannot be read or
/// written to; a slice that cannot be predicted becomes a row of `failures`.
pub fn run(config: &Config, task: &Task<'_>) -> Result<(), Error> {
    let (rois, samples) = (task.table(Table::Rois)?, task.table(Table::Samples)?);
    let weights = match task.checkpoint {
        Some(path) => vec![path.to_owned()],
        None => task.inputs(Output::Checkpoint)?.iter().map(Version::files_folder).collect(),
    };
    leak::check(samples.rows::<Sample>())?;
    let predictor = Ensemble::load(&weights, task.device)?;
    check_fold(config.fold, &predictor)?;
    let architecture = predictor.config().architecture.name();
    let model_id = config.model_id.as_deref().unwrap_or(architecture);
    let mut chosen = BTreeSet::new();
    for batch in samples.rows::<Sample>() {
        let batch = batch?.into_iter().filter(|sample| {
            let wanted = match config.fold {
                Some(fold) => sample.split != Split::Test.name() && sample.fold == Some(fold),
                None => config.splits.iter().any(|split| split.name() == sample.split),
            };
            wanted && (config.cohorts.is_empty() || config.cohorts.contains(&sample.cohort))
        });
        chosen.extend(batch.map(|sample| sample.nodule_id));
    }
    let mut threshold = None;
    if config.threshold && !task.job.pending().is_empty() {
        let mut histograms = Histograms::default();
        for batch in rois.rows::<Roi>() {
            batch?
                .iter()
                .filter(|roi| chosen.contains(&roi.nodule_id))
                .for_each(|roi| histograms.add(roi));
        }
        threshold = histograms.best();
    }
    let total = task.job.spec().n_shards;
    for shard in task.job.pending() {
        let writer = task.job.shard(shard)?;
        let mut predictions = writer.part::<Prediction>()?;
        let mut failures = Vec::new();
        for batch in rois.shard_rows::<Roi>(shard) {
            let batch: Vec<Roi> =
                batch?.into_iter().filter(|roi| chosen.contains(&roi.nodule_id)).collect();
            for slices in batch.chunks(config.batch.max(1)) {
                let (rows, failed) = predict(model_id, &predictor, slices)?;
                predictions.write(rows)?;
                failures.extend(failed);
            }
            if let Some(threshold) = threshold {
                predictions
                    .write(batch.iter().filter_map(|roi| threshold::predict(roi, threshold)))?;
            }
        }
        writer.commit(vec![predictions.finish()?], failures)?;
        task.cases(shard + 1, total);
    }
    Ok(())
}

/// A fold is predicted by weights that were trained without it.
fn check_fold(fold: Option<i64>, predictor: &Ensemble) -> Result<(), Error> {
    let Some(expected) = fold else { return Ok(()) };
    for metadata in predictor.metadata() {
        let found = metadata["fold"].as_i64();
        if found != Some(expected) {
            let found = found.map_or("no fold".to_owned(), |fold| format!("fold {fold}"));
            return Err(Error::Fold { found, expected });
        }
    }
    Ok(())
}

fn predict(
    model_id: &str,
    predictor: &Ensemble,
    slices: &[Roi],
) -> Result<(Vec<Prediction>, Vec<Failure>), Error> {
    let mut images = Vec::with_capacity(slices.len());
    let mut readable = Vec::with_capacity(slices.len());
    let mut failures = Vec::new();
    let side = predictor.image_size();
    for roi in slices {
        match roi.pixels_hu().filter(|_| [roi.height, roi.width] == [side as i64; 2]) {
            Some(hu) => {
                images.push(normalise_slice(&hu, roi.norm_low_hu, roi.norm_high_hu));
                readable.push(roi);
            }
            None => {
                failures.push(Failure::new("infer", &roi.roi_id, &Error::shape(roi, side), None));
            }
        }
    }
    let predicted = predictor.predict(&images)?;
    let rows = readable.iter().zip(predicted);
    Ok((rows.map(|(roi, predicted)| transform(model_id, roi, &predicted)).collect(), failures))
}

/// The row of a predicted slice.
///
/// METHOD: a pixel is nodule where its probability is at least 0.5 (the paper's text says no
/// other).
pub fn transform(model_id: &str, roi: &Roi, predicted: &model::Prediction) -> Prediction {
    let width = roi.width as usize;
    let mask = Mask::from_fn([width, roi.height as usize, 1], |i, j, _| {
        predicted.probability.get(j * width + i).is_some_and(|p| *p >= 0.5)
    });
    let bytes = predicted.probability.iter().map(|p| (p * 255.0).round() as u8);
    Prediction {
        roi_id: roi.roi_id.clone(),
        nodule_id: roi.nodule_id.clone(),
        model_id: model_id.to_owned(),
        probability: Some(bytes.collect()),
        nodule_probability: predicted.nodule_probability.map(f64::from),
        mask_bits: mask.into_bits(),
    }
}

/// The stage stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A region does not have the network's shape.
    #[error("region `{roi_id}` is {height} × {width} pixels in {bytes} bytes, the network takes {side} × {side} in {}", side * side * 2)]
    Shape {
        /// The region.
        roi_id: String,
        /// Its rows.
        height: i64,
        /// Its columns.
        width: i64,
        /// Its bytes.
        bytes: usize,
        /// Rows and columns that the network takes.
        side: usize,
    },
    /// The fold that is to be predicted was learnt from.
    #[error("`infer.fold` is {expected}, and the weights were trained without {found}")]
    Fold {
        /// What the weights were trained without.
        found: String,
        /// The fold to predict.
        expected: i64,
    },
    /// The samples do not say whom nothing was learnt from.
    #[error(transparent)]
    Leak(#[from] leak::Error),
    /// The network could not be loaded or run.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// A part could not be read.
    #[error(transparent)]
    Parquet(#[from] parquet::Error),
    /// A part could not be written.
    #[error(transparent)]
    Shard(#[from] shard::Error),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    fn shape(roi: &Roi, side: usize) -> Self {
        let (height, width, bytes) = (roi.height, roi.width, roi.hu.len());
        Self::Shape { roi_id: roi.roi_id.clone(), height, width, bytes, side }
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
        let row = transform("m", &roi, &predicted);
        assert_eq!(row.probability, Some(vec![0, 127, 128, 255]));
        assert_eq!(row.mask_bits, [0b1100]);
        assert_eq!((row.model_id.as_str(), row.nodule_probability), ("m", Some(0.25)));
    }
}
