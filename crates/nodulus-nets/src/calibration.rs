//! The calibration of a network's probabilities: what its logits become so that the probabilities are shares.

use super::batch::{IGNORED_PIXEL, TrainingSample};
use super::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The calibration of a network's probabilities. It moves no probability over or under one half, and keeps the order of any two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Of the probability that a pixel is nodule; none where it is as the network gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixels: Option<LogitCurve>,
    /// Temperature (Guo et al. 2017) of the probability that an image shows a nodule, which is `sigmoid(logit / temperature)`; 1
    /// for a network without a classifier.
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 1000))]
    pub images: f64,
}

impl Default for Calibration {
    fn default() -> Self {
        Self { pixels: None, images: 1.0 }
    }
}

/// A rising curve from a network's logits to calibrated ones, straight between its points and beyond them, through 0 at 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogitCurve {
    /// Logits of the points, rising; one is 0.
    pub logits: Vec<f64>,
    /// Calibrated logits of the points, rising; that of 0 is 0.
    pub calibrated: Vec<f64>,
}

/// Distances of a curve's points from 0, on each side.
const DISTANCES: [f64; 13] =
    [0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 13.0, 16.0, 20.0, 25.0, LARGEST_LOGIT];

impl LogitCurve {
    /// The logits of the points of the curves that a training finds.
    pub fn points() -> Vec<f64> {
        let below = DISTANCES.iter().rev().map(|distance| -distance);
        below.chain([0.0]).chain(DISTANCES).collect()
    }

    /// The curve through these calibrated logits at [`Self::points`].
    ///
    /// # Errors
    ///
    /// Fails if the points are not as a curve's.
    pub fn through(calibrated: Vec<f64>) -> Result<Self> {
        let curve = Self { logits: Self::points(), calibrated };
        curve.check()?;
        Ok(curve)
    }

    /// Refuses points that make no rising curve through 0 at 0.
    pub(super) fn check(&self) -> Result<()> {
        let Self { logits, calibrated } = self;
        let rises = |values: &[f64]| {
            values.iter().all(|value| value.is_finite())
                && values.windows(2).all(|pair| pair[0] < pair[1])
        };
        let zero = |values: &[f64]| values.iter().position(|value| *value == 0.0);
        let is_curve = logits.len() == calibrated.len()
            && logits.len() > 1
            && rises(logits)
            && rises(calibrated)
            && zero(logits).is_some()
            && zero(logits) == zero(calibrated);
        if is_curve { Ok(()) } else { Err(Error::Calibration) }
    }

    /// The calibrated logit.
    pub(super) fn at(&self, logit: f32) -> f32 {
        let (x, n) = (f64::from(logit), self.logits.len());
        let after = self.logits.partition_point(|point| *point <= x).clamp(1, n - 1);
        let ([x0, x1], [y0, y1]) = (
            [self.logits[after - 1], self.logits[after]],
            [self.calibrated[after - 1], self.calibrated[after]],
        );
        (y0 + (x - x0) * (y1 - y0) / (x1 - x0)) as f32
    }
}

/// Logits of pixels or images with their targets, counted for a calibration; memory does not grow with them.
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

/// The lowest and the highest temperature that is chosen; a curve's slope is from the inverse of one to that of the other.
const LIMITS: [f64; 2] = [0.05, 20.0];

/// Cases that each segment of a curve has beside those that were counted.
///
/// METHOD: chosen; they lie in the segment's middle and have the share that the temperature gives them, so that a segment
/// without cases is as the temperature has it.
const PRIOR_CASES: f64 = 10.0;

/// Rounds of the search for a curve, and the step in logits that ends it.
const ROUNDS: usize = 300;
const LAST_STEP: f64 = 1e-5;

impl Default for LogitCounts {
    fn default() -> Self {
        let n_bins = (2.0 * LARGEST_LOGIT * BINS_PER_UNIT) as usize + 1;
        Self { n: vec![0; n_bins], targets: vec![0.0; n_bins] }
    }
}

/// Cases of one logit.
struct CountedLogit {
    logit: f64,
    n: f64,
    targets: f64,
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

    fn counted(&self) -> impl Iterator<Item = CountedLogit> {
        let bins = self.n.iter().zip(&self.targets).enumerate().filter(|(_, (n, _))| **n > 0);
        bins.map(|(bin, (n, targets))| CountedLogit {
            logit: bin as f64 / BINS_PER_UNIT - LARGEST_LOGIT,
            n: *n as f64,
            targets: *targets,
        })
    }

