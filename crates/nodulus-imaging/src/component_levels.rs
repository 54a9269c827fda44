//! Follows the component at a nodule's centre over all levels of a threshold at once.

use super::components::{Seed, neighbours};

/// No voxel: not yet part of any component.
const NONE: u32 = u32::MAX;

/// For each level n of `0..n_levels`: the sums of two weights over the component nearest to the seed
/// ([`ComponentRule::Centre`](super::components::ComponentRule)) among the voxels whose level is above n. `None` where none is
/// within reach.
///
/// `levels` has one value for each voxel of a box of `size` along i, j, k, counted k, then j, then i; `weights` are by
/// the same index. A box has fewer than 2³² voxels, and no sum reaches 2³².
///
/// METHOD: voxels join from the highest level to the lowest, and joined components are one set of a union-find forest.
/// So the components of all levels cost hardly more than those of one.
pub fn nearest_at_levels(
    levels: &[u8],
    n_levels: u8,
    size: [usize; 3],
    seed: &Seed,
    weights: impl Fn(usize) -> [u32; 2],
) -> Vec<Option<[u32; 2]>> {
    let mut of_level: Vec<Vec<u32>> = vec![Vec::new(); usize::from(u8::MAX) + 1];
    for (voxel, level) in levels.iter().enumerate().filter(|(_, level)| **level > 0) {
        of_level[usize::from(*level)].push(voxel as u32);
    }
    let [ni, nj, _] = size;
    let position = |voxel: usize| [voxel % ni, voxel / ni % nj, voxel / (ni * nj)];
    let mut forest = Forest { parents: vec![NONE; levels.len()], sums: vec![[0; 2]; levels.len()] };
    let mut nearest: Option<(f64, usize)> = None;
    let mut found = vec![None; usize::from(n_levels)];
    for level in (0..=u8::MAX).rev() {
        for voxel in of_level[usize::from(level)].iter().map(|voxel| *voxel as usize) {
            forest.add(voxel, weights(voxel));
            let at = position(voxel);
            for [i, j, k] in neighbours(at, size) {
                forest.join(voxel, (k * nj + j) * ni + i);
            }
            let distance = seed.distance_mm(at);
            // Of voxels at the same distance, the first one counts.
            if nearest.is_none_or(|(least, first)| {
                distance.total_cmp(&least).then(voxel.cmp(&first)).is_lt()
            }) {
                nearest = Some((distance, voxel));
            }
        }
        // Voxels of this level and higher ones are those above the level below.
        let below = level.checked_sub(1).map(usize::from);
        if let Some(found) = below.and_then(|below| found.get_mut(below)) {
            let reached = nearest.filter(|(_, voxel)| seed.reaches(position(*voxel)));
            *found = reached.map(|(_, voxel)| forest.sums_of(voxel));
        }
    }
    found
}

/// Disjoint sets of voxels with the sums of their weights.
struct Forest {
    parents: Vec<u32>,
    /// By the root of a set.
    sums: Vec<[u32; 2]>,
}

impl Forest {
    fn add(&mut self, voxel: usize, weights: [u32; 2]) {
        self.parents[voxel] = voxel as u32;
        self.sums[voxel] = weights;
    }

    /// Joins the sets of two voxels, the second of which need not have been added.
    fn join(&mut self, a: usize, b: usize) {
        if self.parents[b] == NONE {
            return;
        }
        let (a, b) = (self.root(a), self.root(b));
        if a != b {
            // The smaller index is the root: any choice gives the same sums.
            let (root, child) = (a.min(b), a.max(b));
            self.parents[child] = root as u32;
            let sums = self.sums[child];
            for (total, more) in self.sums[root].iter_mut().zip(sums) {
                *total += more;
            }
        }
    }

    fn sums_of(&mut self, voxel: usize) -> [u32; 2] {
        let root = self.root(voxel);
        self.sums[root]
    }

    /// The root of a voxel's set; each voxel on the way then points to its grandparent.
    fn root(&mut self, mut voxel: usize) -> usize {
        while self.parents[voxel] as usize != voxel {
            let grandparent = self.parents[self.parents[voxel] as usize];
            self.parents[voxel] = grandparent;
            voxel = grandparent as usize;
        }
        voxel
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::ComponentRule;
    use nodulus_formats::volume::{Mask, PlacedMask};
    use proptest::prelude::*;

    #[test]
    fn no_voxels_have_no_component() {
        let seed = Seed { centre: [0.0; 3], spacing_mm: [1.0; 3], reach_mm: 5.0 };
        assert_eq!(nearest_at_levels(&[], 2, [0, 0, 0], &seed, |_| [1, 0]), [None, None]);
        assert_eq!(nearest_at_levels(&[0, 0], 1, [2, 1, 1], &seed, |_| [1, 0]), [None]);
        // The highest level is as good as any other.
        assert_eq!(
            nearest_at_levels(&[255, 1], 255, [2, 1, 1], &seed, |v| [1, v as u32])[..2],
            [Some([2, 1]), Some([1, 0])]
        );
    }

    proptest! {
        #[test]
        fn every_level_has_the_component_that_it_has_alone(
            levels in prop::collection::vec(0u8..6, 6 * 5 * 4),
            centre in prop::array::uniform3(0.0..5.0f64),
            reach_mm in 0.5..6.0f64,
        ) {
            let size = [6, 5, 4];
            let seed = Seed { centre, spacing_mm: [0.7, 0.7, 1.5], reach_mm };
            let found = nearest_at_levels(&levels, 6, size, &seed, |v| [1, v as u32]);
            prop_assert_eq!(found.len(), 6);
            for (n, found) in found.into_iter().enumerate() {
                let index = |i: usize, j: usize, k: usize| (k * 5 + j) * 6 + i;
                let above = |i, j, k| usize::from(levels[index(i, j, k)]) > n;
                let mask = PlacedMask { start: [0; 3], mask: Mask::from_fn(size, above) };
                let expected = ComponentRule::Centre.of(&mask, &seed).map(|part| {
                    let voxels = part.voxels().map(|[i, j, k]| index(i, j, k) as u32);
                    [part.mask.count() as u32, voxels.sum()]
                });
                prop_assert_eq!(found, expected, "level {}", n);
            }
        }
    }
}
