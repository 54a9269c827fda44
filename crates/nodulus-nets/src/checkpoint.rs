//! Weights files: safetensors, each with a JSON file beside it.

use super::config::Config;
use super::error::{Error, Result};
use super::parameters::Parameters;
use super::tensors::{tensor, values};
use fs_err as fs;
use nodulus_settings::{check_json, schema_of};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
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
    /// Origin of the weights, as the caller describes it.
    pub(super) metadata: Value,
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

fn wrong(path: &Path, problem: impl Into<String>) -> Error {
    Error::Checkpoint { path: path.to_owned(), problem: problem.into() }
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
    write(path, values)?;
    save_description(path, description)
}

/// Writes the description of a weights file beside it.
pub(super) fn save_description(path: &Path, description: &CheckpointDescription) -> Result<()> {
    write_json(&path.with_extension("json"), description)
}

/// Reads the description of a checkpoint.
pub(super) fn describe(path: &Path) -> Result<CheckpointDescription> {
    let path = weights_path(path).with_extension("json");
    let json: Value = read_json(&path)?;
    check_json(&json, &schema_of::<CheckpointDescription>(), "")
        .map_err(|fault| wrong(&path, fault.message))?;
    let description: CheckpointDescription =
        serde_json::from_value(json).map_err(|error| wrong(&path, error.to_string()))?;
    description.config.check_at("config").map_err(|fault| wrong(&path, fault.message))?;
    Ok(description)
}

/// Reads a network's weights.
pub(super) fn load(path: &Path, parameters: &mut Parameters) -> Result<()> {
    let path = weights_path(path);
    let mut found = read(&path)?;
    for (spec, tensor_slot) in parameters.specs.iter().zip(&mut parameters.tensors) {
        let Some((shape, values)) = found.remove(&spec.name) else {
            return Err(wrong(&path, format!("tensor `{}` is missing", spec.name)));
        };
        if shape != spec.shape {
            let problem = format!("tensor `{}` is {shape:?}, expected {:?}", spec.name, spec.shape);
            return Err(wrong(&path, problem));
        }
        *tensor_slot = tensor(values, shape)?;
    }
    match found.keys().next() {
        None => Ok(()),
        Some(name) => {
            let problem = format!(
                "{} tensors do not belong to this network, the first is `{name}`",
                found.len()
            );
            Err(wrong(&path, problem))
        }
    }
}

/// Writes named arrays.
pub(super) fn write(path: &Path, arrays: Vec<(String, Vec<usize>, Vec<f32>)>) -> Result<()> {
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = arrays
        .into_iter()
        .map(|(name, shape, values)| {
            (name, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|error: safetensors::SafeTensorError| wrong(path, error.to_string()))?;
    let file =
        safetensors::serialize(views, None).map_err(|error| wrong(path, error.to_string()))?;
    Ok(fs::write(path, file)?)
}

/// Shapes and values of arrays, by name.
pub(super) type NamedArrays = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Reads named arrays, which must all be 32-bit floats.
pub(super) fn read(path: &Path) -> Result<NamedArrays> {
    let (arrays, others) = read_floats(path)?;
    match others.first() {
        None => Ok(arrays),
        Some(name) => Err(wrong(path, format!("tensor `{name}` is not of 32-bit floats (F32)"))),
    }
}

/// Reads the named arrays of 32-bit floats; returns the names of the others too.
pub(super) fn read_floats(path: &Path) -> Result<(NamedArrays, Vec<String>)> {
    let file = fs::read(path)?;
    let tensors = SafeTensors::deserialize(&file)
        .map_err(|error| wrong(path, format!("not a safetensors file: {error}")))?;
    let mut others = Vec::new();
    let mut arrays = NamedArrays::new();
    for (name, tensor) in tensors.tensors() {
        if tensor.dtype() != Dtype::F32 {
            others.push(name);
            continue;
        }
        let (chunks, _) = tensor.data().as_chunks::<4>();
        let values: Vec<f32> = chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(wrong(
                path,
                format!("tensor `{name}` contains {value}, expected finite numbers"),
            ));
        }
        arrays.insert(name, (tensor.shape().to_vec(), values));
    }
    Ok((arrays, others))
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
            metadata: serde_json::json!({"epochs": 3}),
        };
        let written = parameters(two);
        save(&folder.path().join(WEIGHTS_FILE), &written, &description).unwrap();
        assert_eq!(describe(folder.path()).unwrap(), description);
        assert_eq!(origin(folder.path()).unwrap(), description.metadata);
        assert_eq!(origin(&folder.path().join("other.safetensors")).unwrap(), Value::Null);
        for path in [folder.path().to_owned(), folder.path().join(WEIGHTS_FILE)] {
            let mut read = parameters(two);
            read.tensors[0] = tensor(vec![0.0; 6], (2, 3)).unwrap();
            load(&path, &mut read).unwrap();
            for (a, b) in read.tensors.iter().zip(&written.tensors) {
                assert_eq!((a.dims(), &*view(a).unwrap()), (b.dims(), &*view(b).unwrap()));
            }
        }
    }

    #[test]
    fn weights_of_another_network_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(WEIGHTS_FILE);
        let arrays = |name: &str, shape: &[usize]| {
            let n = shape.iter().product();
            write(
                &path,
                vec![
                    (name.to_owned(), shape.to_vec(), vec![1.0; n]),
                    ("b".to_owned(), vec![], vec![1.0]),
                ],
            )
            .unwrap();
            load(folder.path(), &mut parameters(two)).map_err(|error| error.to_string())
        };
        assert_eq!(arrays("a.weight", &[2, 3]), Ok(()));
        let missing = arrays("weight", &[2, 3]).unwrap_err();
        assert!(missing.ends_with("tensor `a.weight` is missing"), "{missing}");
        let shape = arrays("a.weight", &[3, 2]).unwrap_err();
        assert!(shape.ends_with("tensor `a.weight` is [3, 2], expected [2, 3]"), "{shape}");
        let extra = load(
            &path,
            &mut parameters(|scope| {
                scope.parameter("b", &[], Initialiser::Constant(0.0));
            }),
        );
        let extra = extra.unwrap_err().to_string();
        assert!(
            extra.ends_with("1 tensors do not belong to this network, the first is `a.weight`"),
            "{extra}"
        );
        write(&path, vec![("b".to_owned(), vec![], vec![f32::NAN])]).unwrap();
        let nan = read(&path).unwrap_err().to_string();
        assert!(nan.ends_with("tensor `b` contains NaN, expected finite numbers"), "{nan}");
        fs::write(&path, b"other").unwrap();
        let other = read(&path).unwrap_err().to_string();
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
