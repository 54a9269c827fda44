//! Marked candidates to nodules: which are one, and how large each is.

use super::scored::ScoredNodule;
use super::segment::Marked;
use crate::tables::hash;
use nodulus_formats::volume::{LoadedSlices, PlacedMask};
use nodulus_imaging::overlap::overlap_linkage;
use nodulus_metrics::mask_size;
use std::collections::BTreeMap;

/// The nodules of a scan, in the order of their candidates.
///
/// METHOD: candidates whose masks share a voxel are of one nodule (single linkage). The one with the
/// highest probability stands for it, then that with the detector's highest score, then the first: its
/// mask is the nodule's, as others see the same from further off. A candidate without a mask stands for
/// itself.
pub(super) fn nodules(
    id: &str,
    slices: &LoadedSlices<i16>,
    marked: Vec<Marked>,
) -> Vec<ScoredNodule> {
    let masks: Vec<(usize, &PlacedMask)> =
        marked.iter().enumerate().filter_map(|(n, m)| Some((n, m.mask.as_ref()?))).collect();
    let boxes: Vec<&PlacedMask> = masks.iter().map(|(_, mask)| *mask).collect();
    let mut best: BTreeMap<usize, usize> = BTreeMap::new();
    for ((n, _), group) in masks.iter().zip(overlap_linkage(&boxes, 0.0)) {
        let rank = |n: usize| (marked[n].probability, marked[n].candidate.score);
        let kept = best.entry(group).or_insert(*n);
        if rank(*n) > rank(*kept) {
            *kept = *n;
        }
    }
    let kept: Vec<usize> = best.into_values().collect();
    let stands = |n: usize, marked: &Marked| marked.mask.is_none() || kept.contains(&n);
    let standing = marked.into_iter().enumerate().filter(|(n, marked)| stands(*n, marked));
    let numbered = (1..).zip(standing.map(|(_, marked)| marked));
    numbered.map(|(number, marked)| nodule(id, slices, number, marked)).collect()
}

fn nodule(id: &str, slices: &LoadedSlices<i16>, number: u16, marked: Marked) -> ScoredNodule {
    let Marked { candidate, mask, probability, warnings } = marked;
    let geometry = slices.geometry();
    let place = format!("{:?}", candidate.place_mm);
    let measured = mask
        .as_ref()
        .map(|mask| mask_size(&mask.mask, geometry.spacing().ijk()))
        .unwrap_or_default();
    let centroid = mask.as_ref().and_then(PlacedMask::centroid);
    let of_mask = |mm: f64| mask.is_some().then_some(mm);
    ScoredNodule {
        number,
        nodule_id: hash::id("n-", [id, &place]),
        candidate_mm: candidate.place_mm,
        candidate_score: candidate.score,
        probability,
        centroid_mm: centroid.map_or(candidate.place_mm, |ijk| geometry.voxel_to_patient(ijk)),
        volume_mm3: measured.volume_mm3,
        equivalent_diameter_mm: measured.equivalent_diameter_mm,
        axial_diameter_mm: of_mask(measured.long_axis_mm),
        axial_short_diameter_mm: of_mask(measured.short_axis_mm),
        mean_hu: mask.as_ref().and_then(|mask| mean_hu(slices, mask)),
        mask,
        warnings,
    }
}

fn mean_hu(slices: &LoadedSlices<i16>, mask: &PlacedMask) -> Option<f64> {
    let mut sum = 0i64;
    let mut n = 0i64;
    for [i, j, k] in mask.voxels() {
        sum += i64::from(slices.slice(k)?[[j, i]]);
        n += 1;
    }
    (n > 0).then(|| sum as f64 / n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nightly::candidates::Candidate;
    use ndarray::Array3;
    use nodulus_formats::volume::{Geometry, Mask, Volume};

    #[test]
    fn candidates_of_one_nodule_are_counted_once() {
        let geometry =
            Geometry::new([20, 20, 4], [0.5, 0.5, 2.0], [0.0; 3], Geometry::AXIAL).unwrap();
        let value = |(k, _, i): (usize, usize, usize)| (100 * k + i) as i16;
        let volume = Volume::new(geometry, Array3::from_shape_fn((4, 20, 20), value)).unwrap();
        let slices = LoadedSlices::from(volume);
        let marked = |x: f64, probability: f64, start: Option<[usize; 3]>| Marked {
            candidate: Candidate { place_mm: [x, 0.0, 0.0], score: None },
            mask: start
                .map(|start| PlacedMask { start, mask: Mask::from_fn([4, 4, 1], |_, _, _| true) }),
            probability: Some(probability),
            warnings: Vec::new(),
        };
        let all = vec![
            marked(1.0, 0.2, Some([2, 2, 1])),
            marked(2.0, 0.1, None),
            marked(3.0, 0.9, Some([5, 5, 1])),
            marked(4.0, 0.5, Some([12, 2, 1])),
            marked(5.0, 0.3, Some([2, 2, 2])),
        ];
        let found = nodules("1.2", &slices, all.clone());
        let xs: Vec<f64> = found.iter().map(|n| n.candidate_mm[0]).collect();
        // The first and third share a voxel; the last lies on another slice.
        assert_eq!(xs, [2.0, 3.0, 4.0, 5.0]);
        assert_eq!(found.iter().map(|n| n.number).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(
            (found[0].volume_mm3, found[0].mean_hu, found[0].axial_diameter_mm),
            (0.0, None, None)
        );
        assert!((found[1].volume_mm3 - 16.0 * 0.5).abs() < 1e-9);
        assert_eq!(found[1].mean_hu, Some(106.5));
        let centre = geometry.voxel_to_patient([6.5, 6.5, 1.0]);
        assert!((0..3).all(|a| (found[1].centroid_mm[a] - centre[a]).abs() < 1e-9));
        // An id is its series' and its candidate's alone.
        let alone = nodules("1.2", &slices, all[3..4].to_vec());
        assert_eq!(alone[0].nodule_id, found[2].nodule_id);
        assert_ne!(nodules("1.3", &slices, all[3..4].to_vec())[0].nodule_id, found[2].nodule_id);
    }
}
