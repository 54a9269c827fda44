//! Inference.

use super::batch;
use super::checkpoint::{self, Description};
use super::config::Config;
use super::device::Device;
use super::error::Result;
use super::layers::{Folded, Pass};
use super::ops::sigmoid::sigmoids;
use super::ops::view;
use super::parameters::Parameters;
use super::proposed::Proposed;
use std::path::Path;

/// What a network says of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Probability of nodule of each pixel, in the image's order.
    pub probability: Vec<f32>,
    /// Probability that there is a nodule.
    pub nodule_probability: f32,
}

/// A trained network.
pub struct Predictor {
    network: Proposed,
    parameters: Parameters,
    folded: Folded,
    description: Description,
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
        // Operators run where their tensors are, and there is one device yet.
        let Device::Cpu = device;
        let description = checkpoint::describe(path)?;
        let (network, specs) = Proposed::new(&description.config)?;
        let mut parameters = Parameters::draw(specs, 0)?;
        checkpoint::load(path, &mut parameters)?;
        let folded = Folded::new(parameters.specs.len());
        Ok(Self { network, parameters, folded, description })
    }

    /// The network's configuration.
    pub fn config(&self) -> &Config {
        &self.description.config
    }

    /// Rows and columns of the images that it takes.
    pub fn image_size(&self) -> usize {
        self.description.config.image_size
    }

    /// What the checkpoint's writer said of the weights' origin.
    pub fn metadata(&self) -> &serde_json::Value {
        &self.description.metadata
    }

    /// Predicts a batch of images, values in 0..1, i fastest; empty for none.
    ///
    /// # Errors
    ///
    /// Fails if an image is not of [`Self::image_size`].
    pub fn predict(&self, images: &[Vec<f32>]) -> Result<Vec<Prediction>> {
        if images.is_empty() {
            return Ok(Vec::new());
        }
        // Within the pool, so that operators need not wake it.
        rayon::scope(|_| self.predict_batch(images))
    }

    fn predict_batch(&self, images: &[Vec<f32>]) -> Result<Vec<Prediction>> {
        let side = self.image_size();
        let x = batch::input(images.iter().map(Vec::as_slice), side)?;
        let mut pass = Pass::folded(&self.parameters, &self.folded);
        let found = self.network.forward(&mut pass, &x, self.description.std)?;
        let probabilities = sigmoids(&view(found.logits.tensor())?);
        let scores = sigmoids(&view(found.nodule_logit.tensor())?);
        let predictions = probabilities.chunks(side * side).zip(scores);
        let prediction = |(probability, nodule_probability): (&[f32], f32)| Prediction {
            probability: probability.to_vec(),
            nodule_probability,
        };
        Ok(predictions.map(prediction).collect())
    }
}
