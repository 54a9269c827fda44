//! Temperatures: numbers that a network's logits are divided by, so that its probabilities are shares.

use super::batch::{IGNORED_PIXEL, TrainingSample};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The temperatures of a network's probabilities (Guo et al. 2017): `sigmoid(logit / temperature)`. No temperature moves a
/// probability over or under one half, or changes the order of two.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Temperatures {
    /// Of the probability that a pixel is nodule.
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 1000))]
    pub pixels: f64,
    /// Of the probability that an image shows a nodule; 1 for a network without a classifier.
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 1000))]
    pub images: f64,
}

impl Default for Temperatures {
    fn default() -> Self {
        Self { pixels: 1.0, images: 1.0 }
    }
}

/// Logits of pixels or images with their targets, counted for the choice of a temperature; memory does not grow with them.
#[derive(Clone, Debug)]
pub(super) struct LogitCounts {
    /// Cases in each bin of logits.
    n: Vec<u64>,
    /// Sum of the targets in each bin.
    targets: Vec<f64>,
}

/// Bins of a unit of logit.
const BINS_PER_UNIT: f64 = 64.0;

/// Logits beyond it count as it: their probability is within 3e-14 of 0 or 1.
const LARGEST_LOGIT: f64 = 31.0;

/// The lowest and the highest temperature that is chosen.
const LIMITS: [f64; 2] = [0.05, 20.0];

impl Default for LogitCounts {
    fn default() -> Self {
        let n_bins = (2.0 * LARGEST_LOGIT * BINS_PER_UNIT) as usize + 1;
        Self { n: vec![0; n_bins], targets: vec![0.0; n_bins] }
    }
}

impl LogitCounts {
    /// Adds the pixels of an image that are not ignored: where it has soft targets, those are their targets.
    pub(super) fn add_pixels(&mut self, logits: &[f32], example: &TrainingSample) {
        for (p, (logit, mask)) in logits.iter().zip(&example.mask).enumerate() {
            if *mask != IGNORED_PIXEL {
                let soft = example.soft.get(p).map(|share| f64::from(*share));
                self.add(*logit, soft.unwrap_or_else(|| f64::from(*mask)));
            }
        }
    }

    /// Adds a case with its target, 0 to 1.
    pub(super) fn add(&mut self, logit: f32, target: f64) {
        let logit = f64::from(logit).clamp(-LARGEST_LOGIT, LARGEST_LOGIT);
        let bin = ((logit + LARGEST_LOGIT) * BINS_PER_UNIT).round() as usize;
        self.n[bin] += 1;
        self.targets[bin] += target;
    }

    /// The temperature with the lowest cross entropy. `None` where there is none from 0.05 to 20: without cases, where all are
    /// of one class, or where the logits tell the classes apart without an error.
    ///
    /// METHOD: the cross entropy is convex in 1 / temperature, so that its slope has one zero, which is found by halving. Its
    /// logits are rounded to 1/64.
    pub(super) fn temperature(&self) -> Option<f64> {
        let slope = |inverse: f64| -> f64 {
            let bins = self.n.iter().zip(&self.targets).enumerate();
            bins.filter(|(_, (n, _))| **n > 0)
                .map(|(bin, (n, targets))| {
                    let logit = bin as f64 / BINS_PER_UNIT - LARGEST_LOGIT;
                    logit * (*n as f64 / (1.0 + (-inverse * logit).exp()) - targets)
                })
                .sum()
        };
        let [mut low, mut high] = [1.0 / LIMITS[1], 1.0 / LIMITS[0]];
        if slope(low) >= 0.0 || slope(high) <= 0.0 {
            return None;
        }
        while high / low > 1.0 + 1e-9 {
            let middle = (low * high).sqrt();
            if slope(middle) < 0.0 { low = middle } else { high = middle }
        }
        Some(1.0 / (low * high).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_at_the_temperature_are_shares() {
        // Of the cases at a logit of 4, three in four are positive, and at -4 one in four: log(3) is 4 / T.
        let mut counts = LogitCounts::default();
        for n in 0..400 {
            let is_rare = n % 4 == 0;
            counts.add(4.0, f64::from(u8::from(!is_rare)));
            counts.add(-4.0, f64::from(u8::from(is_rare)));
        }
        let found = counts.temperature().unwrap();
        assert!((found - 4.0 / 3.0f64.ln()).abs() < 1e-6, "{found}");
        // Shares as targets say the same.
        let mut soft = LogitCounts::default();
        soft.add(4.0, 0.75);
        soft.add(-4.0, 0.25);
        assert!((soft.temperature().unwrap() - found).abs() < 1e-6);
    }

    #[test]
    fn where_no_temperature_is_best_there_is_none() {
        let of = |cases: &[(f32, f64)]| {
            let mut counts = LogitCounts::default();
            for (logit, target) in cases {
                counts.add(*logit, *target);
            }
            counts.temperature()
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[(0.0, 1.0), (0.0, 0.0)]), None);
        // Told apart without an error, by any logits; and always wrong.
        assert_eq!(of(&[(3.0, 1.0), (-90.0, 0.0)]), None);
        assert_eq!(of(&[(3.0, 0.0), (-2.0, 1.0)]), None);
        assert!(of(&[(3.0, 1.0), (-2.0, 0.0), (1.0, 0.0)]).is_some());
    }

    #[test]
    fn ignored_pixels_do_not_count() {
        let example = TrainingSample {
            id: "a".to_owned(),
            image: vec![0.0; 4],
            mask: vec![1, 0, 1, IGNORED_PIXEL],
            soft: Vec::new(),
            has_nodule: None,
        };
        let mut counts = LogitCounts::default();
        counts.add_pixels(&[2.0, -2.0, -2.0, 9.0], &example);
        assert_eq!(counts.n.iter().sum::<u64>(), 3);
        assert!((counts.targets.iter().sum::<f64>() - 2.0).abs() < 1e-12);
        let mut soft = LogitCounts::default();
        soft.add_pixels(&[2.0, -2.0, -2.0, 9.0], &TrainingSample { soft: vec![0.5; 4], ..example });
        assert!((soft.targets.iter().sum::<f64>() - 1.5).abs() < 1e-12);
    }
}
