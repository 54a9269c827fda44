//! NIfTI-1: HU or labels, header and voxels in one file (`.nii`, `.nii.gz`) or in two (`.hdr` with
//! `.img`).
//!
//! NIfTI's patient axes are RAS; ours are LPS. Source: the NIfTI-1 standard (`nifti1.h`).

mod error;
mod header;
mod orientation;
mod write;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use orientation::Unplaced;
pub use write::{write, write_byte_labels, write_labels};

use super::elements;
use crate::volume::Volume;
use flate2::read::MultiGzDecoder;
use fs_err as fs;
use header::{HEADER_BYTES, Header};
use ndarray::Array3;
use std::borrow::Cow;
use std::io::Read;
use std::path::{Path, PathBuf};

/// gzip shrinks bytes to no less than this share of one.
const GZIP_MOST: usize = 1032;

/// Reads a volume of Hounsfield units; the path of two files is that of their header.
///
/// Any stored type is taken, and its scaling applied, as long as every value is a 16-bit integer.
/// Beside the files' own bytes it takes memory for no more than 1,032 times as many.
///
/// # Errors
///
/// Fails if a file cannot be read, is no NIfTI-1 file of three axes, does not place its voxels in
/// the patient (no orientation code, a shear, or two orientations that differ), holds more or fewer
/// bytes than its header says, or a value is no 16-bit integer.
pub fn read(path: &Path) -> Result<Volume<i16>, Error> {
    read_as(path, elements::as_i16, "a 16-bit integer")
}

/// Reads a mask of labels, 0 where there is none; else as [`read`].
///
/// # Errors
///
/// Fails as [`read`] does, or if a value is no integer from 0 to 65,535.
pub fn read_labels(path: &Path) -> Result<Volume<u16>, Error> {
    read_as(path, elements::as_u16, "an integer from 0 to 65535")
}

/// The files that voxels of a header `.hdr` or `.hdr.gz` may be in, the likelier one first; none
/// where the name is another.
pub fn image_names(path: &Path) -> Option<[PathBuf; 2]> {
    let name = path.file_name()?.to_str()?;
    let lower = name.to_ascii_lowercase();
    let extension = [".hdr.gz", ".hdr"].into_iter().find(|extension| lower.ends_with(extension))?;
    let stem = name.get(..name.len() - extension.len())?;
    let mut names = [".img", ".img.gz"].map(|end| path.with_file_name(format!("{stem}{end}")));
    if extension == ".hdr.gz" {
        names.reverse();
    }
    Some(names)
}

fn read_as<T>(
    path: &Path,
    convert: impl Fn(f64) -> Option<T>,
    expected_value: &'static str,
) -> Result<Volume<T>, Error> {
    let stored = fs::read(path)?;
    let header = Header::parse(path, &inflated(path, &stored, HEADER_BYTES)?)?;
    let (data_path, stored) = if header.is_pair {
        let data_path = image_of(path)?;
        let stored = fs::read(&data_path)?;
        (data_path, stored)
    } else {
        (path.to_owned(), stored)
    };
    let [ni, nj, nk] = header.geometry.size();
    let expected = header.geometry.n_voxels().saturating_mul(header.element.n_bytes());
    let bytes = inflated(&data_path, &stored, expected.saturating_add(header.offset))?;
    let raw = bytes.get(header.offset..).unwrap_or_default();
    let wrong_size = || Error::Size { path: data_path.clone(), found: raw.len(), expected };
    if raw.len() != expected {
        return Err(wrong_size());
    }
    let scaled = |value: f64| header.slope * value + header.intercept;
    let convert = |value: f64| convert(scaled(value));
    let voxels = header.element.decode(raw, header.order, convert).map_err(|refused| {
        let n = refused.index;
        let voxel = [n % ni, n / ni % nj, n / (ni * nj)];
        let value = scaled(refused.value);
        Error::Voxel { path: data_path.clone(), voxel, value, expected: expected_value }
    })?;
    let voxels = Array3::from_shape_vec((nk, nj, ni), voxels).map_err(|_| wrong_size())?;
    Volume::new(header.geometry, voxels).map_err(|_| wrong_size())
}

/// The file with a header's voxels.
fn image_of(path: &Path) -> Result<PathBuf, Error> {
    let names = image_names(path).ok_or_else(|| Error::Value {
        path: path.to_owned(),
        field: "magic",
        found: "`ni1`, a header without voxels".to_owned(),
        expected: "`n+1`, or a name that ends with .hdr or .hdr.gz",
    })?;
    let found = names.iter().find(|name| name.exists()).cloned();
    found.ok_or_else(|| Error::NoImage { path: path.to_owned(), images: names })
}

/// The file's bytes, or where they begin as gzip does, up to one more than `expected` of what they
/// hold: a small file must not fill the memory.
fn inflated<'a>(path: &Path, stored: &'a [u8], expected: usize) -> Result<Cow<'a, [u8]>, Error> {
    if !stored.starts_with(&[0x1f, 0x8b]) {
        return Ok(Cow::Borrowed(stored));
    }
    let most = stored.len().saturating_mul(GZIP_MOST).min(expected.saturating_add(1));
    let mut bytes = Vec::with_capacity(most);
    MultiGzDecoder::new(stored)
        .take((expected as u64).saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| Error::Inflate { path: path.to_owned(), source })?;
    Ok(Cow::Owned(bytes))
}
