//! Voxel values on a grid.

use super::geometry::Geometry;
use ndarray::{Array3, ArrayView2, Axis};

/// Voxels with their geometry.
#[derive(Clone, Debug, PartialEq)]
pub struct Volume<T> {
    geometry: Geometry,
    voxels: Array3<T>,
}

/// An array does not have the shape that its geometry needs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("voxels have shape {found:?} (k, j, i), expected {expected:?} as the geometry has")]
pub struct ShapeMismatch {
    /// Shape of the array.
    pub found: [usize; 3],
    /// Shape of the geometry.
    pub expected: [usize; 3],
}

impl<T> Volume<T> {
    /// Places voxels, indexed `[k, j, i]`, on a grid.
    ///
    /// # Errors
    ///
    /// Fails if the array does not have the shape of the geometry.
    pub fn new(geometry: Geometry, voxels: Array3<T>) -> Result<Self, ShapeMismatch> {
        let [i, j, k] = geometry.size();
        let (k0, j0, i0) = voxels.dim();
        if [k0, j0, i0] == [k, j, i] {
            Ok(Self { geometry, voxels })
        } else {
            Err(ShapeMismatch { found: [k0, j0, i0], expected: [k, j, i] })
        }
    }

    /// The grid.
    #[inline]
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Values, indexed `[k, j, i]`.
    #[inline]
    pub fn voxels(&self) -> &Array3<T> {
        &self.voxels
    }

    /// The values, without the grid.
    pub fn into_voxels(self) -> Array3<T> {
        self.voxels
    }

    /// Applies a function to every value.
    pub fn map<U>(self, value: impl FnMut(T) -> U) -> Volume<U>
    where
        T: Clone,
    {
        Volume { geometry: self.geometry, voxels: self.voxels.mapv(value) }
    }

    /// The slice k, indexed `[j, i]`; `None` past the end.
    #[inline]
    pub fn slice(&self, k: usize) -> Option<ArrayView2<'_, T>> {
        (k < self.voxels.dim().0).then(|| self.voxels.index_axis(Axis(0), k))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_shape_is_refused() {
        let geometry = Geometry::new([4, 3, 2], [1.0; 3], [0.0; 3], Geometry::AXIAL).unwrap();
        assert!(Volume::new(geometry, Array3::<i16>::zeros((2, 3, 4))).is_ok());
        assert_eq!(
            Volume::new(geometry, Array3::<i16>::zeros((4, 3, 2))).unwrap_err(),
            ShapeMismatch { found: [4, 3, 2], expected: [2, 3, 4] }
        );
    }
}
