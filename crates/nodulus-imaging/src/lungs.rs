//! The lungs' bounding box in a scan, and the alignment of two scans of a patient by it.

use super::components;
use nodulus_formats::volume::{Geometry, LoadedSlices, Mask, PlacedMask, SliceRanges};
use serde::{Deserialize, Serialize};

/// Voxels below this value are air or lung.
///
/// METHOD: chosen between lung (-900 to -700 HU) and soft tissue (0 to 60), where Hu, Hoffman and
/// Reinhardt 2001 search for their threshold; the edges of the box depend on it by a voxel at most.
const AIR_HU: i16 = -400;

/// Distance between the voxels that are examined.
const STEP_MM: f64 = 3.0;

/// Smallest lung area of a plane of the box.
///
/// METHOD: chosen; more than twice a wide trachea (25 mm: 491 mm²), which leaves the scan above the
/// lungs.
const LEAST_AREA_MM2: f64 = 1000.0;

/// Smallest volume of a part of the lungs, as a share of the largest part.
///
/// METHOD: chosen; the smaller lung has more, gas in stomach and bowel mostly less.
const LEAST_SHARE: f64 = 0.2;

/// Bounding box of both lungs, LPS.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LungBox {
    /// Smallest x, y, z.
    pub low_mm: [f64; 3],
    /// Largest x, y, z.
    pub high_mm: [f64; 3],
    /// Whether the lungs continue past the scan at the low and at the high end of x, y, z; that end
    /// is then the scan's.
    pub cut: [[bool; 2]; 3],
}

impl LungBox {
    /// Extents along x, y, z.
    pub fn size_mm(&self) -> [f64; 3] {
        std::array::from_fn(|a| self.high_mm[a] - self.low_mm[a])
    }
}

/// Two boxes do not determine the alignment of their scans.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AlignmentError {
    /// The lungs differ in size.
    #[error(
        "the lungs' boxes are {earlier_mm:.0} and {later_mm:.0} mm long along {axis}, expected a difference \
         of {allowed_percent:.0}% at most"
    )]
    Size {
        /// x, y or z.
        axis: char,
        /// Of the earlier scan.
        earlier_mm: f64,
        /// Of the later scan.
        later_mm: f64,
        /// Allowed difference, relative to the larger one.
        allowed_percent: f64,
    },
    /// Neither end of the lungs is in both scans.
    #[error("no end of the lungs along {axis} is in both scans")]
    Cut {
        /// x, y or z.
        axis: char,
    },
}

/// The slices that [`lung_box`] needs.
pub fn slices_needed(geometry: &Geometry) -> SliceRanges {
    let step = step(geometry)[2];
    (0..geometry.size()[2]).step_by(step).map(|k| k..k + 1).collect()
}

/// Step between examined voxels, along i, j, k.
fn step(geometry: &Geometry) -> [usize; 3] {
    geometry.spacing().ijk().map(|mm| (STEP_MM / mm).round().max(1.0) as usize)
}

/// The lungs' box; `None` where no lung is visible, or where one of [`slices_needed`] is not
/// loaded. Values outside the field of view may be any below -400 HU.
///
/// METHOD: examines voxels 3 mm apart or more. Of the 26-connected components under -400 HU, those
/// that reach an edge of a slice are air outside the patient. Components that touch more of other
/// voxels than of the body, which is the largest component of the rest, lie inside the table or
/// between table and arms. Of those left, the lungs are the largest and others with at least a
/// fifth of its volume. Along each axis of the grid, the box reaches from the first to the last
/// plane with 1,000 mm² of lung; the trachea has less and continues above the lungs.
pub fn lung_box(scan: &LoadedSlices<i16>) -> Option<LungBox> {
    let geometry = scan.geometry();
    let (size, spacing, step) = (geometry.size(), geometry.spacing().ijk(), step(geometry));
    let coarse: [usize; 3] = std::array::from_fn(|a| size[a].div_ceil(step[a]));
    let slices: Vec<_> = (0..coarse[2]).map(|k| scan.slice(k * step[2])).collect::<Option<_>>()?;
    let is_air = |i: usize, j: usize, k: usize| slices[k][[j * step[1], i * step[0]]] < AIR_HU;
    let whole = |mask| PlacedMask { start: [0; 3], mask };
    let body = components::split(&whole(Mask::from_fn(coarse, |i, j, k| !is_air(i, j, k))));
    let body = body.into_iter().max_by_key(|part| part.mask.count())?;
    let inside = |part: &PlacedMask| {
        let (start, end) = (part.start, part.end());
        [0, 1].iter().all(|&a| start[a] > 0 && end[a] < coarse[a])
    };
    let parts = components::split(&whole(Mask::from_fn(coarse, is_air)));
    let mut lungs: Vec<PlacedMask> =
        parts.into_iter().filter(|part| inside(part) && is_in_body(part, &body, coarse)).collect();
    let largest = lungs.iter().map(|part| part.mask.count()).max()? as f64;
    lungs.retain(|part| part.mask.count() as f64 >= LEAST_SHARE * largest);
    let ends = ends(&lungs, coarse, std::array::from_fn(|a| spacing[a] * step[a] as f64))?;
    Some(placed(geometry, ends, step))
}

