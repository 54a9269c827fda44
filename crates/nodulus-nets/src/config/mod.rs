//! Configuration of a network: the `model` settings of a pipeline file.

mod architecture;
mod fields;

use super::error::{Error, Result};
pub use architecture::Architecture;
use fields::ConfigFields;
use nodulus_settings::{Fault, check_json, schema_of};
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
    /// Slices of an image, an odd number: the one that is segmented, with its neighbours along k.
    pub input_slices: usize,
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
    /// Weight of the boundary length; where it is learnt, before training.
    pub std_boundary: f64,
    /// Whether the weight of the boundary length is learnt, and so its ratio to that of the entropy.
    pub std_learns_boundary: bool,
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
            input_slices: 1,
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
            std_learns_boundary: false,
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
        self.check_at("").map_err(|fault| Error::Config(fault.message))
    }

    /// [`Self::check`], for a configuration that is a section of a file.
    ///
    /// # Errors
    ///
    /// Fails at the first invalid field and names it with the section.
    pub fn check_at(&self, section: &str) -> std::result::Result<(), Fault> {
        let json = serde_json::to_value(self).unwrap_or_default();
        check_json(&json, &schema_of::<Self>(), section)?;
        if self.input_slices.is_multiple_of(2) {
            let key = key_of(section, "input_slices");
            let message = format!(
                "`{key}` is {}, expected an odd number, so that the slice is in the middle, as in `input_slices = 3`",
                self.input_slices
            );
            return Err(Fault::new(key, message));
        }
        if self.std_learns_boundary && self.std_boundary <= 0.0 {
            let key = key_of(section, "std_boundary");
            let message = format!(
                "`{key}` is {}, expected more than 0, from which `{}` learns a positive number, as in `std_boundary = 1.0`",
                self.std_boundary,
                key_of(section, "std_learns_boundary")
            );
            return Err(Fault::new(key, message).or(key_of(section, "std_learns_boundary")));
        }
        let stride = self.architecture.stride();
        if self.image_size.is_multiple_of(stride) {
            return Ok(());
        }
        let key = key_of(section, "image_size");
        let message = format!(
            "`{key}` is {}, expected a multiple of {stride} for architecture `{}`, as in `image_size = 128`",
            self.image_size,
            self.architecture.name()
        );
        Err(Fault::new(key, message).or(key_of(section, "architecture")))
    }
}

/// A key of a section, which has no name at the top of a file.
pub(crate) fn key_of(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
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
            "model configuration: `image_size` is 100, expected a multiple of 32 for architecture `proposed`, as in \
             `image_size = 128`"
        );
        let width = "`width` is 0, expected a whole number from 1 to 256, as in `\"width\": 64`";
        assert!(bad(|c| c.width = 0).ends_with(width));
        assert!(
            bad(|c| c.input_slices = 4).contains("`input_slices` is 4, expected an odd number")
        );
        assert!(bad(|c| c.input_slices = 0).contains("`input_slices` is 0, expected"));
        assert!(bad(|c| c.input_slices = 9).contains("`input_slices` is 9, expected"));
        assert!(bad(|c| c.dilations = vec![1, 0]).contains("`dilations.1` is 0, expected"));
        assert!(bad(|c| c.dilations = Vec::new()).contains("`dilations` is an empty list"));
        assert!(bad(|c| c.std_sigma = f64::NAN).contains("`std_sigma` is null, expected"));
        assert!(bad(|c| c.std_boundary = -1.0).contains("`std_boundary` is -1, expected"));
        let learnt_from_0 = bad(|c| (c.std_boundary, c.std_learns_boundary) = (0.0, true));
        assert!(
            learnt_from_0.contains("`std_boundary` is 0, expected more than 0"),
            "{learnt_from_0}"
        );
        // What is too large to be computed with is refused before anything is computed.
        let large: [fn(&mut Config); 5] = [
            |c| c.width = usize::MAX / 2,
            |c| c.classifier_width = usize::MAX / 2,
            |c| c.std_radius = 100_000_000,
            |c| c.std_steps = usize::MAX / 2,
            |c| c.dilations = vec![usize::MAX / 2],
        ];
        for change in large {
            let message = bad(change);
            assert!(message.contains(", expected a whole number from "), "{message}");
        }
    }
}
