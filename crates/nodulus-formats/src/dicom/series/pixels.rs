//! Converts stored pixel values to Hounsfield units.

use crate::dicom::element::syntax::Packing;
use crate::dicom::error::Problem;
use dicom_dictionary_std::tags;

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
    /// `HighBit`, if it contradicts `bits_stored` and the pixels decide; `high_bit` is then that of `bits_stored`.
    pub(crate) stated_high_bit: Option<u32>,
    pub(crate) signed: bool,
    pub(crate) slope: f64,
    pub(crate) intercept: f64,
    /// The bits of `PixelPaddingValue`, which is signed like the pixels.
    pub(crate) padding: Option<u16>,
}

/// What was read past in the pixels of a slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PixelFaults {
    /// Voxels of padding whose value lies outside 16 bits.
    pub(crate) n_padding: usize,
    /// Other voxels whose value lies outside 16 bits.
    pub(crate) n_clamped: usize,
    /// Whether a `HighBit` that contradicts `BitsStored` is right, if the pixels show that.
    pub(crate) is_high_bit_right: Option<bool>,
}

/// Greatest value, in HU, that is set to the limit of 16 bits.
///
/// METHOD: scanners with an extended scale reach 30,710 HU, and stored values of 16 bits about 65,000. A greater value
/// comes from a wrong slope.
const MOST_HU: f64 = 131_072.0;

/// Converts a slice. `raw` has two bytes for each voxel of `hu`.
///
/// METHOD: padding is a pixel value like any other, so a pixel with `PixelPaddingValue` is rescaled (to -3024 HU on
/// many scans), as in pydicom and ITK. If the result does not fit into 16 bits, padding becomes the least value and any
/// other voxel, such as metal, the nearest one; both are counted.
pub(crate) fn decode(
    raw: &[u8],
    format: &PixelFormat,
    columns: usize,
    hu: &mut [i16],
) -> Result<PixelFaults, Problem> {
    let (pairs, _) = raw.as_chunks::<2>();
    let plain = |pair: [u8; 2]| {
        if format.big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
    };
    let (high_bit, is_high_bit_right) = match format.stated_high_bit {
        None => (format.high_bit, None),
        Some(stated) => high_bit(pairs.iter().map(|pair| plain(*pair)), format, stated)?,
    };
    // Bits above the high bit may hold overlays. They are shifted out to the left; shifting back extends the sign.
    let (up, down) = (15 - high_bit, 16 - format.bits_stored);
    let word = |pair: [u8; 2]| plain(pair) << up;
    let fits = if format.signed {
        rescale(pairs, hu, format, |pair| word(pair) as i16 >> down, |stored| stored)
    } else {
        rescale(pairs, hu, format, |pair| word(pair) >> down, |stored| stored as i16)
    };
    let mut faults = PixelFaults { is_high_bit_right, ..PixelFaults::default() };
    if fits {
        return Ok(faults);
    }
    let padding = format.padding.map(|bits| bits << up >> down);
    for (at, (pair, hu)) in pairs.iter().zip(hu).enumerate() {
        let bits = word(*pair);
        let stored =
            if format.signed { f64::from(bits as i16 >> down) } else { f64::from(bits >> down) };
        let value = (stored * format.slope + format.intercept).round();
        let limited = value.clamp(f64::from(i16::MIN), f64::from(i16::MAX));
        *hu = limited as i16;
        if (f64::from(i16::MIN)..=f64::from(i16::MAX)).contains(&value) {
            continue;
        }
        if padding == Some(bits >> down) {
            *hu = i16::MIN;
            faults.n_padding += 1;
        } else if value.abs() <= MOST_HU {
            faults.n_clamped += 1;
        } else {
            let hu = value as i64;
            return Err(Problem::Range { i: at % columns, j: at / columns, hu });
        }
    }
    Ok(faults)
}

/// The bit that is the highest of pixels whose stated high bit contradicts the number of bits, and whether the stated one
/// is right; `None` where both give the same, as in a slice of zeros.
///
/// METHOD: pixels that fill a word from the right have only zeros, or copies of the sign, above their bits; pixels that
/// end at the stated bit have only zeros below them. Pixels of both kinds that are not all zeros, as those that are all
/// multiples of 16, may be either, and are refused. `PyDICOM` and ITK read them from the right without a question.
fn high_bit(
    mut words: impl Iterator<Item = u16> + Clone,
    format: &PixelFormat,
    stated: u32,
) -> Result<(u32, Option<bool>), Problem> {
    let own = format.high_bit;
    let fills_from_right = |word: u16| {
        let above = word.checked_shr(own + 1).unwrap_or(0);
        let ones = u16::MAX.checked_shr(own + 1).unwrap_or(0);
        above == 0 || format.signed && above == ones && word >> own & 1 == 1
    };
    if stated > own {
        let below = (1u16 << (stated - own)) - 1;
        let ends_at_stated = words.clone().all(|word| word & below == 0);
        match (ends_at_stated, words.clone().all(fills_from_right)) {
            (true, true) if words.all(|word| word == 0) => return Ok((own, None)),
            (true, true) => {
                let expected = format!(
                    "{own}, as {} bits are stored; the pixels are all multiples of {} and fit both: correct it",
                    format.bits_stored,
                    below + 1
                );
                return Err(Problem::value(tags::HIGH_BIT, stated, expected));
            }
            (true, false) => return Ok((stated, Some(true))),
            (false, true) => return Ok((own, Some(false))),
            (false, false) => {}
        }
    } else {
        // Too low to hold all bits: right unless it cuts bits off.
        let above = |word: u16| word >> (stated + 1);
        let ones = u16::MAX >> (stated + 1);
        if words.all(|word| above(word) == 0 || format.signed && above(word) == ones) {
            return Ok((own, Some(false)));
        }
    }
    let expected =
        format!("{own}, as {} bits are stored; the pixels fit neither", format.bits_stored);
    Err(Problem::value(tags::HIGH_BIT, stated, expected))
}

