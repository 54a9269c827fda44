//! Connected components of a mask, and those that belong to a nodule.

use nodulus_formats::volume::{Mask, PlacedMask};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which components of what a model marks belong to the nodule.
///
/// METHOD: components are 26-connected in the region's voxels: those that share a face, an edge or a corner. `Centre` keeps
/// the component with the voxel nearest to the nodule's centre, by the distance between voxel centres. The centre's own
/// voxel need not be marked, so that a nodule with a hole is found; but no component further away than `reach_mm` is
/// kept, and then the mask is empty. Of voxels at the same distance, the first one (k, then j, then i) counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ComponentRule {
    /// Every component of the region.
    All,
    /// The component nearest to the nodule's centre.
    Centre,
}

/// Greatest distance from a nodule's centre to the component that is its mask, where no setting says otherwise.
///
/// METHOD: chosen; the centre of a region, or a detector's candidate, lies in a nodule or close to it, and another nodule
/// or vessel is seldom nearer.
pub const REACH_MM: f64 = 5.0;

impl ComponentRule {
    /// Name in settings and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Centre => "centre",
        }
    }

    /// The rule with a name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::All, Self::Centre].into_iter().find(|rule| rule.name() == name)
    }

    /// The voxels of a mask that belong to the nodule at a seed, in their smallest box; `None` where none does.
    pub fn of(self, marked: &PlacedMask, seed: &Seed) -> Option<PlacedMask> {
        match self {
            Self::All => marked.trimmed(),
            Self::Centre => nearest(marked, seed),
        }
    }
}

/// The centre of a nodule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seed {
    /// Its position along i, j, k, in voxels, with fractions.
    pub centre: [f64; 3],
    /// Distance between voxel centres along i, j, k.
    pub spacing_mm: [f64; 3],
    /// Greatest distance from the centre to the nearest voxel of the nodule.
    pub reach_mm: f64,
}

impl Seed {
    /// Distance from the centre to the centre of a voxel.
    pub fn distance_mm(&self, voxel: [usize; 3]) -> f64 {
        let mm = |a: usize| (voxel[a] as f64 - self.centre[a]) * self.spacing_mm[a];
        (mm(0).powi(2) + mm(1).powi(2) + mm(2).powi(2)).sqrt()
    }

    /// Whether a voxel is near enough: within reach, or the one that holds the centre, however thick slices are.
    pub fn reaches(&self, voxel: [usize; 3]) -> bool {
        let holds = (0..3).all(|a| (voxel[a] as f64 - self.centre[a]).abs() <= 0.5);
        holds || self.distance_mm(voxel) <= self.reach_mm
    }

    /// The voxel of a mask nearest to the centre, within reach.
    pub fn nearest(&self, mask: &PlacedMask) -> Option<[usize; 3]> {
        let distances = mask.voxels().map(|voxel| (self.distance_mm(voxel), voxel));
        let (_, voxel) = distances.min_by(|a, b| a.0.total_cmp(&b.0))?;
        self.reaches(voxel).then_some(voxel)
    }
}

/// The component nearest to a seed, in its smallest box; see [`ComponentRule`]. `None` where none is within reach.
fn nearest(placed: &PlacedMask, seed: &Seed) -> Option<PlacedMask> {
    let voxel = seed.nearest(placed)?;
    let first = std::array::from_fn(|a| voxel[a] - placed.start[a]);
    take(&mut placed.mask.clone(), first, placed.start)
}

/// The 26-connected components of a mask, each in its smallest box, ordered by first voxel (k, then
/// j, then i); none for an empty mask.
pub fn split(placed: &PlacedMask) -> Vec<PlacedMask> {
    let mut left = placed.mask.clone();
    let firsts = placed.mask.voxels();
    firsts.filter_map(|first| take(&mut left, first, placed.start)).collect()
}

/// Takes the component of a voxel out of a mask that starts at `start` in its scan; `None` where the voxel is not set.
fn take(left: &mut Mask, first: [usize; 3], start: [usize; 3]) -> Option<PlacedMask> {
    if !left.get(first[0], first[1], first[2]) {
        return None;
    }
    left.set(first[0], first[1], first[2], false);
    let mut part = vec![first];
    let mut next = 0;
    while let Some(&voxel) = part.get(next) {
        next += 1;
        for neighbour in neighbours(voxel, left.size()) {
            let [i, j, k] = neighbour;
            if left.get(i, j, k) {
                left.set(i, j, k, false);
                part.push(neighbour);
            }
        }
    }
    PlacedMask::of_voxels(part.iter().map(|voxel| std::array::from_fn(|a| voxel[a] + start[a])))
}

