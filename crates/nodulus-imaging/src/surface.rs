//! Surface voxels of a mask.

use nodulus_formats::volume::Mask;

/// Voxels of a mask with a neighbour outside the mask: their indices in a box, ascending, counted
/// k, then j, then i.
///
/// The box, from `start` on and `size` large along i, j, k, must contain every voxel of the mask.
/// Everything outside the mask's own size is background.
///
/// METHOD: the mask minus its erosion by the neighbours along the first `n_axes` axes: 4 neighbours
/// in a plane, 6 in space.
pub fn surface(mask: &Mask, start: [usize; 3], size: [usize; 3], n_axes: usize) -> Vec<usize> {
    let [ni, nj, nk] = size;
    let rows = BitRows::of(mask, start, size);
    let mut surface = Vec::new();
    for k in 0..nk {
        for j in 0..nj {
            for word in 0..rows.n_words {
                let own = rows.word(word, j, k);
                if own == 0 {
                    continue;
                }
                let before = if word > 0 { rows.word(word - 1, j, k) >> 63 } else { 0 };
                let after = if word + 1 < rows.n_words { rows.word(word + 1, j, k) } else { 0 };
                let mut inside = (own << 1 | before) & (own >> 1 | after << 63);
                if n_axes > 1 {
                    inside &= rows.word(word, j.wrapping_sub(1), k) & rows.word(word, j + 1, k);
                }
                if n_axes > 2 {
                    inside &= rows.word(word, j, k.wrapping_sub(1)) & rows.word(word, j, k + 1);
                }
                let mut left = own & !inside;
                let first = (k * nj + j) * ni + 64 * word;
                while left != 0 {
                    surface.push(first + left.trailing_zeros() as usize);
                    left &= left - 1;
                }
            }
        }
    }
    surface
}

/// Rows of a box along i, 64 voxels per word.
struct BitRows {
    n_words: usize,
    nj: usize,
    nk: usize,
    words: Vec<u64>,
}

impl BitRows {
    fn of(mask: &Mask, start: [usize; 3], [ni, nj, nk]: [usize; 3]) -> Self {
        let n_words = ni.div_ceil(64);
        let mut words = Vec::with_capacity(n_words * nj * nk);
        for k in 0..nk {
            for j in 0..nj {
                for word in 0..n_words {
                    let n = (ni - 64 * word).min(64);
                    words.push(mask.row_bits(start[0] + 64 * word, start[1] + j, start[2] + k, n));
                }
            }
        }
        Self { n_words, nj, nk, words }
    }

    /// A word of a row; 0 outside the box.
    fn word(&self, word: usize, j: usize, k: usize) -> u64 {
        let inside = j < self.nj && k < self.nk;
        if inside { self.words[(k * self.nj + j) * self.n_words + word] } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn count(mask: &Mask, n_axes: usize) -> usize {
        surface(mask, [0; 3], mask.size(), n_axes).len()
    }

    #[test]
    fn a_solid_cube_keeps_its_shell() {
        let cube = Mask::from_fn([5, 5, 5], |_, _, _| true);
        assert_eq!(count(&cube, 3), 125 - 27);
        assert_eq!(count(&cube, 2), 5 * (25 - 9));
        assert_eq!(count(&Mask::empty([5, 5, 5]), 3), 0);
    }

    #[test]
    fn a_diagonal_neighbour_does_not_open_the_surface() {
        // 3 × 3 × 3 without its corners: the centre's six neighbours are all set.
        let mask = Mask::from_fn([3, 3, 3], |i, j, k| i == 1 || j == 1 || k == 1);
        assert_eq!(count(&mask, 3), mask.count() - 1);
    }

    proptest! {
        #[test]
        fn a_voxel_is_on_the_surface_when_a_neighbour_is_not_set(
            bools in prop::collection::vec(prop::bool::weighted(0.9), 140 * 3 * 3),
            [start, end] in prop::array::uniform2(0..70usize),
            n_axes in 2..4usize,
        ) {
            // Rows longer than two words, of which a box takes a part.
            let (start, end) = (start, 140 - end);
            let mask = Mask::from_fn([140, 3, 3], |i, j, k| {
                (start..end).contains(&i) && bools[(k * 3 + j) * 140 + i]
            });
            let size = [end - start, 3, 3];
            let found = surface(&mask, [start, 0, 0], size, n_axes);
            let expected: Vec<usize> = mask.voxels().filter(|&[i, j, k]| {
                let near = [
                    (i.wrapping_sub(1), j, k), (i + 1, j, k), (i, j.wrapping_sub(1), k),
                    (i, j + 1, k), (i, j, k.wrapping_sub(1)), (i, j, k + 1),
                ];
                near[..2 * n_axes].iter().any(|&(i, j, k)| !mask.get(i, j, k))
            }).map(|[i, j, k]| (k * 3 + j) * size[0] + i - start).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
