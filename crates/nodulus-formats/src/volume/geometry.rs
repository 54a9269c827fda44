//! The position of voxels in the patient.

use crate::limits::{MOST_VOXELS_ALONG, POSITION_MM, SPACING_MM, decimals_over};
use nodulus_faults::quoted;

/// Distance between voxel centres along i, j and k, in millimetres; within [`SPACING_MM`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpacingMm([f64; 3]);

/// A geometry that no scan can have.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidGeometry {
    /// A spacing is beyond [`SPACING_MM`].
    #[error("spacing must be {SPACING_MM} along i, j and k, got {} mm", quoted::numbers(.0))]
    Spacing([f64; 3]),
    /// The origin is beyond [`POSITION_MM`].
    #[error("origin must be {POSITION_MM} along x, y and z, got {} mm", quoted::numbers(.0))]
    Origin([f64; 3]),
    /// The axes are not orthonormal.
    #[error(
        "axes must be unit vectors at right angles, got {} (deviation {})",
        quoted::numbers(.0),
        quoted::text(&format!("{:.2e}", .1))
    )]
    Direction([f64; 9], f64),
    /// The axes are nearly orthonormal, but not near enough.
    #[error(
        "axes are at no right angles, {axes:?}: the nearest ones that are move a voxel by {moved:.n$} of its size, \
         expected at most {most}", n = decimals_over(*moved, *most, 4)
    )]
    Sheared {
        /// The axes, row by row.
        axes: [f64; 9],
        /// How far a corner moves, as a share of a voxel along each axis.
        moved: f64,
        /// The tolerance.
        most: f64,
    },
    /// Shifted slices need a grid of far more voxels than they have.
    #[error(
        "the slices shift so far that a grid that holds all needs {} voxels along i and j, more than {most} times the {} of \
         a slice: no tilted gantry shifts so far, check the positions",
        quoted::numbers(needed),
        quoted::numbers(of_slice)
    )]
    TooWide {
        /// Voxels of the grid along i and j.
        needed: [usize; 2],
        /// Voxels of a slice along i and j.
        of_slice: [usize; 2],
        /// How many times as many voxels the grid may have.
        most: usize,
    },
    /// A dimension is zero or more than [`MOST_VOXELS_ALONG`], or the number of voxels does not fit in memory.
    #[error("size must be 1 to {MOST_VOXELS_ALONG} voxels along i, j and k, got {}", quoted::numbers(.0))]
    Size([usize; 3]),
}

impl TryFrom<[f64; 3]> for SpacingMm {
    type Error = InvalidGeometry;

    fn try_from(ijk: [f64; 3]) -> Result<Self, InvalidGeometry> {
        if SPACING_MM.hold(&ijk) { Ok(Self(ijk)) } else { Err(InvalidGeometry::Spacing(ijk)) }
    }
}

impl SpacingMm {
    /// Spacing along i, j and k.
    #[inline]
    pub fn ijk(self) -> [f64; 3] {
        self.0
    }

    /// Volume of one voxel, in cubic millimetres.
    #[inline]
    pub fn voxel_volume_mm3(self) -> f64 {
        self.0.iter().product()
    }
}

/// Size, spacing, position and orientation of a voxel grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Geometry {
    size: [usize; 3],
    spacing: SpacingMm,
    origin_mm: [f64; 3],
    direction: [f64; 9],
}

/// Axes that deviate more than this from orthonormal are refused.
///
/// METHOD: DICOM stores direction cosines as decimal strings of up to 16 characters, and scanners round them to 6
/// digits or fewer. 1e-4 accepts every rounded orientation and refuses a shear.
const ORTHONORMAL_TOLERANCE: f64 = 1e-4;

/// Axes that deviate more than this are not those of a scan with a small shear.
const MOST_SHEAR: f64 = 0.1;

