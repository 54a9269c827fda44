//! Comparison of two models on the same cases.

use super::summary::{mean, median};
use super::{bootstrap, holm, wilcoxon};

/// Difference between two models' values on the same cases.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PairedComparison {
    /// Pairs.
    pub n: u64,
    /// Mean difference; `None` without a pair.
    pub mean: Option<f64>,
    /// 95% bootstrap interval of the mean, by patient; `None` under two patients.
    pub interval: Option<[f64; 2]>,
    /// Median difference; `None` without a pair.
    pub median: Option<f64>,
    /// The signed-rank test; `None` where no pair differs.
    pub test: Option<wilcoxon::Wilcoxon>,
}

/// Compares two models by their differences, each with its patient, in any number and order.
///
/// `seed` determines the bootstrap's resamples.
pub fn paired(differences: &[(&str, f64)], seed: u64) -> PairedComparison {
    let mut ordered = differences.to_vec();
    // Sums of floats depend on their order, which must not reach the results.
    ordered.sort_unstable_by(|a, b| a.0.cmp(b.0).then(a.1.total_cmp(&b.1)));
    let mut values: Vec<f64> = ordered.iter().map(|(_, difference)| *difference).collect();
    values.sort_unstable_by(f64::total_cmp);
    PairedComparison {
        n: values.len() as u64,
        mean: mean(&values),
        interval: bootstrap::mean_interval(&ordered, seed),
        median: median(&values),
        test: wilcoxon::wilcoxon(&values),
    }
}

/// P-values after Holm's correction over all comparisons that have one, in the given order.
pub fn corrected(comparisons: &[PairedComparison]) -> Vec<Option<f64>> {
    let p: Vec<f64> = comparisons.iter().filter_map(|paired| Some(paired.test?.p)).collect();
    let mut adjusted = holm::holm(&p).into_iter();
    comparisons.iter().map(|paired| paired.test.and_then(|_| adjusted.next())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_of_one_sign() {
        let names = ["a", "b", "c", "d", "e", "f"];
        let gains = [0.6, 0.1, 0.5, 0.2, 0.4, 0.3];
        let pairs: Vec<(&str, f64)> = names.into_iter().zip(gains).collect();
        let found = paired(&pairs, 1);
        assert!((found.mean.unwrap() - 0.35).abs() < 1e-12);
        assert!((found.median.unwrap() - 0.35).abs() < 1e-12);
        let test = found.test.unwrap();
        // Six differences of one sign: 2 / 2^6.
        assert!((test.p - 0.03125).abs() < 1e-12);
        assert!((test.rank_biserial - 1.0).abs() < 1e-12);
        let [low, high] = found.interval.unwrap();
        assert!(0.1 < low && low < 0.35 && 0.35 < high && high < 0.6, "{low} {high}");
        let turned: Vec<_> = pairs.iter().rev().copied().collect();
        assert_eq!(paired(&turned, 1), found);
    }

    #[test]
    fn nothing_differs_where_nothing_is() {
        assert_eq!(paired(&[], 1), PairedComparison::default());
        let same = paired(&[("a", 0.0), ("b", 0.0)], 1);
        assert_eq!((same.n, same.mean, same.test), (2, Some(0.0), None));
    }

    #[test]
    fn what_was_not_tested_is_not_counted() {
        let two = paired(&[("a", 1.0), ("b", 2.0)], 1);
        let none = PairedComparison::default();
        assert_eq!(corrected(&[two, none, two]), [Some(1.0), None, Some(1.0)]);
        let six: Vec<_> = (1..=6).map(|n| ("a", f64::from(n))).collect();
        let six = paired(&six, 1);
        // 2 × 0.03125, then 0.5.
        assert_eq!(corrected(&[two, six]), [Some(0.5), Some(0.0625)]);
    }
}
