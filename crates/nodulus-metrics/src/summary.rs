//! Summary of one metric over many cases.

use super::bootstrap;
use super::interval::Interval;

/// Value of a metric for one nodule or slice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetricValue<'a> {
    /// The patient, who is resampled as a whole.
    pub patient: &'a str,
    /// The value, where the metric is defined.
    pub value: Option<f64>,
    /// Whether the prediction is empty but the reference is not.
    pub missed: bool,
    /// Value in the worst-case mean if the case is missed: see
    /// [`Metric::worst`](super::Metric::worst).
    pub worst: f64,
}

/// Summary of a metric over many cases.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// Cases.
    pub n_total: u64,
    /// Cases in which the metric is defined.
    pub n_valid: u64,
    /// Cases with a reference but without any predicted voxel.
    pub n_missed: u64,
    /// Mean over the valid cases; `None` without one.
    pub mean: Option<f64>,
    /// Standard deviation (n - 1) over the valid cases; `None` for fewer than two.
    pub sd: Option<f64>,
    /// Median over the valid cases; `None` without one.
    pub median: Option<f64>,
    /// Patients with a valid case.
    pub n_patients: u64,
    /// 95% interval of the mean: see [`bootstrap::interval`].
    pub interval: Interval,
    /// Mean over the valid and the missed cases, where a missed case counts with its worst value.
    pub worst_case_mean: Option<f64>,
}

/// Summarises a metric over cases, in any number; their order makes no difference.
///
/// `range` holds the smallest and the largest value that the metric can have; `seed` determines the resamples.
pub fn summarise(cases: &[MetricValue<'_>], range: [f64; 2], seed: u64) -> Summary {
    let mut valid: Vec<(&str, f64)> =
        cases.iter().filter_map(|case| Some((case.patient, case.value?))).collect();
    // Sums of floats depend on their order, which must not reach the results.
    valid.sort_unstable_by(|a, b| a.0.cmp(b.0).then(a.1.total_cmp(&b.1)));
    let mut values: Vec<f64> = valid.iter().map(|(_, value)| *value).collect();
    values.sort_unstable_by(f64::total_cmp);
    let mut worst: Vec<f64> = cases
        .iter()
        .filter_map(|case| if case.missed { Some(case.worst) } else { case.value })
        .collect();
    worst.sort_unstable_by(f64::total_cmp);
    Summary {
        n_total: cases.len() as u64,
        n_valid: valid.len() as u64,
        n_missed: cases.iter().filter(|case| case.missed).count() as u64,
        mean: mean(&values),
        sd: standard_deviation(&values),
        median: median(&values),
        n_patients: valid.chunk_by(|a, b| a.0 == b.0).count() as u64,
        interval: bootstrap::mean_interval(&valid, range, seed),
        worst_case_mean: mean(&worst),
    }
}

/// Diagonal of a region, the largest possible distance of a missed nodule in it, mm.
///
/// `size` and `spacing_mm` are along i, j, k; the region reaches half a voxel past the outer
/// centres.
pub fn diagonal_mm(size: [usize; 3], spacing_mm: [f64; 3]) -> f64 {
    size.iter().zip(spacing_mm).map(|(n, s)| (*n as f64 * s).powi(2)).sum::<f64>().sqrt()
}

/// The mean; `None` without a value.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The standard deviation (n - 1); `None` for fewer than two values.
pub fn standard_deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}

/// The median of values in ascending order; `None` without a value.
pub fn median(ascending: &[f64]) -> Option<f64> {
    let n = ascending.len();
    (n > 0).then(|| f64::midpoint(ascending[(n - 1) / 2], ascending[n / 2]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interval::UNBOUNDED;
    use proptest::prelude::*;

    fn case(patient: &str, value: Option<f64>) -> MetricValue<'_> {
        MetricValue { patient, value, missed: false, worst: 50.0 }
    }

    fn missed(patient: &str) -> MetricValue<'_> {
        MetricValue { missed: true, ..case(patient, None) }
    }

    #[test]
    fn a_missed_nodule_stays_in_the_denominator() {
        let cases = [
            case("a", Some(2.0)),
            case("a", Some(4.0)),
            case("b", Some(9.0)),
            missed("b"),
            case("c", None),
        ];
        let summary = summarise(&cases, UNBOUNDED, 1);
        assert_eq!((summary.n_total, summary.n_valid, summary.n_missed), (5, 3, 1));
        assert_eq!(summary.n_patients, 2);
        assert_eq!(summary.mean, Some(5.0));
        assert_eq!(summary.median, Some(4.0));
        // ((2-5)² + (4-5)² + (9-5)²) / 2 = 13.
        assert!((summary.sd.unwrap() - 13f64.sqrt()).abs() < 1e-12);
        // (2 + 4 + 9 + 50) / 4.
        assert_eq!(summary.worst_case_mean, Some(16.25));
    }

    #[test]
    fn a_missed_overlap_counts_once() {
        let none = MetricValue { value: Some(0.0), worst: 0.0, ..missed("a") };
        let summary = summarise(&[none, case("b", Some(0.5))], UNBOUNDED, 1);
        assert_eq!(summary.mean, Some(0.25));
        assert_eq!(summary.worst_case_mean, Some(0.25));
    }

    #[test]
    fn nothing_gives_nothing() {
        assert_eq!(summarise(&[], UNBOUNDED, 1), Summary::default());
        let one = summarise(&[case("a", Some(1.0))], UNBOUNDED, 1);
        assert_eq!((one.mean, one.sd, one.interval), (Some(1.0), None, Interval::TooFewPatients));
    }

    #[test]
    fn the_diagonal_of_a_box() {
        assert!((diagonal_mm([3, 4, 12], [1.0; 3]) - 13.0).abs() < 1e-12);
        assert!((diagonal_mm([6, 2, 6], [0.5, 2.0, 2.0]) - 13.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn the_order_of_cases_does_not_matter(
            values in prop::collection::vec((0..8usize, prop::option::of(0.0..1.0f64)), 0..30),
            seed in any::<u64>(),
        ) {
            let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
            let cases: Vec<_> =
                values.iter().map(|(p, v)| MetricValue { missed: v.is_none(), ..case(names[*p], *v) }).collect();
            let reversed: Vec<_> = cases.iter().rev().copied().collect();
            prop_assert_eq!(summarise(&cases, UNBOUNDED, seed), summarise(&reversed, UNBOUNDED, seed));
        }
    }
}