impl Geometry {
    /// Directions of a volume whose i, j and k axes are the patient's x, y and z.
    pub const AXIAL: [f64; 9] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];

    /// Creates a geometry and checks it.
    ///
    /// `size` (voxels) and `spacing_mm` are along i, j, k. `origin_mm` is the centre of voxel (0, 0, 0), LPS.
    /// `direction` is a 3 × 3 matrix, row by row, whose columns are the unit vectors of i, j and k: the convention of
    /// ITK, and the transpose of MetaImage's `TransformMatrix`.
    ///
    /// # Errors
    ///
    /// Fails if the size is zero, too large to address or beyond [`MOST_VOXELS_ALONG`], a spacing is beyond [`SPACING_MM`],
    /// the origin is beyond [`POSITION_MM`], or the axes are not orthonormal.
    pub fn new(
        size: [usize; 3],
        spacing_mm: [f64; 3],
        origin_mm: [f64; 3],
        direction: [f64; 9],
    ) -> Result<Self, InvalidGeometry> {
        let voxels = size.iter().try_fold(1usize, |n, &s| n.checked_mul(s));
        let is_addressable = voxels.is_some_and(|n| n <= isize::MAX as usize / 8);
        if !is_addressable || !size.iter().all(|n| (1..=MOST_VOXELS_ALONG).contains(n)) {
            return Err(InvalidGeometry::Size(size));
        }
        let spacing = SpacingMm::try_from(spacing_mm)?;
        if !POSITION_MM.hold(&origin_mm) {
            return Err(InvalidGeometry::Origin(origin_mm));
        }
        let deviation = orthonormal_deviation(&direction);
        if deviation.is_nan() || deviation > ORTHONORMAL_TOLERANCE {
            return Err(InvalidGeometry::Direction(direction, deviation));
        }
        Ok(Self { size, spacing, origin_mm, direction })
    }

    /// Creates a geometry as [`Geometry::new`], or the nearest one for axes that are not quite at right angles; says
    /// whether they were not. No voxel may then move by more than `most` of its size along an axis.
    ///
    /// METHOD: the nearest orthonormal axes are those of the polar decomposition (Higham 1986), by Newton's iteration;
    /// the grid's centre keeps its position.
    ///
    /// # Errors
    ///
    /// Fails as [`Geometry::new`] does, or if a voxel would move further.
    pub fn nearest(
        size: [usize; 3],
        spacing_mm: [f64; 3],
        origin_mm: [f64; 3],
        direction: [f64; 9],
        most: f64,
    ) -> Result<(Self, bool), InvalidGeometry> {
        let refused = match Self::new(size, spacing_mm, origin_mm, direction) {
            Ok(geometry) => return Ok((geometry, false)),
            Err(InvalidGeometry::Direction(axes, deviation)) if deviation < MOST_SHEAR => {
                InvalidGeometry::Direction(axes, deviation)
            }
            Err(error) => return Err(error),
        };
        let axes = nearest_orthonormal(direction).ok_or(refused)?;
        let last = size.map(|n| n.saturating_sub(1) as f64);
        // Millimetres from the first voxel to a position on the grid, along sheared and along straight axes.
        let offset = |matrix: &[f64; 9], ijk: [f64; 3]| -> [f64; 3] {
            std::array::from_fn(|r| {
                (0..3).map(|c| matrix[3 * r + c] * ijk[c] * spacing_mm[c]).sum()
            })
        };
        let middle = last.map(|n| n / 2.0);
        let (sheared, straight) = (offset(&direction, middle), offset(&axes, middle));
        let origin = std::array::from_fn(|r| origin_mm[r] + sheared[r] - straight[r]);
        let geometry = Self::new(size, spacing_mm, origin, axes)?;
        let mut moved = 0.0f64;
        for n in 0..8u8 {
            let corner = std::array::from_fn(|a| f64::from(n >> a & 1) * last[a]);
            let from_first = offset(&direction, corner);
            let there: [f64; 3] = std::array::from_fn(|r| origin_mm[r] + from_first[r]);
            let position = geometry.patient_to_voxel(there);
            moved = (0..3).map(|a| (position[a] - corner[a]).abs()).fold(moved, f64::max);
        }
        if moved <= most {
            Ok((geometry, true))
        } else {
            Err(InvalidGeometry::Sheared { axes: direction, moved, most })
        }
    }

    /// Number of voxels along i, j and k.
    #[inline]
    pub fn size(&self) -> [usize; 3] {
        self.size
    }

    /// Spacing along i, j and k.
    #[inline]
    pub fn spacing(&self) -> SpacingMm {
        self.spacing
    }

    /// Centre of voxel (0, 0, 0), LPS.
    #[inline]
    pub fn origin_mm(&self) -> [f64; 3] {
        self.origin_mm
    }

    /// The 3 × 3 direction matrix, row by row; its columns are the unit vectors of i, j and k.
    #[inline]
    pub fn direction(&self) -> [f64; 9] {
        self.direction
    }

    /// Unit vector, LPS, of an axis: 0 = i, 1 = j, 2 = k.
    #[inline]
    pub fn axis(&self, axis: usize) -> [f64; 3] {
        [self.direction[axis], self.direction[3 + axis], self.direction[6 + axis]]
    }

    /// Number of voxels.
    #[inline]
    pub fn n_voxels(&self) -> usize {
        self.size.iter().product()
    }

    /// Position in the patient, LPS in millimetres, of a voxel index, which may have fractions.
    #[inline]
    pub fn voxel_to_patient(&self, ijk: [f64; 3]) -> [f64; 3] {
        let s = self.spacing.ijk();
        let scaled = [ijk[0] * s[0], ijk[1] * s[1], ijk[2] * s[2]];
        let d = &self.direction;
        std::array::from_fn(|r| {
            self.origin_mm[r]
                + d[3 * r] * scaled[0]
                + d[3 * r + 1] * scaled[1]
                + d[3 * r + 2] * scaled[2]
        })
    }

    /// Voxel index, with fractions, of a position in the patient, LPS in millimetres.
    #[inline]
    pub fn patient_to_voxel(&self, xyz_mm: [f64; 3]) -> [f64; 3] {
        let s = self.spacing.ijk();
        let offset: [f64; 3] = std::array::from_fn(|r| xyz_mm[r] - self.origin_mm[r]);
        // The inverse of an orthonormal matrix is its transpose.
        std::array::from_fn(|c| {
            let axis = self.axis(c);
            (axis[0] * offset[0] + axis[1] * offset[1] + axis[2] * offset[2]) / s[c]
        })
    }

    /// The voxel (i, j, k) that contains an index with fractions; `None` outside the grid.
    #[inline]
    pub fn nearest_voxel(&self, ijk: [f64; 3]) -> Option<[usize; 3]> {
        let mut voxel = [0; 3];
        for a in 0..3 {
            let v = ijk[a].round();
            if !(v >= 0.0 && v < self.size[a] as f64) {
                return None;
            }
            voxel[a] = v as usize;
        }
        Some(voxel)
    }
}

