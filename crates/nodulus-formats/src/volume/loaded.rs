//! Some slices of a scan, with the geometry of the whole scan.

use super::geometry::Geometry;
use super::grid::{ShapeMismatch, Volume};
use ndarray::{Array3, ArrayView2, Axis};
use std::ops::Range;

/// Ranges of slices k: ascending, disjoint, none of them empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SliceRanges(Vec<Range<usize>>);

impl SliceRanges {
    /// Every slice, however many there are.
    pub fn all() -> Self {
        std::iter::once(0..usize::MAX).collect()
    }

    /// The part of the ranges that lies in `slices`.
    #[must_use]
    pub fn within(&self, slices: &Range<usize>) -> Self {
        self.0.iter().map(|r| r.start.max(slices.start)..r.end.min(slices.end)).collect()
    }

    /// The ranges.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.0.iter().cloned()
    }

    /// Number of slices.
    #[inline]
    pub fn n_slices(&self) -> usize {
        self.0.iter().map(ExactSizeIterator::len).sum()
    }

    /// The number of slices in the ranges that come before k; `None` where k is in no range.
    #[inline]
    pub fn position(&self, k: usize) -> Option<usize> {
        let mut before = 0;
        for range in &self.0 {
            if range.contains(&k) {
                return Some(before + k - range.start);
            }
            before += range.len();
        }
        None
    }
}

impl FromIterator<Range<usize>> for SliceRanges {
    /// Takes ranges in any order, joins those that touch and drops empty ones.
    fn from_iter<I: IntoIterator<Item = Range<usize>>>(ranges: I) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().filter(|range| !range.is_empty()).collect();
        ranges.sort_by_key(|range| range.start);
        let mut joined: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        Self(joined)
    }
}

/// Slices of a scan that were read, and the geometry of the whole scan.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedSlices<T> {
    geometry: Geometry,
    ranges: SliceRanges,
    /// The slices one after the other, `[n, j, i]`.
    voxels: Array3<T>,
}

impl<T> LoadedSlices<T> {
    /// Places slices on the grid of their scan. `voxels` has the slices of `ranges` one after the other, indexed `[n,
    /// j, i]`; ranges past the end of the scan are ignored.
    ///
    /// # Errors
    ///
    /// Fails if the array does not have the shape of the slices.
    pub fn new(
        geometry: Geometry,
        ranges: &SliceRanges,
        voxels: Array3<T>,
    ) -> Result<Self, ShapeMismatch> {
        let [ni, nj, nk] = geometry.size();
        let ranges = ranges.within(&(0..nk));
        let (n, j, i) = voxels.dim();
        let expected = [ranges.n_slices(), nj, ni];
        if [n, j, i] == expected {
            Ok(Self { geometry, ranges, voxels })
        } else {
            Err(ShapeMismatch { found: [n, j, i], expected })
        }
    }

    /// The grid of the whole scan.
    #[inline]
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The slice k, indexed `[j, i]`; `None` where it was not read.
    #[inline]
    pub fn slice(&self, k: usize) -> Option<ArrayView2<'_, T>> {
        self.ranges.position(k).map(|n| self.voxels.index_axis(Axis(0), n))
    }

    /// The whole volume.
    ///
    /// # Errors
    ///
    /// Fails if some slice was not read.
    pub fn into_volume(self) -> Result<Volume<T>, ShapeMismatch> {
        Volume::new(self.geometry, self.voxels)
    }
}

impl<T> From<Volume<T>> for LoadedSlices<T> {
    fn from(volume: Volume<T>) -> Self {
        let geometry = *volume.geometry();
        let ranges = SliceRanges::all().within(&(0..geometry.size()[2]));
        Self { geometry, ranges, voxels: volume.into_voxels() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(ranges: &[(usize, usize)]) -> SliceRanges {
        ranges.iter().map(|(start, end)| *start..*end).collect()
    }

    #[test]
    fn ranges_are_joined_where_they_touch() {
        let joined = ranges(&[(7, 9), (0, 2), (4, 4), (2, 3), (1, 2), (12, 20)]);
        assert_eq!(joined.iter().collect::<Vec<_>>(), [0..3, 7..9, 12..20]);
        assert_eq!(joined.n_slices(), 13);
        assert_eq!(
            [0, 2, 3, 8, 12].map(|k| joined.position(k)),
            [Some(0), Some(2), None, Some(4), Some(5)]
        );
        assert_eq!(joined.within(&(2..13)), ranges(&[(2, 3), (7, 9), (12, 13)]));
        assert_eq!(joined.within(&(3..7)), SliceRanges::default());
        assert_eq!(SliceRanges::all().within(&(0..5)), ranges(&[(0, 5)]));
    }

    #[test]
    fn slices_keep_their_k_in_the_scan() {
        let geometry = Geometry::new([2, 1, 9], [1.0; 3], [0.0; 3], Geometry::AXIAL).unwrap();
        let voxels = Array3::from_shape_fn((3, 1, 2), |(n, _, i)| 10 * n + i);
        let wanted = ranges(&[(1, 2), (7, 99)]);
        let loaded = LoadedSlices::new(geometry, &wanted, voxels.clone()).unwrap();
        assert_eq!(loaded.geometry().size(), [2, 1, 9]);
        assert_eq!(loaded.slice(8).unwrap()[[0, 1]], 21);
        assert_eq!([loaded.slice(0), loaded.slice(9)], [None, None]);
        assert_eq!(loaded.into_volume().unwrap_err().expected, [9, 1, 2]);
        let few = LoadedSlices::new(geometry, &ranges(&[(1, 2)]), voxels).unwrap_err();
        assert_eq!((few.found, few.expected), ([3, 1, 2], [1, 1, 2]));
    }

    #[test]
    fn a_volume_is_all_slices() {
        let geometry = Geometry::new([1, 1, 2], [1.0; 3], [0.0; 3], Geometry::AXIAL).unwrap();
        let volume = Volume::new(geometry, Array3::from_shape_vec((2, 1, 1), vec![5, 6]).unwrap());
        let volume = volume.unwrap();
        let loaded = LoadedSlices::from(volume.clone());
        assert_eq!(loaded.slice(1).unwrap()[[0, 0]], 6);
        assert_eq!(loaded.into_volume().unwrap(), volume);
    }
}
