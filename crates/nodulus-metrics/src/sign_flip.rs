//! A test of paired differences by patient: the sign-flip permutation.

use super::interval::MIN_PATIENTS_OF_TEST;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// Largest number of patients for which every pattern of signs is counted.
pub const EXACT_UP_TO: usize = 20;
/// Number of random patterns for more patients.
pub const RANDOM_FLIPS: u64 = 99_999;
/// Sums that differ by less than this share of all patients' absolute sums are equal.
const ROUNDING: f64 = 1e-12;

/// Result of the two-sided sign-flip test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignFlip {
    /// p-value.
    pub p: f64,
    /// Whether every pattern of signs was counted.
    pub is_exact: bool,
}

impl SignFlip {
    /// Name of the test, as tables say it.
    pub const fn name(self) -> &'static str {
        if self.is_exact {
            "sign flips by patient, all"
        } else {
            "sign flips by patient, 99999 random"
        }
    }
}

/// Tests whether paired differences are symmetric about 0, from each patient's sum of differences; `None` for fewer than
/// [`MIN_PATIENTS_OF_TEST`] patients. `seed` determines the random patterns.
///
/// The order of patients makes no difference to an exact test, and to a random one only by its resamples.
///
/// METHOD: where two models do not differ, a patient's differences may as well have the other sign, all together: the
/// nodules of one patient are not independent. p is the share of the 2ⁿ patterns of signs in which the mean difference
/// over nodules is at least as far from 0 as the one found (Fisher 1935; Winkler et al. 2014 for whole exchangeability
/// blocks): all patterns for up to 20 patients, else (b + 1) / (m + 1) with b of m = 99,999 random patterns (Phipson and
/// Smyth 2010). Chosen over the clustered signed-rank test of Datta and Satten 2008, which is asymptotic and tests ranks:
/// where differences are skewed about a mean of 0 it calls 8 to 28% significant at 0.05, sign flips 5 to 9%
/// (docs/metrics.md).
pub fn sign_flip(sums: &[f64], seed: u64) -> Option<SignFlip> {
    if sums.len() < MIN_PATIENTS_OF_TEST {
        return None;
    }
    let bytes: Vec<[f64; 256]> = sums.chunks(8).map(signed_sums).collect();
    let all: f64 = sums.iter().map(|sum| sum.abs()).sum();
    let least = sums.iter().sum::<f64>().abs() - ROUNDING * all;
    let is_extreme = |pattern: &[u8]| {
        let sum: f64 = bytes.iter().zip(pattern).map(|(sums, byte)| sums[usize::from(*byte)]).sum();
        sum.abs() >= least
    };
    if sums.len() <= EXACT_UP_TO {
        // A pattern and its opposite are equally extreme: the last patient keeps the sign.
        let n_patterns = 1u32 << (sums.len() - 1);
        let n_extreme = (0..n_patterns).filter(|n| is_extreme(&n.to_le_bytes())).count();
        return Some(SignFlip { p: n_extreme as f64 / f64::from(n_patterns), is_exact: true });
    }
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let mut pattern = vec![0; bytes.len()];
    let n_extreme = (0..RANDOM_FLIPS)
        .filter(|_| {
            random.fill_bytes(&mut pattern);
            is_extreme(&pattern)
        })
        .count();
    Some(SignFlip { p: (n_extreme as f64 + 1.0) / (RANDOM_FLIPS as f64 + 1.0), is_exact: false })
}

/// The sum of up to eight numbers under each pattern of signs, of which bit n flips the n-th.
fn signed_sums(numbers: &[f64]) -> [f64; 256] {
    std::array::from_fn(|pattern| {
        let signed =
            |(n, number): (usize, &f64)| if pattern >> n & 1 == 1 { -number } else { *number };
        numbers.iter().enumerate().map(signed).sum()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_of_one_sign() {
        // Two of the 64 patterns: all as found, and all flipped.
        let found = sign_flip(&[1.0, 2.0, 3.0, 0.5, 0.1, 4.0], 1).unwrap();
        assert_eq!(found, SignFlip { p: 2.0 / 64.0, is_exact: true });
        assert_eq!(sign_flip(&[-1.0, -2.0, -3.0, -0.5, -0.1, -4.0], 1), Some(found));
    }

    #[test]
    fn patterns_are_counted_by_hand() {
        // Of five ones and a minus one, 4 is reached with at most one or at least five flips of six.
        let found = sign_flip(&[1.0, 1.0, 1.0, 1.0, 1.0, -1.0], 1).unwrap();
        assert!((found.p - 14.0 / 64.0).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn what_does_not_differ_is_never_significant() {
        assert!((sign_flip(&[0.0; 30], 1).unwrap().p - 1.0).abs() < 1e-12);
        // Three that differ among twenty that do not: as three alone, 2 of 8.
        let mut sums = [0.0; 12];
        sums[..3].copy_from_slice(&[1.0, 2.0, 3.0]);
        assert!((sign_flip(&sums, 1).unwrap().p - 0.25).abs() < 1e-12);
    }

    #[test]
    fn fewer_than_six_patients_are_not_tested() {
        assert_eq!(sign_flip(&[], 1), None);
        assert_eq!(sign_flip(&[1.0; 5], 1), None);
    }

    #[test]
    fn random_patterns_never_give_zero_and_follow_the_seed() {
        let sums = [1.0; 40];
        assert_eq!(sign_flip(&sums, 1), Some(SignFlip { p: 1e-5, is_exact: false }));
        let sums: Vec<f64> = (0..21).map(|n| f64::from(n) - 9.0).collect();
        assert_eq!(sign_flip(&sums, 1), sign_flip(&sums, 1));
        assert_ne!(sign_flip(&sums, 1), sign_flip(&sums, 2));
        // The first twenty are counted exactly; a patient without a difference changes nothing.
        let padded = [&sums[..20], &[0.0]].concat();
        let (exact, random) = (sign_flip(&sums[..20], 1).unwrap(), sign_flip(&padded, 1).unwrap());
        assert!(exact.is_exact && !random.is_exact);
        // Three standard errors of 99,999 patterns.
        let tolerance = 3.0 * (exact.p * (1.0 - exact.p) / RANDOM_FLIPS as f64).sqrt();
        assert!((exact.p - random.p).abs() < tolerance, "{exact:?} {random:?}");
    }
}
