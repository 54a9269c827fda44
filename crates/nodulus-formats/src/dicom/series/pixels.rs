//! Converts stored pixel values to Hounsfield units.

use crate::dicom::element::syntax::Packing;
use crate::dicom::error::Problem;

/// How the pixels of a slice are stored: 16 bits each once they are unpacked, row by row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PixelFormat {
    pub(crate) packing: Packing,
    /// Offset of the data set in the file.
    pub(crate) data_set: u64,
    pub(crate) big_endian: bool,
    /// 16, or 8 if pixels are encapsulated.
    pub(crate) bits_allocated: u32,
    /// 1 to 16.
    pub(crate) bits_stored: u32,
    /// `bits_stored - 1` to 15.
    pub(crate) high_bit: u32,
    pub(crate) signed: bool,
    pub(crate) slope: f64,
    pub(crate) intercept: f64,
    /// The bits of `PixelPaddingValue`, which is signed like the pixels.
    pub(crate) padding: Option<u16>,
}

/// Converts a slice. `raw` has two bytes for each voxel of `hu`.
///
/// METHOD: padding is a pixel value like any other, so a pixel with `PixelPaddingValue` is rescaled (to -3024 HU on
/// many scans), as in pydicom and ITK. If the result does not fit into 16 bits, the error says so.
pub(crate) fn decode(
    raw: &[u8],
    format: &PixelFormat,
    columns: usize,
    hu: &mut [i16],
) -> Result<(), Problem> {
    // Bits above the high bit may hold overlays. They are shifted out to the left; shifting back extends the sign.
    let (up, down) = (15 - format.high_bit, 16 - format.bits_stored);
    let (pairs, _) = raw.as_chunks::<2>();
    let word = |pair: [u8; 2]| {
        let word =
            if format.big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) };
        word << up
    };
    let misfit = if format.signed {
        rescale(pairs, hu, format, |pair| word(pair) as i16 >> down, |stored| stored)
    } else {
        rescale(pairs, hu, format, |pair| word(pair) >> down, |stored| stored as i16)
    };
    match misfit {
        None => Ok(()),
        Some((at, hu)) => {
            let stored = |bits: u16| bits << up >> down;
            let is_padding =
                format.padding.is_some_and(|bits| stored(bits) == word(pairs[at]) >> down);
            let padding = if is_padding { ", PixelPaddingValue" } else { "" };
            Err(Problem::Range { i: at % columns, j: at / columns, hu, padding })
        }
    }
}

/// Rescales every pixel; returns the first pixel whose value does not fit, and the value.
fn rescale<S: Copy + Ord + Into<i32>>(
    pairs: &[[u8; 2]],
    hu: &mut [i16],
    format: &PixelFormat,
    stored: impl Fn([u8; 2]) -> S,
    bits: impl Fn(S) -> i16,
) -> Option<(usize, i32)> {
    let PixelFormat { slope, intercept, .. } = *format;
    // METHOD: if slope or intercept is fractional, HU are rounded to the nearest integer, ties away from zero. Half a
    // HU is far below the noise of a CT.
    let value = |stored: S| (f64::from(stored.into()) * slope + intercept).round();
    let fits = |stored: S| (f64::from(i16::MIN)..=f64::from(i16::MAX)).contains(&value(stored));
    let whole = |number: f64| number.fract() == 0.0 && number.abs() <= 1e9;
    let extremes = if whole(slope) && whole(intercept) {
        // If the result fits into 16 bits, wrapping 16-bit arithmetic gives it, and handles eight voxels at a time on
        // any processor.
        let (slope, intercept) = (slope as i64 as i16, intercept as i64 as i16);
        let wrapped = |stored| bits(stored).wrapping_mul(slope).wrapping_add(intercept);
        each(pairs, hu, &stored, wrapped)
    } else {
        each(pairs, hu, &stored, |stored| value(stored) as i16)
    };
    // The slope is positive: if the extremes fit, all values do.
    if extremes.is_none_or(|(least, greatest)| fits(least) && fits(greatest)) {
        return None;
    }
    let all = pairs.iter().map(|pair| stored(*pair)).enumerate();
    let mut misfits = all.filter(|(_, stored)| !fits(*stored));
    misfits.next().map(|(at, stored)| (at, value(stored) as i32))
}

