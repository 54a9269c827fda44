//! Cropping of slices and masks to a window, on the pixels or between them.

use ndarray::ArrayView2;
use nodulus_formats::volume::{Mask, PlacedMask};

/// Positions of a window's pixels on a slice, along i and j.
///
/// Pixel `p` lies at `centre + (p - size / 2) * step`, in pixels of the slice. With whole centres
/// and steps of 1 the window lies on the slice's pixels, otherwise between them. Any part of it may
/// lie outside the slice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CropGrid {
    /// Position of pixel `size / 2`.
    pub centre: [f64; 2],
    /// Distance between the window's pixels.
    pub step: [f64; 2],
    /// Number of pixels.
    pub size: [usize; 2],
}

impl CropGrid {
    /// Position of pixel `p` along an axis (0 = i, 1 = j).
    #[inline]
    pub fn at(&self, axis: usize, p: usize) -> f64 {
        self.centre[axis] + (p as f64 - (self.size[axis] / 2) as f64) * self.step[axis]
    }

    /// Whether the window contains a pixel of the slice; it ends half a step past the centres of
    /// its outermost pixels.
    #[inline]
    pub fn contains(&self, axis: usize, pixel: usize) -> bool {
        let (x, half) = (pixel as f64, self.step[axis] / 2.0);
        let last = self.at(axis, self.size[axis].saturating_sub(1));
        self.size[axis] > 0 && x >= self.at(axis, 0) - half && x < last + half
    }

    /// The slice's pixel nearest to each pixel along an axis; `None` before the first.
    ///
    /// METHOD: half-way between two, the later one, as in ITK.
    fn nearest(&self, axis: usize) -> Vec<Option<usize>> {
        let nearest = |p| {
            let n = (self.at(axis, p) + 0.5).floor();
            (n >= 0.0).then_some(n as usize)
        };
        (0..self.size[axis]).map(nearest).collect()
    }

    /// The two pixels of the slice between which each pixel along an axis lies.
    fn taps(&self, axis: usize, length: usize) -> Vec<Option<Tap>> {
        (0..self.size[axis]).map(|p| Tap::new(self.at(axis, p), length)).collect()
    }
}

/// The two neighbours of a position, and the weight of the second.
#[derive(Clone, Copy, Debug)]
struct Tap {
    low: usize,
    high: usize,
    share: f64,
}

impl Tap {
    /// METHOD: a slice ends half a pixel past the centres of its outermost pixels, whose value
    /// extends that far, as in ITK.
    fn new(x: f64, length: usize) -> Option<Self> {
        if !(x >= -0.5 && x < length as f64 - 0.5) {
            return None;
        }
        let low = x.max(0.0) as usize;
        Some(Self { low, high: (low + 1).min(length - 1), share: x.max(0.0) - low as f64 })
    }

    fn between(self, low: f64, high: f64) -> f64 {
        low + self.share * (high - low)
    }
}

/// A window of a slice, row by row (j, then i), and whether any of it lies outside the slice.
///
/// `slice` is indexed `[j, i]`. Pixels outside are `fill`.
///
/// METHOD: linear interpolation, rounded to whole values, halves away from zero; on the slice's
/// pixels, their exact values. There is no low-pass filter before steps over 1, as in `SimpleITK`,
/// MONAI's `Spacing` and nnU-Net: edges stay in place, and noise is not averaged.
#[expect(clippy::needless_pass_by_value, reason = "a view is a reference already")]
pub fn crop_slice(slice: ArrayView2<'_, i16>, grid: &CropGrid, fill: i16) -> (Vec<i16>, bool) {
    let (rows, columns) = slice.dim();
    let (along_i, along_j) = (grid.taps(0, columns), grid.taps(1, rows));
    let mut pixels = Vec::with_capacity(along_i.len() * along_j.len());
    for row in &along_j {
        for column in &along_i {
            let (Some(i), Some(j)) = (column, row) else {
                pixels.push(fill);
                continue;
            };
            let value = |j: usize, i: usize| f64::from(slice[[j, i]]);
            let low = i.between(value(j.low, i.low), value(j.low, i.high));
            let high = i.between(value(j.high, i.low), value(j.high, i.high));
            pixels.push(j.between(low, high).round() as i16);
        }
    }
    let padded = along_i.iter().chain(&along_j).any(Option::is_none);
    (pixels, padded)
}

