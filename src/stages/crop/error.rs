//! Why a scan or nodule could not be cropped.

use crate::stages::scan_files::ScanFilesError;
use crate::tables::mask_box;

/// One scan or nodule could not be cropped.
#[derive(Debug, thiserror::Error)]
pub enum CropError {
    /// The scan's cohort has no folder.
    #[error("cohort `{0}` is not in the pipeline file")]
    Cohort(String),
    /// The scan could not be read again.
    #[error(transparent)]
    Files(#[from] ScanFilesError),
    /// The mask's bits do not fit its bounding box.
    #[error(transparent)]
    Mask(#[from] mask_box::Error),
    /// A region has no JSON form, which its digest is made from.
    #[error("the region's columns cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// The mask reaches outside the volume.
    #[error("nodule's box {start:?} to {end:?} does not lie in the scan of {size:?} voxels")]
    Outside {
        /// First voxel of the box.
        start: [usize; 3],
        /// First voxel past the box.
        end: [usize; 3],
        /// Size of the scan.
        size: [usize; 3],
    },
    /// The nodule does not fit in the region.
    #[error(
        "nodule of {size:?} voxels does not fit in the region of {region} × {region} pixels; \
         `crop.oversize` can resample or crop it"
    )]
    Oversize {
        /// Size of the nodule's box.
        size: [usize; 3],
        /// Pixels of the region along i and j.
        region: usize,
    },
    /// The region holds no pixel of the nodule.
    #[error("no pixel of the nodule is left in a region with pixels of {spacing_mm:?} mm")]
    NothingLeft {
        /// Spacing of the region along i and j.
        spacing_mm: [f64; 2],
    },
}
