//! Consensus of several readers' masks of one nodule.

use nodulus_formats::volume::{Mask, PlacedMask};

/// Number of readers that a voxel of the consensus needs: at least `level` (a share, 0 to 1) of
/// `n_readers`, and at least one.
pub fn n_needed(level: f64, n_readers: usize) -> usize {
    // A share such as 0.7 of 10 must give 7, although the product is above 7 by rounding.
    (level * n_readers as f64 - 1e-9).ceil().max(1.0) as usize
}

/// Number of readers whose masks contain each voxel of a nodule.
///
/// METHOD: pylidc's consensus (Hancock and Magnan 2016): a voxel belongs to it when the mean over
/// the masks is at least a level. A mask here is all that one reader marked of the nodule, so a
/// reader who marked twice does not count twice.
#[derive(Clone, Debug)]
pub struct ReaderCounts {
    /// First voxel of the box around all masks, i, j, k.
    start: [usize; 3],
    size: [usize; 3],
    /// Numbers of readers; k, then j, then i.
    n_readers: Vec<usize>,
}

impl ReaderCounts {
    /// Counts the readers, given the masks of each reader's marks, in any number.
    pub fn count(readers: &[Vec<&PlacedMask>]) -> Self {
        let [start, end] = PlacedMask::bounds(readers.iter().flatten().copied());
        let size: [usize; 3] = std::array::from_fn(|a| end[a] - start[a]);
        let mut n_readers = vec![0; size.iter().product()];
        for marks in readers {
            for (n, placed) in marks.iter().enumerate() {
                for voxel in placed.mask.voxels() {
                    let [i, j, k] = std::array::from_fn(|a| placed.start[a] + voxel[a]);
                    if marks[..n].iter().any(|earlier| earlier.get(i, j, k)) {
                        continue;
                    }
                    let [i, j, k] = [i - start[0], j - start[1], k - start[2]];
                    n_readers[(k * size[1] + j) * size[0] + i] += 1;
                }
            }
        }
        Self { start, size, n_readers }
    }

    /// Number of readers of each voxel of a box of `size` voxels from `start` on: k, then j, then i; 255 where there are more.
    pub fn within(&self, start: [usize; 3], size: [usize; 3]) -> Vec<u8> {
        let mut counts = Vec::with_capacity(size.iter().product());
        for k in 0..size[2] {
            for j in 0..size[1] {
                for i in 0..size[0] {
                    let voxel = [i, j, k];
                    let at: [Option<usize>; 3] = std::array::from_fn(|a| {
                        (start[a] + voxel[a])
                            .checked_sub(self.start[a])
                            .filter(|v| *v < self.size[a])
                    });
                    let n = match at {
                        [Some(i), Some(j), Some(k)] => {
                            self.n_readers[(k * self.size[1] + j) * self.size[0] + i]
                        }
                        _ => 0,
                    };
                    counts.push(u8::try_from(n).unwrap_or(u8::MAX));
                }
            }
        }
        counts
    }

    /// The voxels that at least `n` readers marked, in the smallest box; without such a voxel, an
    /// empty mask at the first voxel of the box around all masks.
    pub fn at_least(&self, n: usize) -> PlacedMask {
        let Self { start, size, n_readers } = self;
        let inside = |i, j, k| n_readers[(k * size[1] + j) * size[0] + i] >= n;
        let whole = PlacedMask { start: *start, mask: Mask::from_fn(*size, inside) };
        whole.trimmed().unwrap_or_else(|| PlacedMask { start: *start, mask: Mask::empty([0; 3]) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bar of voxels along i, in slice `k`.
    fn bar(from: usize, to: usize, k: usize) -> PlacedMask {
        PlacedMask { start: [from, 5, k], mask: Mask::from_fn([to - from, 1, 1], |_, _, _| true) }
    }

    fn consensus(masks: &[PlacedMask], level: f64) -> PlacedMask {
        let readers: Vec<_> = masks.iter().map(|mask| vec![mask]).collect();
        ReaderCounts::count(&readers).at_least(n_needed(level, masks.len()))
    }

    fn count(masks: &[PlacedMask], level: f64) -> usize {
        consensus(masks, level).mask.count()
    }

    #[test]
    fn a_voxel_belongs_when_enough_masks_hold_it() {
        // Columns 0 to 9: marked by 1, 1, 2, 2, 3, 3, 2, 2, 1, 1 of three.
        let masks = [bar(0, 6, 2), bar(2, 8, 2), bar(4, 10, 2)];
        assert_eq!(count(&masks, 0.0), 10);
        assert_eq!(count(&masks, 1.0 / 3.0), 10);
        assert_eq!(count(&masks, 0.5), 6);
        assert_eq!(count(&masks, 2.0 / 3.0), 6);
        assert_eq!(count(&masks, 1.0), 2);
        let half = consensus(&masks, 0.5);
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
        assert_eq!([0.0, 0.1, 0.5, 1.0].map(|level| n_needed(level, 4)), [1, 1, 2, 4]);
    }

    #[test]
    fn a_reader_counts_once_where_its_marks_meet() {
        let [a, b, c] = [bar(0, 4, 0), bar(2, 6, 0), bar(5, 8, 0)];
        // One reader marked columns 0 to 5, the other 5 to 7.
        let counts = ReaderCounts::count(&[vec![&a, &b], vec![&c]]);
        let [one, two] = [1, 2].map(|n| counts.at_least(n));
        assert_eq!((one.start, one.mask.size(), one.mask.count()), ([0, 5, 0], [8, 1, 1], 8));
        assert_eq!((two.start, two.mask.count()), ([5, 5, 0], 1));
        assert_eq!(counts.within([4, 5, 0], [5, 1, 1]), [1, 2, 1, 1, 0]);
        assert_eq!(counts.within([0, 4, 0], [1, 2, 2]), [0, 1, 0, 0]);
    }

    #[test]
    fn masks_apart_have_no_consensus() {
        let none = consensus(&[bar(4, 7, 9), bar(3, 6, 2)], 1.0);
        assert_eq!((none.start, none.mask.size()), ([3, 5, 2], [0, 0, 0]));
        assert_eq!(consensus(&[], 0.5).mask.count(), 0);
    }
}
