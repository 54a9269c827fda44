//! The voxels that a scan's marks are placed on: those of its image, or of its slices only.

use crate::tables::Mark;
use nodulus_formats::cohort::ScanFacts;
use nodulus_formats::dicom::SeriesInfo;
use nodulus_formats::scan_geometry::{InPlane, ScanGeometry};
use nodulus_formats::volume::{Geometry, PlacedMask, Slices, SpacingMm};

/// The voxels that marks are placed on.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The image's geometry, where there is an image.
    geometry: Option<Geometry>,
    /// The slices by height; `None` where they are not across the patient's z, or a tilted gantry's that were moved.
    slices: Option<Slices>,
    /// Where the slices lie in x and y, where there is no image and a table of scan geometry has it.
    in_plane: Option<InPlane>,
    /// The UIDs by which masks refer to a DICOM image.
    names: Option<Names>,
}

#[derive(Clone, Debug)]
struct Names {
    series_instance_uid: String,
    frame_of_reference_uid: Option<String>,
}

impl Frame {
    /// The frame of an image.
    pub(super) fn of_image(geometry: &Geometry) -> Self {
        Self {
            geometry: Some(*geometry),
            slices: Slices::of(geometry).ok(),
            in_plane: None,
            names: None,
        }
    }

    /// The same frame with the UIDs of a DICOM series.
    fn of_series(self, info: &SeriesInfo) -> Self {
        let names = Names {
            series_instance_uid: info.series_instance_uid.clone(),
            frame_of_reference_uid: info.frame_of_reference_uid.clone(),
        };
        // Outlines in voxels of the files' slices have no place on slices that were moved.
        let slices = self.slices.filter(|_| info.tilt_deg.is_none());
        Self { names: Some(names), slices, ..self }
    }

    /// The frame of a scan, with the UIDs of its series where it is one of DICOM.
    pub(super) fn of_scan(scan: &ScanFacts) -> Self {
        let frame = Self::of_image(&scan.image.geometry);
        match &scan.info {
            Some(info) => frame.of_series(info),
            None => frame,
        }
    }

    /// The frame of slices without an image.
    pub(super) fn of_geometry(scan: &ScanGeometry) -> Self {
        let slices = Some(scan.slices.clone());
        Self { geometry: None, slices, in_plane: scan.in_plane, names: None }
    }

    /// A frame without voxels, for a series that is refused.
    pub(super) const fn nowhere() -> Self {
        Self { geometry: None, slices: None, in_plane: None, names: None }
    }

    /// The image's geometry, where there is an image.
    pub(super) fn geometry(&self) -> Option<&Geometry> {
        self.geometry.as_ref()
    }

    /// The slices by height; `None` where they are not across the patient's z.
    pub(super) fn slices(&self) -> Option<&Slices> {
        self.slices.as_ref()
    }

    /// The series, where the image is DICOM.
    pub(super) fn series_instance_uid(&self) -> Option<&str> {
        self.names.as_ref().map(|names| names.series_instance_uid.as_str())
    }

    /// The series' frame of reference, where it has one.
    pub(super) fn frame_of_reference_uid(&self) -> Option<&str> {
        self.names.as_ref().and_then(|names| names.frame_of_reference_uid.as_deref())
    }

    /// Sets the position of a point: pixel (i, j) on slice k.
    pub(super) fn place_point(&self, mark: &mut Mark, [i, j]: [i64; 2], k: usize) {
        let ijk = [i as f64, j as f64, k as f64];
        let z_mm = self.slices().and_then(|slices| slices.z_mm().get(k).copied());
        self.place_centroid(mark, ijk, z_mm);
    }

    /// Sets a mark's mask, and the position and size that follow from it.
    pub(super) fn place_mask(&self, mark: &mut Mark, placed: PlacedMask) {
        if let Some(centroid) = placed.centroid() {
            self.place_centroid(mark, centroid, self.mean_height_mm(&placed));
        }
        let n = placed.mask.count();
        mark.n_voxels = Some(n as i64);
        mark.volume_mm3 = self.voxel_volume_mm3().map(|voxel| n as f64 * voxel);
        // METHOD: diameter of the sphere of equal volume, as in LUNA16.
        let diameter = |volume: f64| (6.0 / std::f64::consts::PI * volume).cbrt();
        mark.diameter_mm = mark.volume_mm3.map(diameter);
        [mark.bbox_i, mark.bbox_j, mark.bbox_k] = placed.start.map(|v| Some(v as i64));
        [mark.bbox_size_i, mark.bbox_size_j, mark.bbox_size_k] =
            placed.mask.size().map(|v| Some(v as i64));
        mark.mask_bits = Some(placed.mask.into_bits());
    }

    fn voxel_volume_mm3(&self) -> Option<f64> {
        let of_image = self.geometry.map(|geometry| geometry.spacing());
        let spacing = of_image.or(self.slices().map(Slices::spacing));
        spacing.map(SpacingMm::voxel_volume_mm3)
    }

    /// Sets the centre; x and y stay unknown without an image whose place in the patient is known.
    fn place_centroid(&self, mark: &mut Mark, ijk: [f64; 3], z_mm: Option<f64>) {
        [mark.centroid_i, mark.centroid_j, mark.centroid_k] = ijk.map(Some);
        let xyz = self.geometry.map(|geometry| geometry.voxel_to_patient(ijk).map(Some));
        let without_image = || match (self.in_plane, &self.slices) {
            (Some(in_plane), Some(slices)) => {
                let ([i, j, _], [si, sj, _]) = (ijk, slices.spacing().ijk());
                let [x, y] = in_plane.xy_mm([i, j], [si, sj]);
                [Some(x), Some(y), z_mm]
            }
            _ => [None, None, z_mm],
        };
        [mark.centroid_x_mm, mark.centroid_y_mm, mark.centroid_z_mm] =
            xyz.unwrap_or_else(without_image);
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