/// The orthonormal matrix nearest to one that is nearly so; `None` where there is none.
fn nearest_orthonormal(mut d: [f64; 9]) -> Option<[f64; 9]> {
    for _ in 0..10 {
        let determinant = d[0] * (d[4] * d[8] - d[5] * d[7]) - d[1] * (d[3] * d[8] - d[5] * d[6])
            + d[2] * (d[3] * d[7] - d[4] * d[6]);
        if determinant.is_nan() || determinant.abs() < 0.5 {
            return None;
        }
        // The matrix of cofactors, divided by the determinant, is the inverse of the transpose.
        let cofactor = |r: usize, c: usize| {
            let at = |row: usize, column: usize| d[3 * ((r + row) % 3) + (c + column) % 3];
            at(1, 1) * at(2, 2) - at(1, 2) * at(2, 1)
        };
        d = std::array::from_fn(|n| 0.5 * (d[n] + cofactor(n / 3, n % 3) / determinant));
    }
    Some(d)
}

/// The largest deviation of `DᵀD` from the identity; NaN where the matrix has a NaN.
fn orthonormal_deviation(d: &[f64; 9]) -> f64 {
    let mut worst: f64 = 0.0;
    for a in 0..3 {
        for b in a..3 {
            let dot: f64 = (0..3).map(|r| d[3 * r + a] * d[3 * r + b]).sum();
            let deviation = (dot - f64::from(u8::from(a == b))).abs();
            // `f64::max` ignores NaN, which must be refused.
            if deviation.is_nan() {
                return f64::NAN;
            }
            worst = worst.max(deviation);
        }
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn geometries_that_no_scan_has_are_refused() {
        let axial = Geometry::AXIAL;
        let make = |size, spacing, direction| Geometry::new(size, spacing, [0.0; 3], direction);
        assert!(matches!(make([0, 1, 1], [1.0; 3], axial), Err(InvalidGeometry::Size(_))));
        assert!(matches!(make([usize::MAX, 2, 1], [1.0; 3], axial), Err(InvalidGeometry::Size(_))));
        assert!(matches!(make([1; 3], [1.0, 0.0, 1.0], axial), Err(InvalidGeometry::Spacing(_))));
        assert!(matches!(
            make([1; 3], [1.0, f64::NAN, 1.0], axial),
            Err(InvalidGeometry::Spacing(_))
        ));
        for (size, spacing, origin, expected) in [
            (
                [1; 3],
                0.009,
                0.0,
                "spacing must be 0.01 to 50 mm along i, j and k, got [0.009, 0.009, 0.009] mm",
            ),
            (
                [1; 3],
                50.5,
                0.0,
                "spacing must be 0.01 to 50 mm along i, j and k, got [50.5, 50.5, 50.5] mm",
            ),
            (
                [1; 3],
                1.0,
                1e7,
                "origin must be -1000000 to 1000000 mm along x, y and z, got [10000000.0, ",
            ),
            (
                [1; 3],
                1.0,
                f64::NAN,
                "origin must be -1000000 to 1000000 mm along x, y and z, got [NaN, ",
            ),
            (
                [70_000, 1, 1],
                1.0,
                0.0,
                "size must be 1 to 65535 voxels along i, j and k, got [70000, 1, 1]",
            ),
        ] {
            let error =
                Geometry::new(size, [spacing; 3], [origin; 3], axial).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        assert!(Geometry::new([65_535, 1, 1], [0.01, 50.0, 1.0], [-1e6, 1e6, 0.0], axial).is_ok());
        let mut sheared = axial;
        sheared[1] = 0.1;
        assert!(matches!(make([1; 3], [1.0; 3], sheared), Err(InvalidGeometry::Direction(..))));
        sheared[1] = f64::NAN;
        assert!(matches!(make([1; 3], [1.0; 3], sheared), Err(InvalidGeometry::Direction(..))));
    }

    #[test]
    fn a_small_shear_is_straightened_about_the_centre() {
        let sheared = [1.0, 2e-4, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        let nearest = |size, most| {
            Geometry::nearest(size, [0.7, 0.7, 2.0], [-10.0, 20.0, 30.0], sheared, most)
        };
        let (geometry, is_sheared) = nearest([65, 65, 9], 0.1).unwrap();
        assert!(is_sheared);
        // scipy.linalg.polar of the matrix.
        let expected = [0.999_999_995, 1e-4, 0.0, -1e-4, 0.999_999_995, 0.0, 0.0, 0.0, 1.0];
        for (found, expected) in geometry.direction().iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
        let middle = geometry.voxel_to_patient([32.0, 32.0, 4.0]);
        for (found, expected) in middle.iter().zip([-10.0 + 22.4 * 1.0002, 42.4, 38.0]) {
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
        let error = nearest([2049, 2049, 9], 0.1).unwrap_err().to_string();
        assert!(
            error.contains("move a voxel by 0.1024 of its size, expected at most 0.1"),
            "{error}"
        );
        let axial = Geometry::nearest([2; 3], [1.0; 3], [0.0; 3], Geometry::AXIAL, 0.0).unwrap();
        assert!(!axial.1);
        let far = [1.0, 0.3, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        let far = Geometry::nearest([2; 3], [1.0; 3], [0.0; 3], far, 1.0);
        assert!(matches!(far, Err(InvalidGeometry::Direction(..))));
    }

    proptest! {
        #[test]
        fn voxel_to_patient_and_back(
            ijk in prop::array::uniform3(-500.0..500.0f64),
            spacing in prop::array::uniform3(0.3..5.0f64),
            origin in prop::array::uniform3(-400.0..400.0f64),
            angle in 0.0..std::f64::consts::TAU,
        ) {
            let (s, c) = angle.sin_cos();
            let rotated = [c, -s, 0.0, s, c, 0.0, 0.0, 0.0, -1.0];
            let geometry = Geometry::new([10, 11, 12], spacing, origin, rotated).unwrap();
            let back = geometry.patient_to_voxel(geometry.voxel_to_patient(ijk));
            for a in 0..3 {
                prop_assert!((back[a] - ijk[a]).abs() < 1e-9);
            }
        }
    }
}
