//! Reads the voxels of a series.

use super::frame;
use super::pixels::PixelFaults;
use super::slice::SliceHeader;
use super::stack::SliceStack;
use crate::dicom::error::Error;
use crate::dicom::irregularities::{Irregularities, Irregularity};
use crate::volume::{LoadedSlices, SliceRanges};
use ndarray::Array3;
use rayon::prelude::*;

/// Reads the voxels of the wanted slices, and counts what was read past.
pub(crate) fn read_voxels(
    stack: &SliceStack<'_>,
    wanted: &SliceRanges,
) -> Result<(LoadedSlices<i16>, Irregularities), Error> {
    let [columns, rows, n_slices] = stack.geometry.size();
    let wanted = wanted.within(&(0..n_slices));
    let slices: Vec<&SliceHeader> = wanted.iter().flatten().map(|k| stack.slices[k]).collect();
    // Every slice was checked to have its pixels in its file, so this allocates no more than the files hold; for a
    // compressed slice, no more than 4096 x 4096 voxels.
    let mut voxels = vec![0i16; columns * rows * slices.len()];
    let results: Vec<_> = voxels
        .par_chunks_mut(columns * rows)
        .zip(&slices)
        .map_init(Vec::new, |raw, (hu, slice)| frame::read(slice, raw, hu))
        .collect();
    let mut irregularities = Irregularities::default();
    for faults in results {
        let PixelFaults { n_padding, n_clamped, is_high_bit_wrong } = faults?;
        irregularities.add(Irregularity::PaddingVoxels, n_padding);
        irregularities.add(Irregularity::ClampedVoxels, n_clamped);
        irregularities.add(Irregularity::HighBit, usize::from(is_high_bit_wrong));
    }
    let voxels = Array3::from_shape_vec((slices.len(), rows, columns), voxels)
        .expect("as many voxels as the slices have");
    let loaded = LoadedSlices::new(stack.geometry, &wanted, voxels).expect("the slices' own shape");
    Ok((loaded, irregularities))
}

/// Refuses a duplicate slice whose voxels differ from those of the loaded slice at its position.
pub(crate) fn check_duplicates(
    stack: &SliceStack<'_>,
    loaded: &LoadedSlices<i16>,
) -> Result<(), Error> {
    let [columns, rows, _] = stack.geometry.size();
    let (mut raw, mut hu) = (Vec::new(), vec![0; columns * rows]);
    for &(slice, k) in &stack.duplicates {
        let Some(kept) = loaded.slice(k) else { continue };
        frame::read(slice, &mut raw, &mut hu)?;
        if !kept.iter().eq(&hu) {
            let along = stack.geometry.axis(2).into_iter().zip(slice.position_mm);
            return Err(Error::Conflict {
                file: stack.slices[k].name(),
                other: slice.name(),
                position_mm: along.map(|(a, b)| a * b).sum(),
            });
        }
    }
    Ok(())
}
