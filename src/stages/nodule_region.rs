//! The slices of a nodule's region as one box of voxels.

use crate::tables::Roi;
use nodulus_formats::volume::{Mask, PlacedMask};
use nodulus_imaging::components::{ComponentRule, Seed};

/// The box of voxels of a nodule's region.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NoduleRegion {
    /// Voxels along i, j, k.
    pub(super) size: [usize; 3],
    /// Its centre.
    pub(super) seed: Seed,
    /// Pixels along i and j that lie in the scan's slices; the others are padding.
    in_scan: [[usize; 2]; 2],
    /// Voxels that hold no data.
    no_data: Mask,
    /// The scan's slice that is the region's first.
    first_slice: i64,
}

/// The slices of a nodule are no region.
#[derive(Debug, thiserror::Error)]
pub enum RegionError {
    /// There are none.
    #[error("the nodule has no slices in `rois`")]
    Empty,
    /// A slice does not follow the one before.
    #[error(
        "slice `{roi_id}` has the index {found}, expected {expected}: make `rois` again with `nodulus run --force crop`"
    )]
    Gap {
        /// The slice.
        roi_id: String,
        /// Its index.
        found: i64,
        /// The index after that of the slice before.
        expected: i64,
    },
    /// A slice has another size than the first one.
    #[error(
        "slice `{roi_id}` is {found:?} pixels large, expected {expected:?}, as the nodule's first one: make `rois` again with \
         `nodulus run --force crop`"
    )]
    Size {
        /// The slice.
        roi_id: String,
        /// Its width and height.
        found: [i64; 2],
        /// Those of the first slice.
        expected: [i64; 2],
    },
    /// The pixels without data of a slice do not fit it.
    #[error(
        "slice `{0}` has `no_data_bits` of another size than its pixels: make `rois` again with `nodulus run --force crop`"
    )]
    NoData(String),
}

