//! The images of a nodule's slices, as a network takes them.

use crate::tables::Roi;
use nodulus_imaging::normalise::normalise_slice;
use nodulus_nets::input_slices;

/// The image of slice `n` for a network of `side` × `side` pixels: the slice between its neighbours where the network takes several,
/// in 0..1 of the slice's window, k slowest. `slices` have all slices of the nodule, one after the other, ascending; before and after
/// them may be those of others.
///
/// METHOD: neighbours are those of the nodule's own region. Where it ends, its last slice stands again
/// ([`nodulus_nets::input_slices`]).
///
/// # Errors
///
/// Fails with the slice that does not have the network's size.
pub(super) fn image(
    slices: &[Roi],
    n: usize,
    side: usize,
    n_slices: usize,
) -> Result<Vec<f32>, &Roi> {
    let nodule = slices.get(n).map(|roi| roi.nodule_id.as_str());
    let is_of_nodule = |roi: &&Roi| Some(roi.nodule_id.as_str()) == nodule;
    let half = n_slices / 2;
    let before = slices.iter().take(n).rev().take(half).take_while(is_of_nodule).count();
    let after = slices.iter().skip(n + 1).take(half).take_while(is_of_nodule).count();
    let mut image = Vec::with_capacity(n_slices * side * side);
    for plane in input_slices(n, &(n - before.min(n)..n + after + 1), n_slices) {
        let Some(roi) = slices.get(plane) else { continue };
        let hu = roi.pixels_hu().filter(|_| [roi.height, roi.width] == [side as i64; 2]);
        image.extend(normalise_slice(&hu.ok_or(roi)?, roi.norm_low_hu, roi.norm_high_hu));
    }
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::crop::test_rows::roi;

    fn slice(nodule_id: &str, k: i64, hu: i16) -> Roi {
        let roi = roi(&[hu], &[true], &[0]);
        let window = Roi { norm_low_hu: 0.0, norm_high_hu: 100.0, slice_index: k, ..roi };
        Roi { nodule_id: nodule_id.to_owned(), ..window }
    }

    #[test]
    fn neighbours_are_the_nodules_own() {
        let slices = [
            slice("a", 4, 10),
            slice("b", 7, 20),
            slice("b", 8, 30),
            slice("b", 9, 40),
            slice("c", 3, 50),
        ];
        let found = |n, n_slices| {
            let image = image(&slices, n, 1, n_slices).unwrap();
            image.into_iter().map(|p| (100.0 * p).round() as i32).collect::<Vec<_>>()
        };
        assert_eq!(found(2, 1), [30]);
        assert_eq!(found(2, 3), [20, 30, 40]);
        assert_eq!(found(2, 7), [20, 20, 20, 30, 40, 40, 40]);
        assert_eq!(found(1, 3), [20, 20, 30]);
        assert_eq!(found(3, 5), [20, 30, 40, 40, 40]);
        assert_eq!(found(0, 3), [10, 10, 10]);
        assert_eq!(found(4, 5), [50; 5]);
    }

    #[test]
    fn a_slice_of_another_size_is_refused_also_as_a_neighbour() {
        let wide = Roi { width: 2, ..slice("a", 5, 10) };
        let slices = [slice("a", 4, 10), wide, slice("a", 6, 10), slice("a", 7, 10)];
        let failed = |n, n_slices| image(&slices, n, 1, n_slices).err().map(|roi| roi.slice_index);
        assert_eq!([failed(0, 1), failed(1, 1), failed(2, 1)], [None, Some(5), None]);
        assert_eq!([failed(0, 3), failed(2, 3), failed(3, 3)], [Some(5), Some(5), None]);
    }
}
