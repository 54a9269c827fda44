//! Histograms of a quantity over a cohort's scans or nodules.

use super::content::{Histogram, HistogramQuantity};
use nodulus_metrics::summary::median;

/// The most bars of an axis.
const MAX_BARS: usize = 24;

/// Histograms of the same quantity in several cohorts, over the same bars. Unknown values and values that
/// are not finite are counted separately. A cohort without a value has no bars.
///
/// METHOD: bars start at multiples of their width, the least of 1, 2 and 5 × 10ⁿ with which 24 bars hold
/// all values. A value on the edge of two bars is in the upper one. The median of an even number of values
/// is the mean of the two middle ones.
pub(super) fn histograms(
    quantity: HistogramQuantity,
    cohorts: &[Vec<Option<f64>>],
) -> Vec<Histogram> {
    let known = |values: &[Option<f64>]| -> Vec<f64> {
        let mut known: Vec<f64> =
            values.iter().copied().flatten().filter(|value| value.is_finite()).collect();
        known.sort_unstable_by(f64::total_cmp);
        known
    };
    let cohorts: Vec<(usize, Vec<f64>)> =
        cohorts.iter().map(|values| (values.len(), known(values))).collect();
    let ends = || cohorts.iter().filter_map(|(_, known)| Some([*known.first()?, *known.last()?]));
    let low = ends().map(|[low, _]| low).fold(f64::INFINITY, f64::min);
    let high = ends().map(|[_, high]| high).fold(f64::NEG_INFINITY, f64::max);
    let bars = Bars::new(low, high);
    let of_cohort = |(n, known): &(usize, Vec<f64>)| {
        let mut counts = vec![0; if known.is_empty() { 0 } else { bars.n }];
        for value in known {
            if let Some(count) = counts.get_mut(bars.index(*value)) {
                *count += 1;
            }
        }
        Histogram {
            quantity,
            n: known.len() as u64,
            n_unknown: (n - known.len()) as u64,
            min: known.first().copied(),
            median: median(known),
            max: known.last().copied(),
            start: bars.start(),
            width: bars.width,
            counts,
        }
    };
    cohorts.iter().map(of_cohort).collect()
}

/// Bars of one width on an axis.
struct Bars {
    /// Start of the first bar, in widths.
    first: f64,
    width: f64,
    n: usize,
}

impl Bars {
    /// The bars that hold all values between two; a single bar where the range is not finite.
    fn new(low: f64, high: f64) -> Self {
        let range = high - low;
        if !(range.is_finite() && range >= 0.0) {
            return Self { first: 0.0, width: 1.0, n: 1 };
        }
        // The bar of a single value is about a hundredth of it wide.
        let least = (range / MAX_BARS as f64).max(low.abs().max(high.abs()) / 100.0).max(1e-3);
        let mut power = least.log10().floor() as i32 - 1;
        loop {
            for step in [1.0, 2.0, 5.0] {
                let width = step * 10f64.powi(power);
                let first = steps(low, width);
                let n = steps(high, width) - first + 1.0;
                if width >= least && n <= MAX_BARS as f64 {
                    return Self { first, width, n: n as usize };
                }
            }
            power += 1;
        }
    }

    fn start(&self) -> f64 {
        self.first * self.width
    }

    fn index(&self, value: f64) -> usize {
        (steps(value, self.width) - self.first) as usize
    }
}

/// Whole widths below a value. A value that differs from an edge by rounding alone is on the edge.
fn steps(value: f64, width: f64) -> f64 {
    let steps = value / width;
    if (steps - steps.round()).abs() < 1e-6 { steps.round() } else { steps.floor() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(values: &[f64]) -> Histogram {
        let values = values.iter().copied().map(Some).collect();
        histograms(HistogramQuantity::Diameter, &[values]).remove(0)
    }

    #[test]
    fn values_are_counted_in_bars_at_round_positions() {
        let found = one(&[2.5, 0.7, 0.625, 1.25, 1.2]);
        assert_eq!((found.min, found.median, found.max), (Some(0.625), Some(1.2), Some(2.5)));
        assert!(
            (found.width - 0.1).abs() < 1e-12 && (found.start - 0.6).abs() < 1e-12,
            "{found:?}"
        );
        let filled: Vec<(usize, u64)> =
            found.counts.iter().copied().enumerate().filter(|(_, n)| *n > 0).collect();
        // 0.625; 0.7; 1.2 and 1.25; 2.5.
        assert_eq!(filled, [(0, 1), (1, 1), (6, 2), (19, 1)]);
        assert_eq!(one(&[4.0, 1.0]).median, Some(2.5));
    }

    #[test]
    fn cohorts_share_their_bars_and_unknown_values_are_separate() {
        let cohorts = [vec![Some(1.0), None, Some(f64::NAN)], vec![], vec![Some(30.0)]];
        let found = histograms(HistogramQuantity::SliceThickness, &cohorts);
        assert_eq!(found[0].n_unknown, 2);
        assert_eq!((found[1].n, found[1].median, found[1].counts.len()), (0, None, 0));
        assert_eq!((found[0].start, found[0].width), (found[2].start, found[2].width));
        assert_eq!(found[2].counts.last(), Some(&1));
        assert!(histograms(HistogramQuantity::Diameter, &[]).is_empty());
    }

    #[test]
    fn one_value_has_one_bar() {
        let found = one(&[2.5, 2.5, 2.5]);
        assert_eq!(found.counts, [3]);
        assert!(found.start <= 2.5 && 2.5 < found.start + found.width, "{found:?}");
        assert_eq!(one(&[0.0]).counts, [1]);
    }

    proptest! {
        #[test]
        fn every_value_is_in_one_of_few_bars(
            values in prop::collection::vec(-1e6..1e6f64, 1..50),
            power in -9..9i32,
        ) {
            let values: Vec<f64> = values.into_iter().map(|v| v * 10f64.powi(power)).collect();
            let found = one(&values);
            prop_assert_eq!(found.counts.iter().sum::<u64>(), values.len() as u64);
            prop_assert!(found.counts.len() <= MAX_BARS);
            prop_assert!(found.start <= found.min.unwrap() + 1e-6 * found.width);
        }
    }
}
