//! Pixels of a slice that hold no data: filler past the field of view, or about crops that were laid into an empty scan.

use ndarray::ArrayView2;
use nodulus_formats::volume::Mask;

/// Side of the square of equal pixels that a pixel without data lies in.
///
/// METHOD: chosen. Noise differs from pixel to pixel; where a scanner cuts values off below (-1024 HU in air), many pixels are
/// equal, but squares of 25 are rare and do not join.
const SIDE: usize = 5;

/// Smallest area without data, as a share of the slice.
///
/// METHOD: chosen between the largest areas of equal pixels in the air of two whole scans of LIDC-IDRI (793 of 262,144 pixels,
/// 0.3%, before squares are asked for) and the corners outside a round field of view (13,943, 5.3%).
const LEAST_SHARE: f64 = 0.01;

/// The pixels of a slice, indexed (j, i), that hold no data; `None` where all do.
///
/// METHOD: an area has no data if its pixels have exactly the same value, each lies in a square of 5 × 5 of them, the area is
/// 4-connected, and it takes at least 1% of the slice. The value does not matter: files fill with -1000, -1024, -2000, -2048, -3024
/// or 0. A measured area of this size is constant only where values were cut off, and there it tells nothing either.
pub fn without_data(slice: &ArrayView2<'_, i16>) -> Option<Mask> {
    let (rows, columns) = slice.dim();
    let least = ((rows * columns) as f64 * LEAST_SHARE).max((SIDE * SIDE) as f64);
    let in_square = squares(slice);
    let mut left: Vec<bool> = in_square;
    let mut found: Option<Mask> = None;
    let mut area: Vec<usize> = Vec::new();
    for first in 0..left.len() {
        if !left[first] {
            continue;
        }
        let value = |p: usize| slice[[p / columns, p % columns]];
        left[first] = false;
        area.clear();
        area.push(first);
        let mut next = 0;
        while let Some(&p) = area.get(next) {
            next += 1;
            let (i, j) = (p % columns, p / columns);
            let neighbours = [
                (i > 0).then(|| p - 1),
                (i + 1 < columns).then(|| p + 1),
                (j > 0).then(|| p - columns),
                (j + 1 < rows).then(|| p + columns),
            ];
            for q in neighbours.into_iter().flatten() {
                if left[q] && value(q) == value(first) {
                    left[q] = false;
                    area.push(q);
                }
            }
        }
        if area.len() as f64 >= least {
            let mask = found.get_or_insert_with(|| Mask::empty([columns, rows, 1]));
            for p in &area {
                mask.set(p % columns, p / columns, 0, true);
            }
        }
    }
    found
}

/// Whether each pixel lies in a square of equal pixels, row by row.
fn squares(slice: &ArrayView2<'_, i16>) -> Vec<bool> {
    let (rows, columns) = slice.dim();
    let mut found = vec![false; rows * columns];
    // Number of rows up to this one with the same run of equal pixels that ends in this column.
    let mut height = vec![0usize; columns];
    for j in 0..rows {
        let mut run = 0;
        for i in 0..columns {
            let value = slice[[j, i]];
            run = if i > 0 && slice[[j, i - 1]] == value { run + 1 } else { 1 };
            let goes_on = j > 0 && slice[[j - 1, i]] == value;
            height[i] = match run >= SIDE {
                true if goes_on => height[i] + 1,
                true => 1,
                false => 0,
            };
            if height[i] >= SIDE {
                for row in j + 1 - SIDE..=j {
                    let start = row * columns + i + 1 - SIDE;
                    found[start..start + SIDE].fill(true);
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    /// 100 × 80 pixels of noise about a value, cut off below at `least`.
    fn noise(least: i16) -> Array2<i16> {
        let mut state = 1u64;
        Array2::from_shape_simple_fn((80, 100), || {
            // Knuth's linear congruential generator.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (-1060 + (state >> 33) as i16 % 100).max(least)
        })
    }

    fn count(slice: &Array2<i16>) -> usize {
        without_data(&slice.view()).map_or(0, |mask| mask.count())
    }

    #[test]
    fn noise_has_data_even_where_it_is_cut_off() {
        assert_eq!(count(&noise(i16::MIN)), 0);
        // Half of the pixels have the least value.
        assert_eq!(count(&noise(-1010)), 0);
        assert_eq!(count(&Array2::zeros((0, 0))), 0);
    }

    #[test]
    fn filler_about_a_crop_is_found_to_the_pixel_whatever_its_value() {
        for value in [-1000, -2048, 0] {
            let mut slice = noise(i16::MIN);
            let in_crop = |j: usize, i: usize| (20..60).contains(&j) && (30..70).contains(&i);
            for ((j, i), pixel) in slice.indexed_iter_mut() {
                if !in_crop(j, i) {
                    *pixel = value;
                }
            }
            let mask = without_data(&slice.view()).unwrap();
            let wrong = mask.voxels().filter(|[i, j, _]| in_crop(*j, *i)).count();
            assert_eq!(mask.count() - wrong, 8000 - 1600);
            // Pixels of the crop's border may have the filler's value by chance, not in a square.
            assert_eq!(wrong, 0);
        }
        assert_eq!(count(&Array2::from_elem((80, 100), -1000)), 8000);
    }

    #[test]
    fn small_or_thin_areas_are_data() {
        // 81 pixels are more than 1% of 8,000, 64 are less; strips are no squares.
        let with = |height: usize, width: usize| {
            let mut slice = noise(i16::MIN);
            slice.slice_mut(ndarray::s![10..10 + height, 10..10 + width]).fill(3071);
            count(&slice)
        };
        assert_eq!([with(9, 9), with(8, 8), with(4, 90), with(5, 60)], [81, 0, 0, 300]);
    }

    #[test]
    fn corners_past_a_round_field_of_view_are_found_apart() {
        let mut slice = noise(i16::MIN);
        let outside = |j: usize, i: usize| {
            (i as f64 - 49.5).powi(2) + (j as f64 - 39.5).powi(2) > 50.0f64.powi(2)
        };
        for ((j, i), pixel) in slice.indexed_iter_mut() {
            if outside(j, i) {
                *pixel = -2048;
            }
        }
        let mask = without_data(&slice.view()).unwrap();
        assert!(mask.voxels().all(|[i, j, _]| outside(j, i)));
        let n_outside = (0..8000).filter(|p| outside(p / 100, p % 100)).count();
        // The corners' thin tips hold no square.
        assert!(mask.count() > n_outside * 8 / 10, "{} of {n_outside}", mask.count());
        assert!([(0, 0), (99, 0), (0, 79), (99, 79)].iter().all(|(i, j)| mask.get(*i, *j, 0)));
    }
}
