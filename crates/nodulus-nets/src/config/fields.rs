//! A network's configuration as it stands in a file: its keys, their defaults and what refuses them.

use super::{Architecture, Config, DynamicsMode, Preset};
use schemars::{JsonSchema, Schema};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

/// [`Config`] as it stands in a file. These comments are the settings reference.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = add_defaults)]
pub(super) struct ConfigFields {
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
    /// Slices of an image, 1, 3, 5 or 7: the one that is segmented in the middle, and its neighbours in the scan.
    #[schemars(with = "usize", range(min = 1, max = 7))]
    input_slices: Option<usize>,
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
    /// Whether the weight of the boundary length is learnt from `std_boundary` on; with a fixed weight of the entropy, so is their
    /// ratio. For `proposed` only.
    #[schemars(with = "bool")]
    std_learns_boundary: Option<bool>,
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
            // Written only where there are several.
            "input_slices" => Some(serde_json::Value::from(1)),
            // Written only where it is set.
            "std_learns_boundary" => Some(serde_json::Value::from(false)),
            name => defaults.get(name).cloned(),
        };
        if let (serde_json::Value::Object(property), Some(default)) = (property, default) {
            property.insert("default".to_owned(), default);
        }
    }
}

impl TryFrom<ConfigFields> for Config {
    type Error = String;

    fn try_from(fields: ConfigFields) -> Result<Self, String> {
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
            ("std_learns_boundary", fields.std_learns_boundary.is_some(), is_proposed),
            ("std_entropy", fields.std_entropy.is_some(), is_proposed),
            ("std_sigma", fields.std_sigma.is_some(), is_proposed),
            ("std_score", fields.std_score.is_some(), is_proposed),
        ];
        if let Some((name, ..)) = given.iter().find(|(_, given, used)| *given && !used) {
            let settings = if architecture.has_pyramid() { ", `dilations`" } else { "" };
            return Err(format!(
                "`{name}` is not a setting of architecture `{}`, whose settings are `image_size`, \
                 `input_slices`, `width`{settings}",
                architecture.name()
            ));
        }
        let base = Self::of(architecture, fields.preset.unwrap_or(Preset::Paper));
        Ok(Self {
            architecture,
            image_size: fields.image_size.unwrap_or(base.image_size),
            input_slices: fields.input_slices.unwrap_or(base.input_slices),
            width: fields.width.unwrap_or(base.width),
            classifier_width: fields.classifier_width.unwrap_or(base.classifier_width),
            mode: fields.mode.unwrap_or(base.mode),
            combination: fields.combination.unwrap_or(base.combination),
            dilations: fields.dilations.unwrap_or(base.dilations),
            std_steps: fields.std_steps.unwrap_or(base.std_steps),
            std_radius: fields.std_radius.unwrap_or(base.std_radius),
            std_boundary: fields.std_boundary.unwrap_or(base.std_boundary),
            std_learns_boundary: fields.std_learns_boundary.unwrap_or(base.std_learns_boundary),
            std_entropy: fields.std_entropy.unwrap_or(base.std_entropy),
            std_sigma: fields.std_sigma.unwrap_or(base.std_sigma),
            std_score: fields.std_score.unwrap_or(base.std_score),
        })
    }
}

impl Serialize for Config {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_proposed = self.architecture == Architecture::Proposed;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("architecture", &self.architecture)?;
        map.serialize_entry("image_size", &self.image_size)?;
        if self.input_slices != 1 {
            map.serialize_entry("input_slices", &self.input_slices)?;
        }
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
            if self.std_learns_boundary {
                map.serialize_entry("std_learns_boundary", &true)?;
            }
            map.serialize_entry("std_entropy", &self.std_entropy)?;
            map.serialize_entry("std_sigma", &self.std_sigma)?;
            map.serialize_entry("std_score", &self.std_score)?;
        }
        map.end()
    }
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
        let learnt = Config { std_learns_boundary: true, ..expected };
        let written = serde_json::to_string(&learnt).unwrap();
        assert!(written.contains(r#""std_learns_boundary":true"#), "{written}");
        assert_eq!(serde_json::from_str::<Config>(&written).unwrap(), learnt);
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
        assert_eq!(properties.len(), 16);
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
                // Settings at their default do not show, so that keys and checkpoints stay what they were.
                assert!(!written.contains("input_slices") && !written.contains("learns"));
                let several = Config { input_slices: 3, ..config };
                let written = serde_json::to_string(&several).unwrap();
                assert_eq!(serde_json::from_str::<Config>(&written).unwrap(), several);
            }
        }
        let refused = |text: &str| serde_json::from_str::<Config>(text).unwrap_err().to_string();
        assert_eq!(
            refused(r#"{"architecture": "unet", "mode": "std"}"#),
            "`mode` is not a setting of architecture `unet`, whose settings are `image_size`, `input_slices`, `width`"
        );
        assert!(
            refused(r#"{"architecture": "resunet", "dilations": [1]}"#).contains("`dilations` is")
        );
        for given in ["\"std_steps\": 5", "\"combination\": true", "\"classifier_width\": 64"] {
            let text = format!(r#"{{"architecture": "deeplab_v3_plus", {given}}}"#);
            let message = refused(&text);
            assert!(
                message.contains("`image_size`, `input_slices`, `width`, `dilations`"),
                "{message}"
            );
        }
    }
}