impl NoduleRegion {
    /// The region of a nodule's slices, ascending.
    ///
    /// METHOD: the centre along i and j is the pixel that the region was cut out around, the one nearest to the nodule's
    /// centroid; `score` cuts out a region around a candidate alike. Along k it is the middle of the nodule's slices,
    /// which the region was cut out around too. Where no slice shows nodule, it is the middle of the region's.
    ///
    /// # Errors
    ///
    /// Fails if there is no slice, one is missing, or they differ in size.
    pub(super) fn of<'a>(
        slices: impl Iterator<Item = &'a Roi> + Clone,
        reach_mm: f64,
    ) -> Result<Self, RegionError> {
        let all = slices.clone();
        let mut slices = slices.enumerate();
        let (_, first) = slices.next().ok_or(RegionError::Empty)?;
        let mut n_slices = 1;
        let mut of_nodule = first.has_nodule.then_some([0, 0]);
        for (n, roi) in slices {
            let expected = first.slice_index.saturating_add(n as i64);
            if roi.slice_index != expected {
                let (roi_id, found) = (roi.roi_id.clone(), roi.slice_index);
                return Err(RegionError::Gap { roi_id, found, expected });
            }
            let [found, expected] = [roi, first].map(|roi| [roi.width, roi.height]);
            if found != expected {
                return Err(RegionError::Size { roi_id: roi.roi_id.clone(), found, expected });
            }
            n_slices += 1;
            if roi.has_nodule {
                of_nodule = Some([of_nodule.map_or(n, |[start, _]| start), n]);
            }
        }
        let [width, height] = [first.width, first.height].map(|n| usize::try_from(n).unwrap_or(0));
        let [start, end] = of_nodule.unwrap_or([0, n_slices - 1]);
        let centre = [(width / 2) as f64, (height / 2) as f64, (start + end) as f64 / 2.0];
        let spacing_mm = [first.spacing_i_mm, first.spacing_j_mm, first.spacing_k_mm];
        let steps = [
            first.spacing_i_mm / first.native_spacing_i_mm,
            first.spacing_j_mm / first.native_spacing_j_mm,
        ];
        let along_i = in_scan(first.start_i, steps[0], width, first.n_columns);
        let along_j = in_scan(first.start_j, steps[1], height, first.n_rows);
        let mut no_data = Mask::empty([width, height, n_slices]);
        for (k, roi) in all.enumerate().filter(|(_, roi)| roi.n_no_data_pixels > 0) {
            let of_slice = Mask::from_bits([width, height, 1], roi.no_data_bits.clone());
            let of_slice = of_slice.map_err(|_| RegionError::NoData(roi.roi_id.clone()))?;
            of_slice.voxels().for_each(|[i, j, _]| no_data.set(i, j, k, true));
        }
        Ok(Self {
            size: [width, height, n_slices],
            seed: Seed { centre, spacing_mm, reach_mm },
            in_scan: [along_i, along_j],
            no_data,
            first_slice: first.slice_index,
        })
    }

    /// Whether the scan goes on before the region's first slice, and past its last, where the scan has `n_scan_slices`.
    fn goes_on(&self, n_scan_slices: i64) -> [bool; 2] {
        let past = self.first_slice.saturating_add_unsigned(self.size[2] as u64);
        [self.first_slice > 0, past < n_scan_slices]
    }

    /// Whether a mask reaches the region's first or last slice although the scan of `n_scan_slices` goes on there, so that
    /// it may be a part of what more slices would give.
    pub(super) fn is_cut(&self, mask: &Mask, n_scan_slices: i64) -> bool {
        let [before, after] = self.goes_on(n_scan_slices);
        let last = self.size[2].saturating_sub(1);
        mask.voxels().any(|[_, _, k]| (before && k == 0) || (after && k == last))
    }

    /// Whether a slice that the region lacks may hold a voxel that is within reach and nearer to the centre than any of a
    /// mask, so that the component at the centre may be another one in more slices.
    pub(super) fn may_miss_nearer(&self, mask: &Mask, n_scan_slices: i64) -> bool {
        let Seed { centre, spacing_mm, reach_mm } = self.seed;
        let distances = mask.voxels().map(|voxel| self.seed.distance_mm(voxel));
        let nearest_mm = distances.min_by(f64::total_cmp);
        let to_lacking = [centre[2] + 1.0, self.size[2] as f64 - centre[2]];
        to_lacking.iter().zip(self.goes_on(n_scan_slices)).any(|(slices, goes_on)| {
            let mm = slices * spacing_mm[2];
            goes_on && nearest_mm.map_or(mm <= reach_mm, |nearest_mm| mm < nearest_mm)
        })
    }

    /// Whether a voxel lies in the scan's slices and holds data.
    pub(super) fn has_data(&self, i: usize, j: usize, k: usize) -> bool {
        let [along_i, along_j] = self.in_scan;
        let is_in_scan =
            (along_i[0]..along_i[1]).contains(&i) && (along_j[0]..along_j[1]).contains(&j);
        is_in_scan && !self.no_data.get(i, j, k)
    }

    /// The mask that a rule of components keeps of the voxels for which `is_marked(i, j, k)` holds, and that of the other
    /// rule.
    ///
    /// METHOD: padding past the scan is no part of a mask, because no file of the scan can hold it. Nor is a voxel without
    /// data, of which nobody can know.
    pub(super) fn by_rule(
        &self,
        rule: ComponentRule,
        is_marked: impl Fn(usize, usize, usize) -> bool,
    ) -> [Mask; 2] {
        let mask = Mask::from_fn(self.size, |i, j, k| self.has_data(i, j, k) && is_marked(i, j, k));
        let marked = PlacedMask { start: [0; 3], mask };
        let centre = self.whole(ComponentRule::Centre.of(&marked, &self.seed).as_ref());
        match rule {
            ComponentRule::Centre => [centre, marked.mask],
            ComponentRule::All => [marked.mask, centre],
        }
    }

    /// A mask over the whole region; empty for none.
    pub(super) fn whole(&self, part: Option<&PlacedMask>) -> Mask {
        let mut mask = Mask::empty(self.size);
        let voxels = part.into_iter().flat_map(PlacedMask::voxels);
        voxels.for_each(|[i, j, k]| mask.set(i, j, k, true));
        mask
    }

    /// The packed bits of slice `k` of a mask over the region.
    pub(super) fn slice_bits(&self, mask: &Mask, k: usize) -> Vec<u8> {
        let [width, height, _] = self.size;
        Mask::from_fn([width, height, 1], |i, j, _| mask.get(i, j, k)).into_bits()
    }
}