/// Sets every voxel; returns the least and the greatest stored value, `None` if there is no pixel.
fn each<S: Copy + Ord>(
    pairs: &[[u8; 2]],
    hu: &mut [i16],
    stored: impl Fn([u8; 2]) -> S,
    value: impl Fn(S) -> i16,
) -> Option<(S, S)> {
    let first = stored(*pairs.first()?);
    let (mut least, mut greatest) = (first, first);
    for (pair, hu) in pairs.iter().zip(hu) {
        let stored = stored(*pair);
        least = least.min(stored);
        greatest = greatest.max(stored);
        *hu = value(stored);
    }
    Some((least, greatest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::tests::samples::PLAIN;

    fn hu(raw: &[u8], format: &PixelFormat) -> Result<Vec<i16>, String> {
        let mut hu = vec![0; raw.len() / 2];
        decode(raw, format, 2, &mut hu).map_err(|problem| problem.to_string())?;
        Ok(hu)
    }

    #[test]
    fn a_signed_word_is_rescaled() {
        // 0, -2000 (padding on many scans), 1024, 256.
        let raw = [0x00, 0x00, 0x30, 0xF8, 0x00, 0x04, 0x00, 0x01];
        assert_eq!(hu(&raw, &PLAIN).unwrap(), [-1024, -3024, 0, -768]);
        let big = PixelFormat { big_endian: true, ..PLAIN };
        assert_eq!(hu(&[0xF8, 0x30, 0x04, 0x00], &big).unwrap(), [-3024, 0]);
    }

    #[test]
    fn bits_that_are_not_stored_are_dropped() {
        // 12 bits, with an overlay in the highest nibble: 0xA7FF is 2047, and 0xA800 is 2048 or -2048.
        let raw = [0xFF, 0xA7, 0x00, 0xA8];
        let twelve = PixelFormat { bits_stored: 12, high_bit: 11, intercept: 0.0, ..PLAIN };
        assert_eq!(hu(&raw, &twelve).unwrap(), [2047, -2048]);
        assert_eq!(hu(&raw, &PixelFormat { signed: false, ..twelve }).unwrap(), [2047, 2048]);
        // Left-aligned: 0x7FFA >> 4 = 2047, 0x800A >> 4 = -2048.
        let left = PixelFormat { high_bit: 15, ..twelve };
        assert_eq!(hu(&[0xFA, 0x7F, 0x0A, 0x80], &left).unwrap(), [2047, -2048]);
    }

    #[test]
    fn fractions_are_rounded_to_the_nearest_hu() {
        let raw = [1, 0, 3, 0, 0xFF, 0xFF, 10, 0];
        let half = PixelFormat { slope: 0.5, intercept: 0.0, ..PLAIN };
        assert_eq!(hu(&raw, &half).unwrap(), [1, 2, -1, 5]);
        let whole = PixelFormat { slope: 2.0, intercept: -1.0, ..PLAIN };
        assert_eq!(hu(&raw, &whole).unwrap(), [1, 5, -3, 19]);
        let shifted = PixelFormat { intercept: -1000.4, ..PLAIN };
        assert_eq!(hu(&raw, &shifted).unwrap(), [-999, -997, -1001, -990]);
    }

    #[test]
    fn a_value_that_does_not_fit_is_an_error_with_its_position() {
        // 33792 - 1024 = 32768; -32768 - 1024 = -33792.
        let unsigned = PixelFormat { signed: false, ..PLAIN };
        assert_eq!(hu(&[0xFF, 0x83], &unsigned).unwrap(), [32767]);
        let error = hu(&[0, 0, 0, 0, 0, 0, 0x00, 0x84], &unsigned).unwrap_err();
        assert!(error.contains("column 1, row 1 is 32768 HU"), "{error}");
        let error = hu(&[0, 0, 0x00, 0x80], &PLAIN).unwrap_err();
        assert!(error.contains("column 1, row 0 is -33792 HU"), "{error}");
        let huge = PixelFormat { slope: 1e300, ..PLAIN };
        assert!(hu(&[0, 0, 1, 0], &huge).unwrap_err().contains("column 1, row 0"));
    }
}
