//! Counts of pixels by their Hounsfield units.

use super::distribution::Distribution;
use super::surface::percentile;
use serde::{Deserialize, Serialize};

/// Range and percentiles of some values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueRange {
    /// Smallest value.
    pub min: f64,
    /// 1st percentile.
    pub p1: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Largest value.
    pub max: f64,
}

impl ValueRange {
    /// The range of values in any order; `None` without a value. Values that are not finite are
    /// ignored.
    ///
    /// METHOD: percentiles by linear interpolation, as in numpy.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_unstable_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        Some(Self { min, p1: percentile(&values, 0.01), p99: percentile(&values, 0.99), max })
    }
}

/// Number of pixels with each value; takes 512 KiB for any number of pixels.
#[derive(Clone, Debug)]
pub struct HuCounts {
    /// Counts by value, from the smallest 16-bit value on.
    counts: Vec<u64>,
    n: u64,
}

impl Default for HuCounts {
    fn default() -> Self {
        Self { counts: vec![0; 1 << 16], n: 0 }
    }
}

impl HuCounts {
    /// Adds pixels.
    pub fn add(&mut self, hu: &[i16]) {
        for value in hu {
            self.counts[(i32::from(*value) - i32::from(i16::MIN)) as usize] += 1;
        }
        self.n += hu.len() as u64;
    }

    /// Number of pixels.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Values that occur, ascending, with their counts.
    fn values(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let values = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        values.map(|(at, count)| (at as f64 + f64::from(i16::MIN), *count))
    }

    /// Mean of the pixels; `None` without a pixel.
    pub fn mean(&self) -> Option<f64> {
        // Sums of whole numbers below 2^53 are exact.
        let sum: f64 = self.values().map(|(value, count)| value * count as f64).sum();
        (self.n > 0).then(|| sum / self.n as f64)
    }

    /// The smallest value such that a share of the pixels is at or below it; `None` without a
    /// pixel.
    fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = (share * self.n as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        self.values().find_map(|(value, count)| {
            seen += count;
            (seen >= wanted).then_some(value)
        })
    }

    /// Range of the pixels; `None` without a pixel.
    ///
    /// METHOD: percentiles are values that occur.
    pub fn range(&self) -> Option<ValueRange> {
        let quantile = |share| self.quantile(share);
        let (min, max) = (quantile(0.0)?, quantile(1.0)?);
        Some(ValueRange { min, p1: quantile(0.01)?, p99: quantile(0.99)?, max })
    }

    /// Share of the pixels below `low` or above `high`; `None` without a pixel.
    pub fn share_outside(&self, low: f64, high: f64) -> Option<f64> {
        let outside = self.values().filter(|(value, _)| !(low..=high).contains(value));
        let outside: u64 = outside.map(|(_, count)| count).sum();
        (self.n > 0).then(|| outside as f64 / self.n as f64)
    }

    /// The histogram of the pixels.
    pub fn distribution(&self, edges: &[f64]) -> Distribution {
        let mut counts = vec![0; edges.len() + 1];
        for (value, count) in self.values() {
            counts[edges.partition_point(|edge| *edge <= value)] += count;
        }
        let (mean, median) = (self.mean(), self.quantile(0.5));
        Distribution { edges: edges.to_vec(), counts, mean, median }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_counted() {
        let mut counts = HuCounts::default();
        assert_eq!(
            (counts.mean(), counts.range(), counts.share_outside(0.0, 1.0)),
            (None, None, None)
        );
        counts.add(&[i16::MIN, i16::MAX]);
        counts.add(&[-1, 0, 0, 50]);
        assert_eq!(counts.n(), 6);
        assert_eq!(counts.mean(), Some(48.0 / 6.0));
        let range = ValueRange { min: -32768.0, p1: -32768.0, p99: 32767.0, max: 32767.0 };
        assert_eq!(counts.range(), Some(range));
        assert_eq!(counts.share_outside(-1.0, 50.0), Some(2.0 / 6.0));
        let found = counts.distribution(&[0.0, 50.0]);
        assert_eq!((found.counts.as_slice(), found.median), (&[2, 2, 2][..], Some(0.0)));
        let same = Distribution::of(&[0.0, 50.0], [-32768.0, 32767.0, -1.0, 0.0, 0.0, 50.0]);
        assert_eq!((found.counts, found.mean), (same.counts, same.mean));
    }

    #[test]
    fn ranges_are_numpys() {
        // numpy.percentile([3, 1, 2, 10], [1, 99]) = [1.03, 9.79]
        let range = ValueRange::of([3.0, 1.0, f64::NAN, 2.0, 10.0]).unwrap();
        assert!((range.p1 - 1.03).abs() < 1e-12 && (range.p99 - 9.79).abs() < 1e-12, "{range:?}");
        assert_eq!((Some(range.min), Some(range.max)), (Some(1.0), Some(10.0)));
        assert_eq!(ValueRange::of([]), None);
    }
}