/// The region of a nodule's slices, the mask that is delivered of their probabilities, and that of the other rule of
/// components. A slice without probabilities has no mask, and joins nothing.
///
/// METHOD: a pixel is marked where its probability is at least the threshold. The mask keeps those of the marked
/// components that [`ComponentRule`] says, in 3D over the nodule's slices.
///
/// # Errors
///
/// Fails if there is no slice, one is missing, or they differ in size.
pub(super) fn masks(
    slices: &[(&Roi, Option<&[f32]>)],
    threshold: f64,
    rule: ComponentRule,
    reach_mm: f64,
) -> Result<(NoduleRegion, [Mask; 2]), RegionError> {
    let region = NoduleRegion::of(slices.iter().map(|(roi, _)| *roi), reach_mm)?;
    let [width, ..] = region.size;
    let masks = region.by_rule(rule, |i, j, k| {
        let probability = slices.get(k).and_then(|(_, probability)| *probability);
        probability
            .and_then(|slice| slice.get(j * width + i))
            .is_some_and(|p| f64::from(*p) >= threshold)
    });
    Ok((region, masks))
}

/// The first pixel of a row that lies in the scan and the first one past it.
fn in_scan(start: f64, step: f64, n_pixels: usize, n_scan: i64) -> [usize; 2] {
    let is_inside = |pixel: &usize| {
        let at = start + *pixel as f64 * step;
        at >= -0.5 && at < n_scan as f64 - 0.5
    };
    let first = (0..n_pixels).find(is_inside);
    let past = |first: usize| (first..n_pixels).find(|pixel| !is_inside(pixel));
    first.map_or([0, 0], |first| [first, past(first).unwrap_or(n_pixels)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::crop::test_rows::roi;

    fn slice(k: i64) -> Roi {
        Roi { slice_index: k, roi_id: format!("n-k{k}"), ..roi(&[0; 5], &[true; 5], &[0]) }
    }

    #[test]
    fn a_region_has_its_centre_in_the_middle() {
        let region = |slices: &[Roi]| NoduleRegion::of(slices.iter(), 5.0);
        let found = region(&[slice(7), slice(8)]).unwrap();
        assert_eq!((found.size, found.seed.centre), ([5, 1, 2], [2.0, 0.0, 0.5]));
        let empty = |k| Roi { has_nodule: false, ..slice(k) };
        let k = |slices: &[Roi]| region(slices).unwrap().seed.centre[2];
        assert!(
            (k(&[empty(7), slice(8), slice(9), empty(10), empty(11), empty(12)]) - 1.5).abs()
                < 1e-12
        );
        assert!((k(&[empty(7), empty(8)]) - 0.5).abs() < 1e-12);
        let error = region(&[slice(7), slice(9)]).unwrap_err().to_string();
        assert!(error.starts_with("slice `n-k9` has the index 9, expected 8"), "{error}");
        let error = region(&[slice(7), Roi { width: 4, ..slice(8) }]).unwrap_err().to_string();
        assert!(
            error.starts_with("slice `n-k8` is [4, 1] pixels large, expected [5, 1]"),
            "{error}"
        );
        assert!(region(&[]).is_err());
    }

    #[test]
    fn each_rule_keeps_its_components_over_all_slices() {
        let slices = [slice(7), slice(8)];
        let region = NoduleRegion::of(slices.iter(), 5.0).unwrap();
        // Pixels 2 and 4 of the first slice, 3 of the second, which joins them, and 0, which nothing joins.
        let marked =
            Mask::from_fn([5, 1, 2], |i, _, k| [(2, 0), (4, 0), (3, 1), (0, 1)].contains(&(i, k)));
        let is_marked = |i, j, k| marked.get(i, j, k);
        let [centre, all] = region.by_rule(ComponentRule::Centre, is_marked);
        assert_eq!([0, 1].map(|k| region.slice_bits(&centre, k)), [[0b1_0100], [0b0_1000]]);
        assert_eq!([0, 1].map(|k| region.slice_bits(&all, k)), [[0b1_0100], [0b0_1001]]);
        assert_eq!(region.by_rule(ComponentRule::All, is_marked), [all, centre]);
        assert!(region.by_rule(ComponentRule::Centre, |_, _, _| false)[0].is_empty());
    }

    #[test]
    fn a_mask_at_an_end_of_the_region_is_cut_where_the_scan_goes_on() {
        // Slices 7 to 9 of 1 mm; the centre is slice 8.
        let slices = [slice(7), slice(8), slice(9)];
        let region = NoduleRegion::of(slices.iter(), 2.5).unwrap();
        let at =
            |voxels: &[[usize; 2]]| Mask::from_fn([5, 1, 3], |i, _, k| voxels.contains(&[i, k]));
        let is_cut = |voxels: &[[usize; 2]], n| region.is_cut(&at(voxels), n);
        assert!(is_cut(&[[2, 0]], 10) && !is_cut(&[[2, 1]], 20) && !is_cut(&[], 20));
        assert!(is_cut(&[[2, 1], [2, 2]], 11) && !is_cut(&[[2, 1], [2, 2]], 10));
        let of_whole = NoduleRegion::of([slice(0), slice(1)].iter(), 2.5).unwrap();
        assert!(!of_whole.is_cut(&Mask::from_fn([5, 1, 2], |_, _, _| true), 2));
        // Slices 6 and 10 are 2 mm away: within reach, and nearer than a voxel at a distance of 2.2 mm.
        let [near, far] = [at(&[[2, 1]]), at(&[[4, 2]])];
        let spacing = region.seed.spacing_mm;
        assert!(spacing.iter().all(|mm| (mm - 1.0).abs() < 1e-12), "{spacing:?}");
        assert!(!region.may_miss_nearer(&near, 20) && region.may_miss_nearer(&far, 20));
        assert!(region.may_miss_nearer(&at(&[]), 20) && region.may_miss_nearer(&at(&[]), 10));
        let short = NoduleRegion::of(slices.iter(), 1.5).unwrap();
        assert!(!short.may_miss_nearer(&at(&[]), 20) && !of_whole.may_miss_nearer(&at(&[]), 2));
    }

    #[test]
    fn padding_past_the_scan_is_in_no_mask() {
        // Two pixels for each of the scan's, from one before it on: pixels 1 to 4 lie in a scan of two.
        let slice = Roi { start_i: -1.0, spacing_i_mm: 0.5, n_columns: 2, ..slice(7) };
        let region = NoduleRegion::of(std::iter::once(&slice), 5.0).unwrap();
        let [mask, all] = region.by_rule(ComponentRule::Centre, |_, _, _| true);
        assert_eq!((region.slice_bits(&mask, 0), mask == all), (vec![0b1_1110], true));
        assert_eq!(in_scan(9.0, 1.0, 4, 2), [0, 0]);
        // Nor is a voxel without data.
        let cut = Roi { n_no_data_pixels: 1, no_data_bits: vec![0b0_1000], ..self::slice(7) };
        let region = NoduleRegion::of([&cut, &self::slice(8)].into_iter(), 5.0).unwrap();
        let [mask, _] = region.by_rule(ComponentRule::All, |_, _, _| true);
        assert_eq!([0, 1].map(|k| region.slice_bits(&mask, k)), [[0b1_0111], [0b1_1111]]);
        assert_eq!(in_scan(0.0, 1.0, 4, 2), [0, 2]);
    }
}
