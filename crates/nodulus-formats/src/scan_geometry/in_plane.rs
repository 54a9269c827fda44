//! Where the pixels of axial slices lie in the patient.

use crate::limits::POSITION_MM;
use crate::volume::{Geometry, InvalidGeometry};

/// Where the pixels of axial slices lie in x and y.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InPlane {
    origin_mm: [f64; 2],
    direction: [f64; 9],
}

/// Slices do not lie so in a patient.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InPlaneError {
    /// The origin is beyond [`POSITION_MM`].
    #[error("the origin is at {0:?} mm, expected {POSITION_MM}")]
    Origin([f64; 2]),
    /// The axes are not orthonormal.
    #[error(transparent)]
    Axes(#[from] InvalidGeometry),
    /// k is not the patient's z.
    #[error("the axis of k is {0:?}, expected 0, 0, 1, as slices are numbered by their height")]
    NotAxial([f64; 3]),
}

/// Most deviation of the axis of k from z: that of a rounded direction.
const AXIAL_TOLERANCE: f64 = 1e-4;

impl InPlane {
    /// The centre of pixel (0, 0), x and y, and the direction of the axes: a 3 × 3 matrix, row by row, whose columns are the unit
    /// vectors of i, j and k.
    ///
    /// # Errors
    ///
    /// Fails if the origin is beyond [`POSITION_MM`], the axes are not orthonormal, or k is not the patient's z.
    pub fn new(origin_mm: [f64; 2], direction: [f64; 9]) -> Result<Self, InPlaneError> {
        if !POSITION_MM.hold(&origin_mm) {
            return Err(InPlaneError::Origin(origin_mm));
        }
        let k = Geometry::new([1; 3], [1.0; 3], [0.0; 3], direction)?.axis(2);
        let is_axial = k[0].abs().max(k[1].abs()).max((k[2] - 1.0).abs()) <= AXIAL_TOLERANCE;
        if is_axial { Ok(Self { origin_mm, direction }) } else { Err(InPlaneError::NotAxial(k)) }
    }

    /// Centre of pixel (0, 0), x and y, LPS.
    pub const fn origin_mm(&self) -> [f64; 2] {
        self.origin_mm
    }

    /// The 3 × 3 direction matrix, row by row; its columns are the unit vectors of i, j and k.
    pub const fn direction(&self) -> [f64; 9] {
        self.direction
    }

    /// x and y of a position in pixels (i, j) of `spacing_mm`, LPS.
    pub fn xy_mm(&self, [i, j]: [f64; 2], spacing_mm: [f64; 2]) -> [f64; 2] {
        let (right, down) = (i * spacing_mm[0], j * spacing_mm[1]);
        std::array::from_fn(|a| {
            self.origin_mm[a] + self.direction[3 * a] * right + self.direction[3 * a + 1] * down
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "these numbers are exact")]
    fn pixels_lie_along_the_axes() {
        let turned =
            InPlane::new([10.0, 20.0], [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0]).unwrap();
        assert_eq!(turned.xy_mm([4.0, 8.0], [0.5, 0.25]), [8.0, 18.0]);
        let swapped =
            InPlane::new([0.0; 2], [0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]).unwrap();
        assert_eq!(swapped.xy_mm([4.0, 8.0], [0.5, 0.25]), [-2.0, 2.0]);
    }

    #[test]
    fn other_planes_are_refused() {
        let down = [1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0];
        assert_eq!(InPlane::new([0.0; 2], down), Err(InPlaneError::NotAxial([0.0, 0.0, -1.0])));
        assert!(matches!(InPlane::new([0.0; 2], [1.0; 9]), Err(InPlaneError::Axes(_))));
        let far = InPlane::new([0.0, 1e9], Geometry::AXIAL);
        assert_eq!(far, Err(InPlaneError::Origin([0.0, 1e9])));
    }
}
