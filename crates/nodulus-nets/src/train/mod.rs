//! Training of a network.

mod average;
mod state;
#[cfg(test)]
mod tests;

use super::batch::{self, TrainingSample};
use super::buffer;
use super::calibration::{Calibration, LogitCounts, LogitCurve};
use super::checkpoint::{self, CheckpointDescription};
use super::config::Config;
use super::contract::Contract;
use super::device::Device;
use super::epoch::Epoch;
use super::error::{Error, Result};
use super::layers::{BatchNorm, Pass};
use super::loss::{self, BatchLosses};
use super::network::Network;
use super::ops::normalised_sum::{StatisticsSlot, recorded_statistics};
use super::optim::{Adam, StepSettings};
use super::parameters::Parameters;
use super::phase::Phase;
use super::start::{Start, start};
use super::tape::Value;
use super::transfer::{self, TransferReport};
use crate::backend::{Backend, Execution};
use crate::tensors::values;
use average::Average;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::borrow::Cow;
use std::path::Path;
use std::time::Instant;

/// A network in training.
pub struct Trainer {
    config: Config,
    seed: u64,
    network: Network,
    parameters: Parameters,
    trained: Vec<bool>,
    adam: Adam,
    /// The moving average of the weights, in a phase that has one.
    average: Option<Average>,
    /// Number of phases begun.
    phases: u64,
    std: bool,
    /// What the weights are trained on, for their description.
    contract: Option<Contract>,
    /// Calibration of the weights, for their description.
    calibration: Option<Calibration>,
}

/// What images that are not learnt from say of the weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Validation {
    /// Mean Dice over the images with nodule; `None` without such an image.
    pub dice: Option<f64>,
    /// Calibrated logits of pixels at [`LogitCurve::points`]; `None` where none are best.
    pub pixel_calibration: Option<Vec<f64>>,
    /// Temperature of the probabilities of images; `None` where no temperature is best, or without a classifier.
    pub image_temperature: Option<f64>,
}

impl Validation {
    /// The calibration, with a temperature of 1 where none is best; `None` where nothing is.
    ///
    /// # Errors
    ///
    /// Fails if the calibrated logits make no curve.
    pub fn calibration(&self) -> Result<Option<Calibration>> {
        if self.pixel_calibration.is_none() && self.image_temperature.is_none() {
            return Ok(None);
        }
        let pixels = self.pixel_calibration.clone().map(LogitCurve::through).transpose()?;
        Ok(Some(Calibration { pixels, images: self.image_temperature.unwrap_or(1.0) }))
    }
}

/// Sums over the images of an evaluation.
#[derive(Default)]
struct Evaluated {
    dice: Vec<f64>,
    pixels: LogitCounts,
    images: LogitCounts,
}

/// Images in a batch of an evaluation.
const EVALUATION_BATCH: usize = 16;

impl Trainer {
    /// A network before training.
    ///
    /// # Errors
    ///
    /// Fails if the configuration describes no network, or the device lacks memory.
    pub fn new(config: &Config, seed: u64, device: &Device) -> Result<Self> {
        Self::new_on(config, seed, &device.backend())
    }

