//! Training.

mod state;
#[cfg(test)]
mod tests;

use super::batch::{self, Example};
use super::buffer;
use super::checkpoint::{self, Description};
use super::config::Config;
use super::device::{Device, Operators, Place};
use super::epoch::Epoch;
use super::error::{Error, Result};
use super::layers::{BatchNorm, Pass};
use super::loss::{self, Measured};
use super::network::Network;
use super::ops::normalised_sum::{Left, left};
use super::ops::values;
use super::optim::{Adam, Rates};
use super::parameters::Parameters;
use super::phase::Phase;
use super::tape::Value;
use super::transfer::{self, Transfer};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
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
    /// Phases begun.
    phases: u64,
    std: bool,
}

/// Images that go through the network together where nothing is learnt.
const EVALUATION_BATCH: usize = 16;

impl Trainer {
    /// A network before training.
    ///
    /// # Errors
    ///
    /// Fails if the configuration makes no network, or the device has no memory for it.
    pub fn new(config: &Config, seed: u64, device: &Device) -> Result<Self> {
        Self::at(config, seed, &device.place())
    }

    /// See [`Self::new`].
    pub(super) fn at(config: &Config, seed: u64, place: &Place) -> Result<Self> {
        let (network, specs) = Network::new(config)?;
        let trained = specs.iter().map(|spec| spec.trained).collect();
        let adam = Adam::new(specs.len());
        let mut parameters = Parameters::draw(specs, seed)?;
        parameters.move_to(place)?;
        let config = config.clone();
        Ok(Self { config, seed, network, parameters, trained, adam, phases: 0, std: true })
    }

    /// Takes what fits of a file of weights (a checkpoint's folder, or the file itself), each of its
    /// names behind a prefix: `classifier.` for torchvision's ResNet-50.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be read, or if nothing of it fits.
    pub fn transfer(&mut self, path: &Path, prefix: &str) -> Result<Transfer> {
        let found = transfer::transfer(path, prefix, &mut self.parameters)?;
        let place = self.parameters.place.clone();
        self.parameters.move_to(&place)?;
        Ok(found)
    }

    /// Starts a phase, or goes on with it where `resumed`: then the optimiser's state is kept.
    ///
    /// # Errors
    ///
    /// Fails if the schedule makes no sense or freezes something that is not there.
    pub fn begin_phase(&mut self, phase: &Phase, resumed: bool) -> Result<()> {
        self.trained = phase.trained(&self.parameters.specs)?;
        self.std = phase.std;
        if !resumed {
            self.adam = Adam::new(self.parameters.specs.len());
            self.phases += 1;
        }
        Ok(())
    }

    /// Learns from the next batch of an epoch; its images and masks are mirrored in place.
    ///
    /// # Errors
    ///
    /// Fails if an example has another size, or if the loss is no number any more.
    pub fn learn(&mut self, phase: &Phase, epoch: &mut Epoch, batch: &mut [Example]) -> Result<()> {
        for example in &*batch {
            batch::check(example, self.config.image_size)?;
        }
        if phase.flips {
            let mut flips = ChaCha8Rng::seed_from_u64(self.seed);
            flips.set_stream((self.phases << 32) | epoch.number as u64);
            // Each flip is a word, so that an epoch that goes on goes on with its flips.
            flips.set_word_pos(2 * epoch.examples() as u128);
            for example in &mut *batch {
                example.flip(self.config.image_size, [flips.random(), flips.random()]);
            }
        }
        let operators = self.parameters.place.operators;
        let loss = operators.run(|| self.step(phase, epoch, batch))?;
        if loss.is_finite() {
            return Ok(());
        }
        let (number, batches) = (epoch.number, epoch.batches() - 1);
        let examples = batch.iter().map(|example| example.id.clone()).collect();
        Err(Error::Diverged { epoch: number, batch: batches, loss, examples })
    }

