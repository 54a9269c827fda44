//! The slices that a network takes together: a slice and its neighbours.

use super::config::Config;
use std::ops::Range;

/// Rows, columns and slices of an image that a network takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ImageShape {
    /// Slices, k ascending; the slice that is segmented is the one in the middle.
    pub(super) slices: usize,
    /// Rows and columns.
    pub(super) side: usize,
}

impl ImageShape {
    /// Values of an image.
    pub(super) fn n_values(self) -> usize {
        self.slices * self.side * self.side
    }
}

impl Config {
    /// Size of an image that the network takes.
    pub(super) fn image_shape(&self) -> ImageShape {
        ImageShape { slices: self.input_slices, side: self.image_size }
    }
}

/// The slices that a network takes with slice `k` of those `within`: [`Config::input_slices`] of them, ascending, with `k` in the
/// middle.
///
/// METHOD: neighbours are the scan's own slices, whatever their distance in mm: an interpolated slice would hold nothing that
/// they do not. Past the first and the last slice, that one stands again, which invents no tissue and no air.
pub fn input_slices(
    k: usize,
    within: &Range<usize>,
    n_slices: usize,
) -> impl Iterator<Item = usize> + use<> {
    let (first, last) = (within.start, within.end.saturating_sub(1).max(within.start));
    let half = n_slices / 2;
    (0..n_slices).map(move |plane| (k + plane).saturating_sub(half).clamp(first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_slice_stand_for_those_past_them() {
        let found = |k, within, n| input_slices(k, &within, n).collect::<Vec<_>>();
        assert_eq!(found(4, 0..10, 1), [4]);
        assert_eq!(found(4, 0..10, 5), [2, 3, 4, 5, 6]);
        assert_eq!(found(0, 0..10, 5), [0, 0, 0, 1, 2]);
        assert_eq!(found(6, 5..7, 7), [5, 5, 5, 6, 6, 6, 6]);
        assert_eq!(found(3, 3..4, 3), [3, 3, 3]);
        assert_eq!(found(3, 3..3, 3), [3, 3, 3]);
    }
}
