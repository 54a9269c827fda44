//! The logistic function and softplus.

use rayon::prelude::*;

/// `1 / (1 + exp(-x))`, accurate to a few units in the last place.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// [`sigmoid`] of each value.
pub(crate) fn sigmoids(x: &[f32]) -> Vec<f32> {
    x.par_iter().with_min_len(super::tasks::GRAIN).map(|x| sigmoid(*x)).collect()
}

/// `ln(1 + exp(x))`: positive for any number.
pub(crate) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The number whose [`softplus`] is `y > 0`.
pub(crate) fn softplus_inverse(y: f64) -> f64 {
    y + (-(-y).exp()).ln_1p()
}

/// `exp(x)` without branches or calls, so that loops vectorise; arguments beyond ±87 count as ±87.
/// The polynomial is that of Cephes' `expf`.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding this leaves the nearest integer in the last bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 87.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts: n times the first is exact.
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 5e-1;
    let fraction = p * r * r + r + 1.0;
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    fraction * f32::from_bits(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "sums of small whole numbers are exact")]
    fn it_is_the_logistic_function() {
        for i in -4000..=4000 {
            let x = i as f32 * 0.02;
            let exact = 1.0 / (1.0 + (-f64::from(x)).exp());
            assert!((f64::from(sigmoid(x)) - exact).abs() <= 3e-7 * exact, "{x}");
        }
        assert_eq!(sigmoid(0.0), 0.5);
        assert_eq!(sigmoid(1e30), 1.0);
        assert!(sigmoid(-1e30) < 1e-37);
        assert!(sigmoid(f32::NAN).is_nan());
    }

    #[test]
    fn softplus_has_its_inverse() {
        for y in [1e-3, 0.5, 1.0, 30.0] {
            assert!((softplus(softplus_inverse(y)) - y).abs() < 1e-9);
        }
        assert!((softplus(0.0) - std::f64::consts::LN_2).abs() < 1e-15);
    }
}
