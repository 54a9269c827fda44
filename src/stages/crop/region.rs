//! The grid of a nodule's region in its slices, and the other nodules in it.

use super::config::{Config, WhenOversize};
use super::error::CropError;
use crate::tables::Oversize;
use nodulus_formats::volume::{Mask, PlacedMask};
use nodulus_imaging::crop::{CropGrid, crop_mask};

/// A resampled nodule keeps one part in this many of the region's side free on each side.
///
/// METHOD: chosen; 8 of 128 pixels, so that the network sees the surroundings of the nodule.
const FREE_SHARE: usize = 16;

/// The pixels of a region, the same in each of its slices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RegionGrid {
    pub(super) grid: CropGrid,
    /// Distance between its pixels along i and j.
    pub(super) spacing_mm: [f64; 2],
    /// How a nodule that is larger than the region was made to fit.
    pub(super) oversize: Option<Oversize>,
}

/// The region of a nodule, centred on the pixel nearest to `centre` (i, j). The mask must have a voxel.
///
/// METHOD: a nodule that does not fit is resampled by the same factor along i and j, so that it keeps its shape.
pub(super) fn place(
    config: &Config,
    placed: &PlacedMask,
    centre: [f64; 2],
    native_mm: [f64; 2],
) -> Result<RegionGrid, CropError> {
    let size = [config.size(); 2];
    let region = |spacing_mm: [f64; 2], oversize| {
        let step = [0, 1].map(|a: usize| spacing_mm[a] / native_mm[a]);
        RegionGrid {
            grid: CropGrid { centre: centre.map(f64::round), step, size },
            spacing_mm,
            oversize,
        }
    };
    let spacing_mm = config.spacing_mm.map_or(native_mm, |spacing_mm| [spacing_mm; 2]);
    let natural = region(spacing_mm, None);
    let (first, last) = (placed.start, placed.end().map(|end| end.saturating_sub(1)));
    if [0, 1]
        .iter()
        .all(|&a| natural.grid.contains(a, first[a]) && natural.grid.contains(a, last[a]))
    {
        return Ok(natural);
    }
    match config.oversize {
        WhenOversize::Error => {
            Err(CropError::Oversize { size: placed.mask.size(), region: config.size() })
        }
        WhenOversize::Crop => Ok(region(spacing_mm, Some(Oversize::Cropped))),
        WhenOversize::Resample => {
            let CropGrid { centre, step, .. } = natural.grid;
            let free = config.size() / FREE_SHARE;
            let (before, after) = (config.size() / 2, config.size() - config.size() / 2 - 1);
            let needed = [0, 1].map(|a: usize| {
                let room = |pixels: usize| pixels.saturating_sub(free) as f64 * step[a];
                let (low, high) = (centre[a] - first[a] as f64, last[a] as f64 - centre[a]);
                (low / room(before)).max(high / room(after))
            });
            let factor = needed[0].max(needed[1]);
            Ok(region(spacing_mm.map(|s| s * factor), Some(Oversize::Resampled)))
        }
    }
}

/// The pixels of other nodules in slice `k` of a region, and the number of these nodules.
pub(super) fn others(others: &[PlacedMask], k: usize, grid: &CropGrid) -> (Mask, usize) {
    let mut all = Mask::empty([grid.size[0], grid.size[1], 1]);
    let mut n = 0;
    for other in others.iter().filter(|other| (other.start[2]..other.end()[2]).contains(&k)) {
        let mask = crop_mask(other, k, grid);
        n += usize::from(!mask.is_empty());
        mask.voxels().for_each(|[i, j, _]| all.set(i, j, 0, true));
    }
    (all, n)
}

