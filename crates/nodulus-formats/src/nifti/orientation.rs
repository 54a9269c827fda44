//! The position and orientation of a NIfTI file's voxels.

use super::fields::HeaderFields;
use crate::image_rules::ReadRules;
use crate::volume::{Geometry, InvalidGeometry};
use nodulus_faults::quoted;

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
    #[error(
        "quaternion ({}, {}, {}) is not a rotation",
        quoted::text(.0),
        quoted::text(.1),
        quoted::text(.2)
    )]
    Quaternion(f64, f64, f64),
    /// The two transforms put voxels at different positions.
    #[error(
        "sform and qform differ by {apart_mm:.4} mm, expected at most {limit_mm:.4} mm, by which rounding to 32 bits moves a \
         corner: unset the code of the wrong one"
    )]
    TwoPositions {
        /// Greatest distance of a corner's two positions along an axis.
        apart_mm: f64,
        /// Greatest distance allowed.
        limit_mm: f64,
    },
    /// The voxels of the sform do not have the size that the header gives.
    #[error(
        "sform's voxels are {} mm, pixdim's {} mm",
        quoted::numbers(sform),
        quoted::numbers(pixdim)
    )]
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

/// Transforms that differ by more than this at a corner are contradictory, unless the quaternion is rounded by more.
///
/// METHOD: rounding the matrix, the offsets and the spacings to 32 bits moves a corner by about 1e-4 mm.
const SAME_POSITION_MM: f64 = 1e-2;

/// The greatest error of b² + c² + d².
///
/// METHOD: rounding b, c and d to 32 bits changes it by 1.2e-7 at most; of 3,000 headers that ITK and nibabel wrote, with
/// tilts of 1e-5 to 0.3 radians, the worst was off by 8.4e-8.
const QUATERNION_ROUNDING: f64 = 2.5e-7;

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
            let extent: f64 = (0..3).map(|a| (far[a] * sform.spacing().ijk()[a]).powi(2)).sum();
            let turned_mm = extent.sqrt() * quaternion_angle_error(header.quaternion);
            let limit_mm = SAME_POSITION_MM.max(sheared_mm) + turned_mm;
            if apart > limit_mm {
                Err(InvalidOrientation::TwoPositions { apart_mm: apart, limit_mm })
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

/// The angle by which rounding may turn the rotation of a quaternion, in radians.
///
/// METHOD: the file holds b, c and d, and a is the root of 1 - (b² + c² + d²). Near half a turn, as in files whose axes were
/// LPS, a is close to 0, where the root makes a small error large: up to 0.001 radians, 0.4 mm over 400 mm. The sform
/// has no such loss, and is the one that is kept.
fn quaternion_angle_error([b, c, d]: [f64; 3]) -> f64 {
    let left = (1.0 - (b * b + c * c + d * d)).max(0.0);
    let root = |offset: f64| (left + offset).max(0.0).sqrt();
    let a = root(0.0);
    2.0 * (root(QUATERNION_ROUNDING) - a).max(a - root(-QUATERNION_ROUNDING))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voxel_encoding::ByteOrder;

    /// The quaternion of a rotation, as b, c, d of 32 bits; nibabel's `mat2quat` gives the same, with a of at least 0.
    fn quaternion_of(turn: [f64; 4]) -> [f32; 3] {
        let sign = if turn[0] < 0.0 { -1.0 } else { 1.0 };
        [1, 2, 3].map(|at| (sign * turn[at]) as f32)
    }

    #[test]
    fn a_quaternion_near_half_a_turn_agrees_with_its_sform_as_far_as_its_rounding_tells() {
        // The generator of Lehmer, so that the tilts are the same in every run.
        let mut state = 1u64;
        let mut random = || {
            state = state * 48_271 % 2_147_483_647;
            2.0 * state as f64 / 2_147_483_647.0 - 1.0
        };
        let header = |turn: [f64; 4], spacing: f64, off: f64| {
            let [a, b, c, d] = turn;
            let axes = [
                [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
                [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
                [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - b * b - c * c],
            ];
            let qoffset = [-180.25, 170.5, -300.125];
            HeaderFields {
                order: ByteOrder::Little,
                least_offset: 352,
                dim: [3, 512, 512, 500, 1, 1, 1, 1],
                datatype: 4,
                pixdim: [1.0, spacing, spacing, spacing, 0.0, 0.0, 0.0, 0.0],
                vox_offset: 352.0,
                scl_slope: 0.0,
                scl_inter: 0.0,
                xyzt_units: 2,
                qform_code: 1,
                sform_code: 1,
                quaternion: quaternion_of(turn).map(f64::from),
                qoffset,
                srow: std::array::from_fn(|r| {
                    let [x, y, z] = axes[r].map(|cosine| f64::from((cosine * spacing) as f32));
                    [x, y, z, qoffset[r] + off]
                }),
            }
        };
        let read =
            |header: &HeaderFields| geometry(header, [512, 512, 500], 1.0, &ReadRules::default());
        let mut n_near = 0;
        for scale in [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0] {
            for _ in 0..200 {
                // LPS to RAS is half a turn about z, (0, 0, 0, 1), and the tilt turns it further.
                let [x, y, z] = [0; 3].map(|_| scale * random());
                let length = (1.0 + x * x + y * y + z * z).sqrt();
                let turn = [z, x, y, 1.0].map(|part| part / length);
                let turn = if turn[0] < 0.0 { turn.map(|part| -part) } else { turn };
                let placed =
                    read(&header(turn, 0.7, 0.0)).unwrap_or_else(|e| panic!("{turn:?}: {e}"));
                n_near += usize::from(placed.geometry.axis(0)[0] > 0.99);
                // A shift of 1.5 mm is a contradiction, however the axes are turned.
                assert!(read(&header(turn, 0.7, 1.5)).is_err(), "{turn:?}");
            }
        }
        assert!(n_near > 900, "{n_near}");
        // Far from half a turn, 0.05 mm are too.
        let error = read(&header([1.0, 0.0, 0.0, 0.0], 0.7, 0.05)).err().unwrap().to_string();
        assert!(error.contains("differ by 0.0500 mm, expected at most 0.0102 mm"), "{error}");
    }
}
