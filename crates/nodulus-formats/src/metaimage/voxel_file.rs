//! Reads the files that hold a MetaImage's voxels.

use super::data::DataLocation;
use super::error::Error;
use super::header::{Compression, MetaImageHeader, SkippedBytes};
use crate::image_rules::ReadRules;
use crate::repair::{Repair, Repairs};
use crate::volume::SliceRanges;
use crate::voxel_encoding::{Voxel, VoxelEncoding};
use crate::voxel_stream::{StreamError, StreamLayout, VoxelStream};
use flate2::read::ZlibDecoder;
use nodulus_faults::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A file with the voxels of all slices, or of one.
pub(super) struct VoxelFile {
    path: PathBuf,
    /// First byte of the voxels, or of their zlib stream.
    start: u64,
    /// Bytes of the voxels, or of their stream and what follows it.
    stored: u64,
    /// Whether bytes after them are ignored.
    has_extra_bytes: bool,
    layout: StreamLayout,
}

/// The files with the voxels of a header, in the order of k. A header can ask for more files, or more voxels, than
/// memory holds: listing stops at the first file that does not exist or has the wrong length.
pub(super) fn voxel_files(
    path: &Path,
    header: &MetaImageHeader,
    behind_header: u64,
    rules: &ReadRules,
) -> Result<Vec<VoxelFile>, Error> {
    let [ni, nj, nk] = header.geometry.size();
    let encoding = VoxelEncoding::unscaled(header.element, header.order);
    let layout = |slices| StreamLayout { encoding, rules: rules.values, size: [ni, nj], slices };
    if header.data == DataLocation::Local {
        let path = path.to_owned();
        return Ok(vec![VoxelFile::new(path, header, Some(behind_header), layout(0..nk))?]);
    }
    let each = header.data.n_files().is_some();
    let slices = |k| if each { k..k + 1 } else { 0..nk };
    let names = header.data.names().enumerate();
    names
        .map(|(k, name)| VoxelFile::new(path.with_file_name(name), header, None, layout(slices(k))))
        .collect()
}

/// Number of voxels in the wanted slices, or of those that the files can hold.
pub(super) fn n_values(
    header: &MetaImageHeader,
    files: &[VoxelFile],
    wanted: &SliceRanges,
) -> usize {
    let compressed = header.compression != Compression::None;
    let values = files.iter().map(|s| s.layout.n_values(wanted, s.stored, compressed));
    values.fold(0, usize::saturating_add)
}

impl VoxelFile {
    /// The voxels begin at `start`, or where the header says.
    fn new(
        path: PathBuf,
        header: &MetaImageHeader,
        start: Option<u64>,
        layout: StreamLayout,
    ) -> Result<Self, Error> {
        let expected = layout
            .n_bytes()
            .ok_or_else(|| Error::TooLarge(path.clone(), header.geometry.size()))?;
        let length = fs::metadata(&path)?.len();
        let start = start.unwrap_or(match header.skipped {
            SkippedBytes::First(n) => n.min(length),
            SkippedBytes::AllBut => length.saturating_sub(expected),
        });
        let found = length.saturating_sub(start);
        // Where the header says nothing of where they begin, more bytes could also lie before the voxels.
        let is_start_known = header.is_start_known || header.compression != Compression::None;
        let is_padding = |extra| extra == 0 || is_start_known && layout.is_padding(extra);
        let (stored, is_right) = match header.compression {
            Compression::None => (expected, found.checked_sub(expected).is_some_and(is_padding)),
            Compression::Zlib(Some(size)) => {
                (size, found.checked_sub(size).is_some_and(is_padding))
            }
            Compression::Zlib(None) => (found, true),
        };
        match header.compression {
            _ if is_right => {
                Ok(Self { path, start, stored, has_extra_bytes: found > stored, layout })
            }
            Compression::None => Err(Error::Size { path, found, expected }),
            Compression::Zlib(_) => Err(Error::CompressedSize { path, found, expected: stored }),
        }
    }

    /// Appends those of its slices that are wanted.
    pub(super) fn read<T: Voxel>(
        &self,
        header: &MetaImageHeader,
        wanted: &SliceRanges,
        voxels: &mut Vec<T>,
        repairs: &mut Repairs,
    ) -> Result<(), Error> {
        if wanted.within(&self.layout.slices).n_slices() == 0 {
            return Ok(());
        }
        let path = || self.path.clone();
        repairs.extend(self.has_extra_bytes.then_some(Repair::ExtraBytes));
        let mut file = fs::File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.start))?;
        let mut stream = match header.compression {
            Compression::None => VoxelStream::Plain(file),
            Compression::Zlib(_) => VoxelStream::Zlib(ZlibDecoder::new(file.take(self.stored))),
        };
        let ended =
            stream.read_slices(&self.layout, wanted, voxels, repairs).map_err(
                |error| match error {
                    StreamError::Io(source) if header.compression == Compression::None => {
                        Error::Io(source)
                    }
                    StreamError::Io(source) => Error::Inflate { path: path(), source },
                    StreamError::Size { found } => {
                        let expected = self.layout.n_bytes().unwrap_or(u64::MAX);
                        Error::Size { path: path(), found, expected }
                    }
                    StreamError::Voxel { voxel, value } => {
                        Error::Voxel { path: path(), voxel, value, expected: T::expected(value) }
                    }
                },
            )?;
        if let (VoxelStream::Zlib(decoder), true) = (stream, ended) {
            // Bytes after the stream, or a stream that ends elsewhere than the header says.
            let (found, expected) = (self.stored, decoder.total_in());
            match found.checked_sub(expected) {
                Some(0) => {}
                Some(extra) if self.layout.is_padding(extra) => {
                    repairs.note(Repair::ExtraBytes);
                }
                _ => return Err(Error::CompressedSize { path: path(), found, expected }),
            }
        }
        Ok(())
    }
}
