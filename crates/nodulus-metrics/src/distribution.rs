//! Histograms of values, and the shift between two of them.

use super::summary;
use serde::{Deserialize, Serialize};

/// Smallest number of values on each side of a shift.
///
/// METHOD: chosen; of fewer values, each is more than a twentieth of all.
pub const MIN_VALUES: u64 = 20;

/// A histogram with mean and median.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distribution {
    /// Edges between bins, ascending; a value on an edge belongs to the upper bin. The first bin
    /// has no lower edge, the last no upper one.
    pub edges: Vec<f64>,
    /// Values in each bin; there is one bin more than edges.
    pub counts: Vec<u64>,
    /// Mean of the values; `None` without a value.
    pub mean: Option<f64>,
    /// Median of the values; `None` without a value.
    pub median: Option<f64>,
}

impl Distribution {
    /// The histogram of values in any order; values that are not finite are ignored.
    pub fn of(edges: &[f64], values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_unstable_by(f64::total_cmp);
        let mut counts = vec![0; edges.len() + 1];
        for value in &values {
            counts[edges.partition_point(|edge| edge <= value)] += 1;
        }
        let (mean, median) = (summary::mean(&values), summary::median(&values));
        Self { edges: edges.to_vec(), counts, mean, median }
    }

    /// Number of values.
    pub fn n(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Share of the values that lie below a value, taken as even within a bin; in the first and the last bin, which have one
    /// edge, half of the bin's values do. `None` without values.
    pub fn share_below(&self, value: f64) -> Option<f64> {
        let (n, bin) = (self.n(), self.edges.partition_point(|edge| *edge <= value));
        let own = *self.counts.get(bin)? as f64;
        let below: u64 = self.counts.get(..bin)?.iter().sum();
        let part =
            match (bin.checked_sub(1).and_then(|bin| self.edges.get(bin)), self.edges.get(bin)) {
                (Some(low), Some(high)) => (value - low) / (high - low),
                _ => 0.5,
            };
        (n > 0).then(|| (below as f64 + part * own) / n as f64)
    }

    /// Share of the values in each bin; 0 without a value.
    pub fn shares(&self) -> Vec<f64> {
        let n = self.n().max(1) as f64;
        self.counts.iter().map(|count| *count as f64 / n).collect()
    }
}

/// Shift of values against a reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DistributionShift {
    /// Population stability index; 0 for equal distributions.
    pub psi: f64,
    /// 95% quantile of the index where both samples come from one population.
    pub limit: f64,
}

/// The shift of `found` against `reference`; `None` where either has fewer than [`MIN_VALUES`]
/// values, or where their bins differ.
///
/// METHOD: population stability index, the sum over bins of (p - q) ln(p / q) (Siddiqi 2006, Credit
/// Risk Scorecards, who takes 0.1 for a shift and 0.25 for a large one; it is Jeffreys'
/// divergence), over the bins that have a value of either. Half a value is added to each bin, so
/// that an empty bin has a logarithm: p = (n + 0.5) / (N + 0.5 B). Where both are drawn from one
/// population, the index is about χ² with B - 1 degrees of freedom, times 1/N + 1/M (Yurdakul
/// 2018); its 95% quantile follows Wilson and Hilferty 1931, within 3%.
pub fn shift(reference: &Distribution, found: &Distribution) -> Option<DistributionShift> {
    let (n, m) = (reference.n(), found.n());
    if n.min(m) < MIN_VALUES
        || reference.edges != found.edges
        || reference.counts.len() != found.counts.len()
    {
        return None;
    }
    let pairs = || reference.counts.iter().zip(&found.counts).filter(|(q, p)| **q + **p > 0);
    let n_bins = pairs().count() as f64;
    let share = |count: u64, all: u64| (count as f64 + 0.5) / (all as f64 + 0.5 * n_bins);
    let psi = pairs()
        .map(|(q, p)| {
            let (q, p) = (share(*q, n), share(*p, m));
            (p - q) * (p / q).ln()
        })
        .sum();
    let limit = chi_squared_95(n_bins - 1.0) * (1.0 / n as f64 + 1.0 / m as f64);
    Some(DistributionShift { psi, limit })
}

