//! NRRD: Hounsfield units or labels, with header and voxels in one file (`.nrrd`) or two (`.nhdr`), and the
//! segmentations of 3D Slicer (`.seg.nrrd`).
//!
//! Positions become LPS in millimetres from whichever of RAS, LAS and LPS the file has. Source: teem's definition of
//! the file format, and Slicer's `vtkMRMLSegmentationStorageNode`.

mod error;
mod fields;
mod segments;
mod header;

#[cfg(test)]
mod tests;

pub use error::Error;

use crate::gzip_members::GzipMembers;
use crate::image_rules::ReadRules;
use crate::loaded_image::LoadedImage;
use crate::mask_file::{LabelGrid, LabelMask};
use crate::repair::Repairs;
use crate::volume::{SliceRanges, Volume};
use crate::voxel_encoding::{Voxel, VoxelEncoding};
use crate::voxel_stream::{StreamError, StreamLayout, VoxelStream, room};
use header::{Layers, ParsedHeader};
use ndarray::{Array3, Array4, Axis};
use nodulus_faults::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Most bytes of a header.
const HEADER_MOST: u64 = 1 << 20;

/// Reads slices of an image by the rules; for two files, `path` is that of the header.
pub(crate) fn load<T: Voxel>(
    path: &Path,
    wanted: &SliceRanges,
    rules: &ReadRules,
) -> Result<LoadedImage<T>, Error> {
    let (header, voxel_path) = open(path, rules)?;
    if header.layers != Layers::One {
        return Err(Error::Value {
            path: path.to_owned(),
            field: "dimension".to_owned(),
            found: "4".to_owned(),
            expected: "3 axes of an image, or layers of a mask".to_owned(),
        });
    }
    let mut repairs = header.repairs.clone();
    let voxels = voxels(&header, &voxel_path, rules, wanted, &mut repairs)?;
    let too_large = |size| Error::TooLarge(path.to_owned(), size);
    let (geometry, is_placed) = (header.geometry, header.is_placed);
    LoadedImage::of_voxels(geometry, is_placed, wanted, voxels, repairs, too_large)
}

/// Reads a mask with its layers and the segments that its header lists.
pub(crate) fn load_labels(path: &Path, rules: &ReadRules) -> Result<LabelMask, Error> {
    let (header, voxel_path) = open(path, rules)?;
    let [ni, nj, nk] = header.geometry.size();
    let too_large = || Error::TooLarge(path.to_owned(), [ni, nj, nk]);
    let mut repairs = header.repairs.clone();
    let all = SliceRanges::all();
    let values = voxels::<u16>(&header, &voxel_path, rules, &all, &mut repairs)?;
    let n = header.layers.n();
    let layers: Vec<Array3<u16>> = match header.layers {
        Layers::One => vec![Array3::from_shape_vec((nk, nj, ni), values).map_err(|_| too_large())?],
        Layers::First(_) | Layers::Last(_) => {
            let is_first = matches!(header.layers, Layers::First(_));
            let shape = if is_first { (nk, nj, ni, n) } else { (n, nk, nj, ni) };
            let axis = Axis(if is_first { 3 } else { 0 });
            let values = Array4::from_shape_vec(shape, values).map_err(|_| too_large())?;
            values.axis_iter(axis).map(|layer| layer.as_standard_layout().into_owned()).collect()
        }
    };
    let layers: Result<Vec<_>, _> =
        layers.into_iter().map(|layer| Volume::new(header.geometry, layer)).collect();
    let layers = layers.map_err(|_| too_large())?;
    let segments = header.segments;
    for (layer, values) in layers.iter().enumerate().filter(|_| !segments.is_empty()) {
        let is_known = |value: u16| {
            value == 0 || segments.iter().any(|s| (s.layer, s.value) == (layer, value))
        };
        if let Some(value) = values.voxels().iter().copied().find(|value| !is_known(*value)) {
            return Err(Error::UnknownSegment { path: path.to_owned(), layer, value });
        }
    }
    Ok(LabelMask { layers, segments, is_placed: header.is_placed, repairs })
}

/// The grid of a mask, without reading its voxels.
pub(crate) fn label_grid(path: &Path, rules: &ReadRules) -> Result<LabelGrid, Error> {
    let (header, voxel_path) = open(path, rules)?;
    let none = SliceRanges::default();
    voxels::<u16>(&header, &voxel_path, rules, &none, &mut header.repairs.clone())?;
    let has_segments = !header.segments.is_empty();
    Ok(LabelGrid { geometry: header.geometry, is_placed: header.is_placed, has_segments })
}

