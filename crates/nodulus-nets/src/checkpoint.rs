//! Weights files: safetensors, each with a JSON file beside it.

use super::calibration::Calibration;
use super::config::Config;
use super::contract::Contract;
use super::error::Result;
use super::parameters::Parameters;
use super::tensors::{tensor, values};
use super::undescribed::{refuse_pytorch, undescribed};
use super::weights_file::{self, WeightsFile, wrong, wrong_type};
use fs_err as fs;
use nodulus_settings::{check_json, schema_of};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Name of a checkpoint's weights file.
pub const WEIGHTS_FILE: &str = "model.safetensors";

/// Name of the weights file of the epoch with the best validation, beside that of the last epoch.
pub const BEST_WEIGHTS_FILE: &str = "best.safetensors";

/// Contents of `model.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckpointDescription {
    /// The network's configuration.
    pub(super) config: Config,
    /// Whether the threshold dynamics were on at the end of training.
    pub(super) std: bool,
    /// The calibration of its probabilities; none where they are as the network gives them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) calibration: Option<Calibration>,
    /// SHA-256 of the weights file; none in a description of an earlier version of the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) weights_sha256: Option<String>,
    /// What the weights were trained on; none where nothing tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) contract: Option<Contract>,
    /// Origin of the weights, as the caller describes it.
    pub(super) metadata: Value,
}

#[cfg(test)]
impl CheckpointDescription {
    /// A description without origin and contract.
    pub(super) fn plain(config: Config, std: bool) -> Self {
        Self {
            config,
            std,
            calibration: None,
            weights_sha256: None,
            contract: None,
            metadata: Value::Null,
        }
    }
}

/// The weights file at a path: the path itself, or the file in that folder.
pub fn weights_path(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(WEIGHTS_FILE) } else { path.to_owned() }
}

/// What the description beside a weights file says of the origin of the weights; null for weights of another program, which
/// have no description.
///
/// # Errors
///
/// Fails if there is a description that cannot be read.
pub fn origin(path: &Path) -> Result<Value> {
    if !weights_path(path).with_extension("json").exists() {
        return Ok(Value::Null);
    }
    Ok(describe(path)?.metadata)
}

/// What the description beside a weights file says that the weights were trained on; `None` where it does not say, or where
/// there is no description.
///
/// # Errors
///
/// Fails if there is a description that cannot be read, or none and the file is one of PyTorch's own format.
pub fn contract(path: &Path) -> Result<Option<Contract>> {
    let weights = weights_path(path);
    if !weights.with_extension("json").exists() {
        refuse_pytorch(&weights)?;
        return Ok(None);
    }
    described_contract(path)
}

/// As [`contract`], of weights that are to predict and so need a description.
///
/// # Errors
///
/// Fails if there is no description, or it cannot be read; the error says how to describe weights of another program.
pub fn described_contract(path: &Path) -> Result<Option<Contract>> {
    Ok(describe(path)?.contract)
}

/// SHA-256 in lower-case hexadecimal.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Bytes in lower-case hexadecimal.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

/// Writes a weights file and its description, a file of the same name with the extension `json`.
pub(super) fn save(
    path: &Path,
    parameters: &Parameters,
    description: &CheckpointDescription,
) -> Result<()> {
    let values = parameters
        .specs
        .iter()
        .zip(&parameters.tensors)
        .map(|(spec, tensor)| Ok((spec.name.clone(), spec.shape.clone(), values(tensor)?)))
        .collect::<Result<_>>()?;
    let sha256 = sha256_hex(&weights_file::write(path, values)?);
    write_description(path, description, sha256)
}

/// Writes the description of a weights file beside it.
pub(super) fn save_description(path: &Path, description: &CheckpointDescription) -> Result<()> {
    write_description(path, description, sha256_hex(&fs::read(path)?))
}

fn write_description(
    path: &Path,
    description: &CheckpointDescription,
    sha256: String,
) -> Result<()> {
    let description = CheckpointDescription { weights_sha256: Some(sha256), ..description.clone() };
    write_json(&path.with_extension("json"), &description)
}

