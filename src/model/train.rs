//! Training.

use super::batch::{self, Example};
use super::buffer;
use super::checkpoint::{self, Description};
use super::config::Config;
use super::device::Device;
use super::error::{Error, Result};
use super::layers::{BatchNorm, Pass};
use super::loss;
use super::network::Network;
use super::ops::normalised_sum::Statistics;
use super::ops::{tensor, view};
use super::optim::{Adam, Moments, Rates};
use super::parameters::Parameters;
use super::phase::Phase;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

/// What an epoch came to.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochLog {
    /// Learning rate.
    pub learning_rate: f64,
    /// Mean loss over the examples, 0 where there was none.
    pub loss: f64,
    /// Its segmentation part, without its weight.
    pub loss_segmentation: f64,
    /// Its classification part, without its weight; `None` where the network has no classifier.
    pub loss_classification: Option<f64>,
    /// Mean Dice over the images with nodule, as they were when learnt; `None` where there was none.
    pub dice: Option<f64>,
    /// Mean intersection over union, as above.
    pub iou: Option<f64>,
    /// Examples.
    pub n_samples: usize,
    /// Wall time.
    pub seconds: f64,
}

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

/// What `state.json` holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    config: Config,
    seed: u64,
    phases: u64,
    /// Optimiser's steps by parameter.
    steps: Vec<u64>,
}

const STATE: &str = "state.safetensors";

/// Images that go through the network together where nothing is learnt.
const EVALUATION_BATCH: usize = 16;

impl Trainer {
    /// A network before training.
    ///
    /// # Errors
    ///
    /// Fails if the configuration makes no network.
    pub fn new(config: &Config, seed: u64, device: &Device) -> Result<Self> {
        // Operators run where their tensors are, and there is one device yet.
        let Device::Cpu = device;
        let (network, specs) = Network::new(config)?;
        let trained = specs.iter().map(|spec| spec.trained).collect();
        let adam = Adam::new(specs.len());
        let parameters = Parameters::draw(specs, seed)?;
        let config = config.clone();
        Ok(Self { config, seed, network, parameters, trained, adam, phases: 0, std: true })
    }

