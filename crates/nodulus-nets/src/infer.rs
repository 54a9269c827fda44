//! Inference with a trained network.

use super::backend::{Backend, Execution};
use super::batch;
use super::calibration::Calibration;
use super::checkpoint::{self, CheckpointDescription};
use super::config::Config;
use super::contract::Contract;
use super::device::Device;
use super::error::Result;
use super::layers::{FoldedNetwork, Pass};
use super::network::Network;
use super::ops::sigmoid::sigmoids;
use super::parameters::Parameters;
use super::tensors::values;
use std::path::Path;

/// A network's prediction for an image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prediction {
    /// Nodule probability of each pixel, in the image's order.
    pub probability: Vec<f32>,
    /// Probability that the image shows a nodule; `None` where the network has no classifier.
    pub nodule_probability: Option<f32>,
    /// Of a mean, each network's probability of each pixel for each mirror image, in no particular order; empty where one
    /// network predicted the image alone.
    pub members: Vec<Vec<f32>>,
}

impl Prediction {
    /// Averages several predictions of each image.
    ///
    /// METHOD: the mean of probabilities, of pixels and of the image, each calibrated as its network's.
    pub(super) fn means(predictions: impl Iterator<Item = Result<Vec<Self>>>) -> Result<Vec<Self>> {
        let mut sums: Vec<Self> = Vec::new();
        let mut n = 0.0;
        for predictions in predictions {
            n += 1.0;
            let predictions = predictions?;
            if sums.is_empty() {
                sums = predictions;
                continue;
            }
            for (sum, other) in sums.iter_mut().zip(predictions) {
                if sum.members.is_empty() {
                    sum.members.push(sum.probability.clone());
                }
                let pixels = sum.probability.iter_mut().zip(&other.probability);
                pixels.for_each(|(sum, p)| *sum += p);
                if other.members.is_empty() {
                    sum.members.push(other.probability);
                } else {
                    sum.members.extend(other.members);
                }
                let of_both = sum.nodule_probability.zip(other.nodule_probability);
                sum.nodule_probability = of_both.map(|(sum, p)| sum + p);
            }
        }
        for sum in &mut sums {
            sum.probability.iter_mut().for_each(|p| *p /= n);
            sum.nodule_probability = sum.nodule_probability.map(|p| p / n);
        }
        Ok(sums)
    }
}

/// A trained network.
pub struct Predictor {
    network: Network,
    parameters: Parameters,
    folded: FoldedNetwork,
    description: CheckpointDescription,
}

