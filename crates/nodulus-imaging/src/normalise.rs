//! Normalisation of Hounsfield units to the network's range.

/// A value on a window: 0 at `low_hu` and below, 1 at `high_hu` and above, linear between;
/// `high_hu` must be greater than `low_hu`.
///
/// METHOD: clip((hu - low) / (high - low), 0, 1) in 32 bits, as numpy computes it for float32.
pub fn normalise(hu: impl Into<f32>, low_hu: f64, high_hu: f64) -> f32 {
    let (low, high) = (low_hu as f32, high_hu as f32);
    ((hu.into() - low) / (high - low)).clamp(0.0, 1.0)
}

/// Normalises every pixel of a slice.
pub fn normalise_slice(hu: &[i16], low_hu: f64, high_hu: f64) -> Vec<f32> {
    hu.iter().map(|hu| normalise(*hu, low_hu, high_hu)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use sha2::{Digest as _, Sha256};
    use std::collections::BTreeMap;

    /// A window on which numpy normalised every value: `tests/golden/normalise.py`.
    #[derive(Deserialize)]
    struct Golden {
        low_hu: f64,
        high_hu: f64,
        sha256: String,
        bits: BTreeMap<i16, u32>,
    }

    #[test]
    fn every_value_is_numpys_bit_for_bit() {
        let cases: Vec<Golden> =
            serde_json::from_str(include_str!("../../../tests/golden/normalise.json")).unwrap();
        let hu: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        for case in cases {
            for (hu, bits) in case.bits {
                assert_eq!(normalise(hu, case.low_hu, case.high_hu).to_bits(), bits, "{hu} HU");
            }
            let mut hash = Sha256::new();
            for value in normalise_slice(&hu, case.low_hu, case.high_hu) {
                hash.update(value.to_le_bytes());
            }
            let digest = hash
                .finalize()
                .iter()
                .fold(String::new(), |digest, byte| digest + &format!("{byte:02x}"));
            assert_eq!(digest, case.sha256, "{} to {} HU", case.low_hu, case.high_hu);
        }
    }

    #[test]
    fn the_window_is_a_line_with_flat_ends() {
        let hu = [i16::MIN, -1000, -999, -300, 399, 400, i16::MAX];
        let expected = [0.0, 0.0, 1.0 / 1400.0, 0.5, 1399.0 / 1400.0, 1.0, 1.0];
        let found = normalise_slice(&hu, -1000.0, 400.0);
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-7, "{found} {expected}");
        }
        assert!((normalise(127.5f32, 0.0, 255.0) - 0.5).abs() < 1e-7);
    }
}
