//! The position and orientation of a NIfTI file's voxels.

use crate::volume::{Geometry, InvalidGeometry};
use nifti::NiftiHeader;

/// A header does not place its voxels in the patient.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidOrientation {
    /// Neither transform has a code.
    #[error("neither sform_code nor qform_code is set")]
    NoCode,
    /// The quaternion is not that of a rotation.
    #[error("quaternion ({0}, {1}, {2}) is not a rotation")]
    Quaternion(f32, f32, f32),
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

/// The geometry, LPS, of a header whose unit is `unit_mm`: that of the sform if its code is set, otherwise that of
/// the qform.
///
/// METHOD: if both are set they must agree. ITK takes the sform, or with some codes the qform, and ignores the other
/// one silently.
pub(super) fn geometry(
    header: &NiftiHeader,
    size: [usize; 3],
    unit_mm: f64,
) -> Result<Geometry, InvalidOrientation> {
    let sform = (header.sform_code > 0).then(|| sform(header, size, unit_mm)).transpose()?;
    let qform = (header.qform_code > 0).then(|| qform(header, size, unit_mm)).transpose()?;
    match (sform, qform) {
        (None, None) => Err(InvalidOrientation::NoCode),
        (Some(one), None) | (None, Some(one)) => Ok(one),
        (Some(sform), Some(qform)) => {
            let far = size.map(|n| (n - 1) as f64);
            let corners = [[0.0; 3], far, [far[0], 0.0, 0.0], [0.0, far[1], 0.0]];
            let apart = corners.into_iter().flat_map(|corner| {
                let (a, b) = (sform.voxel_to_patient(corner), qform.voxel_to_patient(corner));
                (0..3).map(move |axis| (a[axis] - b[axis]).abs())
            });
            let apart = apart.fold(0.0, f64::max);
            if apart > SAME_POSITION_MM {
                Err(InvalidOrientation::TwoPositions(apart))
            } else {
                Ok(sform)
            }
        }
    }
}

fn sform(
    header: &NiftiHeader,
    size: [usize; 3],
    unit_mm: f64,
) -> Result<Geometry, InvalidOrientation> {
    let rows = [header.srow_x, header.srow_y, header.srow_z];
    let rows = rows.map(|row| row.map(|value| f64::from(value) * unit_mm));
    let spacing: [f64; 3] =
        std::array::from_fn(|c| (0..3).map(|r| rows[r][c] * rows[r][c]).sum::<f64>().sqrt());
    let pixdim = pixdim(header, unit_mm);
    let same = |c: usize| (spacing[c] - pixdim[c]).abs() <= SAME_SPACING * pixdim[c];
    if !(0..3).all(same) {
        return Err(InvalidOrientation::TwoSpacings { sform: spacing, pixdim });
    }
    let axes = std::array::from_fn(|n| rows[n / 3][n % 3] / spacing[n % 3]);
    lps(size, spacing, rows.map(|row| row[3]), axes)
}

/// Method 2 of the standard: a rotation by a quaternion, and a sign for the k axis.
fn qform(
    header: &NiftiHeader,
    size: [usize; 3],
    unit_mm: f64,
) -> Result<Geometry, InvalidOrientation> {
    let quaternion = [header.quatern_b, header.quatern_c, header.quatern_d];
    let [b, c, d] = quaternion.map(f64::from);
    let left = 1.0 - (b * b + c * c + d * d);
    // The quaternion of a rotation by 180 degrees may be slightly too long, as it is rounded to 32 bits.
    if left.is_nan() || left < -1e-6 {
        let [b, c, d] = quaternion;
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
    let origin = [header.quatern_x, header.quatern_y, header.quatern_z];
    let origin = origin.map(|value| f64::from(value) * unit_mm);
    lps(size, pixdim(header, unit_mm), origin, axes)
}

fn pixdim(header: &NiftiHeader, unit_mm: f64) -> [f64; 3] {
    let [_, i, j, k, ..] = header.pixdim.map(|value| f64::from(value) * unit_mm);
    [i, j, k]
}

/// Negates x and y: RAS to LPS.
fn lps(
    size: [usize; 3],
    spacing: [f64; 3],
    origin: [f64; 3],
    axes: [f64; 9],
) -> Result<Geometry, InvalidOrientation> {
    let turned = |row: usize| if row < 2 { -1.0 } else { 1.0 };
    let origin = std::array::from_fn(|r| turned(r) * origin[r]);
    let axes = std::array::from_fn(|n| turned(n / 3) * axes[n]);
    Ok(Geometry::new(size, spacing, origin, axes)?)
}
