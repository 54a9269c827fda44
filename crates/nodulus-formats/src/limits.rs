//! Limits of what a scan or a mark can have. A value beyond them is a mistake of its file.

use std::fmt;

/// The least and the greatest value that is read, both included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    least: f64,
    most: f64,
    /// The limit in words, with its unit.
    pub text: &'static str,
}

impl Limit {
    /// Whether a value is a number within the limit.
    #[inline]
    pub fn holds(&self, value: f64) -> bool {
        (self.least..=self.most).contains(&value)
    }

    /// Whether all values are.
    #[inline]
    pub fn hold(&self, values: &[f64]) -> bool {
        values.iter().all(|value| self.holds(*value))
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.text)
    }
}

/// Distance between voxels, columns, rows or slices; thickness of a slice.
///
/// METHOD: micro-CT of specimens has voxels of 0.01 mm; slices of the chest are at most 10 mm thick, and localizers 50.
pub const SPACING_MM: Limit = Limit { least: 0.01, most: 50.0, text: "0.01 to 50 mm" };

/// Distance between slices where its sign is the direction.
pub const SIGNED_SPACING_MM: Limit =
    Limit { least: -SPACING_MM.most, most: SPACING_MM.most, text: "-50 to 50 mm" };

/// A coordinate in the patient.
///
/// METHOD: coordinates count from a point of the scanner's table, which is a few metres long; 1 km leaves room for
/// shifted frames of reference, and none for numbers that are no millimetres.
pub const POSITION_MM: Limit = Limit { least: -1e6, most: 1e6, text: "-1000000 to 1000000 mm" };

/// Diameter of a nodule.
///
/// METHOD: a chest is about 0.5 m wide.
pub const DIAMETER_MM: Limit = Limit { least: 0.01, most: 1000.0, text: "0.01 to 1000 mm" };

/// Slope from stored numbers to Hounsfield units, without its sign.
///
/// METHOD: 16-bit numbers times 1e-6 are all 0, and times 1e6 none of them but 0 is a 16-bit value.
pub const SLOPE: Limit = Limit { least: 1e-6, most: 1e6, text: "0.000001 to 1000000" };

/// Intercept from stored numbers to Hounsfield units.
pub const INTERCEPT: Limit = Limit { least: -1e6, most: 1e6, text: "-1000000 to 1000000" };

/// Voltage of an X-ray tube, in kV.
pub const TUBE_VOLTAGE_KV: Limit = Limit { least: 1.0, most: 1000.0, text: "1 to 1000 kV" };

/// Current of an X-ray tube, in mA; 0 in computed images.
pub const TUBE_CURRENT_MA: Limit = Limit { least: 0.0, most: 10_000.0, text: "0 to 10000 mA" };

/// A position on an image, in pixels.
pub const PIXEL: Limit = Limit { least: -65_535.0, most: 65_535.0, text: "-65535 to 65535 pixels" };

/// Most voxels along an axis, as many as DICOM's 16 bits count.
pub const MOST_VOXELS_ALONG: usize = 65_535;

/// The number of decimals, `least` or more, with which a value that is over a limit is written so that it is seen to be:
/// 4 for 0.1004 and a limit of 0.1, where 3 would show 0.100.
pub fn decimals_over(value: f64, limit: f64, least: usize) -> usize {
    const MOST: usize = 12;
    let differs = |n: &usize| format!("{value:.n$}") != format!("{limit:.n$}");
    (least..MOST).find(differs).unwrap_or(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_the_numbers() {
        for limit in [
            SPACING_MM,
            SIGNED_SPACING_MM,
            POSITION_MM,
            DIAMETER_MM,
            SLOPE,
            INTERCEPT,
            TUBE_VOLTAGE_KV,
            TUBE_CURRENT_MA,
            PIXEL,
        ] {
            let numbers = format!("{} to {}", limit.least, limit.most);
            assert!(limit.text.starts_with(&numbers), "{limit} {numbers}");
            assert!(limit.hold(&[limit.least, limit.most]), "{limit}");
            let beyond = [limit.least.next_down(), limit.most.next_up()];
            for value in beyond.into_iter().chain([f64::NAN, f64::INFINITY, f64::NEG_INFINITY]) {
                assert!(!limit.holds(value), "{limit} {value}");
            }
        }
    }

    #[test]
    fn a_value_over_a_limit_is_written_as_such() {
        assert_eq!(decimals_over(0.1004, 0.1, 3), 4);
        assert_eq!(decimals_over(0.25, 0.1, 3), 3);
        assert_eq!(decimals_over(0.100_000_02, 0.1, 3), 8);
        assert_eq!(decimals_over(0.1, 0.1, 3), 12);
    }
}
