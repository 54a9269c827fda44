//! Overlap of two masks.

use nodulus_formats::volume::Mask;

/// Numbers of voxels in a prediction, a reference or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OverlapCounts {
    /// Voxels in both masks.
    pub true_positive: u64,
    /// Voxels in the prediction alone.
    pub false_positive: u64,
    /// Voxels in the reference alone.
    pub false_negative: u64,
}

impl OverlapCounts {
    /// Compares two masks voxel by voxel.
    ///
    /// A voxel outside a mask's box is background, as everywhere in this crate.
    pub fn of(prediction: &Mask, reference: &Mask) -> Self {
        let shared = if prediction.size() == reference.size() {
            let bytes = prediction.bits().iter().zip(reference.bits());
            bytes.map(|(a, b)| (a & b).count_ones() as usize).sum()
        } else {
            prediction.voxels().filter(|&[i, j, k]| reference.get(i, j, k)).count()
        };
        Self {
            true_positive: shared as u64,
            false_positive: (prediction.count() - shared) as u64,
            false_negative: (reference.count() - shared) as u64,
        }
    }

    /// Voxels of the prediction.
    pub fn predicted(self) -> u64 {
        self.true_positive + self.false_positive
    }

    /// Voxels of the reference.
    pub fn reference(self) -> u64 {
        self.true_positive + self.false_negative
    }

    /// TP / (TP + FP); `None` without a predicted voxel.
    pub fn precision(self) -> Option<f64> {
        ratio(self.true_positive, self.predicted())
    }

    /// TP / (TP + FN); `None` without a reference voxel.
    pub fn sensitivity(self) -> Option<f64> {
        ratio(self.true_positive, self.reference())
    }

    /// 2 TP / (2 TP + FP + FN); `None` where both masks are empty.
    pub fn dice(self) -> Option<f64> {
        ratio(2 * self.true_positive, self.predicted() + self.reference())
    }

    /// TP / (TP + FP + FN); `None` where both masks are empty.
    pub fn iou(self) -> Option<f64> {
        ratio(self.true_positive, self.predicted() + self.false_negative)
    }
}

/// How far several masks of one object disagree with the mask of them all: 1 minus their mean Dice with it, 0 where all are
/// the same; `None` without any.
///
/// METHOD: two empty masks agree, and a mask disagrees wholly with an empty one.
pub fn disagreement(overlaps: &[OverlapCounts]) -> Option<f64> {
    let dice = overlaps.iter().map(|counts| counts.dice().unwrap_or(1.0));
    (!overlaps.is_empty()).then(|| 1.0 - dice.sum::<f64>() / overlaps.len() as f64)
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_of_two_overlapping_bars() {
        // Prediction 0..6, reference 4..14: 2 shared, 4 and 8 alone.
        let prediction = Mask::from_fn([20, 1, 1], |i, _, _| i < 6);
        let reference = Mask::from_fn([20, 1, 1], |i, _, _| (4..14).contains(&i));
        let counts = OverlapCounts::of(&prediction, &reference);
        let expected = OverlapCounts { true_positive: 2, false_positive: 4, false_negative: 8 };
        assert_eq!(counts, expected);
        assert_eq!(counts.precision(), Some(2.0 / 6.0));
        assert_eq!(counts.sensitivity(), Some(2.0 / 10.0));
        assert_eq!(counts.dice(), Some(4.0 / 16.0));
        assert_eq!(counts.iou(), Some(2.0 / 14.0));
    }

    #[test]
    fn masks_of_other_sizes_are_compared_voxel_by_voxel() {
        let prediction = Mask::from_fn([5, 3, 1], |i, _, _| i < 2);
        let reference = Mask::from_fn([4, 2, 2], |i, _, _| i > 0);
        let expected = OverlapCounts { true_positive: 2, false_positive: 4, false_negative: 10 };
        assert_eq!(OverlapCounts::of(&prediction, &reference), expected);
    }

    #[test]
    fn masks_disagree_by_their_mean_dice() {
        let of = |true_positive, false_positive, false_negative| OverlapCounts {
            true_positive,
            false_positive,
            false_negative,
        };
        assert_eq!(disagreement(&[]), None);
        assert_eq!(disagreement(&[of(3, 0, 0), of(0, 0, 0)]), Some(0.0));
        // Dice 1, 1 / 2 and 0.
        let found = disagreement(&[of(3, 0, 0), of(1, 0, 2), of(0, 0, 3)]).unwrap();
        assert!((found - 0.5).abs() < 1e-12, "{found}");
    }

    #[test]
    fn a_ratio_without_a_denominator_is_none() {
        let nothing = OverlapCounts::default();
        assert_eq!(nothing.precision(), None);
        assert_eq!(nothing.sensitivity(), None);
        assert_eq!(nothing.dice(), None);
        assert_eq!(nothing.iou(), None);
    }
}
