//! Merges segmented candidates into nodules and measures them.

use super::region::SegmentedCandidate;
use super::scored::ScoredNodule;
use nodulus_formats::volume::{LoadedSlices, PlacedMask};
use nodulus_imaging::overlap::overlap_linkage;
use nodulus_metrics::mask_size;
use nodulus_nets::PredictionProfile;
use nodulus_store::hash;
use std::collections::BTreeMap;

/// The nodules of a scan, in the order of their candidates; `profile` is that of the model's predictions.
///
/// METHOD: candidates whose masks share a voxel are one nodule (single linkage). Its mask is that of the
/// candidate with the highest probability, then with the detector's highest confidence, then of the first
/// one; the others segment the same nodule from further away. A candidate without a mask is a nodule of
/// its own.
pub(crate) fn merge_candidates(
    id: &str,
    slices: &LoadedSlices<i16>,
    segmented: Vec<SegmentedCandidate>,
    profile: Option<&PredictionProfile>,
) -> Vec<ScoredNodule> {
    let masks: Vec<(usize, &PlacedMask)> =
        segmented.iter().enumerate().filter_map(|(n, s)| Some((n, s.mask.as_ref()?))).collect();
    let boxes: Vec<&PlacedMask> = masks.iter().map(|(_, mask)| *mask).collect();
    let mut best: BTreeMap<usize, usize> = BTreeMap::new();
    for ((n, _), group) in masks.iter().zip(overlap_linkage(&boxes, 0.0)) {
        let rank = |n: usize| (segmented[n].probability, segmented[n].candidate.confidence);
        let kept = best.entry(group).or_insert(*n);
        if rank(*n) > rank(*kept) {
            *kept = *n;
        }
    }
    let kept: Vec<usize> = best.into_values().collect();
    let is_nodule =
        |n: usize, segmented: &SegmentedCandidate| segmented.mask.is_none() || kept.contains(&n);
    let nodules = segmented.into_iter().enumerate().filter(|(n, s)| is_nodule(*n, s));
    let numbered = (1..).zip(nodules.map(|(_, segmented)| segmented));
    numbered.map(|(number, segmented)| measure(id, slices, number, segmented, profile)).collect()
}

fn measure(
    id: &str,
    slices: &LoadedSlices<i16>,
    number: u16,
    segmented: SegmentedCandidate,
    profile: Option<&PredictionProfile>,
) -> ScoredNodule {
    let SegmentedCandidate { candidate, mask, probability, disagreement, warnings } = segmented;
    let geometry = slices.geometry();
    let position = format!("{:?}", candidate.position_mm);
    let measured = mask
        .as_ref()
        .map(|mask| mask_size(&mask.mask, geometry.spacing().ijk()))
        .unwrap_or_default();
    let centroid = mask.as_ref().and_then(PlacedMask::centroid);
    let of_mask = |mm: f64| mask.is_some().then_some(mm);
    let mean_hu = mask.as_ref().and_then(|mask| mean_hu(slices, mask));
    ScoredNodule {
        number,
        nodule_id: hash::id("n-", [id, &position]),
        earlier_id: None,
        candidate_mm: candidate.position_mm,
        candidate_confidence: candidate.confidence,
        probability,
        disagreement,
        training_distance: mean_hu
            .zip(profile)
            .and_then(|(mean_hu, profile)| profile.distance(measured.volume_mm3, mean_hu)),
        centroid_mm: centroid.map_or(candidate.position_mm, |ijk| geometry.voxel_to_patient(ijk)),
        volume_mm3: measured.volume_mm3,
        equivalent_diameter_mm: measured.equivalent_diameter_mm,
        axial_diameter_mm: of_mask(measured.long_axis_mm),
        axial_short_diameter_mm: of_mask(measured.short_axis_mm),
        mean_hu,
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
    use crate::nightly::input::candidates::NoduleCandidate;
    use ndarray::Array3;
    use nodulus_formats::volume::{Geometry, Mask, Volume};

    #[test]
    fn candidates_of_one_nodule_are_counted_once() {
        let geometry =
            Geometry::new([20, 20, 4], [0.5, 0.5, 2.0], [0.0; 3], Geometry::AXIAL).unwrap();
        let value = |(k, _, i): (usize, usize, usize)| (100 * k + i) as i16;
        let volume = Volume::new(geometry, Array3::from_shape_fn((4, 20, 20), value)).unwrap();
        let slices = LoadedSlices::from(volume);
        let segmented = |x: f64, probability: f64, start: Option<[usize; 3]>| SegmentedCandidate {
            candidate: NoduleCandidate { position_mm: [x, 0.0, 0.0], confidence: None },
            mask: start
                .map(|start| PlacedMask { start, mask: Mask::from_fn([4, 4, 1], |_, _, _| true) }),
            probability: Some(probability),
            disagreement: None,
            warnings: Vec::new(),
        };
        let all = vec![
            segmented(1.0, 0.2, Some([2, 2, 1])),
            segmented(2.0, 0.1, None),
            segmented(3.0, 0.9, Some([5, 5, 1])),
            segmented(4.0, 0.5, Some([12, 2, 1])),
            segmented(5.0, 0.3, Some([2, 2, 2])),
        ];
        let nodules = merge_candidates("1.2", &slices, all.clone(), None);
        let xs: Vec<f64> = nodules.iter().map(|n| n.candidate_mm[0]).collect();
        // The first and third share a voxel; the last lies on another slice.
        assert_eq!(xs, [2.0, 3.0, 4.0, 5.0]);
        assert_eq!(nodules.iter().map(|n| n.number).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(
            (nodules[0].volume_mm3, nodules[0].mean_hu, nodules[0].axial_diameter_mm),
            (0.0, None, None)
        );
        assert!((nodules[1].volume_mm3 - 16.0 * 0.5).abs() < 1e-9);
        assert_eq!(nodules[1].mean_hu, Some(106.5));
        let centre = geometry.voxel_to_patient([6.5, 6.5, 1.0]);
        assert!((0..3).all(|a| (nodules[1].centroid_mm[a] - centre[a]).abs() < 1e-9));
        // An id depends on the series and the candidate alone.
        let alone = merge_candidates("1.2", &slices, all[3..4].to_vec(), None);
        assert_eq!(alone[0].nodule_id, nodules[2].nodule_id);
        let other = merge_candidates("1.3", &slices, all[3..4].to_vec(), None);
        assert_ne!(other[0].nodule_id, nodules[2].nodule_id);
    }
}
