//! Connected components of a mask.

use nodulus_formats::volume::PlacedMask;

/// The 26-connected components of a mask, each in its smallest box, ordered by first voxel (k, then
/// j, then i); none for an empty mask.
pub fn split(placed: &PlacedMask) -> Vec<PlacedMask> {
    let size = placed.mask.size();
    let mut left = placed.mask.clone();
    let mut parts = Vec::new();
    for first in placed.mask.voxels() {
        if !left.get(first[0], first[1], first[2]) {
            continue;
        }
        left.set(first[0], first[1], first[2], false);
        let mut part = vec![first];
        let mut next = 0;
        while let Some(&voxel) = part.get(next) {
            next += 1;
            for neighbour in neighbours(voxel, size) {
                let [i, j, k] = neighbour;
                if left.get(i, j, k) {
                    left.set(i, j, k, false);
                    part.push(neighbour);
                }
            }
        }
        let of_scan = part.iter().map(|voxel| std::array::from_fn(|a| voxel[a] + placed.start[a]));
        parts.extend(PlacedMask::of_voxels(of_scan));
    }
    parts
}

/// A voxel and those that share a face, edge or corner with it.
fn neighbours(voxel: [usize; 3], size: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
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
    use nodulus_formats::volume::Mask;
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

    proptest! {
        #[test]
        fn parts_hold_every_voxel_once_and_do_not_touch(
            bools in prop::collection::vec(prop::bool::weighted(0.15), 7 * 6 * 5),
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
        }
    }
}