/// 95% quantile of χ²; 0 without degrees of freedom.
fn chi_squared_95(degrees: f64) -> f64 {
    /// 95% quantile of the normal distribution.
    const NORMAL: f64 = 1.644_853_626_951_472_2;
    if degrees <= 0.0 {
        return 0.0;
    }
    let ninth = 2.0 / (9.0 * degrees);
    degrees * (1.0 - ninth + NORMAL * ninth.sqrt()).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_value_on_an_edge_is_in_the_upper_bin() {
        let found = Distribution::of(&[0.0, 1.0], [1.0, -5.0, 0.0, 0.5, f64::NAN, 7.0]);
        assert_eq!(found.counts, [1, 2, 2]);
        assert_eq!((found.n(), found.mean, found.median), (5, Some(0.7), Some(0.5)));
        let none = Distribution::of(&[], []);
        assert_eq!((none.counts.as_slice(), none.mean, none.shares()), (&[0][..], None, vec![0.0]));
    }

    #[test]
    fn shares_below_a_value_are_even_within_a_bin() {
        let found = Distribution::of(&[0.0, 2.0], [-1.0, 0.5, 1.0, 1.5, 7.0]);
        let below = [-9.0, 0.0, 1.0, 2.0].map(|value| found.share_below(value).unwrap());
        let expected = [0.1, 0.2, 0.5, 0.9];
        assert!(below.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{below:?}");
        assert_eq!(Distribution::of(&[0.0], []).share_below(1.0), None);
        assert_eq!(Distribution::default().share_below(1.0), None);
    }

    fn counted(counts: &[u64]) -> Distribution {
        let edges = (1..counts.len()).map(|n| n as f64).collect();
        Distribution { edges, counts: counts.to_vec(), mean: None, median: None }
    }

    #[test]
    fn psi_by_hand() {
        // 40 and 60 compared with 10 and 10: (40.5, 60.5) / 101 and (10.5, 10.5) / 21.
        let found = shift(&counted(&[40, 60]), &counted(&[10, 10])).unwrap();
        let expected = (0.5 - 40.5 / 101.0) * (0.5f64 / (40.5 / 101.0)).ln()
            + (0.5 - 60.5 / 101.0) * (0.5f64 / (60.5 / 101.0)).ln();
        assert!((found.psi - expected).abs() < 1e-15, "{found:?}");
        // χ² with one degree of freedom: 3.841.
        assert!((found.limit / (3.841 * 0.06) - 1.0).abs() < 0.03, "{found:?}");
        // A bin without a value in either changes nothing.
        assert_eq!(shift(&counted(&[40, 0, 60]), &counted(&[10, 0, 10])), Some(found));
        assert_eq!(shift(&counted(&[40, 60]), &counted(&[9, 10])), None);
        assert_eq!(shift(&counted(&[40, 60]), &counted(&[10, 10, 10])), None);
        let same = shift(&counted(&[30]), &counted(&[50])).unwrap();
        assert_eq!(same, DistributionShift { psi: 0.0, limit: 0.0 });
    }

    #[derive(Deserialize)]
    struct Golden {
        edges: Vec<f64>,
        reference: Vec<f64>,
        found: Vec<f64>,
        reference_counts: Vec<u64>,
        found_counts: Vec<u64>,
        psi: f64,
        limit: f64,
    }

    /// `tests/golden/stability.py`: histograms and logarithms of `numpy`, χ² of `scipy`.
    #[test]
    fn numpy_and_scipy_come_to_the_same() {
        let text = include_str!("../../../tests/golden/stability.json");
        let cases: Vec<Golden> = serde_json::from_str(text).unwrap();
        assert!(cases.len() > 4);
        for case in cases {
            let of = |values: &[f64]| Distribution::of(&case.edges, values.iter().copied());
            let (reference, found) = (of(&case.reference), of(&case.found));
            assert_eq!(reference.counts, case.reference_counts);
            assert_eq!(found.counts, case.found_counts);
            let shift = shift(&reference, &found).unwrap();
            assert!((shift.psi - case.psi).abs() < 1e-12, "{shift:?}, expected {}", case.psi);
            assert!((shift.limit / case.limit - 1.0).abs() < 0.03, "{shift:?}, {}", case.limit);
        }
    }

    proptest! {
        #[test]
        fn psi_is_symmetric_and_never_under_zero(
            pairs in prop::collection::vec((0..60u64, 0..60u64), 1..14),
        ) {
            let (a, b): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
            let [a, b] = [a, b].map(|counts| counted(&counts));
            match (shift(&a, &b), shift(&b, &a)) {
                (Some(one), Some(other)) => {
                    prop_assert!(one.psi >= -1e-12 && (one.psi - other.psi).abs() < 1e-12);
                    prop_assert!(shift(&a, &a).unwrap().psi.abs() < 1e-12);
                }
                (None, None) => prop_assert!(a.n().min(b.n()) < MIN_VALUES),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
