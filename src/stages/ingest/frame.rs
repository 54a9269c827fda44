//! Where a scan's marks lie: in its image, or in its slices alone.

use crate::tables::{Mark, Scan};
use crate::volume::{Geometry, PlacedMask, Slices, SlicesError};

/// The voxels that marks are placed on.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The image's geometry, where there is an image.
    geometry: Option<Geometry>,
    /// Its slices by height, unless they do not lie along the patient's z.
    slices: Result<Slices, SlicesError>,
}

impl Frame {
    /// The frame of an image.
    pub(super) fn of_image(geometry: &Geometry) -> Self {
        Self { geometry: Some(*geometry), slices: Slices::of(geometry) }
    }

    /// The frame of slices without an image.
    pub(super) fn of_slices(slices: &Slices) -> Self {
        Self { geometry: None, slices: Ok(slices.clone()) }
    }

    /// The image's geometry, where there is an image.
    pub(super) fn geometry(&self) -> Option<&Geometry> {
        self.geometry.as_ref()
    }

    /// Slices by height, unless they do not lie along the patient's z.
    pub(super) fn slices(&self) -> Option<&Slices> {
        self.slices.as_ref().ok()
    }

    /// Fills in where a point lies: pixel (i, j) on slice k.
    pub(super) fn place_point(&self, mark: &mut Mark, [i, j]: [i64; 2], k: usize) {
        let ijk = [i as f64, j as f64, k as f64];
        let z_mm = self.slices().and_then(|slices| slices.z_mm().get(k).copied());
        self.place_centroid(mark, ijk, z_mm);
    }

    /// Fills in a mark's mask and what follows from it.
    pub(super) fn place_mask(&self, mark: &mut Mark, scan: &Scan, placed: PlacedMask) {
        if let Some(centroid) = placed.centroid() {
            self.place_centroid(mark, centroid, self.mean_height_mm(&placed));
        }
        let n = placed.mask.count();
        let volume = n as f64 * scan.spacing_i_mm * scan.spacing_j_mm * scan.spacing_k_mm;
        mark.n_voxels = Some(n as i64);
        mark.volume_mm3 = Some(volume);
        // METHOD: diameter of the sphere of equal volume, as LUNA16 has it.
        mark.diameter_mm = Some((6.0 / std::f64::consts::PI * volume).cbrt());
        [mark.bbox_i, mark.bbox_j, mark.bbox_k] = placed.start.map(|v| Some(v as i64));
        [mark.bbox_size_i, mark.bbox_size_j, mark.bbox_size_k] =
            placed.mask.size().map(|v| Some(v as i64));
        mark.mask_bits = Some(placed.mask.into_bits());
    }

    /// Without an image x and y are unknown.
    fn place_centroid(&self, mark: &mut Mark, ijk: [f64; 3], z_mm: Option<f64>) {
        [mark.centroid_i, mark.centroid_j, mark.centroid_k] = ijk.map(Some);
        let xyz = self.geometry.map(|geometry| geometry.voxel_to_patient(ijk).map(Some));
        [mark.centroid_x_mm, mark.centroid_y_mm, mark.centroid_z_mm] =
            xyz.unwrap_or([None, None, z_mm]);
    }

    /// Mean height of a mask's voxels.
    fn mean_height_mm(&self, placed: &PlacedMask) -> Option<f64> {
        let z_mm = self.slices()?.z_mm();
        let (mut sum, mut n) = (0.0, 0usize);
        for [_, _, k] in placed.mask.voxels() {
            sum += z_mm.get(k + placed.start[2])?;
            n += 1;
        }
        (n > 0).then(|| sum / n as f64)
    }
}
