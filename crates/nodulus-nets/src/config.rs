//! Configuration of a network: the `model` settings of a pipeline file.

use super::error::{Error, Result};
use nodulus_settings::{Fault, check_json, schema_of};
use schemars::{JsonSchema, Schema};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

/// A family of networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// Classifier and segmenter with combined features and threshold dynamics (arXiv 2410.20154).
    Proposed,
    /// U-Net (2015) with batch norm.
    #[serde(rename = "unet")]
    UNet,
    /// `ResU-Net` (2018).
    #[serde(rename = "resunet")]
    ResUNet,
    /// `ResUNet++` (2019).
    #[serde(rename = "resunet_plus_plus")]
    ResUNetPlusPlus,
    /// `DeepLabv3+` (2018) on `ResNet-50`.
    #[serde(rename = "deeplab_v3_plus")]
    DeepLabV3Plus,
}

impl Architecture {
    /// Every architecture.
    pub const ALL: [Self; 5] =
        [Self::Proposed, Self::UNet, Self::ResUNet, Self::ResUNetPlusPlus, Self::DeepLabV3Plus];

    /// Name in pipeline files and checkpoints.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::UNet => "unet",
            Self::ResUNet => "resunet",
            Self::ResUNetPlusPlus => "resunet_plus_plus",
            Self::DeepLabV3Plus => "deeplab_v3_plus",
        }
    }

    /// Number of which an image's rows and columns must be a multiple.
    pub const fn stride(self) -> usize {
        match self {
            Self::Proposed => 32,
            Self::UNet | Self::DeepLabV3Plus => 16,
            Self::ResUNet | Self::ResUNetPlusPlus => 8,
        }
    }

    /// Whether the architecture has a pyramid of dilated convolutions.
    const fn has_pyramid(self) -> bool {
        match self {
            Self::Proposed | Self::ResUNetPlusPlus | Self::DeepLabV3Plus => true,
            Self::UNet | Self::ResUNet => false,
        }
    }
}

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

/// [`Config`] as it stands in a file. These comments are the settings reference.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = add_defaults)]
struct ConfigFields {
    /// Named configuration that the other settings start from.
    #[schemars(with = "Preset")]
    preset: Option<Preset>,
    /// Network family.
    #[schemars(with = "Architecture")]
    architecture: Option<Architecture>,
    /// Rows and columns of an image, in pixels: a multiple of 32 for `proposed`, of 16 for `unet` and
    /// `deeplab_v3_plus`, of 8 for `resunet` and `resunet_plus_plus`.
    #[schemars(with = "usize", range(min = 8, max = 1024))]
    image_size: Option<usize>,
    /// Channels of the segmenter's first block, for `deeplab_v3_plus` of the backbone's; 16 for
    /// `resunet_plus_plus`; with the preset `tiny` 8, for `deeplab_v3_plus` 16.
    #[schemars(with = "usize", range(min = 1, max = 256))]
    width: Option<usize>,
    /// Channels of the classifier's first block, for `proposed` only; 16 with the preset `tiny`.
    #[schemars(with = "usize", range(min = 1, max = 256))]
    classifier_width: Option<usize>,
    /// Terms of the threshold dynamics, for `proposed` only.
    #[schemars(with = "DynamicsMode")]
    mode: Option<DynamicsMode>,
    /// Whether the segmenter uses the classifier's features, for `proposed` only.
    #[schemars(with = "bool")]
    combination: Option<bool>,
    /// Dilations of the pyramids' branches, in pixels; 1, 6, 12, 18 for `resunet_plus_plus` and 6, 12, 18
    /// for `deeplab_v3_plus`; not for `unet` and `resunet`.
    #[schemars(with = "Vec<usize>", length(min = 1, max = 16), inner(range(min = 1, max = 512)))]
    dilations: Option<Vec<usize>>,
    /// Iterations of the threshold dynamics, for `proposed` only.
    #[schemars(with = "usize", range(max = 1000))]
    std_steps: Option<usize>,
    /// Radius of the threshold dynamics' kernel, in pixels, for `proposed` only.
    #[schemars(with = "usize", range(max = 64))]
    std_radius: Option<usize>,
    /// Weight of the boundary length in the threshold dynamics, for `proposed` only.
    #[schemars(with = "f64", range(min = 0, max = 1e6))]
    std_boundary: Option<f64>,
    /// Weight of the entropy in the threshold dynamics, for `proposed` only.
    #[schemars(with = "f64", extend("exclusiveMinimum" = 0), range(max = 1e6))]
    std_entropy: Option<f64>,
    /// Standard deviation of the threshold dynamics' kernel before training, in pixels, for `proposed`
    /// only.
    #[schemars(with = "f64", extend("exclusiveMinimum" = 0), range(max = 1000))]
    std_sigma: Option<f64>,
    /// Weight of the classifier's nodule probability in the threshold dynamics before training,
    /// for `proposed` only.
    #[schemars(with = "f64", extend("exclusiveMinimum" = 0), range(max = 1e6))]
    std_score: Option<f64>,
}