    /// A network before training whose first weights follow a rule.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn started(config: &Config, seed: u64, rule: Start, device: &Device) -> Result<Self> {
        Self::started_on(config, seed, rule, &device.backend())
    }

    /// See [`Self::new`].
    pub(super) fn new_on(config: &Config, seed: u64, backend: &Backend) -> Result<Self> {
        Self::started_on(config, seed, Start::He, backend)
    }

    fn started_on(config: &Config, seed: u64, rule: Start, backend: &Backend) -> Result<Self> {
        let (network, mut specs) = Network::new(config)?;
        start(&mut specs, rule);
        let trained = specs.iter().map(|spec| spec.trained).collect();
        let adam = Adam::new(specs.len());
        let mut parameters = Parameters::draw(specs, seed)?;
        parameters.move_to(backend)?;
        let config = config.clone();
        Ok(Self {
            config,
            seed,
            network,
            parameters,
            trained,
            adam,
            average: None,
            phases: 0,
            std: true,
            contract: None,
            calibration: None,
        })
    }

    /// Sets what the weights are trained on, for their description.
    pub fn set_contract(&mut self, contract: Contract) {
        self.contract = Some(contract);
    }

    /// Sets the calibration of the weights, for their description.
    pub fn set_calibration(&mut self, calibration: Option<Calibration>) {
        self.calibration = calibration;
    }

    /// Takes the fitting tensors of a weights file (a checkpoint's folder, or the file itself);
    /// `prefix` is put before the file's names: `classifier.` for torchvision's ResNet-50.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, or if no tensor fits.
    pub fn transfer(&mut self, path: &Path, prefix: &str) -> Result<TransferReport> {
        let found = transfer::transfer(path, prefix, &mut self.parameters)?;
        let backend = self.parameters.backend.clone();
        self.parameters.move_to(&backend)?;
        Ok(found)
    }

    /// Begins a phase; if `resumed`, continues it with the optimiser's state. A phase goes on from the average of the one
    /// before, if that has one.
    ///
    /// # Errors
    ///
    /// Fails if the schedule is invalid, or if a frozen block or pattern matches nothing.
    pub fn begin_phase(&mut self, phase: &Phase, resumed: bool) -> Result<()> {
        self.trained = phase.trained(&self.parameters.specs)?;
        self.std = phase.std;
        if !resumed {
            self.adam = Adam::new(self.parameters.specs.len());
            self.phases += 1;
            if let Some(Average { tensors, .. }) = self.average.take() {
                self.parameters.tensors = tensors;
            }
            self.average = match phase.average_decay {
                Some(_) => Some(Average::new(&self.parameters)?),
                None => None,
            };
        }
        Ok(())
    }

    /// Trains on the next batch of an epoch; mirrors and changes its images and masks in place.
    ///
    /// # Errors
    ///
    /// Fails if a sample does not have the network's size, or if the loss is not a number.
    pub fn learn(
        &mut self,
        phase: &Phase,
        epoch: &mut Epoch,
        batch: &mut [TrainingSample],
    ) -> Result<()> {
        for example in &*batch {
            batch::check(example, self.config.image_shape())?;
        }
        if phase.flips {
            let mut flips = ChaCha8Rng::seed_from_u64(self.seed);
            flips.set_stream((self.phases << 32) | epoch.number as u64);
            // Each flip takes one word, so a resumed epoch continues with the same flips.
            flips.set_word_pos(2 * epoch.examples() as u128);
            for example in &mut *batch {
                example.flip(self.config.image_size, [flips.random(), flips.random()]);
            }
        }
        if !phase.augmentation.is_off() {
            // METHOD: the seed's other bits keep these streams apart from those of flips.
            let mut random = ChaCha8Rng::seed_from_u64(!self.seed);
            random.set_stream((self.phases << 32) | epoch.number as u64);
            for (n, example) in batch.iter_mut().enumerate() {
                let (side, n) = (self.config.image_size, epoch.examples() + n);
                phase.augmentation.apply(example, side, &mut random, n);
            }
        }
        let execution = self.parameters.backend.execution;
        let loss = execution.run(|| self.step(phase, epoch, batch))?;
        if loss.is_finite() {
            return Ok(());
        }
        let (number, batches) = (epoch.number, epoch.batches() - 1);
        let samples = batch.iter().map(|sample| sample.id.clone()).collect();
        Err(Error::Diverged { epoch: number, batch: batches, loss, samples })
    }

    /// A forward and a backward pass and an optimiser step; returns the loss.
    fn step(&mut self, phase: &Phase, epoch: &mut Epoch, batch: &[TrainingSample]) -> Result<f64> {
        let start = Instant::now();
        let images = batch.iter().map(|example| example.image.as_slice());
        let x = batch::input(images, self.config.image_shape(), &self.parameters.backend)?;
        let mut pass = Pass::training(&self.parameters, &self.trained);
        let found = self.network.forward(&mut pass, &x, phase.std)?;
        let weights = [phase.segmentation_weight, phase.classification_weight];
        let (pixels, images) = (found.logits.tensor(), found.nodule_logit.as_ref());
        let images = images.map(Value::tensor);
        let measured = match self.parameters.backend.execution {
            Execution::Host => loss::evaluate(pixels, images, batch, weights)?,
            Execution::Composed(_) => loss::composed::evaluate(pixels, images, batch, weights)?,
        };
        let BatchLosses { segmentation, classification, overlaps, gradients } = measured;
        let total =
            weights[0] * segmentation + classification.map_or(0.0, |loss| weights[1] * loss);
        let losses = [total, segmentation];
        if !total.is_finite() {
            epoch.add(batch.len(), losses, classification, &overlaps, 0.0);
            return Ok(total);
        }
        let logits = [Some(found.logits), found.nodule_logit].into_iter().flatten();
        let seeds = logits.zip(gradients).collect();
        drop(x);
        let (tape, statistics) = pass.finish();
        let gradients = tape.backward(seeds)?;
        let rates = StepSettings {
            learning: phase.learning_rate_after(epoch.progress()),
            decay: phase.weight_decay,
            decoupled: phase.decoupled_decay,
            clip_norm: phase.clip_norm,
        };
        self.adam.step(&mut self.parameters, &gradients, rates)?;
        self.follow(&statistics)?;
        if let (Some(average), Some(decay)) = (&mut self.average, phase.average_decay) {
            average.follow(&self.parameters, decay)?;
        }
        let seconds = start.elapsed().as_secs_f64();
        epoch.add(batch.len(), losses, classification, &overlaps, seconds);
        Ok(total)
    }

    /// Updates the running statistics with a batch's.
    fn follow(&mut self, statistics: &[(BatchNorm, StatisticsSlot)]) -> Result<()> {
        for (norm, found) in statistics {
            for (index, next) in norm.follow(&self.parameters, &recorded_statistics(found)?)? {
                self.parameters.tensors[index] = next;
            }
        }
        Ok(())
    }

    /// The weights that are validated and written.
    fn settled(&self) -> Cow<'_, Parameters> {
        match &self.average {
            Some(average) => Cow::Owned(average.parameters(&self.parameters)),
            None => Cow::Borrowed(&self.parameters),
        }
    }

    /// The mean Dice over the images with nodule, and the calibration with which the probabilities of all images and their
    /// pixels fit the targets best; with running statistics. `std` turns on the threshold dynamics.
    ///
    /// # Errors
    ///
    /// Fails if a sample fails to load or does not have the network's size.
    pub fn evaluate<E: From<Error>>(
        &mut self,
        std: bool,
        examples: &mut dyn Iterator<Item = std::result::Result<TrainingSample, E>>,
    ) -> std::result::Result<Validation, E> {
        let mut found = Evaluated::default();
        loop {
            let batch: Vec<TrainingSample> =
                (&mut *examples).take(EVALUATION_BATCH).collect::<std::result::Result<_, E>>()?;
            if batch.is_empty() {
                let Evaluated { dice, pixels, images } = found;
                let sum: f64 = dice.iter().sum();
                return Ok(Validation {
                    dice: (!dice.is_empty()).then(|| sum / dice.len() as f64),
                    pixel_calibration: pixels.curve(),
                    image_temperature: images.temperature(),
                });
            }
            let execution = self.parameters.backend.execution;
            execution.run(|| self.evaluate_batch(std, &batch, &mut found))?;
        }
    }

    /// Adds a batch to an evaluation.
    fn evaluate_batch(
        &self,
        std: bool,
        batch: &[TrainingSample],
        found: &mut Evaluated,
    ) -> Result<()> {
        let (side, shape) = (self.config.image_size, self.config.image_shape());
        for example in batch {
            batch::check(example, shape)?;
        }
        let images = batch.iter().map(|example| example.image.as_slice());
        let x = batch::input(images, shape, &self.parameters.backend)?;
        let parameters = self.settled();
        let outputs = self.network.forward(&mut Pass::evaluation(&parameters), &x, std)?;
        let logits = values(outputs.logits.tensor())?;
        for (logits, example) in logits.chunks(side * side).zip(batch) {
            found.dice.extend(loss::overlap(logits, &example.mask).map(|[dice, _]| dice));
            found.pixels.add_pixels(logits, example);
        }
        if let Some(logits) = &outputs.nodule_logit {
            for (logit, example) in values(logits.tensor())?.into_iter().zip(batch) {
                if let Some(has_nodule) = example.has_nodule {
                    found.images.add(logit, f64::from(u8::from(has_nodule)));
                }
            }
        }
        Ok(())
    }

    /// Writes a weights file, for inference and further training, and its description, a file of
    /// the same name with the extension `json`; `metadata` describes the origin of the weights.
    ///
    /// # Errors
    ///
    /// Fails if the files cannot be written.
    pub fn save_checkpoint(&self, path: &Path, metadata: &serde_json::Value) -> Result<()> {
        checkpoint::save(path, &self.settled(), &self.description(metadata))
    }

    /// Writes the description of a weights file of the current phase, without the weights.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written.
    pub fn save_description(&self, path: &Path, metadata: &serde_json::Value) -> Result<()> {
        checkpoint::save_description(path, &self.description(metadata))
    }

    fn description(&self, metadata: &serde_json::Value) -> CheckpointDescription {
        CheckpointDescription {
            config: self.config.clone(),
            std: self.std,
            weights_sha256: None,
            calibration: self.calibration.clone(),
            contract: self.contract.clone(),
            metadata: metadata.clone(),
        }
    }
}

impl Drop for Trainer {
    fn drop(&mut self) {
        buffer::clear();
    }
}
