//! The position and orientation of a NIfTI file's voxels.

use super::fields::HeaderFields;
use crate::image_rules::ReadRules;
use crate::volume::{Geometry, InvalidGeometry};

/// A header does not place its voxels in the patient.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidOrientation {
    /// Neither transform has a code.
    #[error(
        "neither sform_code nor qform_code is set; `tolerances.image_files.unplaced = true` places an image from 0, \
         and `masks.unplaced = true` puts a mask on its image's grid"
    )]
    NoCode,
    /// The quaternion is not that of a rotation.
    #[error("quaternion ({0}, {1}, {2}) is not a rotation")]
    Quaternion(f64, f64, f64),
    /// The two transforms put voxels at different positions.
    #[error("sform and qform differ by {0:.4} mm")]
    TwoPositions(f64),
    /// The voxels of the sform do not have the size that the header gives.
    #[error("sform's voxels are {sform:?} mm, pixdim's {pixdim:?} mm")]
    TwoSpacings {
        /// Lengths of the columns of the sform.
        sform: [f64; 3],
        /// The spacing in the header.
        pixdim: [f64; 3],
    },
    /// The transform has a shear, or a voxel has no size.
    #[error(transparent)]
    Geometry(#[from] InvalidGeometry),
}

/// Transforms that differ by more than this at a corner are contradictory.
///
/// METHOD: rounding to 32 bits moves a corner by about 1e-4 mm.
const SAME_POSITION_MM: f64 = 1e-2;

/// Spacings that differ by more than this share are contradictory.
const SAME_SPACING: f64 = 1e-3;

/// Where a header places its voxels.
pub(super) struct Placement {
    pub(super) geometry: Geometry,
    /// Whether the header says so; else they lie from 0 along the patient's axes.
    pub(super) is_placed: bool,
    /// Whether the axes were made orthonormal.
    pub(super) is_sheared: bool,
}

/// The geometry, LPS, of a header whose unit is `unit_mm`: that of the sform if its code is set, otherwise that of
/// the qform; without any, and where the rules allow it, one from 0 along the patient's axes.
///
/// METHOD: if both are set they must agree. ITK takes the sform, or with some codes the qform, and ignores the other
/// one silently. Without codes, ITK places voxels from 0 along x, y and z of LPS, nibabel about 0 with x reversed.
pub(super) fn geometry(
    header: &HeaderFields,
    size: [usize; 3],
    unit_mm: f64,
    rules: &ReadRules,
) -> Result<Placement, InvalidOrientation> {
    let off_grid = rules.off_grid;
    let sform = (header.sform_code > 0).then(|| sform(header, size, unit_mm, off_grid));
    let qform = (header.qform_code > 0).then(|| qform(header, size, unit_mm, off_grid));
    let placed = |(geometry, is_sheared)| Placement { geometry, is_placed: true, is_sheared };
    match (sform.transpose()?, qform.transpose()?) {
        (None, None) if rules.unplaced => {
            let spacing = pixdim(header, unit_mm);
            let geometry = Geometry::new(size, spacing, [0.0; 3], Geometry::AXIAL)?;
            Ok(Placement { geometry, is_placed: false, is_sheared: false })
        }
        (None, None) => Err(InvalidOrientation::NoCode),
        (Some(one), None) | (None, Some(one)) => Ok(placed(one)),
        (Some((sform, is_sheared)), Some((qform, _))) => {
            let far = size.map(|n| (n - 1) as f64);
            let corners = [[0.0; 3], far, [far[0], 0.0, 0.0], [0.0, far[1], 0.0]];
            let apart = corners.into_iter().flat_map(|corner| {
                let (a, b) = (sform.voxel_to_patient(corner), qform.voxel_to_patient(corner));
                (0..3).map(move |axis| (a[axis] - b[axis]).abs())
            });
            let apart = apart.fold(0.0, f64::max);
            // A qform has no shear, so it differs from a sheared sform by as much as was straightened.
            let narrowest = sform.spacing().ijk().into_iter().fold(f64::INFINITY, f64::min);
            let sheared_mm = if is_sheared { off_grid * narrowest } else { 0.0 };
            if apart > SAME_POSITION_MM.max(sheared_mm) {
                Err(InvalidOrientation::TwoPositions(apart))
            } else {
                Ok(placed((sform, is_sheared)))
            }
        }
    }
}

fn sform(
    header: &HeaderFields,
    size: [usize; 3],
    unit_mm: f64,
    off_grid: f64,
) -> Result<(Geometry, bool), InvalidOrientation> {
    let rows = header.srow.map(|row| row.map(|value| value * unit_mm));
    let spacing: [f64; 3] =
        std::array::from_fn(|c| (0..3).map(|r| rows[r][c] * rows[r][c]).sum::<f64>().sqrt());
    let pixdim = pixdim(header, unit_mm);
    let same = |c: usize| (spacing[c] - pixdim[c]).abs() <= SAME_SPACING * pixdim[c];
    if !(0..3).all(same) {
        return Err(InvalidOrientation::TwoSpacings { sform: spacing, pixdim });
    }
    let axes = std::array::from_fn(|n| rows[n / 3][n % 3] / spacing[n % 3]);
    lps(size, spacing, rows.map(|row| row[3]), axes, off_grid)
}

/// Method 2 of the standard: a rotation by a quaternion, and a sign for the k axis.
fn qform(
    header: &HeaderFields,
    size: [usize; 3],
    unit_mm: f64,
    off_grid: f64,
) -> Result<(Geometry, bool), InvalidOrientation> {
    let [b, c, d] = header.quaternion;
    let left = 1.0 - (b * b + c * c + d * d);
    // The quaternion of a rotation by 180 degrees may be slightly too long, as it is rounded to 32 bits.
    if left.is_nan() || left < -1e-6 {
        return Err(InvalidOrientation::Quaternion(b, c, d));
    }
    let a = left.max(0.0).sqrt();
    let sign = if header.pixdim[0] < 0.0 { -1.0 } else { 1.0 };
    let axes = [
        a * a + b * b - c * c - d * d,
        2.0 * (b * c - a * d),
        2.0 * (b * d + a * c) * sign,
        2.0 * (b * c + a * d),
        a * a + c * c - b * b - d * d,
        2.0 * (c * d - a * b) * sign,
        2.0 * (b * d - a * c),
        2.0 * (c * d + a * b),
        (a * a + d * d - b * b - c * c) * sign,
    ];
    let origin = header.qoffset.map(|value| value * unit_mm);
    lps(size, pixdim(header, unit_mm), origin, axes, off_grid)
}

fn pixdim(header: &HeaderFields, unit_mm: f64) -> [f64; 3] {
    let [_, i, j, k, ..] = header.pixdim.map(|value| value * unit_mm);
    [i, j, k]
}

/// Negates x and y: RAS to LPS.
fn lps(
    size: [usize; 3],
    spacing: [f64; 3],
    origin: [f64; 3],
    axes: [f64; 9],
    off_grid: f64,
) -> Result<(Geometry, bool), InvalidOrientation> {
    let turned = |row: usize| if row < 2 { -1.0 } else { 1.0 };
    let origin = std::array::from_fn(|r| turned(r) * origin[r]);
    let axes = std::array::from_fn(|n| turned(n / 3) * axes[n]);
    Ok(Geometry::nearest(size, spacing, origin, axes, off_grid)?)
}