/// Makes every key optional in the schema, with the value of [`Config::default`] as its default.
fn add_defaults(schema: &mut Schema) {
    schema.remove("required");
    let Ok(defaults) = serde_json::to_value(Config::default()) else { return };
    let Some(serde_json::Value::Object(properties)) = schema.get_mut("properties") else { return };
    for (name, property) in properties {
        let default = match name.as_str() {
            "preset" => Some(serde_json::Value::from("paper")),
            name => defaults.get(name).cloned(),
        };
        if let (serde_json::Value::Object(property), Some(default)) = (property, default) {
            property.insert("default".to_owned(), default);
        }
    }
}

impl TryFrom<ConfigFields> for Config {
    type Error = String;

    fn try_from(fields: ConfigFields) -> std::result::Result<Self, String> {
        let architecture = fields.architecture.unwrap_or(Architecture::Proposed);
        let is_proposed = architecture == Architecture::Proposed;
        let given = [
            ("classifier_width", fields.classifier_width.is_some(), is_proposed),
            ("mode", fields.mode.is_some(), is_proposed),
            ("combination", fields.combination.is_some(), is_proposed),
            ("dilations", fields.dilations.is_some(), architecture.has_pyramid()),
            ("std_steps", fields.std_steps.is_some(), is_proposed),
            ("std_radius", fields.std_radius.is_some(), is_proposed),
            ("std_boundary", fields.std_boundary.is_some(), is_proposed),
            ("std_entropy", fields.std_entropy.is_some(), is_proposed),
            ("std_sigma", fields.std_sigma.is_some(), is_proposed),
            ("std_score", fields.std_score.is_some(), is_proposed),
        ];
        if let Some((name, ..)) = given.iter().find(|(_, given, used)| *given && !used) {
            let settings = if architecture.has_pyramid() { ", `dilations`" } else { "" };
            return Err(format!(
                "`{name}` is not a setting of architecture `{}`, whose settings are `image_size`, \
                 `width`{settings}",
                architecture.name()
            ));
        }
        let base = Self::of(architecture, fields.preset.unwrap_or(Preset::Paper));
        Ok(Self {
            architecture,
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
        })
    }
}