impl Predictor {
    /// Reads a checkpoint: its folder, or its `.safetensors` file with the `.json` file of the same
    /// name beside it.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be read, or if the weights are not those of the network that the JSON
    /// file describes; the error names the first difference.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        Self::load_on(path, &device.backend())
    }

    /// See [`Self::load`].
    pub(super) fn load_on(path: &Path, backend: &Backend) -> Result<Self> {
        let description = checkpoint::describe(path)?;
        let (network, specs) = Network::new(&description.config)?;
        let mut parameters = Parameters::unset(specs)?;
        checkpoint::load(path, &description, &mut parameters)?;
        parameters.move_to(backend)?;
        let folded = FoldedNetwork::new(parameters.specs.len());
        let mut predictor = Self { network, parameters, folded, description };
        predictor.prepare()?;
        Ok(predictor)
    }

    /// Prepares the convolutions and drops the weights that they were made from.
    fn prepare(&mut self) -> Result<()> {
        self.predict(&[vec![0.0; self.config().image_shape().n_values()]])?;
        for index in self.folded.spent() {
            self.parameters.unset_one(index)?;
        }
        Ok(())
    }

    /// The network's configuration.
    pub fn config(&self) -> &Config {
        &self.description.config
    }

    /// Rows and columns of an image.
    pub fn image_size(&self) -> usize {
        self.description.config.image_size
    }

    /// Slices of an image: the one that is segmented, with its neighbours.
    pub fn input_slices(&self) -> usize {
        self.description.config.input_slices
    }

    /// Origin of the weights, as the checkpoint's writer described it.
    pub fn metadata(&self) -> &serde_json::Value {
        &self.description.metadata
    }

    /// What the weights were trained on; `None` where their description does not say.
    pub fn contract(&self) -> Option<&Contract> {
        self.description.contract.as_ref()
    }

    /// Images per batch that fit into `bytes` of memory beside the weights: at least 1, and no more
    /// than speed gains from.
    // METHOD: prepared weights take up to 4 times their size. Composed operators keep no buffers:
    // beside the memory of the last unit, they need the bordered input, a product and two sums.
    pub fn batch_within(&self, bytes: u64) -> usize {
        const MOST: u64 = 32;
        let copies = match self.parameters.backend.execution {
            Execution::Host => 1,
            Execution::Composed(_) => 3,
        };
        let weights = 4 * self.parameters.n_values();
        let rest = bytes.saturating_sub(4 * weights as u64);
        let image = copies * self.config().image_bytes();
        (rest / image.max(1)).clamp(1, MOST) as usize
    }

    /// Predicts images and their mirror images along i, along j and along both, mirrors the
    /// predictions back, and averages the four.
    ///
    /// # Errors
    ///
    /// As [`Self::predict`].
    pub fn predict_flipped(&self, images: &[Vec<f32>]) -> Result<Vec<Prediction>> {
        let side = self.image_size();
        let mirrors = [[false, false], [true, false], [false, true], [true, true]];
        Prediction::means(mirrors.into_iter().map(|mirrored| {
            let mut flipped = images.to_vec();
            for image in &mut flipped {
                batch::flip(image, side, mirrored);
            }
            let mut found = self.predict(&flipped)?;
            for prediction in &mut found {
                batch::flip(&mut prediction.probability, side, mirrored);
            }
            Ok(found)
        }))
    }

    /// Predicts a batch of images, in 0..1, i fastest, k slowest; no predictions for no images. Where the network takes
    /// several slices, those of [`input_slices`](crate::input_slices) are an image.
    ///
    /// # Errors
    ///
    /// Fails if an image does not have [`Self::image_size`] and [`Self::input_slices`].
    pub fn predict(&self, images: &[Vec<f32>]) -> Result<Vec<Prediction>> {
        if images.is_empty() {
            return Ok(Vec::new());
        }
        self.parameters.backend.execution.run(|| self.predict_batch(images))
    }

    fn predict_batch(&self, images: &[Vec<f32>]) -> Result<Vec<Prediction>> {
        let side = self.image_size();
        let backend = &self.parameters.backend;
        let shape = self.config().image_shape();
        let x = batch::input(images.iter().map(Vec::as_slice), shape, backend)?;
        let mut pass = match backend.execution {
            Execution::Host => Pass::folded(&self.parameters, &self.folded),
            Execution::Composed(_) => Pass::evaluation(&self.parameters),
        };
        let found = self.network.forward(&mut pass, &x, self.description.std)?;
        let Calibration { pixels, images: of_images } =
            self.description.calibration.clone().unwrap_or_default();
        let mut logits = values(found.logits.tensor())?;
        if let Some(curve) = pixels {
            for logit in &mut logits {
                *logit = curve.at(*logit);
            }
        }
        let of_pixels = sigmoids(&logits);
        let nodule_probabilities = match &found.nodule_logit {
            Some(logit) => {
                let mut logits = values(logit.tensor())?;
                for logit in &mut logits {
                    *logit *= (1.0 / of_images) as f32;
                }
                sigmoids(&logits).into_iter().map(Some).collect()
            }
            None => vec![None; images.len()],
        };
        let predictions = of_pixels.chunks(side * side).zip(nodule_probabilities);
        let prediction = |(probability, nodule_probability): (&[f32], Option<f32>)| Prediction {
            probability: probability.to_vec(),
            nodule_probability,
            members: Vec::new(),
        };
        Ok(predictions.map(prediction).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::LogitCurve;
    use crate::checkpoint::WEIGHTS_FILE;
    use crate::config::{Architecture, DynamicsMode, Preset};
    use crate::network::NetworkOutput;
    use crate::reference;
    use crate::tensors::view;
    use crate::{Phase, Trainer, TrainingSample};

    fn predictor(config: &Config, seed: u64, std: bool) -> Predictor {
        let (network, specs) = Network::new(config).unwrap();
        let parameters = reference::parameters(specs, seed);
        let folded = FoldedNetwork::new(parameters.specs.len());
        let description = CheckpointDescription::plain(config.clone(), std);
        Predictor { network, parameters, folded, description }
    }

    fn images(n: usize, side: usize) -> Vec<Vec<f32>> {
        let pixel = |i: usize, p: usize| ((p * 37 + i * 11 + p / side * 5) % 101) as f32 / 100.0;
        (0..n).map(|i| (0..side * side).map(|p| pixel(i, p)).collect()).collect()
    }

    /// Images of the network's slices, which all differ.
    fn images_of(n: usize, config: &Config) -> Vec<Vec<f32>> {
        let slices = images(n * config.input_slices, config.image_size);
        slices.chunks(config.input_slices).map(<[Vec<f32>]>::concat).collect()
    }

    /// Difference between the folded and the unfolded network.
    #[derive(Debug)]
    struct Difference {
        /// Largest difference of logits, relative to the largest logit.
        logits: f32,
        /// Largest difference of probabilities, of pixels and images.
        probabilities: f32,
    }

    fn difference(predictor: &Predictor, images: &[Vec<f32>]) -> Difference {
        let shape = predictor.config().image_shape();
        let x = batch::input(images.iter().map(Vec::as_slice), shape, &Backend::host()).unwrap();
        let [unfolded, folded] = [
            Pass::evaluation(&predictor.parameters),
            Pass::folded(&predictor.parameters, &predictor.folded),
        ]
        .map(|mut pass| {
            let found = predictor.network.forward(&mut pass, &x, predictor.description.std);
            let NetworkOutput { logits, nodule_logit } = found.unwrap();
            let nodule_probabilities =
                nodule_logit.map(|logit| view(logit.tensor()).unwrap().to_vec());
            (view(logits.tensor()).unwrap().to_vec(), nodule_probabilities.unwrap_or_default())
        });
        let largest = |a: &[f32], b: &[f32]| {
            assert_eq!(a.len(), b.len());
            a.iter().zip(b).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()))
        };
        let probabilities = largest(&sigmoids(&unfolded.0), &sigmoids(&folded.0));
        let nodule_probabilities = largest(&sigmoids(&unfolded.1), &sigmoids(&folded.1));
        let scale = largest(&unfolded.0, &vec![0.0; unfolded.0.len()]);
        let logits = largest(&unfolded.0, &folded.0) / scale;
        Difference { logits, probabilities: probabilities.max(nodule_probabilities) }
    }

    #[test]
    fn the_folded_network_is_the_unfolded_one() {
        let tiny = Config { image_size: 64, ..Config::preset(Preset::Tiny) };
        let wide = Config { width: 32, classifier_width: 32, ..tiny.clone() };
        let mut cases = Vec::new();
        for mode in [DynamicsMode::None, DynamicsMode::Std, DynamicsMode::StdPrior] {
            for combination in [true, false] {
                cases.push((Config { mode, combination, ..tiny.clone() }, 3));
            }
        }
        cases.push((Config { image_size: 96, ..tiny.clone() }, 1));
        cases.push((Config { dilations: vec![1], ..tiny }, 2));
        cases.push((wide, 2));
        for architecture in Architecture::ALL {
            let config = Config::of(architecture, Preset::Tiny);
            cases.push((Config { image_size: 64, input_slices: 5, ..config.clone() }, 2));
            cases.push((config, 2));
        }
        for (seed, (config, n)) in cases.into_iter().enumerate() {
            for std in [false, true] {
                let predictor = predictor(&config, seed as u64, std);
                let images = images_of(n, &config);
                // With such norms, logits are large: the error is relative to the largest.
                let found = difference(&predictor, &images);
                assert!(found.logits <= 1e-5, "{config:?}, std {std}: {found:?}");
                // The prediction of an image does not depend on the rest of the batch.
                let alone = predictor.predict(&images[..1]).unwrap();
                assert_eq!(alone[0], predictor.predict(&images).unwrap()[0]);
            }
        }
    }

    #[test]
    fn a_trained_network_gives_the_same_probabilities_folded() {
        for architecture in Architecture::ALL {
            let config = Config { image_size: 64, ..Config::of(architecture, Preset::Tiny) };
            let side = config.image_size;
            let images = images(4, side);
            let mask = (0..side * side).map(|p| u8::from(p % side > 25 && p / side > 40));
            let mask: Vec<u8> = mask.collect();
            let example = |image: &Vec<f32>| {
                let (id, image, mask) = (String::new(), image.clone(), mask.clone());
                TrainingSample { id, image, mask, soft: Vec::new(), has_nodule: Some(true) }
            };
            let examples: Vec<TrainingSample> = images.iter().map(example).collect();
            let mut trainer = Trainer::new(&config, 1, &Device::Cpu).unwrap();
            let phase = Phase { batch: 4, ..Phase::default() };
            trainer.begin_phase(&phase, false).unwrap();
            // Long enough for the running statistics to match the features.
            for epoch in 1..=24 {
                trainer.epoch(&phase, epoch, &examples);
            }
            let folder = tempfile::tempdir().unwrap();
            trainer.save_checkpoint(&folder.path().join(WEIGHTS_FILE), &().into()).unwrap();
            let loaded = Predictor::load(folder.path(), &Device::Cpu).unwrap();
            let mut predictor = predictor(&config, 1, loaded.description.std);
            checkpoint::load(folder.path(), &predictor.description, &mut predictor.parameters)
                .unwrap();
            // Dropped weights are not needed.
            let before = predictor.predict(&images).unwrap();
            assert_eq!(loaded.predict(&images).unwrap(), before);
            let found = difference(&predictor, &images);
            // Rounding, which depends on the width of the processor's vectors: at most 1e-5 with
            // AVX-512, 1.3e-5 with AVX2. Without Winograd, the proposed network differs as much.
            let most = 2e-5;
            assert!(found.logits <= most, "{architecture:?}: {found:?}");
            assert!(found.probabilities <= most, "{architecture:?}: {found:?}");
        }
    }

    #[test]
    fn mirror_images_are_turned_back_before_they_are_averaged() {
        let tiny = Config::preset(Preset::Tiny);
        for input_slices in [1, 3] {
            mirrored(&Config { image_size: 32, input_slices, ..tiny.clone() });
        }
    }

    fn mirrored(config: &Config) {
        let predictor = predictor(config, 3, true);
        let images = images_of(2, config);
        let found = predictor.predict_flipped(&images).unwrap();
        let plain = predictor.predict(&images).unwrap();
        assert!(found[0].probability != plain[0].probability);
        // Predicting mirrored images and mirroring back gives the same mean.
        for mirrored in [[true, false], [false, true], [true, true]] {
            let mut flipped = images.clone();
            for image in &mut flipped {
                batch::flip(image, 32, mirrored);
            }
            for (mut other, found) in
                predictor.predict_flipped(&flipped).unwrap().into_iter().zip(&found)
            {
                batch::flip(&mut other.probability, 32, mirrored);
                let pairs = other.probability.iter().zip(&found.probability);
                assert!(pairs.fold(0.0f32, |m, (a, b)| m.max((a - b).abs())) < 1e-6);
                let nodule_probability = |p: &Prediction| p.nodule_probability.unwrap();
                assert!((nodule_probability(&other) - nodule_probability(found)).abs() < 1e-6);
            }
        }
        // Computed by hand at one pixel: row 3, column 5.
        let pixel = |mirrored: [bool; 2]| {
            let mut image = images[1].clone();
            batch::flip(&mut image, 32, mirrored);
            let i = if mirrored[0] { 31 - 5 } else { 5 };
            let j = if mirrored[1] { 31 - 3 } else { 3 };
            predictor.predict(&[image]).unwrap()[0].probability[j * 32 + i]
        };
        let mean = [[false, false], [true, false], [false, true], [true, true]].map(pixel);
        let mean = mean.iter().sum::<f32>() / 4.0;
        assert!((found[1].probability[3 * 32 + 5] - mean).abs() < 1e-6);
    }

    #[test]
    fn probabilities_are_those_of_calibrated_logits() {
        let config = Config { image_size: 32, ..Config::preset(Preset::Tiny) };
        let images = images(2, 32);
        let predict = |calibration: Option<Calibration>| {
            let mut predictor = predictor(&config, 3, true);
            predictor.description.calibration = calibration;
            predictor.predict(&images).unwrap()
        };
        let curve = |below: f64, above: f64| {
            let calibrated = vec![-below, 0.0, above];
            let pixels = LogitCurve { logits: vec![-1.0, 0.0, 1.0], calibrated };
            predict(Some(Calibration { pixels: Some(pixels), images: 1.0 }))
        };
        let (plain, even, bent) = (predict(None), curve(0.01, 0.01), curve(0.02, 0.005));
        let warm = predict(Some(Calibration { pixels: None, images: 1000.0 }));
        let mut checked = [0, 0];
        for n in 0..images.len() {
            for (p, (even, bent)) in
                even[n].probability.iter().zip(&bent[n].probability).enumerate()
            {
                let before = plain[n].probability[p];
                assert!((before - 0.5) * (bent - 0.5) >= 0.0, "{before} {bent}");
                let [even, bent] =
                    [even, bent].map(|p| f64::from(*p)).map(|p| (p / (1.0 - p)).ln());
                let expected = if even < 0.0 { 2.0 * even } else { 0.5 * even };
                if even.abs() < 4.0 {
                    checked[usize::from(even > 0.0)] += 1;
                    assert!((bent - expected).abs() < 1e-2, "{even}: {bent}, expected {expected}");
                }
            }
            // Pixels and images have each their own.
            assert_eq!(bent[n].nodule_probability, plain[n].nodule_probability);
            assert_eq!(warm[n].probability, plain[n].probability);
            let [before, after] = [&plain, &warm].map(|of| of[n].nodule_probability.unwrap() - 0.5);
            assert!(before * after > 0.0 && after.abs() < before.abs(), "{before} {after}");
        }
        assert!(checked.iter().all(|n| *n > 0), "{checked:?}");
    }

    #[test]
    fn memory_decides_how_many_images_go_together() {
        let predictor = predictor(&Config::preset(Preset::Tiny), 1, true);
        let one = predictor.config().image_bytes();
        assert_eq!(predictor.batch_within(0), 1);
        assert_eq!(predictor.batch_within(u64::MAX), 32);
        let weights = predictor.parameters.n_values();
        assert_eq!(predictor.batch_within(16 * weights as u64 + 5 * one), 5);
    }
}
