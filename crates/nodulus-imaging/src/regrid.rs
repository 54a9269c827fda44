//! Masks from one grid to another: the same voxels in another order, or the nearest ones.

use nodulus_formats::limits::decimals_over;
use nodulus_formats::volume::{Geometry, PlacedMask};
use std::fmt;

/// Distance up to which voxel centres of two volumes coincide, whatever the tolerance.
///
/// METHOD: NIfTI keeps its affine in 32 bits, which moves a corner by up to about 1e-4 mm.
pub const ROUNDING_MM: f64 = 1e-3;

/// Distance up to which a frame or contour lies on a slice, in voxels along each axis.
///
/// METHOD: as far as the slices of a CT may deviate from the even grid that they are taken for
/// (`ingest.tolerances.off_grid`): what was drawn on a slice lies where that slice's own header
/// puts it.
pub const SLICE_TOLERANCE: f64 = 0.1;

/// Part of an image that a mask covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaskExtent {
    /// All of its voxels.
    Volume,
    /// The voxels of one of its slices, along any axis.
    Slice,
    /// A box of its voxels.
    Part,
}

impl MaskExtent {
    /// Number of the mask's axes that have as many voxels as the image's.
    const fn n_whole_axes(self) -> usize {
        match self {
            Self::Volume => 3,
            Self::Slice => 2,
            Self::Part => 0,
        }
    }
}

/// A mask's grid differs from its image's.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "mask lies on another grid than its image: {}; mask {}; image {}",
    self.reason(), GridDescription(mask), GridDescription(image)
)]
pub struct GridMismatch {
    /// The mask's grid, or that of one of its frames.
    pub mask: Geometry,
    /// The image's grid.
    pub image: Geometry,
    /// Distance of the mask's corners from the nearest corresponding voxels.
    pub deviation_mm: f64,
    /// The same distance along an axis, as a share of a voxel.
    pub deviation: f64,
    /// Greatest share of a voxel that was allowed.
    pub off_grid: f64,
    /// The image's number of voxels along each axis of the mask.
    pub image_size: [usize; 3],
    /// Whether all of the mask's voxels lie in the image.
    pub is_inside: bool,
    /// Part of the image that the mask was to cover.
    pub extent: MaskExtent,
}

/// In what a mask's grid differs from its image's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GridDifference {
    /// It lies beside the image.
    Outside,
    /// Its axes have other directions.
    Orientation,
    /// It has another number of voxels.
    Size,
    /// Its voxels have another spacing.
    Spacing,
    /// Its voxels lie beside the image's by no more than half a voxel.
    Offset,
    /// It begins elsewhere.
    Origin,
}

/// Greatest difference between the spacing of two grids that have the same, as a share.
pub const SAME_SPACING: f64 = 1e-3;

/// Least cosine between two axes of one direction, which is half a degree.
const SAME_AXIS: f64 = 0.99996;

impl GridMismatch {
    /// In what the grids differ; of several differences the one that explains the others.
    pub fn difference(&self) -> GridDifference {
        let (mask, image) = (&self.mask, &self.image);
        if is_beside(mask, image) {
            return GridDifference::Outside;
        }
        let along = |a: usize, b: usize| {
            mask.axis(a).iter().zip(image.axis(b)).map(|(a, b)| a * b).sum::<f64>().abs()
        };
        let nearest =
            |a: usize| (0..3).max_by(|b, c| along(a, *b).total_cmp(&along(a, *c))).unwrap_or(a);
        let n = self.extent.n_whole_axes();
        let (own, other) = (mask.spacing().ijk(), image.spacing().ijk());
        if (0..3).any(|a| along(a, nearest(a)) < SAME_AXIS) {
            GridDifference::Orientation
        } else if mask.size()[..n] != self.image_size[..n] {
            GridDifference::Size
        } else if (0..n).any(|a| (own[a] / other[nearest(a)] - 1.0).abs() > SAME_SPACING) {
            GridDifference::Spacing
        } else if self.is_inside && self.deviation <= 0.5 {
            GridDifference::Offset
        } else {
            GridDifference::Origin
        }
    }

