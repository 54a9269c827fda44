//! The files with a MetaImage's voxels.

use super::Error;
use super::data::Data;
use super::header::{Compression, Header, Skipped};
use crate::elements::{Encoding, Voxel};
use crate::volume::SliceRanges;
use crate::voxel_stream::{Layout, Stop, Stream};
use flate2::read::ZlibDecoder;
use fs_err as fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A file with voxels: all of them, or a slice.
pub(super) struct Source {
    path: PathBuf,
    /// First byte of the voxels, or of their zlib stream.
    start: u64,
    /// Bytes from there to the file's end.
    stored: u64,
    layout: Layout,
}

/// The files of a header's voxels, in the order of k. A header can ask for more files than memory
/// holds, and for more voxels: no file is gone past that is not there, or not as long as it must be.
pub(super) fn sources(
    path: &Path,
    header: &Header,
    behind_header: u64,
) -> Result<Vec<Source>, Error> {
    let [ni, nj, nk] = header.geometry.size();
    let encoding = Encoding::unscaled(header.element, header.order);
    let layout = |slices| Layout { encoding, size: [ni, nj], slices };
    if header.data == Data::Local {
        let path = path.to_owned();
        return Ok(vec![Source::new(path, header, Some(behind_header), layout(0..nk))?]);
    }
    let each = header.data.n_files().is_some();
    let slices = |k| if each { k..k + 1 } else { 0..nk };
    let names = header.data.names().enumerate();
    names
        .map(|(k, name)| Source::new(path.with_file_name(name), header, None, layout(slices(k))))
        .collect()
}

/// Voxels of the wanted slices, or of those that the files can hold.
pub(super) fn n_values(header: &Header, sources: &[Source], wanted: &SliceRanges) -> usize {
    let compressed = header.compression != Compression::None;
    let values = sources.iter().map(|s| s.layout.n_values(wanted, s.stored, compressed));
    values.fold(0, usize::saturating_add)
}

impl Source {
    /// The voxels begin at `start`, or where the header says.
    fn new(
        path: PathBuf,
        header: &Header,
        start: Option<u64>,
        layout: Layout,
    ) -> Result<Self, Error> {
        let expected = layout
            .n_bytes()
            .ok_or_else(|| Error::TooLarge(path.clone(), header.geometry.size()))?;
        let length = fs::metadata(&path)?.len();
        let start = start.unwrap_or(match header.skipped {
            Skipped::First(n) => n.min(length),
            Skipped::AllBut => length.saturating_sub(expected),
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

    /// Adds the wanted ones of its slices.
    pub(super) fn read<T: Voxel>(
        &self,
        header: &Header,
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
            Compression::None => Stream::Plain(file),
            Compression::Zlib(_) => Stream::Zlib(ZlibDecoder::new(file.take(self.stored))),
        };
        let ended =
            stream.read_slices(&self.layout, wanted, voxels).map_err(|stop| match stop {
                Stop::Io(source) if header.compression == Compression::None => Error::Io(source),
                Stop::Io(source) => Error::Inflate { path: path(), source },
                Stop::Size { found } => {
                    let expected = self.layout.n_bytes().unwrap_or(u64::MAX);
                    Error::Size { path: path(), found, expected }
                }
                Stop::Voxel { voxel, value } => {
                    Error::Voxel { path: path(), voxel, value, expected: T::EXPECTED }
                }
            })?;
        match stream {
            Stream::Zlib(decoder) if ended && decoder.total_in() != self.stored => {
                let (found, expected) = (self.stored, decoder.total_in());
                Err(Error::CompressedSize { path: path(), found, expected })
            }
            _ => Ok(()),
        }
    }
}
