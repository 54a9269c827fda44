//! Reads the voxels of a series.

use super::frame;
use super::pixels::PixelFaults;
use super::slice::SliceHeader;
use super::stack::SliceStack;
use crate::dicom::error::{Error, Problem};
use crate::dicom::irregularities::{Irregularities, Irregularity};
use crate::volume::{
    ImageFacts, LoadedSlices, SliceRanges, hu_range, identifying_slices, image_sha256,
};
use dicom_dictionary_std::tags;
use ndarray::{Array3, ArrayView2};
use nodulus_faults::quoted;
use rayon::prelude::*;

/// Reads the voxels of the wanted slices, and counts what was read past.
pub(crate) fn read_voxels(
    stack: &SliceStack<'_>,
    wanted: &SliceRanges,
) -> Result<(LoadedSlices<i16>, Irregularities), Error> {
    let [columns, rows, n_slices] = stack.geometry.size();
    let wanted = wanted.within(&(0..n_slices));
    let slices: Vec<usize> = wanted.iter().flatten().collect();
    // Every slice was checked to have its pixels in its file, so this allocates no more than the files hold; for a
    // compressed slice, no more than 4096 x 4096 voxels.
    let mut voxels = vec![0i16; columns * rows * slices.len()];
    let faults: Vec<_> = voxels
        .par_chunks_mut(columns * rows)
        .zip(&slices)
        .map_init(Buffers::default, |buffers, (hu, k)| {
            Ok((*k, read_slice(stack, stack.slices[*k], *k, buffers, hu)?))
        })
        .collect::<Result<_, Error>>()?;
    let irregularities = counted(stack, &faults)?;
    let voxels = Array3::from_shape_vec((slices.len(), rows, columns), voxels)
        .expect("as many voxels as the slices have");
    let loaded = LoadedSlices::new(stack.geometry, &wanted, voxels).expect("the slices' own shape");
    Ok((loaded, irregularities))
}

/// Reads every slice, keeps none, and counts what was read past. Each thread holds one slice. Slices at one position are
/// not compared.
pub(crate) fn read_facts(stack: &SliceStack<'_>) -> Result<(ImageFacts, Irregularities), Error> {
    let [columns, rows, n_slices] = stack.geometry.size();
    let identifying = identifying_slices(&stack.geometry);
    let buffers = || (Buffers::default(), vec![0i16; columns * rows]);
    let results: Vec<_> = (0..n_slices)
        .into_par_iter()
        // Few splits, as each makes buffers of its own.
        .with_min_len(8)
        .map_init(buffers, |(buffers, hu), k| {
            let faults = read_slice(stack, stack.slices[k], k, buffers, hu)?;
            let kept = identifying.position(k).map(|_| hu.clone());
            Ok(((k, faults), hu_range(hu.iter()), kept))
        })
        .collect::<Result<_, Error>>()?;
    let (mut faults, mut ranges, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    for (of_slice, range, slice) in results {
        faults.push(of_slice);
        ranges.extend(range.into_iter().flatten());
        kept.extend(slice);
    }
    let irregularities = counted(stack, &faults)?;
    let sha256 = image_sha256(&stack.geometry, |k| {
        let slice = kept.get(identifying.position(k)?)?;
        ArrayView2::from_shape((rows, columns), slice).ok()
    });
    let facts = ImageFacts { geometry: stack.geometry, hu_range: hu_range(ranges.iter()), sha256 };
    Ok((facts, irregularities))
}

/// Counts what was read past in slices at k. Refuses them if one shows that `HighBit` is right and another that it is wrong.
fn counted(
    stack: &SliceStack<'_>,
    slices: &[(usize, PixelFaults)],
) -> Result<Irregularities, Error> {
    let mut irregularities = Irregularities::default();
    let (mut right, mut wrong) = (None, None);
    for (k, PixelFaults { n_padding, n_clamped, is_high_bit_right }) in slices {
        irregularities.add(Irregularity::PaddingVoxels, *n_padding);
        irregularities.add(Irregularity::ClampedVoxels, *n_clamped);
        match is_high_bit_right {
            Some(true) => _ = right.get_or_insert(*k),
            Some(false) => {
                irregularities.add(Irregularity::HighBit, 1);
                wrong.get_or_insert(*k);
            }
            None => {}
        }
    }
    match [right, wrong].map(|k| k.map(|k| stack.slices[k])) {
        [Some(right), Some(wrong)] => Err(contradiction(right, wrong)),
        _ => Ok(irregularities),
    }
}

/// The error of a slice that shows that `HighBit` is wrong, beside one that shows that it is right.
fn contradiction(right: &SliceHeader, wrong: &SliceHeader) -> Error {
    let stated = wrong.pixels.stated_high_bit.unwrap_or_default();
    let (own, right) = (wrong.pixels.high_bit, right.name());
    let problem = Problem::value(
        tags::HIGH_BIT,
        stated,
        format_args!(
            "{own}: the pixels of this slice show that, and those of {} that {stated} is right",
            quoted::path(&right)
        ),
    );
    Error::file(&wrong.name(), problem)
}

/// What one slice after the other is read through.
#[derive(Debug, Default)]
struct Buffers {
    /// The pixels as they are stored.
    raw: Vec<u8>,
    /// The slice of a tilted series before it is moved.
    stored: Vec<i16>,
}

/// Reads a slice at k onto the grid.
fn read_slice(
    stack: &SliceStack<'_>,
    slice: &SliceHeader,
    k: usize,
    buffers: &mut Buffers,
    hu: &mut [i16],
) -> Result<PixelFaults, Error> {
    let Some(tilted) = &stack.tilted else { return frame::read(slice, &mut buffers.raw, hu) };
    let [columns, rows, _] = stack.geometry.size();
    buffers.stored.resize(tilted.stored_size[0] * tilted.stored_size[1], 0);
    let faults = frame::read(slice, &mut buffers.raw, &mut buffers.stored)?;
    tilted.place(k, &buffers.stored, [columns, rows], hu);
    Ok(faults)
}

/// Refuses a duplicate slice whose voxels differ from those of the loaded slice at its position.
pub(crate) fn check_duplicates(
    stack: &SliceStack<'_>,
    loaded: &LoadedSlices<i16>,
) -> Result<(), Error> {
    let [columns, rows, _] = stack.geometry.size();
    let (mut buffers, mut hu) = (Buffers::default(), vec![0; columns * rows]);
    for &(slice, k) in &stack.duplicates {
        let Some(kept) = loaded.slice(k) else { continue };
        read_slice(stack, slice, k, &mut buffers, &mut hu)?;
        if !kept.iter().eq(&hu) {
            if stack.slices.len() == 1 {
                return Err(Error::OnePosition { n_slices: stack.duplicates.len() + 1 });
            }
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
