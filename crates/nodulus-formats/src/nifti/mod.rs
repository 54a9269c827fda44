//! NIfTI-1: HU or labels, header and voxels in one file (`.nii`, `.nii.gz`) or in two (`.hdr` with
//! `.img`).
//!
//! NIfTI's patient axes are RAS; ours are LPS. Source: the NIfTI-1 standard (`nifti1.h`).

mod orientation;
mod error;
mod header;
mod file;
mod write;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use file::image_names;
pub use orientation::InvalidOrientation;
pub use write::{label_bytes, write, write_byte_labels, write_labels};

use crate::volume::{LoadedSlices, SliceRanges, Volume};
use crate::voxel_encoding::Voxel;
use crate::voxel_stream::room;
use file::NiftiFile;
use ndarray::Array3;
use std::path::Path;

/// Reads a volume of Hounsfield units; the path of two files is that of their header.
///
/// Any stored type is taken, and its scaling applied, as long as every value is a 16-bit integer.
/// It takes memory for the volume and one block of the file; for a volume of no more than 1,032
/// times the file's bytes.
///
/// # Errors
///
/// Fails if a file cannot be read, is no NIfTI-1 file of three axes, does not place its voxels in
/// the patient (no orientation code, a shear, or two orientations that differ), holds more or fewer
/// bytes than its header says, or a value is no 16-bit integer.
pub fn read(path: &Path) -> Result<Volume<i16>, Error> {
    whole(path, load(path, &SliceRanges::all())?)
}

/// Reads some slices of a volume; else as [`read`]. Slices past its end are left out.
///
/// Of a file that is not compressed the others are not read, of a compressed one those behind the
/// last one: whether they are whole, and 16-bit integers, is then not checked.
///
/// # Errors
///
/// Fails as [`read`] does, as far as it is read.
pub fn read_slices(path: &Path, wanted: &SliceRanges) -> Result<LoadedSlices<i16>, Error> {
    load(path, wanted)
}

/// Reads a mask of labels, 0 where there is none; else as [`read`].
///
/// # Errors
///
/// Fails as [`read`] does, or if a value is no integer from 0 to 65,535.
pub fn read_labels(path: &Path) -> Result<Volume<u16>, Error> {
    whole(path, load(path, &SliceRanges::all())?)
}

/// Bytes that a volume, or a mask, takes in memory, by its header and the length
/// of its file.
///
/// # Errors
///
/// Fails if the header cannot be read.
pub fn estimate_bytes(path: &Path) -> Result<u64, Error> {
    let file = NiftiFile::open(path)?;
    Ok(file.n_values(&SliceRanges::all()) as u64 * size_of::<i16>() as u64)
}

fn whole<T>(path: &Path, loaded: LoadedSlices<T>) -> Result<Volume<T>, Error> {
    let size = loaded.geometry().size();
    loaded.into_volume().map_err(|_| Error::TooLarge(path.to_owned(), size))
}

fn load<T: Voxel>(path: &Path, wanted: &SliceRanges) -> Result<LoadedSlices<T>, Error> {
    let file = NiftiFile::open(path)?;
    let geometry = file.header.geometry;
    let size = geometry.size();
    let too_large = || Error::TooLarge(path.to_owned(), size);
    let mut voxels = room(file.n_values(wanted)).map_err(|_| too_large())?;
    file.read(wanted, &mut voxels)?;
    let shape = (wanted.within(&(0..size[2])).n_slices(), size[1], size[0]);
    let voxels = Array3::from_shape_vec(shape, voxels).map_err(|_| too_large())?;
    LoadedSlices::new(geometry, wanted, voxels).map_err(|_| too_large())
}
