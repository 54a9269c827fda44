//! Named arrays in safetensors files, of this program and of PyTorch.

use super::error::{Error, Result};
use fs_err as fs;
use half::{bf16, f16};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use std::collections::BTreeMap;
use std::path::Path;

/// Shapes and values of arrays, by name.
pub(super) type NamedArrays = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// The end of the name of PyTorch's counter of batches, which no network here has.
const COUNTER: &str = "num_batches_tracked";

/// Whether a file's first bytes are those of a zip archive or of a pickle (protocols 2 to 5), which PyTorch's own files are.
///
/// A safetensors file begins with the length of its header in 8 bytes, which may have the same start; its header follows.
pub(super) fn is_of_pytorch(start: &[u8]) -> bool {
    let is_other = start.starts_with(b"PK\x03\x04") || matches!(start, [0x80, 2..=5, ..]);
    is_other && start.get(8) != Some(&b'{')
}

/// A file's arrays.
#[derive(Debug, Default)]
pub(super) struct WeightsFile {
    /// Those of numbers with a fraction, as 32-bit floats.
    pub(super) arrays: NamedArrays,
    /// The types of the others, by name; counters of batches are left out.
    pub(super) others: BTreeMap<String, Dtype>,
}

pub(super) fn wrong(path: &Path, problem: impl Into<String>) -> Error {
    Error::Checkpoint { path: path.to_owned(), problem: problem.into() }
}

/// What is wrong with an array of another type.
pub(super) fn wrong_type(path: &Path, name: &str, found: Dtype) -> Error {
    wrong(
        path,
        format!(
            "tensor `{name}` has the data type {found:?}, expected F32, F16, BF16 or F64; convert it, as with \
             `tensor.float()` in PyTorch"
        ),
    )
}

impl WeightsFile {
    /// Reads a file's arrays. F16 and BF16 become F32 without a change, F64 is rounded to it.
    ///
    /// # Errors
    ///
    /// Fails if the file is no safetensors file, or an array holds a number that is not finite or that F32 cannot hold.
    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        if is_of_pytorch(bytes) {
            return Err(wrong(path, of_pytorch(path)));
        }
        let tensors = SafeTensors::deserialize(bytes)
            .map_err(|error| wrong(path, format!("not a safetensors file: {error}")))?;
        let mut file = Self::default();
        for (name, tensor) in tensors.tensors() {
            let Some(values) = floats(&tensor).map_err(|value| {
                let problem =
                    format!("tensor `{name}` contains {value}, expected finite numbers of F32");
                wrong(path, problem)
            })?
            else {
                if name.rsplit('.').next() != Some(COUNTER) {
                    file.others.insert(name, tensor.dtype());
                }
                continue;
            };
            file.arrays.insert(name, (tensor.shape().to_vec(), values));
        }
        Ok(file)
    }
}

/// The values of an array as 32-bit floats; `None` where it holds other numbers, and the first value that has no such
/// form as an error.
fn floats(tensor: &TensorView<'_>) -> std::result::Result<Option<Vec<f32>>, f64> {
    let data = tensor.data();
    let checked = |value: f64| {
        let single = value as f32;
        if single.is_finite() { Ok(single) } else { Err(value) }
    };
    let values: std::result::Result<Vec<f32>, f64> = match tensor.dtype() {
        Dtype::F32 => {
            data.as_chunks().0.iter().map(|b| checked(f32::from_le_bytes(*b).into())).collect()
        }
        Dtype::F64 => data.as_chunks().0.iter().map(|b| checked(f64::from_le_bytes(*b))).collect(),
        Dtype::F16 => {
            data.as_chunks().0.iter().map(|b| checked(f16::from_le_bytes(*b).into())).collect()
        }
        Dtype::BF16 => {
            data.as_chunks().0.iter().map(|b| checked(bf16::from_le_bytes(*b).into())).collect()
        }
        _ => return Ok(None),
    };
    values.map(Some)
}

/// What to do with a file of PyTorch's own format.
pub(super) fn of_pytorch(path: &Path) -> String {
    // Files of PyTorch may be named as if they were converted: the line must not write onto what it reads.
    let is_named_so = path.extension().is_some_and(|name| name.eq_ignore_ascii_case("safetensors"));
    let converted = if is_named_so { "converted.safetensors" } else { "safetensors" };
    format!(
        "is a file of PyTorch's own format (zip or pickle), expected safetensors; convert it with\n\
         python -c \"import sys, torch, safetensors.torch as s; d = torch.load(sys.argv[1], map_location='cpu', \
         weights_only=True); d = d.get('state_dict', d.get('model', d)); s.save_file({{k: v.clone().contiguous() for k, v in \
         d.items() if torch.is_tensor(v)}}, sys.argv[2])\" {} {}\nand name the new file",
        quoted(path),
        quoted(&path.with_extension(converted))
    )
}

