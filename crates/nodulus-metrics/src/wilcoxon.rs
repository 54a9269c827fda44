//! Wilcoxon's signed-rank test for paired values.

use std::f64::consts::{PI, SQRT_2};

/// Result of the paired two-sided signed-rank test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wilcoxon {
    /// Pairs that differ.
    pub n: usize,
    /// The smaller of the rank sums of positive and of negative differences.
    pub statistic: f64,
    /// Two-sided p-value.
    pub p: f64,
    /// Matched-pairs rank-biserial correlation, -1 to 1: above 0 where differences tend to be positive.
    pub rank_biserial: f64,
}

/// Largest number of pairs without ties for which the exact distribution is used.
const EXACT_UP_TO: usize = 50;
/// Largest number of pairs with ties or zeros for which the exact distribution is used.
const EXACT_WITH_TIES_UP_TO: usize = 13;

/// Tests the differences of paired values for symmetry about 0; `None` where no pair differs.
///
/// METHOD: Wilcoxon 1945; pairs that do not differ are excluded, ties have their mean rank. As in
/// `scipy.stats.wilcoxon`: the exact distribution for up to 50 pairs without ties and up to 13 with
/// them, else the normal approximation with a correction for ties and none for continuity. Effect
/// size: the rank sum of the positive differences minus that of the negative, as a share of both
/// (Kerby 2014).
pub fn wilcoxon(differences: &[f64]) -> Option<Wilcoxon> {
    let mut ordered: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    let n = ordered.len();
    if n == 0 {
        return None;
    }
    ordered.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    // Twice the rank, so that the mean rank of ties is a whole number too.
    let mut double_ranks = Vec::with_capacity(n);
    let mut tie_term = 0.0;
    for tied in ordered.chunk_by(|a, b| a.abs().total_cmp(&b.abs()).is_eq()) {
        let before = double_ranks.len();
        let t = tied.len() as f64;
        tie_term += t.powi(3) - t;
        double_ranks.extend(std::iter::repeat_n(2 * before + tied.len() + 1, tied.len()));
    }
    let plus: usize =
        ordered.iter().zip(&double_ranks).filter(|(d, _)| **d > 0.0).map(|d| d.1).sum();
    let all = n * (n + 1);
    let smaller = plus.min(all - plus);
    let plain = tie_term == 0.0 && n == differences.len();
    let limit = if plain { EXACT_UP_TO } else { EXACT_WITH_TIES_UP_TO };
    let p = if differences.len() <= limit {
        exact(&double_ranks, smaller)
    } else {
        let count = n as f64;
        let variance = (count * (count + 1.0) * (2.0 * count + 1.0) - tie_term / 2.0) / 24.0;
        let z = (smaller as f64 / 2.0 - count * (count + 1.0) / 4.0) / variance.sqrt();
        // Twice the normal tail past |z|.
        erfc(z.abs() / SQRT_2)
    };
    let rank_biserial = (2.0 * plus as f64 - all as f64) / all as f64;
    Some(Wilcoxon { n, statistic: smaller as f64 / 2.0, p, rank_biserial })
}

/// Twice the share of the 2ⁿ sign patterns whose rank sum is at most `smaller`.
fn exact(double_ranks: &[usize], smaller: usize) -> f64 {
    // patterns[s]: number of sign patterns of the ranks so far with double rank sum s; below 2⁵⁰,
    // so exact.
    let mut patterns = vec![0.0; smaller + 1];
    patterns[0] = 1.0;
    for rank in double_ranks {
        for sum in (*rank..=smaller).rev() {
            patterns[sum] += patterns[sum - rank];
        }
    }
    let total = 2f64.powi(double_ranks.len() as i32);
    (2.0 * patterns.iter().sum::<f64>() / total).min(1.0)
}

/// Complementary error function of x ≥ 0, to a relative 1e-11.
///
/// METHOD: Abramowitz and Stegun 7.1.6 (a series of positive terms) below 2.5, and above it the
/// continued fraction 7.1.14.
fn erfc(x: f64) -> f64 {
    let gauss = (-x * x).exp() / PI.sqrt();
    if x < 2.5 {
        let (mut term, mut sum) = (2.0 * x, 2.0 * x);
        let mut k = 0.0;
        while term > 1e-17 * sum {
            k += 1.0;
            term *= 2.0 * x * x / (2.0 * k + 1.0);
            sum += term;
        }
        1.0 - gauss * sum
    } else {
        let tail = (1..=80).rev().fold(x, |below, k| x + f64::from(k) / 2.0 / below);
        gauss / tail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_pairs_all_one_way() {
        // One pattern of eight is as extreme on each side.
        let result = wilcoxon(&[0.1, 0.3, 0.2]).unwrap();
        assert_eq!(result, Wilcoxon { n: 3, statistic: 0.0, p: 0.25, rank_biserial: 1.0 });
        let other_way = wilcoxon(&[-0.1, -0.3, -0.2]);
        assert_eq!(other_way, Some(Wilcoxon { rank_biserial: -1.0, ..result }));
    }

    #[test]
    fn ties_take_their_mean_rank() {
        // |d| = 1, 1, 2: ranks 1.5, 1.5, 3. Sum of the negative: 1.5.
        // Patterns with a sum of at most 1.5: {}, {1.5}, {1.5}: 3 of 8, twice.
        let result = wilcoxon(&[1.0, -1.0, 2.0]).unwrap();
        // Sum of the positive: 4.5, of all 6.
        assert_eq!(result, Wilcoxon { n: 3, statistic: 1.5, p: 0.75, rank_biserial: 0.5 });
    }

    #[test]
    fn pairs_that_do_not_differ_are_left_out() {
        assert_eq!(wilcoxon(&[]), None);
        assert_eq!(wilcoxon(&[0.0, -0.0]), None);
        assert_eq!(wilcoxon(&[0.0, 0.1, 0.3, 0.2]).unwrap().n, 3);
    }

    #[test]
    fn balanced_signs_give_one() {
        let balanced = Wilcoxon { n: 2, statistic: 1.5, p: 1.0, rank_biserial: 0.0 };
        assert_eq!(wilcoxon(&[1.0, -1.0]), Some(balanced));
    }

    #[test]
    fn erfc_is_the_tabulated_one() {
        // Python's math.erfc.
        for (x, expected) in [
            (0.0, 1.0),
            (0.5, 0.479_500_122_186_953_5),
            (1.0, 0.157_299_207_050_285_13),
            (2.4, 0.000_688_513_896_645_078_9),
            (2.6, 0.000_236_034_416_529_349_08),
            (5.0, 1.537_459_794_428_035_1e-12),
            (10.0, 2.088_487_583_762_545e-45),
        ] {
            let error = (erfc(x) - expected).abs() / expected;
            assert!(error < 1e-11, "erfc({x}) = {:e}, off by {error:e}", erfc(x));
        }
    }
}