/// A voxel and those that share a face, edge or corner with it.
pub(crate) fn neighbours(voxel: [usize; 3], size: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    let [i, j, k] =
        std::array::from_fn(|a| voxel[a].saturating_sub(1)..=(voxel[a] + 1).min(size[a] - 1));
    k.flat_map(move |k| {
        let i = i.clone();
        j.clone().flat_map(move |j| i.clone().map(move |i| [i, j, k]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn placed(size: [usize; 3], voxels: &[[usize; 3]]) -> PlacedMask {
        let mask = Mask::from_fn(size, |i, j, k| voxels.contains(&[i, j, k]));
        PlacedMask { start: [10, 20, 30], mask }
    }

    #[test]
    fn corners_connect() {
        let parts = split(&placed([5, 5, 3], &[[0, 0, 0], [1, 1, 1], [2, 0, 2], [4, 4, 0]]));
        assert_eq!(parts.len(), 2);
        assert_eq!((parts[0].start, parts[0].mask.size()), ([10, 20, 30], [3, 2, 3]));
        assert_eq!(parts[0].mask.count(), 3);
        assert_eq!((parts[1].start, parts[1].mask.size()), ([14, 24, 30], [1, 1, 1]));
    }

    #[test]
    fn a_row_between_keeps_parts_apart() {
        let parts = split(&placed([3, 3, 3], &[[0, 0, 0], [2, 0, 0], [0, 0, 2]]));
        assert_eq!(parts.len(), 3);
        let starts: Vec<_> = parts.iter().map(|part| part.start).collect();
        assert_eq!(starts, [[10, 20, 30], [12, 20, 30], [10, 20, 32]]);
        assert!(split(&placed([3, 3, 3], &[])).is_empty());
    }

    fn seed(centre: [f64; 3], spacing_mm: [f64; 3], reach_mm: f64) -> Seed {
        Seed { centre, spacing_mm, reach_mm }
    }

    #[test]
    fn the_nearest_component_is_chosen_in_millimetres() {
        // Two columns along i, or one slice along k, from the centre.
        let marked = placed([7, 7, 3], &[[5, 3, 1], [6, 3, 1], [3, 3, 2], [0, 0, 0]]);
        let kept = |spacing_mm: [f64; 3], reach_mm: f64| {
            let seed = seed([13.0, 23.0, 31.0], spacing_mm, reach_mm);
            ComponentRule::Centre.of(&marked, &seed).map(|mask| (mask.start, mask.mask.count()))
        };
        assert_eq!(kept([0.7, 0.7, 2.5], 5.0), Some(([15, 23, 31], 2)));
        assert_eq!(kept([0.7, 0.7, 1.25], 5.0), Some(([13, 23, 32], 1)));
        // The nearest is at 1.25 mm.
        assert_eq!(kept([0.7, 0.7, 1.25], 1.2), None);
        let all = ComponentRule::All.of(&marked, &seed([0.0; 3], [1.0; 3], 0.0)).unwrap();
        assert_eq!((all.start, all.mask.count()), ([10, 20, 30], 4));
    }

    #[test]
    fn a_centre_in_a_hole_finds_the_ring_about_it() {
        let ring = |i: usize, j: usize| i.abs_diff(3).max(j.abs_diff(3)) == 2;
        let mask = Mask::from_fn([9, 7, 1], |i, j, _| ring(i, j) || i == 8);
        let marked = PlacedMask { start: [0; 3], mask };
        let kept = ComponentRule::Centre.of(&marked, &seed([3.0, 3.0, 0.0], [1.0; 3], 5.0));
        assert_eq!(kept.unwrap().mask.count(), 16);
    }

    #[test]
    fn an_empty_mask_stays_empty_and_thick_slices_reach_their_own_voxel() {
        let at = seed([13.0, 23.0, 31.4], [1.0, 1.0, 10.0], 3.0);
        for rule in [ComponentRule::All, ComponentRule::Centre] {
            assert_eq!(rule.of(&placed([7, 7, 3], &[]), &at), None);
            assert_eq!(ComponentRule::from_name(rule.name()), Some(rule));
        }
        // 4 mm from the middle of its slice, but in it.
        let own = ComponentRule::Centre.of(&placed([7, 7, 3], &[[3, 3, 1]]), &at);
        assert_eq!(own.unwrap().start, [13, 23, 31]);
        assert_eq!(ComponentRule::Centre.of(&placed([7, 7, 3], &[[3, 3, 2]]), &at), None);
        assert_eq!(ComponentRule::from_name("largest"), None);
    }

    proptest! {
        #[test]
        fn parts_hold_every_voxel_once_and_do_not_touch(
            bools in prop::collection::vec(prop::bool::weighted(0.15), 7 * 6 * 5),
            centre in prop::array::uniform3(0.0..8.0f64),
        ) {
            let mask = Mask::from_fn([7, 6, 5], |i, j, k| bools[(k * 6 + j) * 7 + i]);
            let whole = PlacedMask { start: [1, 2, 3], mask };
            let parts = split(&whole);
            let total: usize = parts.iter().map(|part| part.mask.count()).sum();
            prop_assert_eq!(total, whole.mask.count());
            for (n, part) in parts.iter().enumerate() {
                prop_assert_eq!(part.trimmed(), Some(part.clone()));
                prop_assert_eq!(split(part).len(), 1);
                for [i, j, k] in part.mask.voxels() {
                    let v = [i + part.start[0], j + part.start[1], k + part.start[2]];
                    prop_assert!(whole.get(v[0], v[1], v[2]));
                    for near in neighbours(v, [9, 9, 9]) {
                        for other in &parts[n + 1..] {
                            prop_assert!(!other.get(near[0], near[1], near[2]));
                        }
                    }
                }
            }
            // The nearest component is one of them, and none has a nearer voxel.
            let seed = seed(centre, [0.7, 0.8, 2.0], f64::INFINITY);
            let least = |part: &PlacedMask| {
                part.voxels().map(|v| seed.distance_mm(v)).fold(f64::INFINITY, f64::min)
            };
            let nearest = ComponentRule::Centre.of(&whole, &seed);
            prop_assert_eq!(nearest.is_some(), !parts.is_empty());
            if let Some(nearest) = nearest {
                prop_assert!(parts.contains(&nearest));
                prop_assert!(parts.iter().all(|part| least(&nearest) <= least(part)));
            }
        }
    }
}