/// A path in quotes for a shell.
pub(super) fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

/// Writes named arrays and returns the bytes written.
pub(super) fn write(path: &Path, arrays: Vec<(String, Vec<usize>, Vec<f32>)>) -> Result<Vec<u8>> {
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
    fs::write(path, &file)?;
    Ok(file)
}

/// Reads named arrays, which must all hold numbers with a fraction.
pub(super) fn read(path: &Path) -> Result<NamedArrays> {
    let WeightsFile { arrays, others } = WeightsFile::parse(path, &fs::read(path)?)?;
    match others.into_iter().next() {
        None => Ok(arrays),
        Some((name, found)) => Err(wrong_type(path, &name, found)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn file(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
    }

    /// The types that PyTorch wrote come back as PyTorch itself converts them (tests/golden/dtypes.py).
    #[test]
    fn arrays_of_every_type_are_those_of_pytorch() {
        let golden: Value =
            serde_json::from_slice(&fs::read(file("dtypes.json")).unwrap()).unwrap();
        let path = file("dtypes.safetensors");
        let found = WeightsFile::parse(&path, &fs::read(&path).unwrap()).unwrap();
        let expected = golden["floats"].as_object().unwrap();
        assert_eq!(found.arrays.len(), expected.len());
        for (name, bits) in expected {
            let bits: Vec<u32> = serde_json::from_value(bits.clone()).unwrap();
            let values: Vec<u32> = found.arrays[name].1.iter().map(|v| v.to_bits()).collect();
            assert_eq!(values, bits, "{name}");
        }
        // Counters of batches are no weights; other whole numbers are named with their type.
        let others: Vec<String> = found.others.iter().map(|(n, t)| format!("{n} {t:?}")).collect();
        assert_eq!(others, ["flags BOOL", "indices I64"]);
        let error = read(&path).unwrap_err().to_string();
        let expected = "tensor `flags` has the data type BOOL, expected F32, F16, BF16 or F64";
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_number_too_large_for_f32_is_refused() {
        let bytes: Vec<u8> = [1.0f64, 1e39].iter().flat_map(|v| v.to_le_bytes()).collect();
        let view = TensorView::new(Dtype::F64, vec![2], &bytes).unwrap();
        let file = safetensors::serialize([("w", view)], None).unwrap();
        let error = WeightsFile::parse(Path::new("w.safetensors"), &file).unwrap_err().to_string();
        assert!(error.contains("tensor `w` contains 1000000000000000000000000"), "{error}");
    }

    #[test]
    fn a_file_of_pytorch_is_answered_with_the_line_that_converts_it() {
        let starts: [&[u8]; 4] = [b"PK\x03\x04", b"\x80\x02", b"\x80\x04", b"\x80\x05\x95."];
        for start in starts {
            let answer =
                |path: &str| WeightsFile::parse(Path::new(path), start).unwrap_err().to_string();
            let error = answer("it's/net.pth");
            assert!(
                error.contains("expected safetensors; convert it with\npython -c \"import sys"),
                "{error}"
            );
            assert!(error.contains(r"'it'\''s/net.pth' 'it'\''s/net.safetensors'"), "{error}");
            // One that is named as if it were converted is not written onto.
            let named = answer("net.safetensors");
            assert!(named.contains("'net.safetensors' 'net.converted.safetensors'"), "{named}");
        }
    }

    #[test]
    fn a_header_whose_length_starts_as_a_pickle_does_is_read() {
        // A header of 0x0280 bytes: the file's first bytes are those of a pickle.
        let name = |n: usize| "w".repeat(n);
        let bytes = 1f32.to_le_bytes();
        let file = |n: usize| {
            let view = TensorView::new(Dtype::F32, vec![1], &bytes).unwrap();
            safetensors::serialize([(name(n), view)], None).unwrap()
        };
        let long = (500..640).map(file).find(|file| file.starts_with(b"\x80\x02\0\0")).unwrap();
        assert_eq!(WeightsFile::parse(Path::new("w"), &long).unwrap().arrays.len(), 1);
    }
}
