//! Reads the files that hold a MetaImage's voxels.

use super::data::DataLocation;
use super::error::Error;
use super::header::{Compression, MetaImageHeader, SkippedBytes};
use crate::volume::SliceRanges;
use crate::voxel_encoding::{Voxel, VoxelEncoding};
use crate::voxel_stream::{StreamError, StreamLayout, VoxelStream};
use flate2::read::ZlibDecoder;
use fs_err as fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A file with the voxels of all slices, or of one.
pub(super) struct VoxelFile {
    path: PathBuf,
    /// First byte of the voxels, or of their zlib stream.
    start: u64,
    /// Bytes from there to the end of the file.
    stored: u64,
    layout: StreamLayout,
}

/// The files with the voxels of a header, in the order of k. A header can ask for more files, or more voxels, than
/// memory holds: listing stops at the first file that does not exist or has the wrong length.
pub(super) fn voxel_files(
    path: &Path,
    header: &MetaImageHeader,
    behind_header: u64,
) -> Result<Vec<VoxelFile>, Error> {
    let [ni, nj, nk] = header.geometry.size();
    let encoding = VoxelEncoding::unscaled(header.element, header.order);
    let layout = |slices| StreamLayout { encoding, size: [ni, nj], slices };
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
        match header.compression {
            Compression::None if found != expected => Err(Error::Size { path, found, expected }),
            Compression::Zlib(Some(expected)) if found != expected => {
                Err(Error::CompressedSize { path, found, expected })
            }
            _ => Ok(Self { path, start, stored: found, layout }),
        }
    }

    /// Appends those of its slices that are wanted.
    pub(super) fn read<T: Voxel>(
        &self,
        header: &MetaImageHeader,
        wanted: &SliceRanges,
        voxels: &mut Vec<T>,
    ) -> Result<(), Error> {
        if wanted.within(&self.layout.slices).n_slices() == 0 {
            return Ok(());
        }
        let path = || self.path.clone();
        let mut file = fs::File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.start))?;
        let mut stream = match header.compression {
            Compression::None => VoxelStream::Plain(file),
            Compression::Zlib(_) => VoxelStream::Zlib(ZlibDecoder::new(file.take(self.stored))),
        };
        let ended =
            stream.read_slices(&self.layout, wanted, voxels).map_err(|error| match error {
                StreamError::Io(source) if header.compression == Compression::None => {
                    Error::Io(source)
                }
                StreamError::Io(source) => Error::Inflate { path: path(), source },
                StreamError::Size { found } => {
                    let expected = self.layout.n_bytes().unwrap_or(u64::MAX);
                    Error::Size { path: path(), found, expected }
                }
                StreamError::Voxel { voxel, value } => {
                    Error::Voxel { path: path(), voxel, value, expected: T::EXPECTED }
                }
            })?;
        match stream {
            VoxelStream::Zlib(decoder) if ended && decoder.total_in() != self.stored => {
                let (found, expected) = (self.stored, decoder.total_in());
                Err(Error::CompressedSize { path: path(), found, expected })
            }
            _ => Ok(()),
        }
    }
}