    fn reason(&self) -> String {
        let n = self.extent.n_whole_axes();
        let (found, expected) = (self.mask.size(), self.image_size);
        if found[..n] != expected[..n] {
            let (found, expected) = (&found[..n], &expected[..n]);
            return format!("it has {found:?} voxels, expected {expected:?}");
        }
        if !self.is_inside {
            let first = self.image.patient_to_voxel(self.mask.origin_mm());
            let [i, j, k] = first.map(|v| (v * 100.0).round() / 100.0);
            return format!(
                "its first voxel is ({i}, {j}, {k}) of the image, past which it reaches"
            );
        }
        let n = decimals_over(self.deviation, self.off_grid, 3);
        format!(
            "voxel centres differ by up to {:.4} mm, {:.n$} of a voxel, expected at most {} of a voxel",
            self.deviation_mm, self.deviation, self.off_grid
        )
    }
}

/// A geometry in words.
struct GridDescription<'a>(&'a Geometry);

impl fmt::Display for GridDescription<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let geometry = self.0;
        let axes: Vec<String> = (0..3)
            .map(|a| geometry.axis(a).map(|x| format!("{}", (x * 1e6).round() / 1e6)).join(" "))
            .collect();
        write!(
            f,
            "size {:?}, spacing {:?} mm, origin {:?} mm, axes ({})",
            geometry.size(),
            geometry.spacing().ijk(),
            geometry.origin_mm(),
            axes.join(", ")
        )
    }
}

/// Mapping of a grid's voxels to voxels of another grid, along its axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GridAlignment {
    /// The other grid's axis along which each axis runs.
    pub axis: [usize; 3],
    /// Whether each axis runs in the opposite direction.
    pub backwards: [bool; 3],
    /// The other grid's voxel, by its own axes, for voxel (0, 0, 0).
    pub first: [usize; 3],
    /// Greatest distance between voxels that count as the same.
    pub deviation_mm: f64,
}

impl GridAlignment {
    /// Whether the voxels coincide but for the rounding of their positions.
    pub fn is_exact(&self) -> bool {
        self.deviation_mm <= ROUNDING_MM
    }

    /// The other grid's voxel for a voxel of this one.
    #[inline]
    pub fn voxel(&self, ijk: [usize; 3]) -> [usize; 3] {
        let mut voxel = self.first;
        for a in 0..3 {
            let v = &mut voxel[self.axis[a]];
            *v = if self.backwards[a] { v.saturating_sub(ijk[a]) } else { *v + ijk[a] };
        }
        voxel
    }

    /// The same mask on the other grid.
    pub fn map_mask(&self, placed: &PlacedMask) -> Option<PlacedMask> {
        PlacedMask::of_voxels(placed.voxels().map(|voxel| self.voxel(voxel)))
    }
}

