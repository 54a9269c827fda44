//! NIfTI-1 and NIfTI-2: Hounsfield units or labels, with header and voxels in one file (`.nii`, `.nii.gz`) or two (`.hdr` and
//! `.img`).
//!
//! Positions in the file are RAS; this module converts them to LPS. Source: the standards `nifti1.h` and `nifti2.h`.

mod error;
mod fields;
mod orientation;
mod header;
mod file;
mod write;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use file::image_names;
pub use orientation::InvalidOrientation;
pub use write::{label_bytes, write, write_byte_labels, write_labels};

use crate::image_rules::ReadRules;
use crate::loaded_image::LoadedImage;
use crate::volume::{LoadedSlices, SliceRanges, Volume};
use crate::voxel_encoding::Voxel;
use crate::voxel_stream::room;
use file::NiftiFile;
use std::path::Path;

/// Reads a volume of Hounsfield units; for two files, `path` is that of the header.
///
/// Any stored type is accepted, and its scaling applied, if every value is a 16-bit integer. Reading needs memory for
/// the volume and one block of the file; a volume may have at most 1,032 times the bytes of its file.
///
/// # Errors
///
/// Fails if a file cannot be read, is not a NIfTI file with three axes, does not place its voxels in the patient
/// (no orientation code, a shear, or two orientations that differ), has more or fewer bytes than its header says, or
/// has a value that is not a 16-bit integer.
pub fn read(path: &Path) -> Result<Volume<i16>, Error> {
    load(path, &SliceRanges::all(), &ReadRules::default())?.into_volume(too_large(path))
}

/// Reads some slices of a volume; otherwise as [`read`]. Slices past its end are ignored.
///
/// Voxels of other slices are not read where the file is not compressed; in a compressed one, those after the last
/// wanted slice are not. Whether they are complete, and 16-bit integers, is not checked.
///
/// # Errors
///
/// Fails as [`read`] does, for the part that is read.
pub fn read_slices(path: &Path, wanted: &SliceRanges) -> Result<LoadedSlices<i16>, Error> {
    Ok(load(path, wanted, &ReadRules::default())?.slices)
}

/// Reads a mask of labels, with 0 for the background; otherwise as [`read`].
///
/// # Errors
///
/// Fails as [`read`] does, or if a value is not an integer from 0 to 65,535.
pub fn read_labels(path: &Path) -> Result<Volume<u16>, Error> {
    load(path, &SliceRanges::all(), &ReadRules::default())?.into_volume(too_large(path))
}

/// Estimates the bytes that a volume or mask needs in memory, from its header and the length of its file.
///
/// # Errors
///
/// Fails if the header cannot be read.
pub fn estimate_bytes(path: &Path) -> Result<u64, Error> {
    let rules = ReadRules { unplaced: true, ..ReadRules::default() };
    let file = NiftiFile::open(path, &rules)?;
    Ok(file.n_values(&SliceRanges::all()) as u64 * size_of::<i16>() as u64)
}

fn too_large(path: &Path) -> impl Fn([usize; 3]) -> Error + '_ {
    |size| Error::TooLarge(path.to_owned(), size)
}

/// Reads slices by the rules.
pub(crate) fn load<T: Voxel>(
    path: &Path,
    wanted: &SliceRanges,
    rules: &ReadRules,
) -> Result<LoadedImage<T>, Error> {
    let file = NiftiFile::open(path, rules)?;
    let (geometry, is_placed) = (file.header.geometry, file.header.is_placed);
    let too_large = too_large(path);
    let mut voxels = room(file.n_values(wanted)).map_err(|_| too_large(geometry.size()))?;
    let mut repairs = file.header.repairs.clone();
    file.read(wanted, &mut voxels, &mut repairs)?;
    LoadedImage::of_voxels(geometry, is_placed, wanted, voxels, repairs, too_large)
}
