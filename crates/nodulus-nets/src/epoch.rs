//! Progress of a training epoch and its log.

use serde::{Deserialize, Serialize};

/// Log of an epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochLog {
    /// Learning rate in the middle of the epoch.
    pub learning_rate: f64,
    /// Mean loss over the samples; 0 without samples.
    pub loss: f64,
    /// Segmentation loss, unweighted.
    pub loss_segmentation: f64,
    /// Classification loss, unweighted; `None` where the network has no classifier.
    pub loss_classification: Option<f64>,
    /// Mean Dice over the images with nodule, at the time of their training step; `None` where
    /// there was none.
    pub dice: Option<f64>,
    /// Mean intersection over union, likewise.
    pub iou: Option<f64>,
    /// Samples.
    pub n_samples: usize,
    /// Duration of the training steps.
    pub seconds: f64,
}

/// An epoch in progress, with the sums that its log is computed from.
///
/// It is saved with the trainer's state, so that a long epoch can resume where it stopped.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// Number in its phase, from 1.
    pub(super) number: usize,
    /// Batches trained on.
    pub(super) batches: usize,
    /// Batches that the epoch has; 0 where nobody said.
    #[serde(default)]
    planned: usize,
    /// Samples trained on.
    examples: usize,
    /// Sums over the samples of the loss and of the segmentation loss.
    losses: [Sum; 2],
    loss_classification: Option<Sum>,
    /// Sums of Dice and of intersection over union.
    overlaps: [Sum; 2],
    /// Images that have an overlap.
    n_overlaps: usize,
    seconds: Sum,
}

/// A sum stored as bits, which come back from a file unchanged; decimal digits do not guarantee
/// that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Sum(u64);

impl Sum {
    fn value(self) -> f64 {
        f64::from_bits(self.0)
    }

    fn add(&mut self, value: f64) {
        self.0 = (self.value() + value).to_bits();
    }
}

impl Epoch {
    /// An epoch with this number, from 1, before its first batch.
    pub fn new(number: usize) -> Self {
        Self { number, ..Self::default() }
    }

    /// An epoch with this number, from 1, that has this many batches, before its first one.
    pub fn of_batches(number: usize, planned: usize) -> Self {
        Self { number, planned, ..Self::default() }
    }

    /// Epochs of the phase up to the middle of the next batch; up to the middle of this epoch where nobody said how many
    /// batches it has.
    pub(super) fn progress(&self) -> f64 {
        let before = self.number as f64 - 1.0;
        match self.planned {
            0 => before + 0.5,
            planned => before + ((self.batches as f64 + 0.5) / planned as f64).min(1.0),
        }
    }

    /// Samples trained on so far.
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// Batches trained on so far.
    pub fn batches(&self) -> usize {
        self.batches
    }

    /// Adds a batch: its mean losses, and Dice and intersection over union of its images with
    /// nodule.
    pub(super) fn add(
        &mut self,
        examples: usize,
        losses: [f64; 2],
        classification: Option<f64>,
        overlaps: &[[f64; 2]],
        seconds: f64,
    ) {
        self.batches += 1;
        self.examples += examples;
        for (sum, loss) in self.losses.iter_mut().zip(losses) {
            sum.add(loss * examples as f64);
        }
        if let Some(loss) = classification {
            self.loss_classification.get_or_insert_default().add(loss * examples as f64);
        }
        for overlap in overlaps {
            for (sum, value) in self.overlaps.iter_mut().zip(overlap) {
                sum.add(*value);
            }
        }
        self.n_overlaps += overlaps.len();
        self.seconds.add(seconds);
    }

    /// The log of the epoch so far.
    pub fn log(&self, learning_rate: f64) -> EpochLog {
        let mean = |sum: Sum| sum.value() / self.examples.max(1) as f64;
        let [loss, loss_segmentation] = self.losses.map(mean);
        let [dice, iou] = self
            .overlaps
            .map(|sum| (self.n_overlaps > 0).then(|| sum.value() / self.n_overlaps as f64));
        EpochLog {
            learning_rate,
            loss,
            loss_segmentation,
            loss_classification: self.loss_classification.map(mean),
            dice,
            iou,
            n_samples: self.examples,
            seconds: self.seconds.value(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_over_examples_and_over_images_with_nodule() {
        let mut epoch = Epoch::new(3);
        let nothing = epoch.log(0.1);
        assert_eq!((nothing.loss, nothing.dice, nothing.n_samples), (0.0, None, 0));
        epoch.add(3, [2.0, 1.0], Some(1.0), &[[0.5, 0.25], [1.0, 0.75]], 1.5);
        epoch.add(1, [6.0, 5.0], Some(0.0), &[], 0.5);
        let log = epoch.log(0.1);
        assert_eq!((epoch.batches(), epoch.examples()), (2, 4));
        assert!((epoch.progress() - 2.5).abs() < 1e-12);
        assert!((Epoch { planned: 5, ..epoch.clone() }.progress() - 2.5).abs() < 1e-12);
        assert!((Epoch::of_batches(3, 5).progress() - 2.1).abs() < 1e-12);
        assert_eq!(
            (log.loss, log.loss_segmentation, log.loss_classification),
            (3.0, 2.0, Some(0.75))
        );
        assert_eq!(
            (log.dice, log.iou, log.n_samples, log.seconds),
            (Some(0.75), Some(0.5), 4, 2.0)
        );
    }

    #[test]
    fn sums_come_back_from_json_to_the_bit() {
        let mut epoch = Epoch::new(1);
        for n in 1..50 {
            let odd = 1.0 / f64::from(n);
            epoch.add(1, [odd, odd / 3.0], None, &[[odd / 7.0, odd / 11.0]], odd);
        }
        let text = serde_json::to_string(&epoch).unwrap();
        assert_eq!(serde_json::from_str::<Epoch>(&text).unwrap(), epoch);
    }
}
