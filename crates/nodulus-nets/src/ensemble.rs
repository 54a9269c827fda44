//! Several networks that predict together.

use super::config::Config;
use super::contract::Contract;
use super::device::Device;
use super::error::{Error, Result};
use super::infer::{Prediction, Predictor};
use std::path::PathBuf;

/// One trained network, or several of the same architecture, image size and number of slices, such as those of a
/// cross-validation's folds.
pub struct Ensemble {
    first: Predictor,
    others: Vec<Predictor>,
}

impl Ensemble {
    /// Reads checkpoints, as [`Predictor::load`] does.
    ///
    /// # Errors
    ///
    /// Fails if `paths` is empty, a checkpoint cannot be read, or architectures, image sizes or numbers of slices differ.
    pub fn load(paths: &[PathBuf], device: &Device) -> Result<Self> {
        let (first_path, paths) = paths
            .split_first()
            .ok_or_else(|| Error::Config("no weights to predict with".to_owned()))?;
        let first = Predictor::load(first_path, device)?;
        let mut others = Vec::new();
        for path in paths {
            let other = Predictor::load(path, device)?;
            let kind = |p: &Predictor| (p.config().architecture.name(), p.image_size());
            if kind(&other) != kind(&first) {
                let ((found, n), (expected, m)) = (kind(&other), kind(&first));
                let problem = format!(
                    "network `{found}` of {n} × {n} pixels, expected `{expected}` of {m} × {m} as the first's"
                );
                return Err(Error::Checkpoint { path: path.clone(), problem });
            }
            if other.input_slices() != first.input_slices() {
                let problem = format!(
                    "a network of {} input slices, expected {} as the first's",
                    other.input_slices(),
                    first.input_slices()
                );
                return Err(Error::Checkpoint { path: path.clone(), problem });
            }
            others.push(other);
        }
        Ok(Self { first, others })
    }

    /// The first network's configuration.
    pub fn config(&self) -> &Config {
        self.first.config()
    }

    /// Rows and columns of an image.
    pub fn image_size(&self) -> usize {
        self.first.image_size()
    }

    /// Slices of an image: the one that is segmented, with its neighbours.
    pub fn input_slices(&self) -> usize {
        self.first.input_slices()
    }

    /// Origin of the weights, as each checkpoint's writer described it.
    pub fn metadata(&self) -> impl Iterator<Item = &serde_json::Value> {
        self.networks().map(Predictor::metadata)
    }

    /// What each network's weights were trained on; `None` where their description does not say.
    pub fn contracts(&self) -> impl Iterator<Item = Option<&Contract>> {
        self.networks().map(Predictor::contract)
    }

    /// Images per batch that fit into `bytes` of memory, as in [`Predictor::batch_within`].
    pub fn batch_within(&self, bytes: u64) -> usize {
        self.first.batch_within(bytes / (1 + self.others.len()) as u64)
    }

    /// Predicts a batch of images, in 0..1, as [`Predictor::predict`] does; no predictions for no images. With `flips`,
    /// each network also predicts the mirrored images. The networks' probabilities are averaged.
    ///
    /// # Errors
    ///
    /// Fails if an image does not have [`Self::image_size`] and [`Self::input_slices`].
    pub fn predict(&self, images: &[Vec<f32>], flips: bool) -> Result<Vec<Prediction>> {
        Prediction::means(self.networks().map(|network| {
            if flips { network.predict_flipped(images) } else { network.predict(images) }
        }))
    }

    fn networks(&self) -> impl Iterator<Item = &Predictor> {
        [&self.first].into_iter().chain(&self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Architecture, Preset};
    use crate::train::Trainer;

    #[test]
    fn probabilities_are_the_means_of_the_networks() {
        let folder = tempfile::tempdir().unwrap();
        let of_slices = |name: &str, seed: u64, architecture: Architecture, input_slices| {
            let tiny = Config::of(architecture, Preset::Tiny);
            let config = Config { image_size: 32, input_slices, ..tiny };
            let path = folder.path().join(name);
            let trainer = Trainer::new(&config, seed, &Device::Cpu).unwrap();
            trainer.save_checkpoint(&path, &().into()).unwrap();
            path
        };
        let written = |name: &str, seed, architecture| of_slices(name, seed, architecture, 1);
        let paths =
            [1, 2, 3].map(|n| written(&format!("{n}.safetensors"), n, Architecture::Proposed));
        let images = vec![vec![0.25f32; 1024], (0..1024).map(|p| p as f32 / 1024.0).collect()];
        let ensemble = Ensemble::load(&paths, &Device::Cpu).unwrap();
        let found = ensemble.predict(&images, false).unwrap();
        let single = paths.map(|path| Predictor::load(&path, &Device::Cpu).unwrap());
        let single = single.map(|predictor| predictor.predict(&images).unwrap());
        for (n, found) in found.iter().enumerate() {
            for (p, pixel) in found.probability.iter().enumerate() {
                let mean = single.iter().map(|s| s[n].probability[p]).sum::<f32>() / 3.0;
                assert!((pixel - mean).abs() < 1e-6);
            }
            for (member, single) in found.members.iter().zip(&single) {
                assert_eq!(member, &single[n].probability);
            }
            assert_eq!((found.members.len(), single[0][n].members.len()), (3, 0));
            let mean = single.iter().map(|s| s[n].nodule_probability.unwrap()).sum::<f32>() / 3.0;
            assert!((found.nodule_probability.unwrap() - mean).abs() < 1e-6);
        }
        assert!(single[0][1] != single[1][1]);
        let mirrored = ensemble.predict(&images, true).unwrap();
        assert_eq!(mirrored[0].members.len(), 12);

        let other = written("unet.safetensors", 1, Architecture::UNet);
        let first = folder.path().join("1.safetensors");
        let error = Ensemble::load(&[first, other], &Device::Cpu).err().unwrap().to_string();
        assert!(error.contains("network `unet` of 32 × 32 pixels, expected `proposed`"), "{error}");
        let other = of_slices("slices.safetensors", 1, Architecture::Proposed, 3);
        let first = folder.path().join("1.safetensors");
        let error = Ensemble::load(&[first, other], &Device::Cpu).err().unwrap().to_string();
        assert!(
            error.ends_with("a network of 3 input slices, expected 1 as the first's"),
            "{error}"
        );
        assert!(Ensemble::load(&[], &Device::Cpu).is_err());
    }
}