/// Maps the voxels of `mask` to the coinciding voxels of `image`.
///
/// METHOD: axes may be swapped and reversed (NIfTI in RAS over a CT in LPS): voxels whose centres
/// coincide are the same, in whatever order a file has them. Nothing is resampled.
///
/// # Errors
///
/// Fails if a voxel's centre is further than 0.001 mm from one of the image's, and along some axis
/// further than `off_grid`, a share of a voxel; or if the number of voxels differs.
pub fn align(
    mask: &Geometry,
    image: &Geometry,
    extent: MaskExtent,
    off_grid: f64,
) -> Result<GridAlignment, Box<GridMismatch>> {
    let dot = |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let along = |a: usize, b: usize| dot(mask.axis(a), image.axis(b));
    let axis: [usize; 3] = std::array::from_fn(|a| {
        (0..3).max_by(|b, c| along(a, *b).abs().total_cmp(&along(a, *c).abs())).unwrap_or(a)
    });
    let backwards = std::array::from_fn(|a| along(a, axis[a]) < 0.0);
    let start = image.patient_to_voxel(mask.origin_mm()).map(f64::round);
    let sign = backwards.map(|backwards| if backwards { -1.0 } else { 1.0 });
    let mapped = |ijk: [f64; 3]| {
        let mut voxel = start;
        for a in 0..3 {
            voxel[axis[a]] += sign[a] * ijk[a];
        }
        voxel
    };
    let last = mask.size().map(|n| n.saturating_sub(1) as f64);
    let corners = (0..8).map(|n| std::array::from_fn(|a| f64::from(n >> a & 1) * last[a]));
    let (mut deviation_mm, mut deviation) = (0.0f64, 0.0f64);
    let mut is_inside = true;
    for corner in corners {
        let voxel: [f64; 3] = mapped(corner);
        let (here, there) = (mask.voxel_to_patient(corner), image.voxel_to_patient(voxel));
        let apart: [f64; 3] = std::array::from_fn(|a| here[a] - there[a]);
        deviation_mm = deviation_mm.max(dot(apart, apart).sqrt());
        let position = image.patient_to_voxel(here);
        deviation = (0..3).map(|a| (position[a] - voxel[a]).abs()).fold(deviation, f64::max);
        is_inside &= image.nearest_voxel(voxel).is_some();
    }
    let is_permutation = axis[0] != axis[1] && axis[1] != axis[2] && axis[0] != axis[2];
    let coincides = deviation_mm <= ROUNDING_MM || deviation <= off_grid;
    let image_size = axis.map(|axis| image.size()[axis]);
    let is_whole = (0..extent.n_whole_axes()).all(|a| mask.size()[a] == image_size[a]);
    match image.nearest_voxel(start) {
        Some(first) if coincides && is_inside && is_permutation && is_whole => {
            Ok(GridAlignment { axis, backwards, first, deviation_mm })
        }
        _ => {
            let (mask, image) = (*mask, *image);
            Err(Box::new(GridMismatch {
                mask,
                image,
                deviation_mm,
                deviation,
                off_grid,
                image_size,
                is_inside,
                extent,
            }))
        }
    }
}

/// Whether two grids have no point in common, by the box of `mask` along the axes of `image`.
pub fn is_beside(mask: &Geometry, image: &Geometry) -> bool {
    let end = mask.size().map(|n| n as f64 - 0.5);
    let corners = (0..8).map(|n| {
        let corner = std::array::from_fn(|a| if n >> a & 1 == 0 { -0.5 } else { end[a] });
        image.patient_to_voxel(mask.voxel_to_patient(corner))
    });
    let corners: Vec<[f64; 3]> = corners.collect();
    (0..3).any(|a| {
        let most = image.size()[a] as f64 - 0.5;
        corners.iter().all(|corner| corner[a] <= -0.5)
            || corners.iter().all(|corner| corner[a] >= most)
    })
}

/// Share of a mask's voxels whose centres lie in no voxel of `to`; 0 for a mask without voxels.
pub fn share_outside(placed: &PlacedMask, from: &Geometry, to: &Geometry) -> f64 {
    let is_outside = |voxel: &[usize; 3]| {
        let position = to.patient_to_voxel(from.voxel_to_patient(voxel.map(|v| v as f64)));
        to.nearest_voxel(position).is_none()
    };
    let n = placed.mask.count();
    let outside = placed.voxels().filter(is_outside).count();
    if n == 0 { 0.0 } else { outside as f64 / n as f64 }
}

