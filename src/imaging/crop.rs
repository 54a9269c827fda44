//! Windows of a slice.

use crate::volume::{Mask, PlacedMask};
use ndarray::{ArrayView2, s};

/// A window of a slice, row by row (j, then i), and whether any of it lies past the slice.
///
/// `slice` is indexed `[j, i]`; `start` is the window's first pixel (i, j), which may lie outside;
/// `size` is its pixels along i and j. Pixels outside are `fill`.
#[expect(clippy::needless_pass_by_value, reason = "a view is a reference already")]
pub fn crop_slice(
    slice: ArrayView2<'_, i16>,
    start: [i64; 2],
    size: [usize; 2],
    fill: i16,
) -> (Vec<i16>, bool) {
    let (rows, columns) = slice.dim();
    let ([from_i, to_i], [from_j, to_j]) =
        (overlap(start[0], size[0], columns), overlap(start[1], size[1], rows));
    let mut pixels = vec![fill; size[0] * size[1]];
    if from_i < to_i && from_j < to_j {
        let source = |start: i64, from: usize, to: usize| {
            (start + from as i64) as usize..(start + to as i64) as usize
        };
        let (j, i) = (source(start[1], from_j, to_j), source(start[0], from_i, to_i));
        let rows = pixels.chunks_exact_mut(size[0]).skip(from_j);
        for (out, row) in rows.zip(slice.slice_move(s![j, i]).rows()) {
            for (pixel, hu) in out[from_i..].iter_mut().zip(row) {
                *pixel = *hu;
            }
        }
    }
    let padded = [from_i, from_j] != [0, 0] || [to_i, to_j] != size;
    (pixels, padded)
}

/// The same window of slice `k` of a mask, as a mask of one slice; clear outside the mask's box.
pub fn crop_mask(placed: &PlacedMask, k: usize, start: [i64; 2], size: [usize; 2]) -> Mask {
    let at = |start: i64, offset: usize| usize::try_from(start + offset as i64).ok();
    Mask::from_fn([size[0], size[1], 1], |i, j, _| {
        at(start[0], i).zip(at(start[1], j)).is_some_and(|(i, j)| placed.get(i, j, k))
    })
}

/// First and first-past-last pixel of a window that lie on an axis of `length` pixels.
fn overlap(start: i64, size: usize, length: usize) -> [usize; 2] {
    let from = (-start).clamp(0, size as i64);
    let to = (length as i64 - start).clamp(from, size as i64);
    [from as usize, to as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use proptest::prelude::*;

    /// 5 columns and 4 rows of 10·j + i.
    fn slice() -> Array2<i16> {
        Array2::from_shape_fn((4, 5), |(j, i)| (10 * j + i) as i16)
    }

    #[test]
    fn a_window_inside_is_copied() {
        let (pixels, padded) = crop_slice(slice().view(), [2, 1], [3, 2], -1000);
        assert_eq!(pixels, [12, 13, 14, 22, 23, 24]);
        assert!(!padded);
        assert!(!crop_slice(slice().view(), [0, 0], [5, 4], 0).1);
    }

    #[test]
    fn past_the_slice_is_filled() {
        let (pixels, padded) = crop_slice(slice().view(), [-1, 2], [3, 3], -7);
        assert_eq!(pixels, [-7, 20, 21, -7, 30, 31, -7, -7, -7]);
        assert!(padded);
        let (pixels, padded) = crop_slice(slice().view(), [50, -50], [2, 2], -7);
        assert_eq!((pixels, padded), (vec![-7; 4], true));
    }

    #[test]
    fn a_mask_is_cropped_by_its_place_in_the_scan() {
        let placed =
            PlacedMask { start: [3, 1, 7], mask: Mask::from_fn([2, 2, 1], |i, _, _| i == 0) };
        let mask = crop_mask(&placed, 7, [2, 2], [3, 2]);
        assert_eq!(mask.size(), [3, 2, 1]);
        assert_eq!(mask.voxels().collect::<Vec<_>>(), [[1, 0, 0]]);
        assert!(crop_mask(&placed, 6, [2, 2], [3, 2]).is_empty());
        assert_eq!(
            crop_mask(&placed, 7, [-4, -4], [8, 6]).voxels().collect::<Vec<_>>(),
            [[7, 5, 0]]
        );
    }

    proptest! {
        #[test]
        fn each_pixel_is_the_slice_s_or_fill(
            start in prop::array::uniform2(-8i64..8), size in prop::array::uniform2(1usize..9),
        ) {
            let slice = slice();
            let (pixels, padded) = crop_slice(slice.view(), start, size, -7);
            let mut outside = false;
            for (n, pixel) in pixels.into_iter().enumerate() {
                let (i, j) = (start[0] + (n % size[0]) as i64, start[1] + (n / size[0]) as i64);
                let inside = (0..5).contains(&i) && (0..4).contains(&j);
                prop_assert_eq!(pixel, if inside { (10 * j + i) as i16 } else { -7 });
                outside |= !inside;
            }
            prop_assert_eq!(padded, outside);
        }
    }
}