/// Whether a component touches more of the body than of anything else.
fn is_in_body(part: &PlacedMask, body: &PlacedMask, size: [usize; 3]) -> bool {
    let (mut of_body, mut of_others) = (0usize, 0usize);
    for voxel in part.voxels() {
        for axis in 0..3 {
            let before = voxel[axis].checked_sub(1);
            let after = Some(voxel[axis] + 1).filter(|at| *at < size[axis]);
            for at in [before, after].into_iter().flatten() {
                let mut near = voxel;
                near[axis] = at;
                let [i, j, k] = near;
                if !part.get(i, j, k) {
                    *(if body.get(i, j, k) { &mut of_body } else { &mut of_others }) += 1;
                }
            }
        }
    }
    of_body > of_others
}

/// First and last plane along each axis with enough lung; `None` where an axis has none.
fn ends(lungs: &[PlacedMask], size: [usize; 3], step_mm: [f64; 3]) -> Option<[[usize; 2]; 3]> {
    let mut counts: [Vec<usize>; 3] = std::array::from_fn(|a| vec![0; size[a]]);
    for voxel in lungs.iter().flat_map(PlacedMask::voxels) {
        for (counts, at) in counts.iter_mut().zip(voxel) {
            counts[at] += 1;
        }
    }
    let mut ends = [[0; 2]; 3];
    for (axis, counts) in counts.iter().enumerate() {
        let area_mm2: f64 = (0..3).filter(|a| *a != axis).map(|a| step_mm[a]).product();
        let has_lung = |n: &usize| *n as f64 * area_mm2 >= LEAST_AREA_MM2;
        ends[axis] = [counts.iter().position(has_lung)?, counts.iter().rposition(has_lung)?];
    }
    Some(ends)
}

/// The box around planes of a grid of every `step`th voxel.
fn placed(geometry: &Geometry, ends: [[usize; 2]; 3], step: [usize; 3]) -> LungBox {
    let size = geometry.size();
    let mut found = LungBox {
        low_mm: [f64::INFINITY; 3],
        high_mm: [f64::NEG_INFINITY; 3],
        cut: [[false; 2]; 3],
    };
    for corner in 0..8usize {
        let at = |a: usize| ends[a][(corner >> a) & 1] * step[a];
        let position = geometry.voxel_to_patient(std::array::from_fn(|a| at(a) as f64));
        for (axis, mm) in position.into_iter().enumerate() {
            found.low_mm[axis] = found.low_mm[axis].min(mm);
            found.high_mm[axis] = found.high_mm[axis].max(mm);
        }
    }
    for (a, [first, last]) in ends.into_iter().enumerate() {
        let direction = geometry.axis(a);
        let along = |axis: &usize| direction[*axis].abs();
        let axis = (0..3).max_by(|p, q| along(p).total_cmp(&along(q))).unwrap_or(a);
        let cut = [first == 0, last == size[a].div_ceil(step[a]) - 1];
        let cut = if direction[axis] < 0.0 { [cut[1], cut[0]] } else { cut };
        found.cut[axis] = std::array::from_fn(|end| found.cut[axis][end] || cut[end]);
    }
    found
}

