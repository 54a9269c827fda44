//! Opening of a mask by a ball.

use super::components::{ComponentRule, Seed};
use super::distance::squared_distances;
use nodulus_formats::volume::{Mask, PlacedMask};

/// How deep each voxel of a mask lies in it.
///
/// METHOD: the depth of a voxel is the distance from its centre to the nearest centre of a voxel of the box outside the
/// mask. What lies outside the box is unknown and counts as neither.
pub struct Depths {
    size: [usize; 3],
    spacing_mm: [f64; 3],
    /// The voxels of the mask, ascending, counted k, then j, then i.
    voxels: Vec<usize>,
    /// Squared depth of each of them, mm²; infinite where the mask fills its box.
    squares: Vec<f64>,
}

impl Depths {
    /// The depths in a mask, `spacing_mm` along i, j, k.
    pub fn of(mask: &Mask, spacing_mm: [f64; 3]) -> Self {
        let (mut voxels, mut outside) = (Vec::new(), Vec::new());
        for (n, is_set) in mask.to_bools().into_iter().enumerate() {
            if is_set { &mut voxels } else { &mut outside }.push(n);
        }
        let squares = squared_distances(&voxels, &outside, mask.size(), spacing_mm);
        Self { size: mask.size(), spacing_mm, voxels, squares }
    }

    /// The voxels of the mask, ascending, each with its depth.
    pub fn iter(&self) -> impl Iterator<Item = (usize, f64)> {
        self.voxels.iter().zip(&self.squares).map(|(voxel, square)| (*voxel, square.sqrt()))
    }

    /// The erosion of the mask by a ball: its voxels deeper than `radius_mm`.
    pub fn eroded(&self, radius_mm: f64) -> Mask {
        let mut mask = Mask::empty(self.size);
        for (voxel, square) in self.voxels.iter().zip(&self.squares) {
            if *square > radius_mm * radius_mm {
                let [ni, nj, _] = self.size;
                mask.set(voxel % ni, voxel / ni % nj, voxel / (ni * nj), true);
            }
        }
        mask
    }

    /// The opening of the mask by a ball: what lies within `radius_mm` of a voxel of its erosion. With a seed, only the
    /// component of the erosion nearest to it counts; the result is empty where none is within reach.
    pub fn opened(&self, radius_mm: f64, seed: Option<&Seed>) -> Mask {
        let eroded = PlacedMask { start: [0; 3], mask: self.eroded(radius_mm) };
        let kept = match seed {
            Some(seed) => ComponentRule::Centre.of(&eroded, seed),
            None => Some(eroded),
        };
        let mut opened = Mask::empty(self.size);
        let Some(kept) = kept else { return opened };
        let [ni, nj, _] = self.size;
        let core: Vec<usize> = kept.voxels().map(|[i, j, k]| (k * nj + j) * ni + i).collect();
        let squares = squared_distances(&self.voxels, &core, self.size, self.spacing_mm);
        for (voxel, square) in self.voxels.iter().zip(squares) {
            if square <= radius_mm * radius_mm {
                opened.set(voxel % ni, voxel / ni % nj, voxel / (ni * nj), true);
            }
        }
        opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Case {
        size: [usize; 3],
        spacing_mm: [f64; 3],
        radius_mm: f64,
        mask: Vec<u8>,
        eroded: Vec<u8>,
        opened: Vec<u8>,
    }

    #[test]
    fn opening_is_that_of_scipy() {
        let cases: Vec<Case> =
            serde_json::from_str(include_str!("../../../tests/golden/opening.json")).unwrap();
        assert!(cases.len() >= 8);
        for case in cases {
            let mask = |bits: &[u8]| Mask::from_bits(case.size, bits.to_vec()).unwrap();
            let depths = Depths::of(&mask(&case.mask), case.spacing_mm);
            assert_eq!(depths.eroded(case.radius_mm), mask(&case.eroded));
            assert_eq!(depths.opened(case.radius_mm, None), mask(&case.opened));
        }
    }

    #[test]
    fn the_component_at_the_seed_alone_is_dilated() {
        // Two squares of 5 × 5 joined by a line.
        let mask = Mask::from_fn([15, 5, 1], |i, j, _| !(5..=9).contains(&i) || j == 2);
        let seed = Seed { centre: [2.0, 2.0, 0.0], spacing_mm: [1.0; 3], reach_mm: 5.0 };
        let depths = Depths::of(&mask, [1.0; 3]);
        let opened = depths.opened(1.0, Some(&seed));
        assert!(opened.voxels().all(|[i, _, _]| i < 7) && opened.count() >= 25);
        assert!(depths.opened(1.0, None).get(12, 2, 0));
        assert_eq!(depths.opened(0.0, Some(&seed)), mask);
        assert!(depths.opened(9.0, Some(&seed)).is_empty());
        let empty = Depths::of(&Mask::empty([3, 3, 3]), [1.0; 3]);
        assert!(empty.opened(0.0, None).is_empty());
        // A mask that fills its box has no border that is known.
        let full = Mask::from_fn([3, 3, 3], |_, _, _| true);
        assert_eq!(Depths::of(&full, [1.0; 3]).opened(50.0, None), full);
    }

    proptest! {
        #[test]
        fn an_opening_lies_within_the_mask_and_opens_once(
            bools in prop::collection::vec(prop::bool::weighted(0.8), 9 * 8 * 5),
            radius_mm in 0.0..3.0f64,
            spacing_mm in prop::array::uniform3(0.5..2.0f64),
        ) {
            let mask = Mask::from_fn([9, 8, 5], |i, j, k| bools[(k * 8 + j) * 9 + i]);
            let opened = Depths::of(&mask, spacing_mm).opened(radius_mm, None);
            prop_assert!(opened.voxels().all(|[i, j, k]| mask.get(i, j, k)));
            let again = Depths::of(&opened, spacing_mm).opened(radius_mm, None);
            prop_assert_eq!(again, opened);
        }
    }
}
