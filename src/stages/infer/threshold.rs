//! Thresholds: one that turns probabilities into a mask, and the baseline that a network must beat, a single threshold
//! in Hounsfield units for every slice.

use crate::tables::{Prediction, Roi};
use nodulus_formats::volume::Mask;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Model id of the best single threshold.
pub const THRESHOLD: &str = "threshold";

/// A threshold, and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// Least value of a nodule's pixel.
    pub value: f64,
    /// Its source, as in `predictions.threshold_from`.
    pub from: ThresholdSource,
}

/// What a threshold comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdSource {
    /// The setting `infer.probability_threshold`.
    Setting,
    /// The nodules of the validation split.
    Validation,
    /// The nodules of the train and validation splits.
    Learning,
    /// The predicted nodules themselves.
    Scored,
}

impl ThresholdSource {
    /// The value of `predictions.threshold_from`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Setting => "setting",
            Self::Validation => "validation",
            Self::Learning => "learning",
            Self::Scored => "scored",
        }
    }
}

/// Counts, for each nodule, the pixels inside and outside its mask between neighbouring thresholds.
#[derive(Debug)]
pub(super) struct Histograms {
    /// Thresholds to try, ascending.
    thresholds: Vec<f64>,
    nodules: BTreeMap<String, [Vec<u64>; 2]>,
}

impl Histograms {
    /// Thresholds from -1000 to 1000 HU, 10 HU apart.
    pub(super) fn of_hu() -> Self {
        Self::new((0..=200).map(|n| f64::from(10 * n - 1000)))
    }

    /// Probabilities from 0.01 to 0.99, 0.01 apart.
    pub(super) fn of_probabilities() -> Self {
        Self::new((1..100).map(|n| f64::from(n) / 100.0))
    }

    fn new(thresholds: impl Iterator<Item = f64>) -> Self {
        Self { thresholds: thresholds.collect(), nodules: BTreeMap::new() }
    }

    /// Counts a slice's pixels by their Hounsfield units.
    pub(super) fn add_hu(&mut self, roi: &Roi) {
        if let Some(hu) = roi.pixels_hu() {
            self.add(roi, hu.into_iter().map(f64::from));
        }
    }

    /// Counts a slice's pixels by `values`; pixels of other nodules do not count, as in the metrics.
    pub(super) fn add(&mut self, roi: &Roi, values: impl Iterator<Item = f64>) {
        let size = [roi.width as usize, roi.height as usize, 1];
        let mask =
            |bits: &Vec<u8>| Mask::from_bits(size, bits.clone()).ok().map(|mask| mask.to_bools());
        let (Some(own), Some(others)) = (mask(&roi.mask_bits), mask(&roi.other_mask_bits)) else {
            return;
        };
        // One more bin, for pixels below every threshold.
        let bins = self.thresholds.len() + 1;
        let empty = || std::array::from_fn(|_| vec![0; bins]);
        let counts = self.nodules.entry(roi.nodule_id.clone()).or_insert_with(empty);
        for ((value, own), other) in values.zip(own).zip(others) {
            if own || !other {
                let bin = self.thresholds.partition_point(|threshold| *threshold <= value);
                counts[usize::from(!own)][bin] += 1;
            }
        }
    }

    /// The threshold with the highest mean Dice over the nodules, the lowest of equals; `None` without nodules.
    pub(super) fn best(&self) -> Option<f64> {
        let mut best: Option<(f64, f64)> = None;
        for (n, threshold) in self.thresholds.iter().enumerate() {
            let dice: f64 = self.nodules.values().map(|counts| dice(counts, n)).sum();
            if !self.nodules.is_empty() && best.is_none_or(|(highest, _)| dice > highest) {
                best = Some((dice, *threshold));
            }
        }
        best.map(|(_, threshold)| threshold)
    }
}

/// Dice of the pixels at or above the n-th threshold.
fn dice([inside, outside]: &[Vec<u64>; 2], n: usize) -> f64 {
    let true_positive: u64 = inside[n + 1..].iter().sum();
    let false_positive: u64 = outside[n + 1..].iter().sum();
    let reference: u64 = inside.iter().sum();
    2.0 * true_positive as f64 / (true_positive + false_positive + reference).max(1) as f64
}

/// The row of a slice for a threshold in Hounsfield units.
pub(super) fn predict(roi: &Roi, threshold: Threshold) -> Option<Prediction> {
    let hu = roi.pixels_hu()?;
    let width = roi.width as usize;
    let mask = Mask::from_fn([width, roi.height as usize, 1], |i, j, _| {
        f64::from(hu[j * width + i]) >= threshold.value
    });
    Some(Prediction {
        roi_id: roi.roi_id.clone(),
        nodule_id: roi.nodule_id.clone(),
        model_id: THRESHOLD.to_owned(),
        probability: None,
        nodule_probability: None,
        threshold: threshold.value,
        threshold_from: threshold.from.name().to_owned(),
        mask_bits: mask.into_bits(),
        doubts: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::crop::test_rows::roi;

    #[test]
    fn the_best_threshold_separates_nodule_and_background() {
        // Nodule at 0 and 40 HU; background at -900, 20 and, in another nodule, 500 HU.
        let roi = roi(&[0, 40, -900, 20, 500], &[true, true, false, false, false], &[16]);
        let mut histograms = Histograms::of_hu();
        assert_eq!(histograms.best(), None);
        histograms.add_hu(&roi);
        // At -890..=0: TP 2, FP 1 → 4/5; above 20 and up to 40: TP 1, FP 0 → 2/3.
        assert_eq!(histograms.best(), Some(-890.0));
        let row =
            predict(&roi, Threshold { value: 30.0, from: ThresholdSource::Learning }).unwrap();
        assert_eq!(row.mask_bits, [0b1_0010]);
        assert_eq!((row.threshold, row.threshold_from.as_str()), (30.0, "learning"));
    }

    #[test]
    fn a_probability_at_the_threshold_is_above_it() {
        let roi = roi(&[0; 4], &[true, true, false, false], &[0]);
        let mut histograms = Histograms::of_probabilities();
        // Both of the nodule from 0.3 down, none of the background from 0.3 up.
        let values = [0.3, 0.9, 0.295, 0.001];
        histograms.add(&roi, values.into_iter());
        assert_eq!(histograms.best(), Some(0.3));
    }

    #[test]
    fn a_bin_holds_the_values_from_its_threshold_on() {
        let thresholds = Histograms::of_hu().thresholds;
        let bin = |hu: f64| thresholds.partition_point(|threshold| *threshold <= hu);
        let bins = [-1024.0, -1000.0, -991.0, -990.0, 3000.0].map(bin);
        assert_eq!(bins, [0, 1, 1, 2, thresholds.len()]);
    }
}
