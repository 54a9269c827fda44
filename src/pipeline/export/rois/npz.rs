//! Writes a file of numpy arrays for each nodule.

use crate::pipeline::export::Error;
use crate::pipeline::export::regions::NoduleRegion;
use ndarray::Array3;
use nodulus_formats::npz::{self, Array, Values};
use std::path::Path;

/// Writes `<nodule_id>.npz`; arrays of voxels are indexed `[k, j, i]`.
pub(super) fn write(folder: &Path, region: &NoduleRegion) -> Result<(), Error> {
    let geometry = region.hu.geometry();
    let [ni, nj, nk] = geometry.size();
    let shape = [nk, nj, ni];
    let [si, sj, sk] = geometry.spacing().ijk();
    let bytes = |mask: &Array3<u8>| Array::new(&shape, Values::U8(mask.iter().copied().collect()));
    let numbers = |shape: &[usize], values| Array::new(shape, Values::F64(values));
    let hu = region.hu.voxels().iter().copied().collect();
    let slices = (region.first_slice..).take(nk).collect();
    let [start_i, start_j] = region.start;
    let arrays = [
        ("hu", Array::new(&shape, Values::I16(hu))),
        ("mask", bytes(&region.mask)),
        ("other_mask", bytes(&region.others)),
        ("spacing_kji_mm", numbers(&[3], vec![sk, sj, si])),
        ("origin_xyz_mm", numbers(&[3], geometry.origin_mm().into())),
        ("direction", numbers(&[3, 3], geometry.direction().into())),
        ("window_hu", numbers(&[2], region.window_hu.into())),
        ("diameter_mm", numbers(&[], vec![region.diameter_mm])),
        ("slice_index", Array::new(&[nk], Values::I64(slices))),
        ("start_ji", numbers(&[2], vec![start_j, start_i])),
        ("nodule_id", Array::text(&region.nodule_id)),
        ("cohort", Array::text(&region.cohort)),
        ("patient_id", Array::text(&region.patient_id)),
        ("series_instance_uid", Array::text(&region.series_instance_uid)),
        ("split", Array::text(region.split.as_deref().unwrap_or_default())),
    ];
    Ok(npz::write(&folder.join(format!("{}.npz", region.nodule_id)), &arrays)?)
}
