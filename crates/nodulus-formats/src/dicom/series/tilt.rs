//! Scans of a tilted gantry: slices whose positions do not lie along their normal.

use super::stack::dot;
use crate::volume::{Geometry, InvalidGeometry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is done with slices that a tilted gantry shifts sideways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tilt {
    /// The series is refused.
    #[default]
    Refuse,
    /// Each slice is moved within its plane onto an even grid, by linear interpolation; `scans.tilt_deg` says by which
    /// angle.
    Resample,
}

/// The greatest angle of slices that are moved.
///
/// METHOD: gantries tilt by up to 30 degrees; slices that are shifted further are no scan of one.
pub(crate) const MOST_DEGREES: f64 = 35.0;

/// A grid of more voxels, as a share of those of the slices, is refused, which bounds memory.
///
/// METHOD: 2 is enough for 600 mm at 30 degrees in slices of 512 × 512 voxels of 0.7 mm.
const MOST_GROWTH: usize = 2;

/// METHOD: voxels that a moved slice does not reach are -1024 HU, as scanners write outside the field of view.
const OUTSIDE_HU: i16 = -1024;

/// How the slices of a tilted series lie on the even grid.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TiltedSlices {
    /// Angle between the normal and the line through the slices' positions.
    pub(crate) degrees: f64,
    /// Voxels of a slice as it is stored, along i and j.
    pub(crate) stored_size: [usize; 2],
    /// The position of each slice's first voxel on the grid, along i and j, by k; 0 or more.
    pub(crate) first_voxel: Vec<[f64; 2]>,
}

/// The angle between the normal and the line through slices, from their offsets in mm (sideways and along) from the first
/// slice. `None` where a slice lies further off the line than the tolerance.
///
/// METHOD: the line is fitted by least squares. Each slice is then moved by its own position, not by the line's.
pub(crate) fn line_degrees(offsets: &[([f64; 3], f64)], tolerance_mm: f64) -> Option<f64> {
    let n = offsets.len() as f64;
    let mean_along = offsets.iter().map(|(_, along)| along / n).sum::<f64>();
    let mean: [f64; 3] = std::array::from_fn(|a| offsets.iter().map(|(s, _)| s[a] / n).sum());
    let spread: f64 = offsets.iter().map(|(_, along)| (along - mean_along).powi(2)).sum();
    let slope: [f64; 3] = std::array::from_fn(|a| {
        let products = offsets.iter().map(|(s, along)| (s[a] - mean[a]) * (along - mean_along));
        products.sum::<f64>() / spread
    });
    let on_line = |(sideways, along): &([f64; 3], f64)| {
        let off: [f64; 3] =
            std::array::from_fn(|a| sideways[a] - mean[a] - slope[a] * (along - mean_along));
        dot(off, off).sqrt() <= tolerance_mm
    };
    offsets.iter().all(on_line).then(|| dot(slope, slope).sqrt().atan().to_degrees())
}

/// Widens the grid of the first slice so that it holds all slices, and places them on it.
///
/// The grid keeps the planes, the axes and the spacing of the slices; its first voxel is a whole number of voxels from
/// that of the first slice.
pub(crate) fn widen(
    first: &Geometry,
    positions_mm: &[[f64; 3]],
    degrees: f64,
) -> Result<(Geometry, TiltedSlices), InvalidGeometry> {
    let [columns, rows, n_slices] = first.size();
    let shift = |position: &[f64; 3]| {
        let [i, j, _] = first.patient_to_voxel(*position);
        // Rounding alone moves no slice.
        [i, j].map(|v| if (v - v.round()).abs() < 1e-6 { v.round() } else { v })
    };
    let shifts: Vec<[f64; 2]> = positions_mm.iter().map(shift).collect();
    let bound = |axis: usize, worst: fn(f64, f64) -> f64| {
        shifts.iter().map(|shift| shift[axis]).fold(0.0, worst)
    };
    let least = [0, 1].map(|axis| bound(axis, f64::min).floor());
    let extra = [0, 1].map(|axis| (bound(axis, f64::max).ceil() - least[axis]) as usize);
    let size = [columns.saturating_add(extra[0]), rows.saturating_add(extra[1]), n_slices];
    if size[0].saturating_mul(size[1]) > MOST_GROWTH * columns * rows {
        let (needed, of_slice) = ([size[0], size[1]], [columns, rows]);
        return Err(InvalidGeometry::TooWide { needed, of_slice, most: MOST_GROWTH });
    }
    let origin_mm = first.voxel_to_patient([least[0], least[1], 0.0]);
    let geometry = Geometry::new(size, first.spacing().ijk(), origin_mm, first.direction())?;
    let first_voxel = shifts.iter().map(|s| [s[0] - least[0], s[1] - least[1]]).collect();
    Ok((geometry, TiltedSlices { degrees, stored_size: [columns, rows], first_voxel }))
}

impl TiltedSlices {
    /// Moves a slice, as it is stored, onto the grid.
    ///
    /// METHOD: linear interpolation between the slice's own voxels along j, then along i, to the nearest whole HU, as
    /// dcm2niix does; a voxel beyond the slice's edge voxels is -1024 HU.
    pub(crate) fn place(&self, k: usize, stored: &[i16], size: [usize; 2], placed: &mut [i16]) {
        let [columns, rows] = self.stored_size;
        let [across, down] = self.first_voxel[k];
        let weights = |first: f64, length: usize, of: usize| -> Vec<Option<(usize, f64)>> {
            let source = |at: usize| {
                let at = at as f64 - first;
                (0.0..=length as f64 - 1.0).contains(&at).then(|| (at as usize, at.fract()))
            };
            (0..of).map(source).collect()
        };
        let (along_i, along_j) = (weights(across, columns, size[0]), weights(down, rows, size[1]));
        for (row, source_j) in placed.chunks_exact_mut(size[0]).zip(&along_j) {
            let Some((j, of_next_row)) = *source_j else {
                row.fill(OUTSIDE_HU);
                continue;
            };
            let upper = &stored[j * columns..][..columns];
            let lower = &stored[(j + 1).min(rows - 1) * columns..][..columns];
            let at = |i: usize| {
                f64::from(upper[i]) * (1.0 - of_next_row) + f64::from(lower[i]) * of_next_row
            };
            for (hu, source_i) in row.iter_mut().zip(&along_i) {
                *hu = source_i.map_or(OUTSIDE_HU, |(i, of_next)| {
                    let next = (i + 1).min(columns - 1);
                    (at(i) * (1.0 - of_next) + at(next) * of_next).round() as i16
                });
            }
        }
    }
}
