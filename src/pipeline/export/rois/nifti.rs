//! A pair of NIfTI files for each nodule, in the scan's frame.

use crate::pipeline::export::Error;
use crate::pipeline::export::regions::NoduleRegion;
use ndarray::Zip;
use nodulus_formats::nifti;
use nodulus_formats::volume::Volume;
use std::path::Path;

/// Voxels of the nodule.
const TARGET: u8 = 1;
/// Voxels of the scan's other nodules.
const OTHER: u8 = 2;

/// Writes `<nodule_id>_hu.nii.gz` and `<nodule_id>_mask.nii.gz`; where masks overlap, the nodule's
/// own holds.
pub(super) fn write(folder: &Path, region: &NoduleRegion) -> Result<(), Error> {
    let id = &region.nodule_id;
    let labels =
        Zip::from(&region.mask).and(&region.others).map_collect(|own, other| match (own, other) {
            (1, _) => TARGET,
            (_, 1) => OTHER,
            _ => 0,
        });
    let labels = Volume::new(*region.hu.geometry(), labels).map_err(|error| {
        super::refused(region, "mask", &error.to_string(), "that of its pixels")
    })?;
    nifti::write(&folder.join(format!("{id}_hu.nii.gz")), &region.hu)?;
    nifti::write_byte_labels(&folder.join(format!("{id}_mask.nii.gz")), &labels)?;
    Ok(())
}