impl Serialize for Config {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let is_proposed = self.architecture == Architecture::Proposed;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("architecture", &self.architecture)?;
        map.serialize_entry("image_size", &self.image_size)?;
        map.serialize_entry("width", &self.width)?;
        if is_proposed {
            map.serialize_entry("classifier_width", &self.classifier_width)?;
            map.serialize_entry("mode", &self.mode)?;
            map.serialize_entry("combination", &self.combination)?;
        }
        if self.architecture.has_pyramid() {
            map.serialize_entry("dilations", &self.dilations)?;
        }
        if is_proposed {
            map.serialize_entry("std_steps", &self.std_steps)?;
            map.serialize_entry("std_radius", &self.std_radius)?;
            map.serialize_entry("std_boundary", &self.std_boundary)?;
            map.serialize_entry("std_entropy", &self.std_entropy)?;
            map.serialize_entry("std_sigma", &self.std_sigma)?;
            map.serialize_entry("std_score", &self.std_score)?;
        }
        map.end()
    }
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
    fn a_file_starts_from_a_preset() {
        let config: Config =
            serde_json::from_str(r#"{"preset": "tiny", "mode": "std", "image_size": 64}"#).unwrap();
        let expected =
            Config { mode: DynamicsMode::Std, image_size: 64, ..Config::preset(Preset::Tiny) };
        assert_eq!(config, expected);
        assert_eq!(serde_json::from_str::<Config>("{}").unwrap(), Config::default());
        let written = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&written).unwrap(), config);
        let error = serde_json::from_str::<Config>(r#"{"widht": 8}"#).unwrap_err().to_string();
        assert!(error.contains("unknown field `widht`"), "{error}");
    }

    #[test]
    fn every_key_of_the_schema_is_documented_and_has_its_default() {
        let schema = serde_json::to_value(schemars::schema_for!(Config)).unwrap();
        assert!(schema.get("required").is_none());
        let properties = schema["properties"].as_object().unwrap();
        assert_eq!(properties.len(), 14);
        for (name, property) in properties {
            assert!(property["description"].is_string(), "{name}");
            let mut given = serde_json::Map::new();
            given.insert(name.clone(), property["default"].clone());
            let config: Config = serde_json::from_value(given.into()).unwrap();
            assert_eq!(config, Config::default(), "{name}");
        }
    }

    #[test]
    fn every_architecture_has_its_name_and_only_its_own_settings() {
        for architecture in Architecture::ALL {
            let name = format!("{:?}", architecture.name());
            assert_eq!(serde_json::to_string(&architecture).unwrap(), name);
            for preset in [Preset::Tiny, Preset::Paper] {
                let config = Config::of(architecture, preset);
                assert!(config.check().is_ok());
                let written = serde_json::to_string(&config).unwrap();
                assert_eq!(serde_json::from_str::<Config>(&written).unwrap(), config);
                let read = format!(
                    r#"{{"architecture": {name}, "preset": {}}}"#,
                    serde_json::to_string(&preset).unwrap()
                );
                assert_eq!(serde_json::from_str::<Config>(&read).unwrap(), config);
            }
        }
        let refused = |text: &str| serde_json::from_str::<Config>(text).unwrap_err().to_string();
        assert_eq!(
            refused(r#"{"architecture": "unet", "mode": "std"}"#),
            "`mode` is not a setting of architecture `unet`, whose settings are `image_size`, `width`"
        );
        assert!(
            refused(r#"{"architecture": "resunet", "dilations": [1]}"#).contains("`dilations` is")
        );
        for given in ["\"std_steps\": 5", "\"combination\": true", "\"classifier_width\": 64"] {
            let text = format!(r#"{{"architecture": "deeplab_v3_plus", {given}}}"#);
            let message = refused(&text);
            assert!(message.contains("`image_size`, `width`, `dilations`"), "{message}");
        }
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
            "model configuration: `image_size` is 100, expected a multiple of 32 for architecture `proposed`, as in \
             `image_size = 128`"
        );
        let width = "`width` is 0, expected a whole number from 1 to 256, as in `\"width\": 64`";
        assert!(bad(|c| c.width = 0).ends_with(width));
        assert!(bad(|c| c.dilations = vec![1, 0]).contains("`dilations.1` is 0, expected"));
        assert!(bad(|c| c.dilations = Vec::new()).contains("`dilations` is an empty list"));
        assert!(bad(|c| c.std_sigma = f64::NAN).contains("`std_sigma` is null, expected"));
        assert!(bad(|c| c.std_boundary = -1.0).contains("`std_boundary` is -1, expected"));
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