/// Number of pixels of a nodule in slice `k` that lie outside its region.
pub(super) fn n_cut(placed: &PlacedMask, k: usize, grid: &CropGrid) -> usize {
    let [start_i, start_j, start_k] = placed.start;
    let past =
        |[i, j, _]: &[usize; 3]| !(grid.contains(0, start_i + i) && grid.contains(1, start_j + j));
    placed.mask.voxels().filter(|voxel| start_k + voxel[2] == k).filter(past).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::crop::test_rows::{close, nodule};
    use crate::stages::crop::transform;
    use crate::tables::{Nodule, Roi};
    use ndarray::Array3;
    use nodulus_formats::volume::{Geometry, LoadedSlices, Volume};
    use proptest::prelude::*;

    /// 40 columns, 36 rows, 3 slices of 0.7 × 0.8 mm, turned about z; HU are 20 j + 3 i.
    fn volume() -> LoadedSlices<i16> {
        let turned = [0.6, -0.8, 0.0, 0.8, 0.6, 0.0, 0.0, 0.0, 1.0];
        let geometry =
            Geometry::new([40, 36, 3], [0.7, 0.8, 2.0], [-7.0, 3.0, -5.0], turned).unwrap();
        let value = |(_, j, i): (usize, usize, usize)| (20 * j + 3 * i) as i16;
        Volume::new(geometry, Array3::from_shape_fn((3, 36, 40), value)).unwrap().into()
    }

    fn config(oversize: WhenOversize, spacing_mm: Option<f64>) -> Config {
        Config { size: Some(16), margin_slices: 0, oversize, spacing_mm, ..Config::default() }
    }

    fn row(config: &Config, nodule: &Nodule) -> Roi {
        transform(config, &volume(), nodule, &[]).unwrap().remove(0)
    }

    fn mask(row: &Roi) -> Mask {
        Mask::from_bits([16, 16, 1], row.mask_bits.clone()).unwrap()
    }

    #[test]
    fn a_larger_nodule_is_resampled_to_fit_with_room_beside_it() {
        // 30 × 12 voxels: centre (19.5, 13.5), so pixel (20, 14).
        let large = nodule("a", [5, 8, 1], [30, 12, 1]);
        let row = row(&config(WhenOversize::Resample, None), &large);
        // Pixels 5 to 34 must fit in 7 + 1 + 6 pixels: 15 / 7 before the centre, 14 / 6 after it.
        let factor = 14.0 / 6.0;
        close([row.spacing_i_mm, row.spacing_j_mm], [0.7 * factor, 0.8 * factor]);
        close([row.native_spacing_i_mm, row.native_spacing_j_mm], [0.7, 0.8]);
        assert_eq!((row.oversize.as_deref(), row.n_cut_pixels), (Some("resampled"), 0));
        let columns: Vec<usize> = mask(&row).voxels().map(|[i, _, _]| i).collect();
        assert_eq!((columns.iter().min(), columns.iter().max()), (Some(&2), Some(&14)));
        let area = |row: &Roi| row.spacing_i_mm * row.spacing_j_mm * row.n_mask_pixels as f64;
        let true_area = 30.0 * 12.0 * 0.7 * 0.8;
        assert!((area(&row) / true_area - 1.0).abs() < 0.1, "{} {true_area}", area(&row));
    }

    #[test]
    fn a_larger_nodule_is_cut_and_the_rest_is_counted() {
        let large = nodule("a", [5, 8, 1], [30, 12, 1]);
        let row = row(&config(WhenOversize::Crop, None), &large);
        // Columns 12 to 27 of 5 to 34 are in the region.
        assert_eq!((row.start_i, row.n_mask_pixels, row.n_cut_pixels), (12.0, 16 * 12, 14 * 12));
        assert_eq!(row.oversize.as_deref(), Some("cropped"));
        let fits = transform(
            &config(WhenOversize::Crop, None),
            &volume(),
            &nodule("a", [12, 8, 1], [16, 12, 1]),
            &[],
        );
        assert_eq!(fits.unwrap()[0].oversize, None);
    }

    #[test]
    fn a_nodule_of_which_nothing_is_left_is_a_failure() {
        let mut far = nodule("a", [0, 8, 1], [1, 1, 1]);
        far.centroid_i = 35.0;
        let error = transform(&config(WhenOversize::Crop, None), &volume(), &far, &[]);
        assert!(error.unwrap_err().to_string().starts_with("no pixel of the nodule is left"));
        far.centroid_i = f64::NAN;
        assert!(transform(&config(WhenOversize::Resample, None), &volume(), &far, &[]).is_err());
    }

    #[test]
    fn a_fixed_spacing_holds_along_both_axes_about_the_same_centre() {
        let small = nodule("a", [19, 16, 1], [3, 3, 1]);
        let row = row(&config(WhenOversize::Error, Some(0.35)), &small);
        close([row.spacing_i_mm, row.spacing_j_mm], [0.35; 2]);
        assert_eq!((row.oversize.clone(), row.padded), (None, false));
        let hu = row.pixels_hu().unwrap();
        // The centre is pixel (20, 17); one pixel on along i is half a voxel.
        assert_eq!([hu[8 * 16 + 8], hu[8 * 16 + 10]], [400, 403]);
        // 3 × 3 voxels of 0.7 × 0.8 mm.
        assert!((row.n_mask_pixels as f64 * 0.35 * 0.35 - 9.0 * 0.7 * 0.8).abs() < 1.0);
        assert_eq!(crate::stages::crop::Config::default().spacing_mm, None);
    }

    proptest! {
        /// A pixel has the patient position of the same point of the scan.
        #[test]
        fn pixels_map_back_to_the_patient(
            start in prop::array::uniform2(0i64..20), size in prop::array::uniform2(1usize..16),
            spacing in prop::option::of(0.2..2.0f64), p in prop::array::uniform2(0usize..16),
        ) {
            let nodule = nodule("a", [start[0], start[1], 1], [size[0], size[1], 1]);
            let config = config(WhenOversize::Resample, spacing);
            let Ok(rows) = transform(&config, &volume(), &nodule, &[]) else { return Ok(()) };
            let (row, geometry) = (&rows[0], *volume().geometry());
            let voxel = [
                row.start_i + p[0] as f64 * row.spacing_i_mm / row.native_spacing_i_mm,
                row.start_j + p[1] as f64 * row.spacing_j_mm / row.native_spacing_j_mm,
                row.slice_index as f64,
            ];
            let at = geometry.voxel_to_patient(voxel);
            let origin = [row.origin_x_mm, row.origin_y_mm, row.origin_z_mm];
            for a in 0..3 {
                let step = p[0] as f64 * row.spacing_i_mm * row.direction[3 * a]
                    + p[1] as f64 * row.spacing_j_mm * row.direction[3 * a + 1];
                prop_assert!((origin[a] + step - at[a]).abs() < 1e-9);
            }
            // HU are linear in the scan, and therefore in the region.
            let inside = voxel[0] >= 0.0 && voxel[0] <= 39.0 && voxel[1] >= 0.0 && voxel[1] <= 35.0;
            let hu = f64::from(row.pixels_hu().unwrap()[p[1] * 16 + p[0]]);
            if inside {
                prop_assert!((hu - 20.0 * voxel[1] - 3.0 * voxel[0]).abs() <= 0.5 + 1e-9);
            }
            // A resampled nodule lies in the region completely.
            prop_assert_eq!(row.n_cut_pixels, 0);
        }
    }
}
