//! Infer: `rois`, `samples`, checkpoint → `predictions`.

mod threshold;

use super::Task;
use crate::imaging::normalise::normalise_slice;
use crate::model::{self, Predictor};
use crate::tables::store::Version;
use crate::tables::{
    Failure, Output, Prediction, Roi, Sample, Split, Table, leak, parquet, shard, store,
};
use crate::volume::Mask;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;
use threshold::Histograms;

pub use threshold::Threshold;

/// Outputs read.
pub const READS: &[Output] =
    &[Output::Table(Table::Rois), Output::Table(Table::Samples), Output::Checkpoint];
/// Outputs written.
pub const WRITES: &[Output] = &[Output::Table(Table::Predictions)];
/// Raised when the stage's results change.
pub const VERSION: u32 = 3;

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
    /// Cohorts whose nodules are predicted; all where there are none.
    pub cohorts: Vec<String>,
    /// Slices that go through the network together. What is predicted does not depend on it, so it is
    /// no part of the key.
    #[serde(skip_serializing)]
    pub batch: Batch,
    /// Predict mirror images too, and take the mean: four times the work.
    pub flips: bool,
    /// Least probability of a nodule's pixel.
    pub probability_threshold: ProbabilityThreshold,
    /// Also predict with the best single threshold, as a baseline.
    pub threshold: bool,
}

/// How many slices go through the network together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number of slices or \"auto\"")]
pub enum Batch {
    /// So many.
    Slices(usize),
    /// Named way to choose.
    Named(BatchName),
}

/// See [`Batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchName {
    /// As many as `--max-memory` holds, up to 32.
    Auto,
}

/// Where the least probability of a nodule's pixel comes from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number or \"validation\"")]
pub enum ProbabilityThreshold {
    /// From here.
    Fixed(f64),
    /// Named way to choose.
    Named(ThresholdName),
}

/// See [`ProbabilityThreshold`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdName {
    /// Of 0.01 to 0.99, the one with the highest mean Dice over the nodules of the validation split.
    Validation,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            checkpoint: None,
            model_id: None,
            splits: vec![Split::Test],
            cohorts: Vec::new(),
            batch: Batch::Named(BatchName::Auto),
            flips: false,
            // METHOD: the paper's text names no threshold; 0.5 is where nodule is as likely as not.
            probability_threshold: ProbabilityThreshold::Fixed(0.5),
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
        Some(path) => path.to_owned(),
        None => task.input(Output::Checkpoint)?.files_folder(),
    };
    leak::check(samples.rows::<Sample>())?;
    let predictor = Predictor::load(&weights, task.device)?;
    let architecture = predictor.config().architecture.name();
    let model_id = config.model_id.clone().unwrap_or_else(|| architecture.to_owned());
    let mut nodules = Nodules::default();
    for batch in samples.rows::<Sample>() {
        batch?.into_iter().for_each(|sample| nodules.add(config, sample));
    }
    let network = Network {
        batch: match config.batch {
            Batch::Slices(slices) => slices.max(1),
            Batch::Named(BatchName::Auto) => predictor.batch_within(task.max_memory),
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

/// The nodules of the cohorts, by what they are for.
#[derive(Default)]
struct Nodules {
    /// To be predicted.
    chosen: BTreeSet<String>,
    /// Of the validation split.
    validation: BTreeSet<String>,
    /// Of every split but test.
    learning: BTreeSet<String>,
}

impl Nodules {
    fn add(&mut self, config: &Config, sample: Sample) {
        if !(config.cohorts.is_empty() || config.cohorts.contains(&sample.cohort)) {
            return;
        }
        if sample.split == Split::Validation.name() {
            self.validation.insert(sample.nodule_id.clone());
        }
        if sample.split != Split::Test.name() {
            self.learning.insert(sample.nodule_id.clone());
        }
        if config.splits.iter().any(|split| split.name() == sample.split) {
            self.chosen.insert(sample.nodule_id);
        }
    }

    /// The best threshold in Hounsfield units.
    ///
    /// METHOD: it is chosen on the nodules of the training and validation splits. Where there are
    /// none, it is chosen on the very nodules that it is scored on, which favours the baseline: no
    /// threshold chosen beforehand can do better. The table says which.
    fn best_hu(&self, rois: &Version) -> Result<Option<Threshold>, Error> {
        let (nodules, from) = if self.learning.is_empty() {
            (&self.chosen, "scored")
        } else {
            (&self.learning, "learning")
        };
        let mut histograms = Histograms::of_hu();
        for batch in rois.rows::<Roi>() {
            batch?
                .iter()
                .filter(|roi| nodules.contains(&roi.nodule_id))
                .for_each(|roi| histograms.add_hu(roi));
        }
        Ok(histograms.best().map(|value| Threshold { value, from }))
    }
}

/// A network, and how slices go through it.
struct Network {
    predictor: Predictor,
    batch: usize,
    flips: bool,
}

impl Network {
    /// The slices that can be predicted with what is predicted, and failures for the others.
    fn predict<'a>(&self, slices: &'a [Roi]) -> Result<(Predicted<'a>, Vec<Failure>), Error> {
        let mut images = Vec::with_capacity(slices.len());
        let mut readable = Vec::with_capacity(slices.len());
        let mut failures = Vec::new();
        let side = self.predictor.image_size();
        for roi in slices {
            let hu = roi.pixels_hu().filter(|_| [roi.height, roi.width] == [side as i64; 2]);
            if let Some(hu) = hu {
                images.push(normalise_slice(&hu, roi.norm_low_hu, roi.norm_high_hu));
                readable.push(roi);
            } else {
                let error = Error::shape(roi, side);
                failures.push(Failure::new("infer", &roi.roi_id, &error, None));
            }
        }
        let predicted = if self.flips {
            self.predictor.predict_flipped(&images)?
        } else {
            self.predictor.predict(&images)?
        };
        Ok((readable.into_iter().zip(predicted).collect(), failures))
    }

    /// The least probability with which nodules are found best.
    ///
    /// METHOD: highest mean Dice over the validation split's nodules, each over all of its slices, of
    /// 0.01 to 0.99 in steps of 0.01; test plays no part.
    fn best_probability(&self, rois: &Version, nodules: &BTreeSet<String>) -> Result<f64, Error> {
        let mut histograms = Histograms::of_probabilities();
        for batch in rois.rows::<Roi>() {
            let batch: Vec<Roi> =
                batch?.into_iter().filter(|roi| nodules.contains(&roi.nodule_id)).collect();
            for slices in batch.chunks(self.batch) {
                // What fails here is no part of what is predicted.
                for (roi, predicted) in self.predict(slices)?.0 {
                    histograms.add(roi, predicted.probability.into_iter().map(f64::from));
                }
            }
        }
        histograms.best().ok_or(Error::NoValidation)
    }
}

type Predicted<'a> = Vec<(&'a Roi, model::Prediction)>;

