//! An array in numpy's format.

use std::fmt::Write as _;
use std::io;

/// Values, with the last axis fastest.
#[derive(Clone, Debug)]
pub enum Values {
    /// `uint8`.
    U8(Vec<u8>),
    /// `int16`.
    I16(Vec<i16>),
    /// `int64`.
    I64(Vec<i64>),
    /// `float64`.
    F64(Vec<f64>),
    /// One `str`.
    Text(String),
}

/// Values with a shape.
#[derive(Clone, Debug)]
pub struct Array {
    shape: Vec<usize>,
    values: Values,
}

/// A header, together with the bytes before it, ends on a multiple of this.
const ALIGNMENT: usize = 64;

impl Array {
    /// Makes an array of a shape; an empty shape has one value.
    pub fn new(shape: &[usize], values: Values) -> Self {
        Self { shape: shape.to_vec(), values }
    }

    /// A text, which has no axes.
    pub fn text(text: &str) -> Self {
        Self::new(&[], Values::Text(text.to_owned()))
    }

    /// The bytes of a `.npy` file.
    pub(super) fn to_npy(&self) -> io::Result<Vec<u8>> {
        let (n, type_name, data): (usize, String, Vec<u8>) = match &self.values {
            Values::U8(values) => (values.len(), "|u1".to_owned(), values.clone()),
            Values::I16(values) => {
                (values.len(), "<i2".to_owned(), bytes(values, i16::to_le_bytes))
            }
            Values::I64(values) => {
                (values.len(), "<i8".to_owned(), bytes(values, i64::to_le_bytes))
            }
            Values::F64(values) => {
                (values.len(), "<f8".to_owned(), bytes(values, f64::to_le_bytes))
            }
            Values::Text(text) => {
                let mut letters: Vec<u32> = text.chars().map(u32::from).collect();
                // numpy has no empty text type; the character 0 ends the text.
                letters.resize(letters.len().max(1), 0);
                (1, format!("<U{}", letters.len()), bytes(&letters, u32::to_le_bytes))
            }
        };
        let expected = self.shape.iter().try_fold(1usize, |n, length| n.checked_mul(*length));
        if expected != Some(n) {
            let message = format!("{n} values do not fill an array of shape {:?}", self.shape);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let mut shape = String::new();
        for length in &self.shape {
            let _ = write!(shape, "{length}, ");
        }
        let shape =
            if self.shape.len() == 1 { shape.trim_end() } else { shape.trim_end_matches(", ") };
        let mut header =
            format!("{{'descr': '{type_name}', 'fortran_order': False, 'shape': ({shape}), }}");
        let before = b"\x93NUMPY\x01\x00";
        let unpadded = before.len() + 2 + header.len() + 1;
        header.push_str(&" ".repeat(unpadded.next_multiple_of(ALIGNMENT) - unpadded));
        header.push('\n');
        let length = u16::try_from(header.len()).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, "an array has too many axes for numpy")
        })?;
        Ok([&before[..], &length.to_le_bytes(), header.as_bytes(), &data].concat())
    }
}

fn bytes<T: Copy, const N: usize>(values: &[T], to_bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|value| to_bytes(*value)).collect()
}
