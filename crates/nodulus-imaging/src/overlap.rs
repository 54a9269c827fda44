//! Linkage of marks to nodules by shared voxels.

use super::linkage::linked_groups;
use nodulus_formats::volume::PlacedMask;

/// Group of each mark, numbered from 0 by first member; empty for no marks.
///
/// METHOD: single linkage; two marks are linked when the intersection over union of their masks is
/// over `threshold`: over 0 when they share a voxel.
pub fn overlap_linkage(masks: &[&PlacedMask], threshold: f64) -> Vec<usize> {
    linked_groups(masks.len(), |a, b| iou(masks[a], masks[b]) > threshold)
}

/// Intersection over union of two masks of a scan; 0 where neither has a voxel.
pub fn iou(a: &PlacedMask, b: &PlacedMask) -> f64 {
    let shared = n_shared(a, b);
    if shared == 0 {
        return 0.0;
    }
    shared as f64 / (a.mask.count() + b.mask.count() - shared) as f64
}

/// Voxels in both masks.
pub fn n_shared(a: &PlacedMask, b: &PlacedMask) -> usize {
    let (a_end, b_end) = (a.end(), b.end());
    let from: [usize; 3] = std::array::from_fn(|axis| a.start[axis].max(b.start[axis]));
    let to: [usize; 3] = std::array::from_fn(|axis| a_end[axis].min(b_end[axis]));
    let rows = (from[2]..to[2]).flat_map(|k| (from[1]..to[1]).map(move |j| (j, k)));
    rows.map(|(j, k)| (from[0]..to[0]).filter(|&i| a.get(i, j, k) && b.get(i, j, k)).count()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodulus_formats::volume::Mask;
    use proptest::prelude::*;

    /// A full box.
    fn block(start: [usize; 3], size: [usize; 3]) -> PlacedMask {
        PlacedMask { start, mask: Mask::from_fn(size, |_, _, _| true) }
    }

    #[test]
    fn two_blocks() {
        // 2 × 1 × 1 voxels shared of 12 + 8 - 2.
        let (a, b) = (block([4, 4, 4], [3, 2, 2]), block([5, 5, 5], [4, 2, 1]));
        assert!((iou(&a, &b) - 2.0 / 18.0).abs() < 1e-12);
        assert!((iou(&a, &a) - 1.0).abs() < 1e-12);
        // They touch.
        assert_eq!(n_shared(&a, &block([7, 4, 4], [3, 2, 2])), 0);
        // Boxes meet, voxels do not.
        let corners = Mask::from_fn([2, 2, 1], |i, j, _| i == j);
        let others = Mask::from_fn([2, 2, 1], |i, j, _| i != j);
        let [c, d] = [corners, others].map(|mask| PlacedMask { start: [1, 2, 3], mask });
        assert!(iou(&c, &d).abs() < 1e-12);
        let empty = PlacedMask { start: [4, 4, 4], mask: Mask::empty([3, 2, 2]) };
        assert!(iou(&empty, &empty).abs() < 1e-12);
    }

    #[test]
    fn sharing_more_than_the_threshold_links() {
        // 1 of 7 voxels between 0 and 1, 2 of 6 between 1 and 3; 2 is apart.
        let bars = [0, 3, 20, 5].map(|i| block([i, 0, 0], [4, 1, 1]));
        let bars: Vec<_> = bars.iter().collect();
        assert_eq!(overlap_linkage(&bars, 0.0), [0, 0, 1, 0]);
        assert_eq!(overlap_linkage(&bars, 1.0 / 7.0), [0, 1, 2, 1]);
        assert_eq!(overlap_linkage(&bars, 0.4), [0, 1, 2, 3]);
        assert_eq!(overlap_linkage(&[], 0.0), [] as [usize; 0]);
    }

    proptest! {
        #[test]
        fn shared_voxels_are_those_in_both(
            masks in prop::array::uniform2((
                prop::array::uniform3(0..4usize),
                prop::collection::vec(any::<bool>(), 60),
            )),
        ) {
            let [a, b] = masks.map(|(start, bools)| PlacedMask {
                start,
                mask: Mask::from_fn([5, 4, 3], |i, j, k| bools[(k * 4 + j) * 5 + i]),
            });
            let all = (0..9).flat_map(|k| (0..9).flat_map(move |j| (0..9).map(move |i| [i, j, k])));
            let both = all.filter(|&[i, j, k]| a.get(i, j, k) && b.get(i, j, k)).count();
            prop_assert_eq!(n_shared(&a, &b), both);
            prop_assert_eq!(n_shared(&b, &a), both);
        }
    }
}