/// The row of a predicted slice; a pixel is nodule where its probability is at least the threshold.
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
    /// The samples do not say whom nothing was learnt from.
    #[error(transparent)]
    Leak(#[from] leak::Error),
    /// A threshold is to be chosen on nothing.
    #[error(
        "`infer.probability_threshold` is \"validation\", and no nodule of the cohorts predicted is in the validation split: set `balance.split`, or give a number"
    )]
    NoValidation,
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
        let threshold = Threshold { value: 0.5, from: "setting" };
        let row = transform("m", &roi, &predicted, threshold);
        assert_eq!(row.probability, Some(vec![0, 127, 128, 255]));
        assert_eq!(row.mask_bits, [0b1100]);
        assert_eq!((row.model_id.as_str(), row.nodule_probability), ("m", Some(0.25)));
        let lower = transform("m", &roi, &predicted, Threshold { value: 0.4, ..threshold });
        assert_eq!((lower.mask_bits, lower.threshold), (vec![0b1110], 0.4));
    }

    #[test]
    fn a_threshold_is_never_chosen_on_test() {
        let mut nodules = Nodules::default();
        let config = Config { cohorts: vec!["a".to_owned()], ..Config::default() };
        for (id, cohort, split) in [
            ("n1", "a", Split::Test),
            ("n2", "a", Split::Validation),
            ("n3", "a", Split::Train),
            ("n4", "b", Split::Validation),
        ] {
            let sample = Sample {
                roi_id: format!("{id}-0"),
                nodule_id: id.to_owned(),
                cohort: cohort.to_owned(),
                patient_id: id.to_owned(),
                series_instance_uid: id.to_owned(),
                role: "nodule".to_owned(),
                split: split.name().to_owned(),
                fold: None,
                split_by: "patient".to_owned(),
            };
            nodules.add(&config, sample);
        }
        let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(nodules.chosen, set(&["n1"]));
        assert_eq!(nodules.validation, set(&["n2"]));
        assert_eq!(nodules.learning, set(&["n2", "n3"]));
    }
}
