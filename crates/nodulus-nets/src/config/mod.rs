//! Configuration of a network: the `model` settings of a pipeline file.

mod architecture;
mod fields;

use super::error::{Error, Result};
pub use architecture::Architecture;
use fields::ConfigFields;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Terms of the threshold dynamics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DynamicsMode {
    /// No threshold dynamics: the probability is `sigmoid(u)`.
    None,
    /// The boundary length.
    Std,
    /// The boundary length and the classifier's nodule probability.
    StdPrior,
}

/// A named set of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// For tests and demonstrations: width 8 and a `ResNet-50` of a quarter of its width.
    Tiny,
    /// As in the network's own paper.
    Paper,
}

/// A network's configuration.
///
/// In a file, the keys that are given replace those of `preset` (`paper` where none is named). A key
/// that the architecture does not use is refused on reading and omitted on writing; in memory such a
/// field has the same value in every preset.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(try_from = "ConfigFields")]
#[schemars(rename = "Model")]
pub struct Config {
    /// Network family.
    pub architecture: Architecture,
    /// Rows and columns of an image, a multiple of [`Architecture::stride`].
    pub image_size: usize,
    /// Channels of the segmenter's first block; of the backbone's for `DeepLabv3+`.
    pub width: usize,
    /// Channels of the classifier's first block; `ResNet-50` has 64.
    pub classifier_width: usize,
    /// Terms of the threshold dynamics.
    pub mode: DynamicsMode,
    /// Whether the segmenter uses the classifier's features.
    pub combination: bool,
    /// Dilations of the pyramids' branches.
    pub dilations: Vec<usize>,
    /// Iterations of the threshold dynamics.
    pub std_steps: usize,
    /// Pixels of the threshold dynamics' kernel on each side of its centre.
    pub std_radius: usize,
    /// Weight of the boundary length.
    pub std_boundary: f64,
    /// Weight of the entropy.
    pub std_entropy: f64,
    /// Standard deviation of the kernel, in pixels, before training.
    pub std_sigma: f64,
    /// Weight of the classifier's nodule probability before training.
    pub std_score: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self::preset(Preset::Paper)
    }
}

impl Config {
    /// A named configuration of the proposed network.
    pub fn preset(preset: Preset) -> Self {
        Self::of(Architecture::Proposed, preset)
    }

    /// A named configuration of an architecture.
    pub fn of(architecture: Architecture, preset: Preset) -> Self {
        // METHOD: widths of the papers; ResUNet++'s is that of its authors' code.
        let width = match (preset, architecture) {
            (Preset::Tiny, Architecture::DeepLabV3Plus)
            | (Preset::Paper, Architecture::ResUNetPlusPlus) => 16,
            (Preset::Tiny, _) => 8,
            (Preset::Paper, _) => 64,
        };
        let classifier_width = match (architecture, preset) {
            (Architecture::Proposed, Preset::Tiny) => 16,
            _ => 64,
        };
        // METHOD: ASPP as in ResUNet++; arXiv 2410.20154 gives these dilations for the proposed
        // network, and ResUNet++'s authors' code its own; the rates of DeepLabv3+ are those at
        // stride 16.
        let dilations = match architecture {
            Architecture::ResUNetPlusPlus => vec![1, 6, 12, 18],
            Architecture::DeepLabV3Plus => vec![6, 12, 18],
            Architecture::Proposed | Architecture::UNet | Architecture::ResUNet => {
                vec![1, 5, 10, 15]
            }
        };
        Self {
            architecture,
            image_size: 128,
            width,
            classifier_width,
            mode: DynamicsMode::StdPrior,
            combination: true,
            dilations,
            std_steps: 10,
            // METHOD: the paper gives no kernel size; the odd size 2 ceil(3 * 5/3) + 1 = 11 is
            // chosen.
            std_radius: 5,
            std_boundary: 1.0,
            std_entropy: 1.0,
            std_sigma: 1.0,
            std_score: 1.0,
        }
    }

    /// Estimated memory of one image on its way through the network, in bytes.
    // METHOD: the memory that the last unit holds at once, as channels at full size: its input
    // before and after its first norm, or the tensors it is concatenated from, and the outputs of
    // its convolutions; for `DeepLabv3+`, whose features have a quarter of the size along each
    // axis, the features before the classes.
    pub fn image_bytes(&self) -> u64 {
        let channels = match self.architecture {
            Architecture::Proposed => 9 * self.width + self.classifier_width,
            Architecture::UNet => 6 * self.width,
            Architecture::ResUNet => 9 * self.width,
            Architecture::ResUNetPlusPlus => 15 * self.width,
            Architecture::DeepLabV3Plus => 3 * self.width,
        };
        4 * (channels * self.image_size * self.image_size) as u64
    }

    /// Checks that the configuration describes a network.
    ///
    /// # Errors
    ///
    /// Fails at the first invalid field and names it.
    pub fn check(&self) -> Result<()> {
        let positive = |v: f64| v.is_finite() && v > 0.0;
        let stride = self.architecture.stride();
        let problem = if self.image_size == 0 || !self.image_size.is_multiple_of(stride) {
            format!("image_size {} is not a multiple of {stride}", self.image_size)
        } else if self.width == 0 || self.classifier_width == 0 {
            format!(
                "width {} and classifier_width {} must be at least 1",
                self.width, self.classifier_width
            )
        } else if self.dilations.is_empty() || self.dilations.contains(&0) {
            format!("dilations {:?} must be at least 1 each", self.dilations)
        } else if !(positive(self.std_entropy) && positive(self.std_sigma)) {
            format!(
                "std_entropy {} and std_sigma {} must be positive",
                self.std_entropy, self.std_sigma
            )
        } else if !positive(self.std_score) {
            format!("std_score {} must be positive", self.std_score)
        } else if !(self.std_boundary.is_finite() && self.std_boundary >= 0.0) {
            format!("std_boundary {} must be 0 or more", self.std_boundary)
        } else {
            return Ok(());
        };
        Err(Error::Config(problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_network_is_refused() {
        assert!(Config::default().check().is_ok());
        let bad = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert_eq!(
            bad(|c| c.image_size = 100),
            "model configuration: image_size 100 is not a multiple of 32"
        );
        assert!(bad(|c| c.width = 0).contains("width 0"));
        assert!(bad(|c| c.dilations = vec![1, 0]).contains("dilations [1, 0]"));
        assert!(bad(|c| c.std_sigma = f64::NAN).contains("std_sigma NaN"));
        assert!(bad(|c| c.std_boundary = -1.0).contains("std_boundary -1"));
    }
}