/// The window's pixels of a slice whose value at a pixel (i, j) is `value`, row by row; `outside` before its first row and
/// column.
///
/// METHOD: nearest neighbour.
pub fn crop_nearest<T: Copy>(
    grid: &CropGrid,
    outside: T,
    value: impl Fn(usize, usize) -> T,
) -> Vec<T> {
    let (along_i, along_j) = (grid.nearest(0), grid.nearest(1));
    let rows = along_j.iter().map(|j| {
        along_i.iter().map(|i| i.zip(*j).map_or(outside, |(i, j)| value(i, j))).collect::<Vec<T>>()
    });
    rows.flatten().collect()
}

/// The same window of slice `k` of a mask, as a mask of one slice; voxels outside the mask's box
/// are not set.
///
/// METHOD: nearest neighbour.
pub fn crop_mask(placed: &PlacedMask, k: usize, grid: &CropGrid) -> Mask {
    let (along_i, along_j) = (grid.nearest(0), grid.nearest(1));
    Mask::from_fn([grid.size[0], grid.size[1], 1], |i, j, _| {
        along_i[i].zip(along_j[j]).is_some_and(|(i, j)| placed.get(i, j, k))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use proptest::prelude::*;
    use serde::Deserialize;

    /// 5 columns and 4 rows of 10·j + i.
    fn slice() -> Array2<i16> {
        Array2::from_shape_fn((4, 5), |(j, i)| (10 * j + i) as i16)
    }

    /// A window on the slice's pixels.
    fn on_pixels(start: [i64; 2], size: [usize; 2]) -> CropGrid {
        let centre = std::array::from_fn(|a| start[a] as f64 + (size[a] / 2) as f64);
        CropGrid { centre, step: [1.0; 2], size }
    }

    #[test]
    fn a_window_inside_is_copied() {
        let (pixels, padded) = crop_slice(slice().view(), &on_pixels([2, 1], [3, 2]), -1000);
        assert_eq!(pixels, [12, 13, 14, 22, 23, 24]);
        assert!(!padded);
        assert!(!crop_slice(slice().view(), &on_pixels([0, 0], [5, 4]), 0).1);
    }

    #[test]
    fn past_the_slice_is_filled() {
        let (pixels, padded) = crop_slice(slice().view(), &on_pixels([-1, 2], [3, 3]), -7);
        assert_eq!(pixels, [-7, 20, 21, -7, 30, 31, -7, -7, -7]);
        assert!(padded);
        let (pixels, padded) = crop_slice(slice().view(), &on_pixels([50, -50], [2, 2]), -7);
        assert_eq!((pixels, padded), (vec![-7; 4], true));
        let nowhere = CropGrid { centre: [f64::NAN; 2], ..on_pixels([0, 0], [2, 2]) };
        assert_eq!(crop_slice(slice().view(), &nowhere, -7), (vec![-7; 4], true));
    }

    #[test]
    fn a_mask_is_cropped_by_its_place_in_the_scan() {
        let placed =
            PlacedMask { start: [3, 1, 7], mask: Mask::from_fn([2, 2, 1], |i, _, _| i == 0) };
        let mask = crop_mask(&placed, 7, &on_pixels([2, 2], [3, 2]));
        assert_eq!(mask.size(), [3, 2, 1]);
        assert_eq!(mask.voxels().collect::<Vec<_>>(), [[1, 0, 0]]);
        assert!(crop_mask(&placed, 6, &on_pixels([2, 2], [3, 2])).is_empty());
        let numbers = crop_nearest(&on_pixels([-1, 2], [3, 2]), 7, |i, j| 10 * j + i);
        assert_eq!(numbers, [7, 20, 21, 7, 30, 31]);
        let whole = crop_mask(&placed, 7, &on_pixels([-4, -4], [8, 6]));
        assert_eq!(whole.voxels().collect::<Vec<_>>(), [[7, 5, 0]]);
    }

    #[test]
    fn a_window_holds_the_pixels_up_to_its_edges() {
        let grid = CropGrid { centre: [4.0, 4.0], step: [1.0, 2.0], size: [4, 4] };
        let held = |axis| (0..12).filter(|p| grid.contains(axis, *p)).collect::<Vec<_>>();
        // Along i pixels 2 to 5; along j centres 0, 2, 4, 6 that reach from -1 to 7.
        assert_eq!((held(0), held(1)), (vec![2, 3, 4, 5], vec![0, 1, 2, 3, 4, 5, 6]));
    }

    /// A window that `SimpleITK` resampled: `tests/golden/resample.py`.
    #[derive(Deserialize)]
    struct Golden {
        size: [usize; 2],
        step: [f64; 2],
        centre: [f64; 2],
        linear: Vec<f64>,
        nearest: Vec<u8>,
    }

    #[test]
    fn windows_between_pixels_are_simpleitks() {
        let cases: Vec<Golden> =
            serde_json::from_str(include_str!("../../../tests/golden/resample.json")).unwrap();
        // `image` and `mask` of the Python file.
        let value = |(j, i): (usize, usize)| ((i * 7919 + j * 104_729) % 4093) as i16 - 1024;
        let image = Array2::from_shape_fn((19, 23), value);
        let inside = |i: usize, j: usize, _| (i * 5 + j * 3) % 7 < 3;
        let placed = PlacedMask { start: [0; 3], mask: Mask::from_fn([23, 19, 1], inside) };
        for case in &cases {
            let grid = CropGrid { centre: case.centre, step: case.step, size: case.size };
            let (pixels, padded) = crop_slice(image.view(), &grid, -1000);
            let mut n_filled = 0;
            for (found, expected) in pixels.iter().zip(&case.linear) {
                n_filled += usize::from((expected + 1000.0).abs() < 1e-6);
                assert!((f64::from(*found) - expected).abs() <= 0.5 + 1e-6, "{found} {expected}");
            }
            assert_eq!(padded, n_filled > 0);
            let mask = crop_mask(&placed, 0, &grid).to_bools();
            let nearest: Vec<bool> = case.nearest.iter().map(|v| *v == 1).collect();
            assert_eq!((pixels.len(), mask), (case.linear.len(), nearest));
        }
        assert!(cases.len() > 3);
    }

    proptest! {
        #[test]
        fn each_pixel_is_the_slice_s_or_fill(
            start in prop::array::uniform2(-8i64..8), size in prop::array::uniform2(1usize..9),
        ) {
            let slice = slice();
            let (pixels, padded) = crop_slice(slice.view(), &on_pixels(start, size), -7);
            let mut outside = false;
            for (n, pixel) in pixels.into_iter().enumerate() {
                let (i, j) = (start[0] + (n % size[0]) as i64, start[1] + (n / size[0]) as i64);
                let inside = (0..5).contains(&i) && (0..4).contains(&j);
                prop_assert_eq!(pixel, if inside { (10 * j + i) as i16 } else { -7 });
                outside |= !inside;
            }
            prop_assert_eq!(padded, outside);
        }

        #[test]
        fn a_plane_stays_a_plane(
            centre in prop::array::uniform2(1.0..3.0f64), step in prop::array::uniform2(0.1..0.9f64),
        ) {
            // Linear interpolation of 1000·j + 100·i is that same plane.
            let slice = Array2::from_shape_fn((5, 5), |(j, i)| (1000 * j + 100 * i) as i16);
            let grid = CropGrid { centre, step, size: [3, 2] };
            let (pixels, padded) = crop_slice(slice.view(), &grid, -7);
            prop_assert!(!padded || (0..2).any(|a| grid.at(a, 0) < -0.5 || grid.at(a, 2) >= 4.5));
            for (n, pixel) in pixels.into_iter().enumerate() {
                let at = [grid.at(0, n % 3), grid.at(1, n / 3)].map(|x| x.clamp(0.0, 4.0));
                prop_assert!((f64::from(pixel) - 100.0 * at[0] - 1000.0 * at[1]).abs() <= 0.5 + 1e-9);
            }
        }
    }
}