/// Reads the description of a checkpoint.
pub(super) fn describe(path: &Path) -> Result<CheckpointDescription> {
    let weights = weights_path(path);
    let path = weights.with_extension("json");
    if !path.exists() {
        return Err(undescribed(&weights));
    }
    let json: Value = read_json(&path)?;
    check_json(&json, &schema_of::<CheckpointDescription>(), "")
        .map_err(|fault| wrong(&path, fault.message))?;
    let description: CheckpointDescription =
        serde_json::from_value(json).map_err(|error| wrong(&path, error.to_string()))?;
    description.config.check_at("config").map_err(|fault| wrong(&path, fault.message))?;
    let curve = description.calibration.as_ref().and_then(|found| found.pixels.as_ref());
    if let Some(curve) = curve {
        curve.check().map_err(|error| wrong(&path, error.to_string()))?;
    }
    Ok(description)
}

/// Reads a network's weights, which are those that the description is of.
pub(super) fn load(
    path: &Path,
    description: &CheckpointDescription,
    parameters: &mut Parameters,
) -> Result<()> {
    let path = weights_path(path);
    let bytes = fs::read(&path)?;
    let WeightsFile { arrays: mut found, others } = WeightsFile::parse(&path, &bytes)?;
    if let Some(expected) = &description.weights_sha256 {
        let sha256 = sha256_hex(&bytes);
        if sha256 != *expected {
            let json = path.with_extension("json");
            let problem = format!(
                "its SHA-256 is {sha256}, but `{}` describes weights with {expected}: copy both files from the same \
                 checkpoint; weights that another program changed are for `train.initial`",
                json.display()
            );
            return Err(wrong(&path, problem));
        }
    }
    for (spec, tensor_slot) in parameters.specs.iter().zip(&mut parameters.tensors) {
        let Some((shape, values)) = found.remove(&spec.name) else {
            return Err(match others.get(&spec.name) {
                Some(dtype) => wrong_type(&path, &spec.name, *dtype),
                None => wrong(&path, format!("tensor `{}` is missing", spec.name)),
            });
        };
        if shape != spec.shape {
            let problem = format!("tensor `{}` is {shape:?}, expected {:?}", spec.name, spec.shape);
            return Err(wrong(&path, problem));
        }
        *tensor_slot = tensor(values, shape)?;
    }
    let unknown: Vec<&String> = found.keys().chain(others.keys()).collect();
    match unknown.first() {
        None => Ok(()),
        Some(name) => {
            let problem = format!(
                "{} tensors do not belong to this network, the first is `{name}`",
                unknown.len()
            );
            Err(wrong(&path, problem))
        }
    }
}

/// Writes indented JSON.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text =
        serde_json::to_string_pretty(value).map_err(|error| wrong(path, error.to_string()))?;
    text.push('\n');
    Ok(fs::write(path, text)?)
}