/// Rescales every pixel; returns whether all values fit. If not, the voxels are to be set anew.
fn rescale<S: Copy + Ord + Into<i32>>(
    pairs: &[[u8; 2]],
    hu: &mut [i16],
    format: &PixelFormat,
    stored: impl Fn([u8; 2]) -> S,
    bits: impl Fn(S) -> i16,
) -> bool {
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
    extremes.is_none_or(|(least, greatest)| fits(least) && fits(greatest))
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
    fn values_past_16_bits_are_limited_and_counted() {
        let faults = |raw: &[u8], format: &PixelFormat| {
            let mut hu = vec![0; raw.len() / 2];
            let faults = decode(raw, format, 2, &mut hu).unwrap();
            (hu, faults.n_padding, faults.n_clamped)
        };
        // 33791 - 1024 = 32767; 33792 is one too many. -32768 - 1024 is too little.
        let unsigned = PixelFormat { signed: false, ..PLAIN };
        assert_eq!(faults(&[0xFF, 0x83, 0, 0], &unsigned), (vec![32767, -1024], 0, 0));
        assert_eq!(faults(&[0x00, 0x84, 1, 0], &unsigned), (vec![32767, -1023], 0, 1));
        assert_eq!(faults(&[0x00, 0x80, 1, 0], &PLAIN), (vec![-32768, -1023], 0, 1));
        // Padding is the background, on whichever side it leaves the range.
        let padded = PixelFormat { padding: Some(0x8000), ..PLAIN };
        assert_eq!(faults(&[0x00, 0x80, 1, 0], &padded), (vec![-32768, -1023], 1, 0));
        let padded = PixelFormat { padding: Some(0xF830), ..unsigned };
        assert_eq!(faults(&[0x30, 0xF8, 0x31, 0xF8], &padded), (vec![-32768, 32767], 1, 1));
    }

    #[test]
    fn a_value_that_no_tissue_or_metal_has_is_an_error_with_its_position() {
        let huge = PixelFormat { slope: 1e300, ..PLAIN };
        assert!(hu(&[0, 0, 1, 0], &huge).unwrap_err().contains("column 1, row 0"));
        let steep = PixelFormat { slope: 100.0, ..PLAIN };
        let error = hu(&[0, 0, 0, 0, 0, 0, 0x00, 0x20], &steep).unwrap_err();
        assert!(error.contains("column 1, row 1 is 818176 HU"), "{error}");
    }

    #[test]
    fn the_pixels_tell_whether_a_contradicted_high_bit_is_right() {
        let stated = |high_bit, signed| PixelFormat {
            bits_stored: 12,
            high_bit: 11,
            stated_high_bit: Some(high_bit),
            signed,
            intercept: 0.0,
            ..PLAIN
        };
        // Bits at the right: 0x07FF and 0xF801, which is -2047. Those at the left end in zeros.
        assert_eq!(hu(&[0xFF, 0x07, 0x01, 0xF8], &stated(15, true)).unwrap(), [2047, -2047]);
        assert_eq!(hu(&[0xF0, 0x7F, 0x10, 0x80], &stated(15, true)).unwrap(), [2047, -2047]);
        assert_eq!(hu(&[0xFF, 0x0F, 0x01, 0x00], &stated(15, false)).unwrap(), [4095, 1]);
        // Neither: bits above and below.
        let error = hu(&[0xFF, 0x17, 0x01, 0x00], &stated(15, false)).unwrap_err();
        assert!(error.contains("HighBit (0028,0102) is 15, expected 11, as 12 bits"), "{error}");
        // Multiples of 16 that fit both: zeros are the same either way.
        let error = hu(&[0xF0, 0x0F, 0x10, 0x00], &stated(15, false)).unwrap_err();
        assert!(error.contains("are all multiples of 16 and fit both: correct it"), "{error}");
        assert!(hu(&[0x30, 0xF8, 0x30, 0xF8], &stated(15, true)).is_err());
        assert_eq!(hu(&[0, 0, 0, 0], &stated(15, false)).unwrap(), [0, 0]);
        // Too low: read as the number of bits says, if no bit is cut off.
        assert_eq!(hu(&[0xFF, 0x00, 0x01, 0x00], &stated(7, false)).unwrap(), [255, 1]);
        assert!(hu(&[0xFF, 0x01], &stated(7, false)).is_err());
    }
}
