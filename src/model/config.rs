//! What a network looks like.

use super::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// A family of networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// Classifier, segmenter, combination of their features, threshold dynamics.
    Proposed,
}

/// What the threshold dynamics take into account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// There are none: the probability is `sigmoid(u)`.
    None,
    /// The boundary's length.
    Std,
    /// The boundary's length and the classifier's score.
    StdPrior,
}

/// A named configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// For tests and demonstrations: width 8, a classifier of a quarter of `ResNet-50`'s width.
    Tiny,
    /// The paper's.
    Paper,
}

/// A network's configuration. Read from a file, it starts from `preset` (`paper` where none is
/// named) and takes the fields that are given over it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Fields")]
pub struct Config {
    /// Family.
    pub architecture: Architecture,
    /// Rows and columns of an image, a multiple of 32.
    pub image_size: usize,
    /// Channels of the segmenter's first block.
    pub width: usize,
    /// Channels of the classifier's first block; `ResNet-50` has 64.
    pub classifier_width: usize,
    /// What the threshold dynamics take into account.
    pub mode: Mode,
    /// Whether the segmenter uses the classifier's features.
    pub combination: bool,
    /// Dilations of the pyramids' branches.
    pub dilations: Vec<usize>,
    /// Iterations of the threshold dynamics.
    pub std_steps: usize,
    /// Pixels of the threshold dynamics' kernel on each side of its centre.
    pub std_radius: usize,
    /// Weight of the boundary's length.
    pub std_boundary: f64,
    /// Weight of the entropy.
    pub std_entropy: f64,
    /// Deviation of the kernel, in pixels, before training.
    pub std_sigma: f64,
    /// Weight of the classifier's score before training.
    pub std_score: f64,
}

/// [`Config`] as a file gives it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    preset: Option<Preset>,
    architecture: Option<Architecture>,
    image_size: Option<usize>,
    width: Option<usize>,
    classifier_width: Option<usize>,
    mode: Option<Mode>,
    combination: Option<bool>,
    dilations: Option<Vec<usize>>,
    std_steps: Option<usize>,
    std_radius: Option<usize>,
    std_boundary: Option<f64>,
    std_entropy: Option<f64>,
    std_sigma: Option<f64>,
    std_score: Option<f64>,
}

impl From<Fields> for Config {
    fn from(fields: Fields) -> Self {
        let base = Self::preset(fields.preset.unwrap_or(Preset::Paper));
        Self {
            architecture: fields.architecture.unwrap_or(base.architecture),
            image_size: fields.image_size.unwrap_or(base.image_size),
            width: fields.width.unwrap_or(base.width),
            classifier_width: fields.classifier_width.unwrap_or(base.classifier_width),
            mode: fields.mode.unwrap_or(base.mode),
            combination: fields.combination.unwrap_or(base.combination),
            dilations: fields.dilations.unwrap_or(base.dilations),
            std_steps: fields.std_steps.unwrap_or(base.std_steps),
            std_radius: fields.std_radius.unwrap_or(base.std_radius),
            std_boundary: fields.std_boundary.unwrap_or(base.std_boundary),
            std_entropy: fields.std_entropy.unwrap_or(base.std_entropy),
            std_sigma: fields.std_sigma.unwrap_or(base.std_sigma),
            std_score: fields.std_score.unwrap_or(base.std_score),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::preset(Preset::Paper)
    }
}

impl Config {
    /// A named configuration.
    pub fn preset(preset: Preset) -> Self {
        let (width, classifier_width) = match preset {
            Preset::Tiny => (8, 16),
            Preset::Paper => (64, 64),
        };
        Self {
            architecture: Architecture::Proposed,
            image_size: 128,
            width,
            classifier_width,
            mode: Mode::StdPrior,
            combination: true,
            // METHOD: ASPP as in ResUNet++ with these dilations, arXiv 2410.20154.
            dilations: vec![1, 5, 10, 15],
            std_steps: 10,
            // METHOD: the paper gives no kernel size: odd side 2 ceil(3 * 5/3) + 1 = 11.
            std_radius: 5,
            std_boundary: 1.0,
            std_entropy: 1.0,
            std_sigma: 1.0,
            std_score: 1.0,
        }
    }

    /// Bytes that an image takes on its way through the network.
    // METHOD: what the last unit holds at once, 9 tensors of `width` channels at full size, and the
    // classifier's features.
    pub fn image_bytes(&self) -> u64 {
        let channels = (9 * self.width + self.classifier_width) as u64;
        4 * channels * (self.image_size * self.image_size) as u64
    }

    /// Checks that the fields make a network.
    ///
    /// # Errors
    ///
    /// Fails at the first field that does not, and names it.
    pub fn check(&self) -> Result<()> {
        let positive = |v: f64| v.is_finite() && v > 0.0;
        let problem = if self.image_size == 0 || !self.image_size.is_multiple_of(32) {
            format!("image_size {} is no multiple of 32", self.image_size)
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
    fn a_file_starts_from_a_preset() {
        let config: Config =
            serde_json::from_str(r#"{"preset": "tiny", "mode": "std", "image_size": 64}"#).unwrap();
        let expected = Config { mode: Mode::Std, image_size: 64, ..Config::preset(Preset::Tiny) };
        assert_eq!(config, expected);
        assert_eq!(serde_json::from_str::<Config>("{}").unwrap(), Config::default());
        let written = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&written).unwrap(), config);
        let error = serde_json::from_str::<Config>(r#"{"widht": 8}"#).unwrap_err().to_string();
        assert!(error.contains("unknown field `widht`"), "{error}");
    }

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
            "model configuration: image_size 100 is no multiple of 32"
        );
        assert!(bad(|c| c.width = 0).contains("width 0"));
        assert!(bad(|c| c.dilations = vec![1, 0]).contains("dilations [1, 0]"));
        assert!(bad(|c| c.std_sigma = f64::NAN).contains("std_sigma NaN"));
        assert!(bad(|c| c.std_boundary = -1.0).contains("std_boundary -1"));
    }
}