/// The shift from positions in the earlier scan to the same positions in the later one, mm along x,
/// y, z.
///
/// METHOD: a translation without rotation or scaling: along each axis, that of the boxes' centres,
/// or of the one end of the lungs that is in both scans. Lungs whose sizes differ by more than
/// `size_difference` (a share of the larger) were inflated differently, or are not the same: no
/// shift then says where a nodule went.
///
/// # Errors
///
/// Fails if the sizes differ by more, or if neither end along an axis is in both scans.
pub fn alignment(
    earlier: &LungBox,
    later: &LungBox,
    size_difference: f64,
) -> Result<[f64; 3], AlignmentError> {
    let (sizes, mut shift) = ([earlier.size_mm(), later.size_mm()], [0.0; 3]);
    for (a, axis) in ['x', 'y', 'z'].into_iter().enumerate() {
        let seen = |end: usize| !(earlier.cut[a][end] || later.cut[a][end]);
        let low = later.low_mm[a] - earlier.low_mm[a];
        let high = later.high_mm[a] - earlier.high_mm[a];
        shift[a] = match [seen(0), seen(1)] {
            [true, true] => {
                let [earlier_mm, later_mm] = sizes.map(|size| size[a]);
                let difference = (earlier_mm - later_mm).abs() / earlier_mm.max(later_mm);
                if difference.is_nan() || difference > size_difference {
                    let allowed_percent = 100.0 * size_difference;
                    return Err(AlignmentError::Size {
                        axis,
                        earlier_mm,
                        later_mm,
                        allowed_percent,
                    });
                }
                f64::midpoint(low, high)
            }
            [true, false] => low,
            [false, true] => high,
            [false, false] => return Err(AlignmentError::Cut { axis }),
        };
    }
    Ok(shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;
    use nodulus_formats::volume::Volume;
    use proptest::prelude::*;

    /// An elliptic body with two lungs, a trachea that leaves the scan, a hollow table, and gas.
    fn scan(origin_mm: [f64; 3], direction: [f64; 9]) -> Volume<i16> {
        let size = [100, 80, 60];
        let geometry = Geometry::new(size, [3.0, 3.0, 4.0], origin_mm, direction).unwrap();
        let hu = |(k, j, i): (usize, usize, usize)| {
            let [x, y, z] = [i as f64 - 50.0, j as f64 - 36.0, k as f64 - 30.0];
            let ball = |c: [f64; 3], r: [f64; 3]| {
                let d = [(x - c[0]) / r[0], (y - c[1]) / r[1], (z - c[2]) / r[2]];
                d.iter().map(|d| d * d).sum::<f64>() <= 1.0
            };
            let lungs =
                [-18.0, 18.0].iter().any(|side| ball([*side, 0.0, 0.0], [12.0, 18.0, 24.0]));
            let trachea = z > 0.0 && (x * x + y * y).sqrt() < 3.0;
            let gas = ball([20.0, -5.0, -29.0], [6.0, 6.0, 3.0]);
            let table = (66..=72).contains(&j) && (10..90).contains(&i);
            let shell = matches!(j, 66 | 72) || matches!(i, 10 | 89);
            if i.pow(2) + j.pow(2) < 64 {
                -3024
            } else if lungs || trachea || gas {
                -860
            } else if (x / 42.0).powi(2) + (y / 28.0).powi(2) <= 1.0 {
                40
            } else if table {
                if shell || k == 0 || k == 59 { 60 } else { -900 }
            } else {
                -1000
            }
        };
        Volume::new(geometry, Array3::from_shape_fn((60, 80, 100), hu)).unwrap()
    }

    fn boxed_of(volume: Volume<i16>) -> Option<LungBox> {
        lung_box(&volume.into())
    }

    fn near(found: [f64; 3], expected: [f64; 3], within_mm: f64) -> bool {
        found.iter().zip(expected).all(|(f, e)| (f - e).abs() <= within_mm)
    }

    #[test]
    fn the_box_holds_both_lungs_and_nothing_else() {
        let found = boxed_of(scan([-150.0, -108.0, -120.0], Geometry::AXIAL)).unwrap();
        // Half axes of 30 and 12 voxels of 3 mm about the middle, 18 of 3 mm, 24 of 4 mm; planes
        // near the ends have less than 1,000 mm² of lung.
        assert!(near(found.low_mm, [-90.0, -54.0, -96.0], 9.0), "{found:?}");
        assert!(near(found.high_mm, [90.0, 54.0, 96.0], 9.0), "{found:?}");
        assert_eq!(found.cut, [[false; 2]; 3]);
    }

    #[test]
    fn the_box_is_the_patients_however_the_grid_lies() {
        // i and j reversed, and k downwards with i: a rotation, as scans are stored.
        let reversed = [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0];
        let found = boxed_of(scan([150.0, 108.0, -120.0], reversed)).unwrap();
        let plain = boxed_of(scan([-150.0, -108.0, -120.0], Geometry::AXIAL)).unwrap();
        let mirrored: [f64; 3] = std::array::from_fn(|a| -[plain.high_mm, plain.low_mm][0][a]);
        assert!(near(
            [found.low_mm[0], found.low_mm[1], 0.0],
            [mirrored[0], mirrored[1], 0.0],
            1e-9
        ));
        assert!((found.low_mm[2] - plain.low_mm[2]).abs() < 1e-9);
    }

    #[test]
    fn lungs_that_leave_the_scan_are_cut_and_no_lung_is_none() {
        let whole = scan([0.0; 3], Geometry::AXIAL);
        let geometry = Geometry::new([100, 80, 30], [3.0, 3.0, 4.0], [0.0; 3], Geometry::AXIAL);
        let lower = whole.voxels().slice(ndarray::s![..30, .., ..]).to_owned();
        let found = boxed_of(Volume::new(geometry.unwrap(), lower).unwrap()).unwrap();
        assert_eq!(found.cut, [[false; 2], [false; 2], [false, true]]);
        assert!(boxed_of(whole.clone().map(|_| -1000i16)).is_none());
        assert!(boxed_of(whole.map(|_| 40i16)).is_none());
    }

    #[test]
    fn every_third_millimetre_is_enough() {
        let geometry = Geometry::new([9, 9, 10], [0.7, 3.0, 1.25], [0.0; 3], Geometry::AXIAL);
        let wanted = slices_needed(&geometry.unwrap());
        assert_eq!(wanted.iter().flatten().collect::<Vec<_>>(), [0, 2, 4, 6, 8]);
        let whole = scan([0.0; 3], Geometry::AXIAL);
        let (geometry, all) = (*whole.geometry(), whole.voxels().clone());
        let expected = boxed_of(whole);
        let wanted = slices_needed(&geometry);
        let some = LoadedSlices::new(geometry, &wanted, all.clone()).unwrap();
        assert_eq!(lung_box(&some), expected);
        let first: SliceRanges = std::iter::once(0..30).collect();
        let voxels = all.slice(ndarray::s![..30, .., ..]).to_owned();
        assert_eq!(lung_box(&LoadedSlices::new(geometry, &first, voxels).unwrap()), None);
    }

    fn boxed(low_mm: [f64; 3], high_mm: [f64; 3]) -> LungBox {
        LungBox { low_mm, high_mm, cut: [[false; 2]; 3] }
    }

    #[test]
    fn boxes_that_say_nothing_are_not_aligned() {
        let earlier = boxed([0.0; 3], [250.0, 180.0, 300.0]);
        let later = boxed([10.0, 20.0, 30.0], [260.0, 200.0, 300.0]);
        // z: 270 mm is a tenth less than 300 mm.
        assert_eq!(alignment(&earlier, &later, 0.1), Ok([10.0, 20.0, 15.0]));
        let error = alignment(&earlier, &later, 0.09).unwrap_err().to_string();
        assert_eq!(
            error,
            "the lungs' boxes are 300 and 270 mm long along z, expected a difference of 9% at most"
        );
        let cut = |low, high| {
            let mut cut = later;
            cut.cut[2] = [low, high];
            cut
        };
        assert_eq!(alignment(&earlier, &cut(true, false), 0.0), Ok([10.0, 20.0, 0.0]));
        assert_eq!(alignment(&cut(false, true), &earlier, 0.0), Ok([-10.0, -20.0, -30.0]));
        let neither = alignment(&cut(true, false), &cut(false, true), 0.5).unwrap_err();
        assert_eq!(neither, AlignmentError::Cut { axis: 'z' });
        let broken = boxed([f64::NAN; 3], [1.0; 3]);
        assert!(alignment(&broken, &later, 0.5).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(6))]

        #[test]
        fn a_moved_scan_is_moved_back(shift in prop::array::uniform3(-400.0..400.0f64)) {
            let earlier = boxed_of(scan([0.0; 3], Geometry::AXIAL)).unwrap();
            let later = boxed_of(scan(shift, Geometry::AXIAL)).unwrap();
            let found = alignment(&earlier, &later, 0.0001).unwrap();
            prop_assert!(near(found, shift, 1e-9), "{:?}", found);
            let back = alignment(&later, &earlier, 0.0001).unwrap();
            prop_assert!(near(back, shift.map(|mm| -mm), 1e-9), "{:?}", back);
        }
    }
}