    /// Takes the weights and running statistics of a checkpoint (its folder or its weights file).
    ///
    /// # Errors
    ///
    /// Fails if it cannot be read or is of another network; the error names the first difference.
    pub fn load_weights(&mut self, path: &Path) -> Result<()> {
        checkpoint::load(path, &mut self.parameters)
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

    /// Learns from examples once, in their order; `epoch` counts from 1. There is one batch in
    /// memory at a time.
    ///
    /// # Errors
    ///
    /// Fails if an example cannot be had or has another size, or if the loss is no number any more.
    pub fn epoch<E: From<Error>>(
        &mut self,
        phase: &Phase,
        epoch: usize,
        examples: &mut dyn Iterator<Item = std::result::Result<Example, E>>,
    ) -> std::result::Result<EpochLog, E> {
        let start = Instant::now();
        let mut flips = ChaCha8Rng::seed_from_u64(self.seed);
        flips.set_stream((self.phases << 32) | epoch as u64);
        let mut sums = Sums::default();
        let mut images = 0;
        for number in 0.. {
            let mut batch = Vec::with_capacity(phase.batch);
            for example in (&mut *examples).take(phase.batch) {
                let mut example = example?;
                batch::check(&example, images, self.config.image_size)?;
                images += 1;
                if phase.flips {
                    let mirrored = [flips.random(), flips.random()];
                    example.flip(self.config.image_size, mirrored);
                }
                batch.push(example);
            }
            if batch.is_empty() {
                break;
            }
            let rate = phase.learning_rate_at(epoch);
            // Within the pool, so that operators need not wake it.
            let loss = rayon::scope(|_| self.learn(phase, rate, &batch, &mut sums))?;
            if !loss.is_finite() {
                return Err(Error::Diverged { epoch, batch: number, loss }.into());
            }
        }
        Ok(sums.log(phase.learning_rate_at(epoch), start.elapsed().as_secs_f64()))
    }

    fn learn(
        &mut self,
        phase: &Phase,
        learning: f64,
        batch: &[Example],
        sums: &mut Sums,
    ) -> Result<f64> {
        let side = self.config.image_size;
        let x = batch::input(batch.iter().map(|example| example.image.as_slice()), side)?;
        let mut pass = Pass::training(&self.parameters, &self.trained);
        let found = self.network.forward(&mut pass, &x, phase.std)?;
        let masks: Vec<u8> =
            batch.iter().flat_map(|example| example.mask.iter().copied()).collect();
        let targets: Vec<Option<bool>> = batch.iter().map(|example| example.has_nodule).collect();
        let segmentation = {
            let logits = view(found.logits.tensor())?;
            for (logits, mask) in logits.chunks(side * side).zip(masks.chunks(side * side)) {
                sums.overlaps.extend(loss::overlap(logits, mask));
            }
            loss::segmentation(&logits, &masks, side * side)
        };
        let mut total = phase.segmentation_weight * segmentation.value;
        let of_segmentation = segmentation.value;
        let mut parts = vec![(found.logits, segmentation, phase.segmentation_weight)];
        let mut of_classification = None;
        if let Some(logit) = found.nodule_logit {
            let classification = loss::classification(&view(logit.tensor())?, &targets);
            total += phase.classification_weight * classification.value;
            of_classification = Some(classification.value);
            parts.push((logit, classification, phase.classification_weight));
        }
        sums.add(batch.len(), [total, of_segmentation], of_classification);
        if !total.is_finite() {
            return Ok(total);
        }
        let mut seeds = Vec::new();
        for (value, mut loss, weight) in parts {
            loss.gradient.iter_mut().for_each(|g| *g *= weight as f32);
            let gradient = tensor(loss.gradient, value.tensor().dims())?;
            seeds.push((value, gradient));
        }
        drop(x);
        let (tape, statistics) = pass.finish();
        let gradients = tape.backward(seeds)?;
        let rates = Rates { learning, decay: phase.weight_decay, decoupled: phase.decoupled_decay };
        self.adam.step(&self.parameters, &gradients, rates)?;
        self.follow(&statistics)?;
        Ok(total)
    }

    /// Moves running statistics towards a batch's.
    fn follow(&mut self, statistics: &[(BatchNorm, Rc<RefCell<Statistics>>)]) -> Result<()> {
        for (norm, found) in statistics {
            for (index, values) in norm.follow(&self.parameters, &found.borrow())? {
                let shape = self.parameters.specs[index].shape.as_slice();
                self.parameters.tensors[index] = tensor(values, shape)?;
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
        let side = self.config.image_size;
        let mut sums = Sums::default();
        loop {
            let batch: Vec<Example> =
                (&mut *examples).take(EVALUATION_BATCH).collect::<std::result::Result<_, E>>()?;
            if batch.is_empty() {
                return Ok(sums.mean_overlap(0));
            }
            rayon::scope(|_| self.evaluate_batch(std, side, &batch, &mut sums))?;
        }
    }

    fn evaluate_batch(
        &self,
        std: bool,
        side: usize,
        batch: &[Example],
        sums: &mut Sums,
    ) -> Result<()> {
        for (index, example) in batch.iter().enumerate() {
            batch::check(example, index, side)?;
        }
        let x = batch::input(batch.iter().map(|example| example.image.as_slice()), side)?;
        let found = self.network.forward(&mut Pass::evaluation(&self.parameters), &x, std)?;
        let logits = view(found.logits.tensor())?;
        for (logits, example) in logits.chunks(side * side).zip(batch) {
            sums.overlaps.extend(loss::overlap(logits, &example.mask));
        }
        Ok(())
    }

    /// Writes `state.safetensors` and `state.json`, all that the next epoch depends on, into a
    /// folder.
    ///
    /// # Errors
    ///
    /// Fails if the files cannot be written.
    pub fn save_state(&self, folder: &Path) -> Result<()> {
        let mut arrays = Vec::new();
        let parameters = self.parameters.specs.iter().zip(&self.parameters.tensors);
        for ((spec, tensor), moments) in parameters.zip(&self.adam.moments) {
            arrays.push((spec.name.clone(), spec.shape.clone(), view(tensor)?.to_vec()));
            if moments.steps > 0 {
                let shape = || spec.shape.clone();
                arrays.push((format!("adam.first.{}", spec.name), shape(), moments.first.clone()));
                arrays.push((
                    format!("adam.second.{}", spec.name),
                    shape(),
                    moments.second.clone(),
                ));
            }
        }
        checkpoint::write(&folder.join(STATE), arrays)?;
        let steps = self.adam.moments.iter().map(|moments| moments.steps).collect();
        let (config, seed, phases) = (self.config.clone(), self.seed, self.phases);
        let state = State { config, seed, phases, steps };
        checkpoint::write_json(&folder.join(STATE).with_extension("json"), &state)
    }

    /// Takes up a state: training goes on as if it had not stopped, bit for bit.
    ///
    /// # Errors
    ///
    /// Fails if the files cannot be read, or if they are of another network or seed.
    pub fn load_state(&mut self, folder: &Path) -> Result<()> {
        let path = folder.join(STATE);
        let state: State = checkpoint::read_json(&path.with_extension("json"))?;
        let wrong = |problem: String| Error::Checkpoint { path: path.clone(), problem };
        if state.config != self.config || state.seed != self.seed {
            return Err(wrong(format!(
                "state of seed {} and {:?}, expected seed {} and {:?}",
                state.seed, state.config, self.seed, self.config
            )));
        }
        let mut arrays = checkpoint::read(&path)?;
        let mut take = |name: String, shape: &[usize]| match arrays.remove(&name) {
            Some((found, values)) if found == shape => Ok(values),
            Some((found, _)) => {
                Err(wrong(format!("tensor `{name}` is {found:?}, expected {shape:?}")))
            }
            None => Err(wrong(format!("tensor `{name}` is missing"))),
        };
        let specs = &self.parameters.specs;
        if state.steps.len() != specs.len() {
            let (found, expected) = (state.steps.len(), specs.len());
            return Err(wrong(format!("steps of {found} parameters, expected {expected}")));
        }
        let mut tensors = Vec::new();
        let mut moments = Vec::new();
        for (spec, steps) in specs.iter().zip(state.steps) {
            let shape = spec.shape.as_slice();
            tensors.push(tensor(take(spec.name.clone(), shape)?, shape)?);
            moments.push(if steps == 0 {
                Moments::default()
            } else {
                let first = take(format!("adam.first.{}", spec.name), shape)?;
                let second = take(format!("adam.second.{}", spec.name), shape)?;
                Moments { first, second, steps }
            });
        }
        self.parameters.tensors = tensors;
        self.adam.moments = moments;
        self.phases = state.phases;
        Ok(())
    }

    /// Writes `model.safetensors` and `model.json`, for inference and for training further, into a
    /// folder; `metadata` is what there is to say of the weights' origin.
    ///
    /// # Errors
    ///
    /// Fails if the files cannot be written.
    pub fn save_checkpoint(&self, folder: &Path, metadata: &serde_json::Value) -> Result<()> {
        let (config, metadata) = (self.config.clone(), metadata.clone());
        let description = Description { config, std: self.std, metadata };
        checkpoint::save(folder, &self.parameters, &description)
    }
}

impl Drop for Trainer {
    fn drop(&mut self) {
        buffer::clear();
    }
}

/// What an epoch adds up.
#[derive(Default)]
struct Sums {
    examples: usize,
    /// Total, segmentation.
    losses: [f64; 2],
    loss_classification: Option<f64>,
    overlaps: Vec<[f64; 2]>,
}

impl Sums {
    fn add(&mut self, examples: usize, losses: [f64; 2], classification: Option<f64>) {
        self.examples += examples;
        for (sum, loss) in self.losses.iter_mut().zip(losses) {
            *sum += loss * examples as f64;
        }
        if let Some(loss) = classification {
            *self.loss_classification.get_or_insert(0.0) += loss * examples as f64;
        }
    }

    fn mean_overlap(&self, which: usize) -> Option<f64> {
        let sum: f64 = self.overlaps.iter().map(|overlap| overlap[which]).sum();
        (!self.overlaps.is_empty()).then(|| sum / self.overlaps.len() as f64)
    }

    fn log(&self, learning_rate: f64, seconds: f64) -> EpochLog {
        let mean = |sum: f64| sum / self.examples.max(1) as f64;
        let [loss, loss_segmentation] = self.losses.map(mean);
        EpochLog {
            learning_rate,
            loss,
            loss_segmentation,
            loss_classification: self.loss_classification.map(mean),
            dice: self.mean_overlap(0),
            iou: self.mean_overlap(1),
            n_samples: self.examples,
            seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::config::{Mode, Preset};
    use crate::model::infer::Predictor;

    type Examples = Vec<std::result::Result<Example, Error>>;

    /// Bright discs, one in three images without, on noise.
    fn discs(n: usize, side: usize, seed: u64) -> Vec<Example> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut disc = |i: usize| {
            let has_nodule = !i.is_multiple_of(3);
            let mut at = || rng.random_range(0.3..0.7f32) * side as f32;
            let (ci, cj) = (at(), at());
            let radius = rng.random_range(0.08..0.2f32) * side as f32;
            let inside = |p: usize| {
                let (di, dj) = ((p % side) as f32 - ci, (p / side) as f32 - cj);
                has_nodule && di * di + dj * dj <= radius * radius
            };
            let mask: Vec<u8> = (0..side * side).map(|p| u8::from(inside(p))).collect();
            let noise = |m: &u8| 0.3 * f32::from(*m) + rng.random_range(0.0..0.5f32);
            let image = mask.iter().map(noise).collect();
            Example { image, mask, has_nodule: Some(has_nodule) }
        };
        (0..n).map(&mut disc).collect()
    }

    fn config() -> Config {
        Config { image_size: 32, width: 4, classifier_width: 4, ..Config::preset(Preset::Tiny) }
    }

    fn stream(examples: &[Example]) -> std::vec::IntoIter<std::result::Result<Example, Error>> {
        examples.iter().cloned().map(Ok).collect::<Examples>().into_iter()
    }

    fn bits(trainer: &Trainer) -> Vec<u32> {
        let tensors = trainer.parameters.tensors.iter();
        tensors
            .flat_map(|t| view(t).unwrap().iter().map(|v| v.to_bits()).collect::<Vec<_>>())
            .collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_weights_stopped_or_not() {
        let examples = discs(7, 32, 1);
        let phases = [
            Phase { batch: 3, std: false, ..Phase::default() },
            Phase { batch: 3, freeze: vec!["C1".to_owned()], ..Phase::default() },
        ];
        let folder = tempfile::tempdir().unwrap();
        let run = |seed: u64, stops: bool, threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut trainer = Trainer::new(&config(), seed, &Device::Cpu).unwrap();
            for phase in &phases {
                let mut resumed = false;
                for epoch in 1..=2 {
                    if stops {
                        trainer.save_state(folder.path()).unwrap();
                        trainer = Trainer::new(&config(), seed, &Device::Cpu).unwrap();
                        trainer.load_state(folder.path()).unwrap();
                    }
                    if epoch == 1 || stops {
                        trainer.begin_phase(phase, resumed).unwrap();
                        resumed = true;
                    }
                    pool.install(|| trainer.epoch(phase, epoch, &mut stream(&examples))).unwrap();
                }
            }
            bits(&trainer)
        };
        let expected = run(5, false, 2);
        assert!(expected == run(5, false, 1), "another number of threads");
        assert!(expected == run(5, true, 2), "stopped and resumed");
        assert!(expected != run(6, false, 2), "another seed");
    }

    #[test]
    fn what_is_frozen_stays() {
        let mut trainer = Trainer::new(&config(), 1, &Device::Cpu).unwrap();
        let tensors = trainer.parameters.tensors.iter();
        let before: Vec<Vec<f32>> = tensors.map(|t| view(t).unwrap().to_vec()).collect();
        let freeze = vec!["C2".to_owned(), "segmenter.s9.aspp.*".to_owned()];
        let phase = Phase { batch: 2, freeze, ..Phase::default() };
        trainer.begin_phase(&phase, false).unwrap();
        trainer.epoch(&phase, 1, &mut stream(&discs(4, 32, 2))).unwrap();
        let parameters = trainer.parameters.specs.iter().zip(&trainer.parameters.tensors);
        for ((spec, tensor), before) in parameters.zip(before) {
            let frozen = spec.name.contains("classifier.layer1.") || spec.name.contains("s9.aspp.");
            let changed = view(tensor).unwrap().to_vec() != before;
            assert_eq!(changed, !frozen, "{}", spec.name);
        }
    }

    #[test]
    fn discs_are_learnt_and_predicted() {
        let config = Config { image_size: 64, ..Config::preset(Preset::Tiny) };
        let (examples, others) = (discs(60, 64, 3), discs(16, 64, 4));
        let mut trainer = Trainer::new(&config, 7, &Device::Cpu).unwrap();
        let schedule = |epochs, std| Phase { epochs, std, ..Phase::default() };
        for phase in [schedule(6, false), schedule(3, true)] {
            trainer.begin_phase(&phase, false).unwrap();
            for epoch in 1..=phase.epochs {
                let log = trainer.epoch(&phase, epoch, &mut stream(&examples)).unwrap();
                assert_eq!(log.n_samples, 60);
            }
        }
        let dice = trainer.evaluate(true, &mut stream(&others)).unwrap().unwrap();
        assert!(dice > 0.8, "{dice}");
        let folder = tempfile::tempdir().unwrap();
        trainer.save_checkpoint(folder.path(), &serde_json::json!({"run": 1})).unwrap();
        let predictor = Predictor::load(folder.path(), &Device::Cpu).unwrap();
        assert_eq!((predictor.image_size(), &predictor.metadata()["run"]), (64, &1.into()));
        let images: Vec<Vec<f32>> = others.iter().map(|example| example.image.clone()).collect();
        let predictions = predictor.predict(&images).unwrap();
        let overlaps: Vec<f64> = predictions
            .iter()
            .zip(&others)
            .filter_map(|(prediction, example)| {
                let logits: Vec<f32> = prediction.probability.iter().map(|p| p - 0.5).collect();
                loss::overlap(&logits, &example.mask).map(|[dice, _]| dice)
            })
            .collect();
        let mean = overlaps.iter().sum::<f64>() / overlaps.len() as f64;
        assert!((mean - dice).abs() < 1e-9, "{mean} {dice}");
        assert!(predictor.predict(&[]).unwrap().is_empty());
        let error = predictor.predict(&[vec![0.0; 5]]).unwrap_err().to_string();
        assert_eq!(error, "example 0: image has 5 pixels, expected 4096");
    }

    #[test]
    fn an_epoch_without_examples_is_logged_as_such() {
        let config = Config { mode: Mode::None, ..config() };
        let mut trainer = Trainer::new(&config, 1, &Device::Cpu).unwrap();
        let log = trainer.epoch(&Phase::default(), 1, &mut stream(&[])).unwrap();
        assert_eq!((log.n_samples, log.dice, log.loss), (0, None, 0.0));
        assert_eq!(trainer.evaluate(true, &mut stream(&[])).unwrap(), None);
    }
}
