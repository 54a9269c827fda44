//! The nodules of a scan as a label image.

use super::error::Error;
use crate::nightly::scan::scored::ScoredScan;
use nodulus_formats::nifti;

/// A `.nii.gz` on the scan's grid with each nodule's number in its voxels, and 0 elsewhere. A voxel of
/// several nodules has the least number; in the segmentation and the structure set it belongs to each.
pub(super) fn bytes(scan: &ScoredScan) -> Result<Vec<u8>, Error> {
    let [ni, ..] = scan.geometry.size();
    let bytes = nifti::label_bytes(&scan.geometry, |k, labels| {
        for nodule in &scan.nodules {
            let Some(placed) = &nodule.mask else { continue };
            let (start, size) = (placed.start, placed.mask.size());
            let Some(of_box) = k.checked_sub(start[2]).filter(|k| *k < size[2]) else { continue };
            for j in 0..size[1] {
                for i in (0..size[0]).filter(|i| placed.mask.get(*i, j, of_box)) {
                    let label = &mut labels[(j + start[1]) * ni + i + start[0]];
                    if *label == 0 || nodule.number < *label {
                        *label = nodule.number;
                    }
                }
            }
        }
    })?;
    Ok(bytes)
}
