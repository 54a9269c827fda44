//! Chooses by mean Dice: the probability threshold, and the settings of region growing.

use crate::stages::nodule_region::NoduleRegion;
use crate::stages::nodule_slices::NoduleSlices;
use crate::tables::Roi;
use nodulus_formats::volume::Mask;
use nodulus_imaging::component_levels::nearest_at_levels;
use nodulus_imaging::components::ComponentRule;
use nodulus_nets as model;

/// Number of probability thresholds to try.
const N_PROBABILITIES: u8 = 99;

/// The n-th probability threshold: 0.01 to 0.99, 0.01 apart.
pub(super) fn probability_threshold(n: usize) -> f64 {
    (n + 1) as f64 / 100.0
}

/// Sums of Dice over nodules, for each of several choices, in units of 2⁻⁴⁰: whole numbers, so that the order of the nodules,
/// which other patients change, cannot decide between choices that are nearly equal.
#[derive(Debug, Default)]
pub(super) struct DiceSums(Vec<u64>);

/// Units of a Dice of 1.
const DICE_UNITS: f64 = (1u64 << 40) as f64;

impl DiceSums {
    /// Adds a nodule's Dice for every choice.
    pub(super) fn add(&mut self, dice: &[f64]) {
        self.0.resize(dice.len().max(self.0.len()), 0);
        self.0
            .iter_mut()
            .zip(dice)
            .for_each(|(sum, dice)| *sum += (dice * DICE_UNITS).round() as u64);
    }

    /// The choice with the highest mean, the first of equals; `None` without nodules.
    pub(super) fn best(&self) -> Option<usize> {
        let mut best: Option<(usize, u64)> = None;
        for (n, sum) in self.0.iter().enumerate() {
            if best.is_none_or(|(_, highest)| *sum > highest) {
                best = Some((n, *sum));
            }
        }
        best.map(|(n, _)| n)
    }
}

/// What a voxel adds to an overlap: 1 to the true positives and 1 to the prediction. Voxels of other nodules add nothing,
/// as in the metrics.
pub(super) struct References {
    weights: Vec<[u32; 2]>,
    n_reference: u64,
}

impl References {
    /// The references of a region's slices, ascending; `None` where a mask does not fit its slice.
    pub(super) fn of<'a>(slices: impl Iterator<Item = &'a Roi>) -> Option<Self> {
        let mut weights = Vec::new();
        for roi in slices {
            let size = [roi.width, roi.height, 1].map(|n| usize::try_from(n).unwrap_or(0));
            let own = Mask::from_bits(size, roi.mask_bits.clone()).ok()?.to_bools();
            let others = Mask::from_bits(size, roi.other_mask_bits.clone()).ok()?.to_bools();
            let no_data = Mask::from_bits(size, roi.no_data_bits.clone()).ok()?.to_bools();
            // A voxel without data is in no mask, and so in no overlap.
            let weight = |((own, other), no_data): ((bool, bool), bool)| {
                [u32::from(own), u32::from(!no_data && (own || !other))]
            };
            weights.extend(own.into_iter().zip(others).zip(no_data).map(weight));
        }
        let n_reference = weights.iter().map(|[own, _]| u64::from(*own)).sum();
        Some(Self { weights, n_reference })
    }

    /// Dice of voxels, by their index (k, then j, then i).
    pub(super) fn dice(&self, voxels: impl Iterator<Item = usize>) -> f64 {
        let mut sums = [0u64; 2];
        for [own, predicted] in voxels.filter_map(|voxel| self.weights.get(voxel)) {
            sums[0] += u64::from(*own);
            sums[1] += u64::from(*predicted);
        }
        self.dice_of(sums)
    }

    fn dice_of(&self, [true_positive, predicted]: [u64; 2]) -> f64 {
        2.0 * true_positive as f64 / (predicted + self.n_reference).max(1) as f64
    }
}