    /// The temperature with the lowest cross entropy. `None` where there is none from 0.05 to 20: without cases, where all are
    /// of one class, or where the logits tell the classes apart without an error.
    ///
    /// METHOD: the cross entropy is convex in 1 / temperature, so that its slope has one zero, which is found by halving. Its
    /// logits are rounded to 1/64.
    pub(super) fn temperature(&self) -> Option<f64> {
        let slope = |inverse: f64| -> f64 {
            let cases = self.counted();
            cases.map(|of| of.logit * (of.n * sigmoid(inverse * of.logit) - of.targets)).sum()
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

    /// The curve with the lowest cross entropy, given as its calibrated logits at [`LogitCurve::points`]. `None` where no temperature
    /// is best.
    ///
    /// METHOD: one temperature for all pixels fits the far background, which is most of them, and leaves the margins of nodules too
    /// sure (Kull et al. 2017 show that a temperature cannot bend). A rising curve that is straight between fixed points can, and
    /// through 0 at 0 it moves no pixel into a mask or out of it. The cross entropy is convex in the rises between points, which
    /// are bounded by the slope alone, so that descent along one after another ends at the lowest.
    pub(super) fn curve(&self) -> Option<Vec<f64>> {
        let temperature = self.temperature()?;
        let [below, above] = [-1.0, 1.0].map(|side| self.rises(side, temperature));
        let sums = |rises: &[f64]| {
            let mut sum = 0.0;
            rises.iter().map(|rise| (sum += rise, sum).1).collect::<Vec<f64>>()
        };
        let below = sums(&below).into_iter().rev().map(|logit| -logit);
        Some(below.chain([0.0]).chain(sums(&above)).collect())
    }

    /// The rises of the curve from one point to the next, away from 0, on the side of this sign.
    fn rises(&self, side: f64, temperature: f64) -> Vec<f64> {
        let from = |n: usize| if n == 0 { 0.0 } else { DISTANCES[n - 1] };
        // On both sides, a case is right that is of the class of its sign.
        let mut cases: Vec<CountedLogit> = self
            .counted()
            .filter(|of| of.logit * side > 0.0)
            .map(|of| CountedLogit {
                logit: of.logit.abs(),
                n: of.n,
                targets: if side > 0.0 { of.targets } else { of.n - of.targets },
            })
            .collect();
        cases.extend(DISTANCES.iter().enumerate().map(|(n, to)| {
            let logit = 0.5 * (from(n) + to);
            let targets = PRIOR_CASES * sigmoid(logit / temperature);
            CountedLogit { logit, n: PRIOR_CASES, targets }
        }));
        let widths: Vec<f64> = DISTANCES.iter().enumerate().map(|(n, to)| to - from(n)).collect();
        // The part of the n-th rise that a case has.
        let part = |of: &CountedLogit, n: usize| ((of.logit - from(n)) / widths[n]).clamp(0.0, 1.0);
        let mut rises: Vec<f64> = widths.iter().map(|width| width / temperature).collect();
        let mut calibrated: Vec<f64> = cases.iter().map(|of| of.logit / temperature).collect();
        for _ in 0..ROUNDS {
            let mut longest = 0.0f64;
            for n in 0..rises.len() {
                let (mut slope, mut bend) = (0.0, 0.0);
                for (of, logit) in cases.iter().zip(&calibrated) {
                    let part = part(of, n);
                    if part == 0.0 {
                        continue;
                    }
                    let p = sigmoid(*logit);
                    slope += part * (of.n * p - of.targets);
                    bend += part * part * of.n * p * (1.0 - p);
                }
                // Newton's step, at most 1, within the limits of the slope.
                let step = (-slope / bend.max(f64::MIN_POSITIVE)).clamp(-1.0, 1.0);
                let rise = (rises[n] + step).clamp(widths[n] / LIMITS[1], widths[n] / LIMITS[0]);
                let step = rise - rises[n];
                rises[n] = rise;
                for (of, logit) in cases.iter().zip(&mut calibrated) {
                    *logit += step * part(of, n);
                }
                longest = longest.max(step.abs());
            }
            if longest < LAST_STEP {
                break;
            }
        }
        rises
    }
}

fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
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
            assert_eq!(counts.curve().is_some(), counts.temperature().is_some());
            counts.temperature()
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[(0.0, 1.0), (0.0, 0.0)]), None);
        // Told apart without an error, by any logits; and always wrong.
        assert_eq!(of(&[(3.0, 1.0), (-90.0, 0.0)]), None);
        assert_eq!(of(&[(3.0, 0.0), (-2.0, 1.0)]), None);
        assert!(of(&[(3.0, 1.0), (-2.0, 0.0), (1.0, 0.0)]).is_some());
    }

    /// A million cases at each 64th from -16 to 16, with the share that `share` gives.
    fn counted(share: impl Fn(f64) -> f64) -> LogitCounts {
        let mut counts = LogitCounts::default();
        for (bin, (n, targets)) in counts.n.iter_mut().zip(&mut counts.targets).enumerate() {
            let logit = bin as f64 / BINS_PER_UNIT - LARGEST_LOGIT;
            if logit.abs() <= 16.0 {
                (*n, *targets) = (1_000_000, 1e6 * share(logit));
            }
        }
        counts
    }

    #[test]
    fn the_curve_bends_where_the_shares_do_and_is_the_temperatures_without_cases() {
        let straight = counted(|logit| sigmoid(logit / 2.5)).curve().unwrap();
        for (logit, calibrated) in LogitCurve::points().iter().zip(&straight) {
            assert!((calibrated - logit / 2.5).abs() < 1e-3, "{logit}: {calibrated}");
        }
        // Too sure near 0, more so above it than below, and right far from it.
        let truth = LogitCurve::through(
            LogitCurve::points()
                .into_iter()
                .map(|x| if x > 0.0 { 0.2 * x } else { 0.4 * x } + 0.6 * (x - x.clamp(-4.0, 4.0)))
                .collect(),
        );
        let truth = truth.unwrap();
        let bent = counted(|logit| sigmoid(truth.at(logit as f32).into()));
        let curve = LogitCurve::through(bent.curve().unwrap()).unwrap();
        for logit in [-12.0f32, -6.0, -3.5, -1.0, 0.0, 0.25, 2.0, 5.0, 9.0] {
            let [found, expected] = [curve.at(logit), truth.at(logit)];
            assert!((found - expected).abs() < 2e-3, "{logit}: {found}, expected {expected}");
        }
        // Beyond the cases it is the temperature's, in the middle of the segments.
        let temperature = bent.temperature().unwrap();
        let found = f64::from(curve.at(28.0));
        assert!((found - 28.0 / temperature).abs() < 0.05, "{found} {temperature}");
    }

    #[test]
    fn shares_that_fall_are_met_by_the_least_slope() {
        let curve =
            counted(|logit| if logit.abs() < 4.0 { sigmoid(-logit) } else { sigmoid(logit) });
        let curve = LogitCurve::through(curve.curve().unwrap()).unwrap();
        for (logit, expected) in [(1.0, 1.0 / LIMITS[1]), (-1.0, -1.0 / LIMITS[1])] {
            assert!((f64::from(curve.at(logit)) - expected).abs() < 1e-6, "{}", curve.at(logit));
        }
    }

    #[test]
    fn points_that_make_no_curve_are_refused() {
        let check = |logits: &[f64], calibrated: &[f64]| {
            let curve = LogitCurve { logits: logits.to_vec(), calibrated: calibrated.to_vec() };
            curve.check().is_ok()
        };
        assert!(check(&[-1.0, 0.0, 2.0], &[-0.5, 0.0, 9.0]));
        for (logits, calibrated) in [
            (&[-1.0, 0.0, 2.0][..], &[-0.5, 0.0][..]),
            (&[0.0], &[0.0]),
            (&[], &[]),
            (&[-1.0, 1.0], &[-1.0, 1.0]),
            (&[-1.0, 0.0, 1.0], &[-1.0, 0.1, 1.0]),
            (&[-1.0, 0.0, 1.0], &[-1.0, 0.0, 0.0]),
            (&[0.0, -1.0], &[0.0, 1.0]),
            (&[-1.0, 0.0, f64::NAN], &[-1.0, 0.0, 1.0]),
        ] {
            assert!(!check(logits, calibrated), "{logits:?} {calibrated:?}");
        }
        assert!(LogitCurve::through(vec![0.0; 3]).is_err());
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