/// Estimates the bytes that an image or mask needs in memory, from its header and the length of its file.
///
/// # Errors
///
/// Fails if the header cannot be read.
pub fn estimate_bytes(path: &Path) -> Result<u64, Error> {
    let rules = ReadRules { unplaced: true, ..ReadRules::default() };
    let (header, voxel_path) = open(path, &rules)?;
    let length = fs::metadata(&voxel_path)?.len();
    let n = layout(&header, &rules).n_values(&SliceRanges::all(), length, header.is_gzip) as u64;
    // Layers are in memory once together and once apart.
    let times = if header.layers == Layers::One { 1 } else { 2 };
    Ok(times * n * size_of::<u16>() as u64)
}

/// The file with the voxels that a header names; `None` where they follow it, or the header cannot be read.
pub fn data_file(path: &Path) -> Option<PathBuf> {
    // Reading the voxels reports what is wrong.
    let rules = ReadRules { unplaced: true, ..ReadRules::default() };
    let (_, voxel_path) = open(path, &rules).ok()?;
    Some(voxel_path).filter(|file| file != path && fs::exists(file))
}

/// The header, and the file with its voxels.
fn open(path: &Path, rules: &ReadRules) -> Result<(ParsedHeader, PathBuf), Error> {
    let mut bytes = Vec::new();
    File::open(path)?.take(HEADER_MOST).read_to_end(&mut bytes)?;
    let header = ParsedHeader::parse(path, &bytes, rules)?;
    let file = header.data_file.as_ref().map(|name| path.with_file_name(name));
    Ok((header, file.unwrap_or_else(|| path.to_owned())))
}

/// The stream's layout: layers beside each other are wider rows, layers after each other more slices.
fn layout(header: &ParsedHeader, rules: &ReadRules) -> StreamLayout {
    let [ni, nj, nk] = header.geometry.size();
    let (wide, long) = match header.layers {
        Layers::One => (1, 1),
        Layers::First(n) => (n, 1),
        Layers::Last(n) => (1, n),
    };
    StreamLayout {
        encoding: VoxelEncoding::unscaled(header.element, header.order),
        rules: rules.values,
        size: [ni.saturating_mul(wide), nj],
        slices: 0..nk.saturating_mul(long),
    }
}

/// The values of the wanted slices, in the file's order.
fn voxels<T: Voxel>(
    header: &ParsedHeader,
    path: &Path,
    rules: &ReadRules,
    wanted: &SliceRanges,
    repairs: &mut Repairs,
) -> Result<Vec<T>, Error> {
    let size = header.geometry.size();
    let too_large = || Error::TooLarge(path.to_owned(), size);
    let layout = layout(header, rules);
    let expected = layout.n_bytes().ok_or_else(too_large)?;
    let wrong_size = |found| Error::Size { path: path.to_owned(), found, expected };
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let start = if header.data_file.is_none() { header.end as u64 } else { 0 };
    let stored = length.saturating_sub(start);
    let mut stream = if header.is_gzip {
        file.seek(SeekFrom::Start(start))?;
        VoxelStream::Gzip(GzipMembers::new(file))
    } else {
        let skipped = header.skipped.unwrap_or_else(|| stored.saturating_sub(expected));
        let found = stored.saturating_sub(skipped);
        // In a file of its own, more bytes could also lie before the voxels.
        let is_start_known = header.data_file.is_none() || header.is_skip_given;
        let is_padding = |extra| extra == 0 || is_start_known && layout.is_padding(extra);
        if !found.checked_sub(expected).is_some_and(is_padding) {
            return Err(wrong_size(found));
        }
        file.seek(SeekFrom::Start(start + skipped))?;
        VoxelStream::Plain(file)
    };
    let failed = |source| {
        if header.is_gzip {
            Error::Inflate { path: path.to_owned(), source }
        } else {
            Error::Io(source)
        }
    };
    if let Some(skipped) = header.skipped.filter(|_| header.is_gzip)
        && stream.skip(skipped).map_err(failed)? < skipped
    {
        return Err(wrong_size(0));
    }
    let n = layout.n_values(wanted, stored, header.is_gzip);
    let mut voxels = room(n).map_err(|_| too_large())?;
    match stream.read_slices(&layout, wanted, &mut voxels, repairs) {
        Ok(_) => Ok(voxels),
        Err(StreamError::Io(source)) => Err(failed(source)),
        Err(StreamError::Size { found }) => Err(wrong_size(found)),
        Err(StreamError::Voxel { voxel: [i, j, k], value }) => {
            let i = if let Layers::First(n) = header.layers { i / n } else { i };
            let voxel = [i, j, k % size[2]];
            Err(Error::Voxel { path: path.to_owned(), voxel, value, expected: T::expected(value) })
        }
    }
}
