//! Transfer of weights from other files, as far as they fit.

use super::checkpoint;
use super::error::{Error, Result};
use super::parameters::Parameters;
use super::tensors::tensor;
use super::weights_file::{NamedArrays, WeightsFile, wrong_type};
use fs_err as fs;
use serde::Serialize;
use std::path::Path;

/// Outcome of a transfer, tensor by tensor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TransferReport {
    /// Tensors taken.
    pub taken: Vec<String>,
    /// Tensors among `taken` whose kernels for three channels were summed to one.
    pub summed: Vec<String>,
    /// Tensors of the network that the file lacks; they keep their initial values.
    pub missing: Vec<String>,
    /// Tensors with another shape in the file, with both shapes; they keep their initial values.
    pub other_shape: Vec<String>,
    /// Tensors of the file that the network lacks.
    pub unused: Vec<String>,
}

/// Replaces a network's tensors by the fitting ones of a file; `prefix` is put before the file's
/// names.
///
/// METHOD: a kernel for three channels becomes one for a single channel by summing over its inputs,
/// which gives the same response to a grey image; thus torchvision's `ImageNet` weights load. Weights of a network for three
/// slices become those for one in the same way, as for a region whose slices are alike. No other number of channels is changed:
/// the kernel has another shape and keeps its initial values.
///
/// # Errors
///
/// Fails if the file cannot be read, or if no tensor fits.
pub(super) fn transfer(
    path: &Path,
    prefix: &str,
    parameters: &mut Parameters,
) -> Result<TransferReport> {
    let path = checkpoint::weights_path(path);
    let WeightsFile { arrays, others } = WeightsFile::parse(&path, &fs::read(&path)?)?;
    let mut arrays: NamedArrays =
        arrays.into_iter().map(|(name, array)| (format!("{prefix}{name}"), array)).collect();
    let mut found = TransferReport::default();
    for (name, dtype) in others {
        let renamed = format!("{prefix}{name}");
        if parameters.specs.iter().any(|spec| spec.name == renamed) {
            return Err(wrong_type(&path, &name, dtype));
        }
        found.unused.push(renamed);
    }
    for (spec, tensor_slot) in parameters.specs.iter().zip(&mut parameters.tensors) {
        let name = spec.name.clone();
        let expected = spec.shape.as_slice();
        match arrays.remove(&name) {
            None => found.missing.push(name),
            Some((shape, values)) if shape == expected => {
                *tensor_slot = tensor(values, expected)?;
                found.taken.push(name);
            }
            Some((shape, values)) => match (shape.as_slice(), expected) {
                (&[out, 3, height, width], &[o, 1, h, w]) if [out, height, width] == [o, h, w] => {
                    let area = h * w;
                    let kernels = values.chunks_exact(3 * area);
                    let sum = |kernel: &[f32], p: usize| {
                        kernel[p] + kernel[area + p] + kernel[2 * area + p]
                    };
                    let summed = kernels.flat_map(|kernel| (0..area).map(move |p| sum(kernel, p)));
                    *tensor_slot = tensor(summed.collect(), expected)?;
                    found.summed.push(name.clone());
                    found.taken.push(name);
                }
                _ => found.other_shape.push(format!("{name}: {shape:?}, expected {expected:?}")),
            },
        }
    }
    found.unused.extend(arrays.into_keys());
    found.unused.sort();
    if found.taken.is_empty() {
        let first = found.unused.first().or(found.other_shape.first());
        let problem = format!(
            "none of its tensors belongs to this network: it has `{}`, expected names like `{}`",
            first.map_or("none", String::as_str),
            parameters.specs.first().map_or("none", |spec| spec.name.as_str())
        );
        return Err(Error::Checkpoint { path, problem });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::{Initialiser, Scope};
    use crate::tensors::view;

    fn network() -> Parameters {
        let mut specs = Vec::new();
        let mut scope = Scope::new(&mut specs);
        for (name, shape) in [
            ("net.conv1.weight", &[2, 1, 1, 2][..]),
            ("net.fc.weight", &[1, 4]),
            ("net.fc.bias", &[1]),
            ("head.bias", &[1]),
        ] {
            scope.parameter(name, shape, Initialiser::Constant(9.0));
        }
        Parameters::draw(specs, 1).unwrap()
    }

    fn file(arrays: &[(&str, &[usize])]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resnet.safetensors");
        let array = |(name, shape): &(&str, &[usize])| {
            let n = shape.iter().product::<usize>();
            ((*name).to_owned(), shape.to_vec(), (0..n).map(|v| v as f32).collect())
        };
        crate::weights_file::write(&path, arrays.iter().map(array).collect()).unwrap();
        (folder, path)
    }

    #[test]
    fn what_fits_is_taken_and_the_rest_is_named() {
        let (_folder, path) = file(&[
            ("conv1.weight", &[2, 3, 1, 2]),
            ("fc.weight", &[10, 4]),
            ("fc.bias", &[1]),
            ("layer9.weight", &[1]),
        ]);
        let mut parameters = network();
        let found = transfer(&path, "net.", &mut parameters).unwrap();
        let names = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
        let expected = TransferReport {
            taken: names(&["net.conv1.weight", "net.fc.bias"]),
            summed: names(&["net.conv1.weight"]),
            missing: names(&["head.bias"]),
            other_shape: names(&["net.fc.weight: [10, 4], expected [1, 4]"]),
            unused: names(&["net.layer9.weight"]),
        };
        assert_eq!(found, expected);
        let values: Vec<Vec<f32>> =
            parameters.tensors.iter().map(|t| view(t).unwrap().to_vec()).collect();
        // Sums over three channels of two values, of 0 to 5 and of 6 to 11.
        assert_eq!(values[0], [0.0 + 2.0 + 4.0, 1.0 + 3.0 + 5.0, 24.0, 27.0]);
        assert_eq!(
            (&values[1][..], &values[2][..], &values[3][..]),
            (&[9.0; 4][..], &[0.0][..], &[9.0][..])
        );
    }

    #[test]
    fn a_file_of_which_nothing_fits_is_refused() {
        let (_folder, path) = file(&[("conv1.weight", &[2, 3, 1, 2])]);
        let error = transfer(&path, "", &mut network()).unwrap_err().to_string();
        assert!(
            error.ends_with(
                "none of its tensors belongs to this network: it has `conv1.weight`, expected names like \
                 `net.conv1.weight`"
            ),
            "{error}"
        );
    }
}
