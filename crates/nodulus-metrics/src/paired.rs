//! Comparison of two models on the same nodules.

use super::bootstrap;
use super::holm;
use super::interval::Interval;
use super::sign_flip::{SignFlip, sign_flip};
use super::summary::{mean, median};

/// Difference between two models' values on the same nodules.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PairedComparison {
    /// Nodules.
    pub n_nodules: u64,
    /// Their patients.
    pub n_patients: u64,
    /// Mean difference over nodules; `None` without a nodule.
    pub mean: Option<f64>,
    /// 95% interval of the mean: see [`bootstrap::interval`].
    pub interval: Interval,
    /// Median difference over nodules; `None` without a nodule.
    pub median: Option<f64>,
    /// The test by patient; `None` for too few patients.
    pub test: Option<SignFlip>,
    /// Matched-pairs rank-biserial correlation over nodules, -1 to 1: above 0 where differences tend to be positive;
    /// `None` where no nodule differs.
    pub rank_biserial: Option<f64>,
}

/// Compares two models by their differences, each with its patient, in any number and order.
///
/// `range` holds the smallest and the largest difference that there can be; `seed` determines the resamples.
pub fn paired(differences: &[(&str, f64)], range: [f64; 2], seed: u64) -> PairedComparison {
    let mut ordered = differences.to_vec();
    // Sums of floats depend on their order, which must not reach the results.
    ordered.sort_unstable_by(|a, b| a.0.cmp(b.0).then(a.1.total_cmp(&b.1)));
    let sums: Vec<f64> = ordered
        .chunk_by(|a, b| a.0 == b.0)
        .map(|of_patient| of_patient.iter().map(|(_, difference)| difference).sum())
        .collect();
    let mut values: Vec<f64> = ordered.iter().map(|(_, difference)| *difference).collect();
    values.sort_unstable_by(f64::total_cmp);
    PairedComparison {
        n_nodules: values.len() as u64,
        n_patients: sums.len() as u64,
        mean: mean(&values),
        interval: bootstrap::mean_interval(&ordered, range, seed),
        median: median(&values),
        test: sign_flip(&sums, seed),
        rank_biserial: rank_biserial(&values),
    }
}

/// P-values after Holm's correction over all comparisons that have one, in the given order.
pub fn corrected(comparisons: &[PairedComparison]) -> Vec<Option<f64>> {
    let p: Vec<f64> = comparisons.iter().filter_map(|paired| Some(paired.test?.p)).collect();
    let mut adjusted = holm::holm(&p).into_iter();
    comparisons.iter().map(|paired| paired.test.and_then(|_| adjusted.next())).collect()
}

/// METHOD: the rank sum of the positive differences minus that of the negative, as a share of both (Kerby 2014).
/// Differences of 0 are excluded, ties have their mean rank. It describes the nodules and takes no part in the test.
fn rank_biserial(differences: &[f64]) -> Option<f64> {
    let mut ordered: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    ordered.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    // Twice the rank, so that the mean rank of ties is a whole number too.
    let (mut n_before, mut balance) = (0i64, 0i64);
    for tied in ordered.chunk_by(|a, b| a.abs().total_cmp(&b.abs()).is_eq()) {
        let n = tied.len() as i64;
        let n_positive = tied.iter().filter(|d| **d > 0.0).count() as i64;
        balance += (2 * n_before + n + 1) * (2 * n_positive - n);
        n_before += n;
    }
    (n_before > 0).then(|| balance as f64 / (n_before * (n_before + 1)) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interval::UNBOUNDED;

    const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

    #[test]
    fn differences_of_one_sign() {
        let gains = [0.6, 0.1, 0.5, 0.2, 0.4, 0.3];
        let pairs: Vec<(&str, f64)> = NAMES.into_iter().zip(gains).collect();
        let found = paired(&pairs, UNBOUNDED, 1);
        assert!((found.mean.unwrap() - 0.35).abs() < 1e-12);
        assert!((found.median.unwrap() - 0.35).abs() < 1e-12);
        // Six patients of one sign: 2 / 2^6.
        assert!((found.test.unwrap().p - 0.03125).abs() < 1e-12);
        assert!((found.rank_biserial.unwrap() - 1.0).abs() < 1e-12);
        // Enough for a test, not for an interval.
        assert_eq!(found.interval, Interval::TooFewPatients);
        let turned: Vec<_> = pairs.iter().rev().copied().collect();
        assert_eq!(paired(&turned, UNBOUNDED, 1), found);
        let eight: Vec<_> = pairs.iter().copied().chain([("g", 0.25), ("h", 0.45)]).collect();
        let found = paired(&eight, UNBOUNDED, 1);
        let Interval::Ends([low, high]) = found.interval else { panic!("{found:?}") };
        assert!(0.0 < low && low < 0.35 && 0.35 < high && high < 0.7, "{low} {high}");
    }

    #[test]
    fn a_patient_counts_once_however_many_nodules() {
        let many: Vec<(&str, f64)> = (1..=60).map(|n| (NAMES[n % 6], n as f64)).collect();
        let found = paired(&many, UNBOUNDED, 1);
        assert_eq!((found.n_nodules, found.n_patients), (60, 6));
        assert!((found.test.unwrap().p - 0.03125).abs() < 1e-12);
        let one: Vec<(&str, f64)> = (1..=60).map(|n| ("a", f64::from(n))).collect();
        let found = paired(&one, UNBOUNDED, 1);
        assert_eq!(
            (found.n_patients, found.test, found.interval),
            (1, None, Interval::TooFewPatients)
        );
    }

    #[test]
    fn nothing_differs_where_nothing_is() {
        assert_eq!(paired(&[], UNBOUNDED, 1), PairedComparison::default());
        let same: Vec<(&str, f64)> = NAMES.map(|name| (name, 0.0)).into();
        let same = paired(&same, UNBOUNDED, 1);
        assert_eq!((same.n_nodules, same.mean, same.rank_biserial), (6, Some(0.0), None));
        assert_eq!((same.test.unwrap().p, same.interval), (1.0, Interval::TooFewPatients));
    }

    #[test]
    fn what_was_not_tested_is_not_counted() {
        let six: Vec<_> = NAMES.into_iter().zip([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).collect();
        let (six, none) = (paired(&six, UNBOUNDED, 1), PairedComparison::default());
        // 2 × 0.03125.
        assert_eq!(corrected(&[six, none, six]), [Some(0.0625), None, Some(0.0625)]);
    }

    #[test]
    fn ties_take_their_mean_rank() {
        // |d| = 1, 1, 2: ranks 1.5, 1.5, 3. Sum of the positive 4.5, of the negative 1.5, of all 6.
        assert_eq!(rank_biserial(&[1.0, -1.0, 2.0, 0.0, -0.0]), Some(0.5));
        assert_eq!(rank_biserial(&[-0.1, -0.3, -0.2]), Some(-1.0));
        assert_eq!(rank_biserial(&[1.0, -1.0]), Some(0.0));
        assert_eq!(rank_biserial(&[0.0, -0.0]), None);
    }
}
