//! The baseline that a network must beat: one threshold for every slice.

use super::THRESHOLD;
use crate::tables::{Prediction, Roi};
use crate::volume::Mask;
use std::collections::BTreeMap;

/// Lowest threshold tried, in Hounsfield units.
const LOWEST_HU: i64 = -1000;
/// Distance between thresholds tried.
const STEP_HU: i64 = 10;
/// Number of thresholds tried: up to 1000 HU.
const N_THRESHOLDS: usize = 201;

/// For each nodule, how many pixels in and out of its mask lie in each step.
#[derive(Debug, Default)]
pub(super) struct Histograms {
    nodules: BTreeMap<String, [Vec<u64>; 2]>,
}

impl Histograms {
    /// Counts a slice's pixels; those of other nodules are left out, as in the metrics.
    pub(super) fn add(&mut self, roi: &Roi) {
        let Some((hu, own, others)) = pixels(roi) else { return };
        // One bin more, for pixels below every threshold.
        let empty = || std::array::from_fn(|_| vec![0; N_THRESHOLDS + 1]);
        let counts = self.nodules.entry(roi.nodule_id.clone()).or_insert_with(empty);
        for ((hu, own), other) in hu.into_iter().zip(own).zip(others) {
            if own || !other {
                counts[usize::from(!own)][bin(hu)] += 1;
            }
        }
    }

    /// The threshold with the highest mean Dice over the nodules; `None` without nodules.
    ///
    /// METHOD: it is chosen on the very nodules that it is scored on, which favours the baseline:
    /// no threshold chosen beforehand can do better.
    pub(super) fn best(&self) -> Option<i16> {
        let mut best: Option<(f64, usize)> = None;
        for n in 0..N_THRESHOLDS {
            let dice: f64 = self.nodules.values().map(|counts| dice(counts, n)).sum();
            if !self.nodules.is_empty() && best.is_none_or(|(highest, _)| dice > highest) {
                best = Some((dice, n));
            }
        }
        best.map(|(_, n)| (LOWEST_HU + STEP_HU * n as i64) as i16)
    }
}

/// Steps up to and including the value; 0 where it is below every threshold.
fn bin(hu: i16) -> usize {
    let steps = (i64::from(hu) - LOWEST_HU).div_euclid(STEP_HU) + 1;
    steps.clamp(0, N_THRESHOLDS as i64) as usize
}

/// Dice of the pixels at or over the n-th threshold.
fn dice([inside, outside]: &[Vec<u64>; 2], n: usize) -> f64 {
    let true_positive: u64 = inside[n + 1..].iter().sum();
    let false_positive: u64 = outside[n + 1..].iter().sum();
    let reference: u64 = inside.iter().sum();
    2.0 * true_positive as f64 / (true_positive + false_positive + reference).max(1) as f64
}

/// The row of a slice under a threshold.
pub(super) fn predict(roi: &Roi, threshold_hu: i16) -> Option<Prediction> {
    let hu = roi.pixels_hu()?;
    let width = roi.width as usize;
    let mask =
        Mask::from_fn([width, roi.height as usize, 1], |i, j, _| hu[j * width + i] >= threshold_hu);
    Some(Prediction {
        roi_id: roi.roi_id.clone(),
        nodule_id: roi.nodule_id.clone(),
        model_id: THRESHOLD.to_owned(),
        probability: None,
        nodule_probability: None,
        mask_bits: mask.into_bits(),
    })
}

fn pixels(roi: &Roi) -> Option<(Vec<i16>, Vec<bool>, Vec<bool>)> {
    let hu = roi.pixels_hu()?;
    let size = [roi.width as usize, roi.height as usize, 1];
    let mask =
        |bits: &Vec<u8>| Mask::from_bits(size, bits.clone()).ok().map(|mask| mask.to_bools());
    Some((hu, mask(&roi.mask_bits)?, mask(&roi.other_mask_bits)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::crop::test_rows::roi;

    #[test]
    fn the_best_threshold_parts_nodule_and_background() {
        // Nodule at 0 and 40 HU; background at -900, 20 and, in another nodule, 500 HU.
        let roi = roi(&[0, 40, -900, 20, 500], &[true, true, false, false, false], &[16]);
        let mut histograms = Histograms::default();
        assert_eq!(histograms.best(), None);
        histograms.add(&roi);
        // At -890..=0: TP 2, FP 1 → 4/5; above 20 and up to 40: TP 1, FP 0 → 2/3.
        assert_eq!(histograms.best(), Some(-890));
        let row = predict(&roi, 30).unwrap();
        assert_eq!(row.mask_bits, [0b1_0010]);
    }

    #[test]
    fn bins_hold_what_a_threshold_takes() {
        assert_eq!(
            [bin(-1024), bin(-1000), bin(-991), bin(-990), bin(3000)],
            [0, 1, 1, 2, N_THRESHOLDS]
        );
    }
}
