//! Several readers' masks of one nodule to one.

use crate::volume::{Mask, PlacedMask};

/// The voxels that at least `level` (a share, 0 to 1) of the masks hold, in the smallest box;
/// `None` where there is no such voxel, or no mask.
///
/// METHOD: pylidc's consensus (Hancock and Magnan 2016): a voxel belongs when the mean over the
/// masks is at least the level. A level of 0 asks for one mask, not for none.
pub fn consensus(masks: &[&PlacedMask], level: f64) -> Option<PlacedMask> {
    let start = std::array::from_fn(|a| masks.iter().map(|m| m.start[a]).min().unwrap_or(0));
    let end: [usize; 3] =
        std::array::from_fn(|a| masks.iter().map(|m| m.end()[a]).max().unwrap_or(0));
    let size: [usize; 3] = std::array::from_fn(|a| end[a] - start[a]);
    let mut holders = vec![0u32; size.iter().product()];
    for placed in masks {
        let [i0, j0, k0]: [usize; 3] = std::array::from_fn(|a| placed.start[a] - start[a]);
        for [i, j, k] in placed.mask.voxels() {
            holders[((k0 + k) * size[1] + j0 + j) * size[0] + i0 + i] += 1;
        }
    }
    // A share such as 0.7 of 10 must ask for 7, though the product is a rounding above it.
    let needed = (level * masks.len() as f64 - 1e-9).ceil().max(1.0) as u32;
    let inside = |i, j, k| holders[(k * size[1] + j) * size[0] + i] >= needed;
    PlacedMask { start, mask: Mask::from_fn(size, inside) }.trimmed()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bar of voxels along i, in slice `k`.
    fn bar(from: usize, to: usize, k: usize) -> PlacedMask {
        PlacedMask { start: [from, 5, k], mask: Mask::from_fn([to - from, 1, 1], |_, _, _| true) }
    }

    fn count(masks: &[PlacedMask], level: f64) -> usize {
        let masks: Vec<_> = masks.iter().collect();
        consensus(&masks, level).map_or(0, |placed| placed.mask.count())
    }

    #[test]
    fn a_voxel_belongs_when_enough_masks_hold_it() {
        // Columns 0 to 9: held by 1, 1, 2, 2, 3, 3, 2, 2, 1, 1 of three.
        let masks = [bar(0, 6, 2), bar(2, 8, 2), bar(4, 10, 2)];
        assert_eq!(count(&masks, 0.0), 10);
        assert_eq!(count(&masks, 1.0 / 3.0), 10);
        assert_eq!(count(&masks, 0.5), 6);
        assert_eq!(count(&masks, 2.0 / 3.0), 6);
        assert_eq!(count(&masks, 1.0), 2);
        let half = consensus(&masks.iter().collect::<Vec<_>>(), 0.5).unwrap();
        assert_eq!((half.start, half.mask.size()), ([2, 5, 2], [6, 1, 1]));
        assert_eq!(half.mask.count(), 6);
    }

    #[test]
    fn half_of_an_even_number_is_enough() {
        assert_eq!(count(&[bar(0, 3, 0), bar(2, 5, 0)], 0.5), 5);
        assert_eq!(count(&[bar(0, 3, 0), bar(2, 5, 0)], 0.51), 1);
    }

    #[test]
    fn rounding_does_not_raise_the_level() {
        let mut masks = vec![bar(0, 1, 0); 7];
        masks.extend(vec![bar(1, 2, 0); 3]);
        assert_eq!(count(&masks, 0.7), 1);
    }

    #[test]
    fn masks_apart_have_no_consensus() {
        let masks = [bar(0, 3, 0), bar(0, 3, 9)];
        assert_eq!(count(&masks, 1.0), 0);
        assert_eq!(consensus(&[], 0.5), None);
    }
}