    /// Forward, backward, and a step of the optimiser; the loss.
    fn step(&mut self, phase: &Phase, epoch: &mut Epoch, batch: &[Example]) -> Result<f64> {
        let start = Instant::now();
        let side = self.config.image_size;
        let images = batch.iter().map(|example| example.image.as_slice());
        let x = batch::input(images, side, &self.parameters.place)?;
        let mut pass = Pass::training(&self.parameters, &self.trained);
        let found = self.network.forward(&mut pass, &x, phase.std)?;
        let weights = [phase.segmentation_weight, phase.classification_weight];
        let (pixels, images) = (found.logits.tensor(), found.nodule_logit.as_ref());
        let images = images.map(Value::tensor);
        let measured = match self.parameters.place.operators {
            Operators::Host => loss::measure(pixels, images, batch, weights)?,
            Operators::Composed(_) => loss::composed::measure(pixels, images, batch, weights)?,
        };
        let Measured { segmentation, classification, overlaps, gradients } = measured;
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
        let rates = Rates {
            learning: phase.learning_rate_at(epoch.number),
            decay: phase.weight_decay,
            decoupled: phase.decoupled_decay,
            clip_norm: phase.clip_norm,
        };
        self.adam.step(&mut self.parameters, &gradients, rates)?;
        self.follow(&statistics)?;
        let seconds = start.elapsed().as_secs_f64();
        epoch.add(batch.len(), losses, classification, &overlaps, seconds);
        Ok(total)
    }

    /// Moves running statistics towards a batch's.
    fn follow(&mut self, statistics: &[(BatchNorm, Left)]) -> Result<()> {
        for (norm, found) in statistics {
            for (index, next) in norm.follow(&self.parameters, &left(found)?)? {
                self.parameters.tensors[index] = next;
            }
        }
        Ok(())
    }

    /// Mean Dice over the images with nodule, with running statistics and, where `std`, threshold
    /// dynamics; `None` where there is no such image.
    ///
    /// # Errors
    ///
    /// Fails if an example cannot be had or has another size.
    pub fn evaluate<E: From<Error>>(
        &mut self,
        std: bool,
        examples: &mut dyn Iterator<Item = std::result::Result<Example, E>>,
    ) -> std::result::Result<Option<f64>, E> {
        let mut dice = Vec::new();
        loop {
            let batch: Vec<Example> =
                (&mut *examples).take(EVALUATION_BATCH).collect::<std::result::Result<_, E>>()?;
            if batch.is_empty() {
                let sum: f64 = dice.iter().sum();
                return Ok((!dice.is_empty()).then(|| sum / dice.len() as f64));
            }
            let operators = self.parameters.place.operators;
            dice.extend(operators.run(|| self.evaluate_batch(std, &batch))?);
        }
    }

    /// Dice of each image with nodule.
    fn evaluate_batch(&self, std: bool, batch: &[Example]) -> Result<Vec<f64>> {
        let side = self.config.image_size;
        for example in batch {
            batch::check(example, side)?;
        }
        let images = batch.iter().map(|example| example.image.as_slice());
        let x = batch::input(images, side, &self.parameters.place)?;
        let found = self.network.forward(&mut Pass::evaluation(&self.parameters), &x, std)?;
        let logits = values(found.logits.tensor())?;
        let overlaps = logits.chunks(side * side).zip(batch);
        let dice = overlaps.filter_map(|(logits, example)| loss::overlap(logits, &example.mask));
        Ok(dice.map(|[dice, _]| dice).collect())
    }

    /// Writes a weights file, for inference and for training further, and its description beside it
    /// with the extension `json`; `metadata` is what there is to say of the weights' origin.
    ///
    /// # Errors
    ///
    /// Fails if the files cannot be written.
    pub fn save_checkpoint(&self, path: &Path, metadata: &serde_json::Value) -> Result<()> {
        checkpoint::save(path, &self.parameters, &self.description(metadata))
    }

    /// Writes the description of a weights file of the present phase alone.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written.
    pub fn save_description(&self, path: &Path, metadata: &serde_json::Value) -> Result<()> {
        checkpoint::save_description(path, &self.description(metadata))
    }

    fn description(&self, metadata: &serde_json::Value) -> Description {
        Description { config: self.config.clone(), std: self.std, metadata: metadata.clone() }
    }
}

impl Drop for Trainer {
    fn drop(&mut self) {
        buffer::clear();
    }
}