/// Reads JSON.
pub(super) fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path)?;
    serde_json::from_str(&text).map_err(|error| wrong(path, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::LogitCurve;
    use crate::contract::tests::contract;
    use crate::parameters::{Initialiser, Scope};
    use crate::tensors::view;

    fn parameters(build: fn(&mut Scope)) -> Parameters {
        let mut specs = Vec::new();
        build(&mut Scope::new(&mut specs));
        Parameters::draw(specs, 3).unwrap()
    }

    fn two(scope: &mut Scope) {
        scope.parameter("a.weight", &[2, 3], Initialiser::Normal(1.0));
        scope.statistic("b", &[], Initialiser::Constant(0.25));
    }

    #[test]
    fn weights_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let description = CheckpointDescription {
            config: Config::default(),
            std: true,
            calibration: Some(Calibration {
                pixels: Some(LogitCurve {
                    logits: vec![-1.0, 0.0, 2.0],
                    calibrated: vec![-1.0 / 3.0, 0.0, 0.1 + 0.2],
                }),
                images: 1.5,
            }),
            weights_sha256: None,
            contract: Some(contract(&[("clinical", 0.0, 1000.0, true)])),
            metadata: serde_json::json!({"epochs": 3}),
        };
        let written = parameters(two);
        save(&folder.path().join(WEIGHTS_FILE), &written, &description).unwrap();
        let weights = fs::read(folder.path().join(WEIGHTS_FILE)).unwrap();
        let weights_sha256 = Some(sha256_hex(&weights));
        let description = CheckpointDescription { weights_sha256, ..description };
        assert_eq!(describe(folder.path()).unwrap(), description);
        assert_eq!(super::contract(folder.path()).unwrap(), description.contract);
        assert_eq!(origin(folder.path()).unwrap(), description.metadata);
        assert_eq!(origin(&folder.path().join("other.safetensors")).unwrap(), Value::Null);
        for path in [folder.path().to_owned(), folder.path().join(WEIGHTS_FILE)] {
            let mut read = parameters(two);
            read.tensors[0] = tensor(vec![0.0; 6], (2, 3)).unwrap();
            load(&path, &description, &mut read).unwrap();
            for (a, b) in read.tensors.iter().zip(&written.tensors) {
                assert_eq!((a.dims(), &*view(a).unwrap()), (b.dims(), &*view(b).unwrap()));
            }
        }
        // Weights of another training beside this description.
        save(&folder.path().join("b.safetensors"), &parameters(two), &description).unwrap();
        let mut other = fs::read(folder.path().join("b.safetensors")).unwrap();
        *other.last_mut().unwrap() ^= 1;
        fs::write(folder.path().join(WEIGHTS_FILE), other).unwrap();
        let error =
            load(folder.path(), &description, &mut parameters(two)).unwrap_err().to_string();
        assert!(error.contains("model.json` describes weights with "), "{error}");
    }

    fn plain() -> CheckpointDescription {
        CheckpointDescription::plain(Config::default(), true)
    }

    #[test]
    fn weights_of_another_network_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(WEIGHTS_FILE);
        let arrays = |name: &str, shape: &[usize]| {
            let n = shape.iter().product();
            weights_file::write(
                &path,
                vec![
                    (name.to_owned(), shape.to_vec(), vec![1.0; n]),
                    ("b".to_owned(), vec![], vec![1.0]),
                ],
            )
            .unwrap();
            load(folder.path(), &plain(), &mut parameters(two)).map_err(|error| error.to_string())
        };
        assert_eq!(arrays("a.weight", &[2, 3]), Ok(()));
        let missing = arrays("weight", &[2, 3]).unwrap_err();
        assert!(missing.ends_with("tensor `a.weight` is missing"), "{missing}");
        let shape = arrays("a.weight", &[3, 2]).unwrap_err();
        assert!(shape.ends_with("tensor `a.weight` is [3, 2], expected [2, 3]"), "{shape}");
        let extra = load(
            &path,
            &plain(),
            &mut parameters(|scope| {
                scope.parameter("b", &[], Initialiser::Constant(0.0));
            }),
        );
        let extra = extra.unwrap_err().to_string();
        assert!(
            extra.ends_with("1 tensors do not belong to this network, the first is `a.weight`"),
            "{extra}"
        );
        weights_file::write(&path, vec![("b".to_owned(), vec![], vec![f32::NAN])]).unwrap();
        let nan = weights_file::read(&path).unwrap_err().to_string();
        assert!(nan.ends_with("tensor `b` contains NaN, expected finite numbers of F32"), "{nan}");
        fs::write(&path, b"other").unwrap();
        let other = weights_file::read(&path).unwrap_err().to_string();
        assert!(other.contains("not a safetensors file"), "{other}");
    }

    #[test]
    fn what_is_wrong_with_a_description_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let message = |config: &str| {
            let text = format!(r#"{{"config": {config}, "std": true, "metadata": null}}"#);
            fs::write(folder.path().join("model.json"), text).unwrap();
            describe(folder.path()).map_err(|error| error.to_string())
        };
        assert!(message(r#"{"width": 8}"#).is_ok());
        for (config, expected) in [
            (
                r#"{"width": "x"}"#,
                r#"`config.width` is "x", expected a whole number from 1 to 256, as in `"width": 64`"#,
            ),
            (r#"{"widht": 8}"#, "unknown key `config.widht`: did you mean `width`?"),
            (
                r#"{"std_sigma": true}"#,
                "`config.std_sigma` is true, expected a number over 0 and up to 1000",
            ),
            (r#"{"architecture": "u_net"}"#, "expected \"proposed\", \"unet\""),
            (
                r#"{"architecture": "unet", "image_size": 24}"#,
                "`config.image_size` is 24, expected a multiple of 16",
            ),
            ("3", "`config` is 3, expected a section"),
        ] {
            let message = message(config).unwrap_err();
            assert!(message.contains("model.json: ") && message.contains(expected), "{message}");
        }
    }
}