/// Dice of a nodule at each of the probability thresholds, by a rule of components; `None` where its slices are no region
/// or a slice has no prediction.
pub(super) fn dice_by_threshold(
    slices: &NoduleSlices<Option<model::Prediction>>,
    rule: ComponentRule,
    reach_mm: f64,
) -> Option<Vec<f64>> {
    let region = NoduleRegion::of(slices.iter().map(|(roi, _)| roi), reach_mm).ok()?;
    let references = References::of(slices.iter().map(|(roi, _)| roi))?;
    // A pixel is above level n where it reaches the n-th threshold.
    let thresholds: Vec<f64> =
        (0..usize::from(N_PROBABILITIES)).map(probability_threshold).collect();
    let level = |p: &f32| thresholds.partition_point(|threshold| *threshold <= f64::from(*p)) as u8;
    let mut levels: Vec<u8> = Vec::with_capacity(references.weights.len());
    for (_, predicted) in slices {
        levels.extend(predicted.as_ref()?.probability.iter().map(level));
    }
    let [width, height, _] = region.size;
    for (voxel, level) in levels.iter_mut().enumerate() {
        if !region.has_data(voxel % width, voxel / width % height, voxel / (width * height)) {
            *level = 0;
        }
    }
    if levels.len() != references.weights.len() {
        return None;
    }
    Some(match rule {
        ComponentRule::Centre => {
            let weights = |voxel: usize| references.weights[voxel];
            let found =
                nearest_at_levels(&levels, N_PROBABILITIES, region.size, &region.seed, weights);
            let dice = |sums: Option<[u32; 2]>| {
                references.dice_of(sums.unwrap_or_default().map(u64::from))
            };
            found.into_iter().map(dice).collect()
        }
        ComponentRule::All => {
            let mut sums = vec![[0u64; 2]; usize::from(N_PROBABILITIES) + 1];
            for (level, [own, predicted]) in levels.iter().zip(&references.weights) {
                let sums = &mut sums[usize::from(*level)];
                *sums = [sums[0] + u64::from(*own), sums[1] + u64::from(*predicted)];
            }
            let mut above = [0u64; 2];
            let mut dice: Vec<f64> = sums[1..]
                .iter()
                .rev()
                .map(|sums| {
                    above = [above[0] + sums[0], above[1] + sums[1]];
                    references.dice_of(above)
                })
                .collect();
            dice.reverse();
            dice
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::crop::test_rows::roi;

    fn by_threshold(
        rule: ComponentRule,
        probability: &[f32],
        own: &[bool],
        others: &[u8],
    ) -> Vec<f64> {
        let slice = roi(&vec![0; own.len()], own, others);
        let predicted =
            model::Prediction { probability: probability.to_vec(), ..model::Prediction::default() };
        dice_by_threshold(&vec![(slice, Some(predicted))], rule, 5.0).unwrap()
    }

    #[test]
    fn a_probability_at_the_threshold_is_above_it() {
        let own = [true, true, false, false];
        for rule in [ComponentRule::All, ComponentRule::Centre] {
            let dice = by_threshold(rule, &[0.3, 0.9, 0.295, 0.001], &own, &[0]);
            let mut sums = DiceSums::default();
            sums.add(&dice);
            // Both of the nodule from 0.3 down, none of the background from 0.3 up.
            assert_eq!(sums.best().map(probability_threshold), Some(0.3));
            assert!((dice[29] - 1.0).abs() < 1e-12 && (dice[28] - 0.8).abs() < 1e-12);
        }
        assert_eq!(DiceSums::default().best(), None);
    }

    #[test]
    fn the_order_of_nodules_decides_nothing() {
        // In floating point, 0.1 + 0.2 + 0.3 is more than 0.3 + 0.2 + 0.1.
        let nodules = [[0.1, 0.3], [0.2, 0.2], [0.3, 0.1]];
        let best = |nodules: &[[f64; 2]]| {
            let mut sums = DiceSums::default();
            for dice in nodules {
                sums.add(dice);
            }
            sums.best()
        };
        let backwards = [nodules[2], nodules[1], nodules[0]];
        assert_eq!((best(&nodules), best(&backwards)), (Some(0), Some(0)));
    }

    #[test]
    fn the_rule_of_components_decides_which_pixels_count() {
        // The nodule at pixels 3 and 4 of 8, a speck at 0 that is surer of itself, another nodule at 6.
        let own: Vec<bool> = (0..8).map(|i| i == 3 || i == 4).collect();
        let probability = [0.9, 0.0, 0.0, 0.6, 0.6, 0.0, 0.8, 0.0];
        let dice = |rule| by_threshold(rule, &probability, &own, &[1 << 6])[49];
        assert!((dice(ComponentRule::Centre) - 1.0).abs() < 1e-12);
        assert!((dice(ComponentRule::All) - 0.8).abs() < 1e-12);
    }

    #[test]
    fn a_nodule_with_a_slice_that_failed_takes_no_part() {
        let slices = vec![(roi(&[0], &[true], &[0]), None)];
        assert_eq!(dice_by_threshold(&slices, ComponentRule::All, 5.0), None);
    }
}