/// Resamples a mask: a voxel of `to` is set if its centre lies in a set voxel of `from`. `None`
/// without any.
///
/// METHOD: nearest neighbour; a centre half-way between two voxels belongs to the upper one, as in
/// ITK. Labels are neither mixed nor invented.
pub fn resample(placed: &PlacedMask, from: &Geometry, to: &Geometry) -> Option<PlacedMask> {
    // The box with half a voxel around it: outside, there is no voxel of the mask.
    let (low, high) = (placed.start, placed.end());
    let corners = (0..8u8).map(|n| {
        let corner = std::array::from_fn(|a| {
            if n >> a & 1 == 0 { low[a] as f64 - 0.5 } else { high[a] as f64 - 0.5 }
        });
        to.patient_to_voxel(from.voxel_to_patient(corner))
    });
    let mut range = [[f64::INFINITY, f64::NEG_INFINITY]; 3];
    for corner in corners {
        for (range, v) in range.iter_mut().zip(corner) {
            *range = [range[0].min(v), range[1].max(v)];
        }
    }
    // Casts of floats to integers saturate.
    let bounds: [_; 3] = std::array::from_fn(|a| {
        let [low, high] = range[a];
        low.floor().max(0.0) as usize..(high.ceil() as usize).saturating_add(1).min(to.size()[a])
    });
    let inside = move |voxel: &[usize; 3]| {
        let position = to.voxel_to_patient(voxel.map(|v| v as f64));
        let source = from.patient_to_voxel(position).map(|v| (v + 0.5).floor());
        source.iter().all(|v| *v >= 0.0) && {
            let [i, j, k] = source.map(|v| v as usize);
            placed.get(i, j, k)
        }
    };
    let [i, j, k] = bounds;
    let voxels = k.flat_map(move |k| {
        let i = i.clone();
        j.clone().flat_map(move |j| i.clone().map(move |i| [i, j, k]))
    });
    PlacedMask::of_voxels(voxels.filter(inside))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodulus_formats::volume::Mask;
    use proptest::prelude::*;

    const SIZE: [usize; 3] = [5, 4, 3];
    const SPACING: [f64; 3] = [0.7, 0.8, 2.5];

    fn image() -> Geometry {
        let (s, c) = 0.3f64.sin_cos();
        let turned = [c, -s, 0.0, s, c, 0.0, 0.0, 0.0, 1.0];
        Geometry::new(SIZE, SPACING, [-10.0, 20.0, 30.0], turned).unwrap()
    }

    /// The image's grid with its axes in another order and some of them reversed.
    fn reordered(order: [usize; 3], backwards: [bool; 3]) -> Geometry {
        let image = image();
        let mut first = [0.0; 3];
        let mut direction = [0.0; 9];
        for a in 0..3 {
            let b = order[a];
            let sign = if backwards[a] { -1.0 } else { 1.0 };
            if backwards[a] {
                first[b] = (SIZE[b] - 1) as f64;
            }
            for (row, x) in image.axis(b).into_iter().enumerate() {
                direction[3 * row + a] = sign * x;
            }
        }
        let origin = image.voxel_to_patient(first);
        Geometry::new(order.map(|b| SIZE[b]), order.map(|b| SPACING[b]), origin, direction).unwrap()
    }

    fn at(voxel: [usize; 3]) -> PlacedMask {
        PlacedMask { start: voxel, mask: Mask::from_fn([1; 3], |_, _, _| true) }
    }

    proptest! {
        #[test]
        fn voxels_that_coincide_are_found_in_any_order(
            n in 0usize..6, backwards in prop::array::uniform3(any::<bool>()),
            i in 0usize..5, j in 0usize..4, k in 0usize..3,
        ) {
            let order = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]][n];
            let mask = reordered(order, backwards);
            let on = align(&mask, &image(), MaskExtent::Volume, 0.0).unwrap();
            let voxel: [usize; 3] = std::array::from_fn(|a| [i, j, k][a] % mask.size()[a]);
            let here = mask.voxel_to_patient(voxel.map(|v| v as f64));
            let there = image().voxel_to_patient(on.voxel(voxel).map(|v| v as f64));
            for a in 0..3 {
                prop_assert!((here[a] - there[a]).abs() < 1e-9);
            }
            prop_assert_eq!(on.map_mask(&at(voxel)), resample(&at(voxel), &mask, &image()));
        }

        /// By the definition, voxel by voxel.
        #[test]
        fn the_nearest_voxel_decides(
            bools in prop::collection::vec(any::<bool>(), 60), shift in prop::array::uniform3(-3.0..3.0f64),
            angle in -1.0..1.0f64, spacing in prop::array::uniform3(0.4..3.0f64),
        ) {
            let (s, c) = angle.sin_cos();
            let turned = [1.0, 0.0, 0.0, 0.0, c, -s, 0.0, s, c];
            let origin = std::array::from_fn(|a| image().origin_mm()[a] + shift[a]);
            let to = Geometry::new([6, 7, 8], spacing, origin, turned).unwrap();
            let mask = Mask::from_fn(SIZE, |i, j, k| bools[(k * 4 + j) * 5 + i]);
            let placed = PlacedMask { start: [0; 3], mask };
            let found = resample(&placed, &image(), &to);
            for n in 0..6 * 7 * 8 {
                let voxel = [n % 6, n / 6 % 7, n / 42];
                let position = to.voxel_to_patient(voxel.map(|v| v as f64));
                let of_mask = image().nearest_voxel(image().patient_to_voxel(position));
                let expected = of_mask.is_some_and(|[i, j, k]| placed.get(i, j, k));
                let [i, j, k] = voxel;
                prop_assert_eq!(found.as_ref().is_some_and(|f| f.get(i, j, k)), expected, "{:?}", voxel);
            }
        }
    }

    #[test]
    fn another_grid_is_refused_with_both() {
        let near = |origin_x, size, spacing| {
            let image = image();
            let origin = [origin_x, 20.0, 30.0];
            Geometry::new(size, spacing, origin, image.direction()).unwrap()
        };
        let on = |mask: &Geometry| align(mask, &image(), MaskExtent::Volume, 0.0);
        assert!(on(&near(-10.0005, SIZE, SPACING)).is_ok());
        for mask in [
            near(-10.002, SIZE, SPACING),
            near(-10.0, SIZE, [0.7, 0.8, 2.501]),
            near(-10.0, [5, 4, 2], SPACING),
            near(-10.0, [5, 4, 4], SPACING),
            near(-500.0, SIZE, SPACING),
        ] {
            let error = on(&mask).unwrap_err().to_string();
            let both = [GridDescription(&mask).to_string(), GridDescription(&image()).to_string()];
            assert!(both.iter().all(|grid| error.contains(grid)), "{error}");
        }
        // A single slice is no mask of the volume, but may be a frame.
        let slice = near(-10.0, [5, 4, 1], SPACING);
        assert!(on(&slice).is_err());
        assert!(align(&slice, &image(), MaskExtent::Slice, SLICE_TOLERANCE).is_ok());
        assert!(
            align(&near(-9.95, [5, 4, 1], SPACING), &image(), MaskExtent::Slice, SLICE_TOLERANCE)
                .is_ok()
        );
        assert!(
            align(&near(-9.92, [5, 4, 1], SPACING), &image(), MaskExtent::Slice, SLICE_TOLERANCE)
                .is_err()
        );
        let part = near(-10.0, [4, 4, 1], SPACING);
        assert!(align(&part, &image(), MaskExtent::Slice, SLICE_TOLERANCE).is_err());
    }

    #[test]
    fn what_falls_between_voxels_or_off_the_grid_is_gone() {
        let fine = Geometry::new([9, 9, 9], [0.1; 3], [0.2; 3], Geometry::AXIAL).unwrap();
        let coarse = Geometry::new([3; 3], [1.0; 3], [0.0; 3], Geometry::AXIAL).unwrap();
        assert_eq!(resample(&at([0, 0, 0]), &fine, &coarse), None);
        assert_eq!(resample(&at([8, 8, 8]), &fine, &coarse), Some(at([1, 1, 1])));
        let away = Geometry::new([3; 3], [1.0; 3], [9e5; 3], Geometry::AXIAL).unwrap();
        assert_eq!(resample(&at([0, 0, 0]), &coarse, &away), None);
        // Half-way goes to the upper voxel, also at the edge.
        let half = Geometry::new([3; 3], [1.0; 3], [0.5, 0.0, 0.0], Geometry::AXIAL).unwrap();
        assert_eq!(resample(&at([0, 0, 0]), &half, &coarse), Some(at([0, 0, 0])));
        assert_eq!(resample(&at([1, 0, 0]), &half, &coarse), Some(at([1, 0, 0])));
    }
}
