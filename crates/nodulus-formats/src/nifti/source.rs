//! The file with a NIfTI header's voxels.

use super::header::{HEADER_BYTES, Header};
use super::{Error, image_names};
use crate::elements::{Encoding, Voxel};
use crate::volume::SliceRanges;
use crate::voxel_stream::{Layout, Stop, Stream};
use flate2::read::MultiGzDecoder;
use fs_err::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A header, and the file with its voxels.
pub(super) struct Source {
    pub(super) header: Header,
    path: PathBuf,
    /// At byte `at` of what the file holds.
    stream: Stream,
    at: u64,
    /// Bytes of the file.
    length: u64,
    layout: Layout,
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let (mut stream, mut length) = stream(path)?;
        let mut bytes = [0; HEADER_BYTES];
        let n = stream.fill(&mut bytes).map_err(|source| refused(path, &stream, source))?;
        let header = Header::parse(path, &bytes[..n])?;
        let (mut path, mut at) = (path.to_owned(), n as u64);
        if header.is_pair {
            path = image_of(&path)?;
            (stream, length) = self::stream(&path)?;
            at = 0;
        }
        let [ni, nj, nk] = header.geometry.size();
        let Header { element, order, slope, intercept, .. } = header;
        let encoding = Encoding { element, order, slope, intercept };
        let layout = Layout { encoding, size: [ni, nj], slices: 0..nk };
        Ok(Self { header, path, stream, at, length, layout })
    }

    /// Voxels of the wanted slices, or of those that the file can hold.
    pub(super) fn n_values(&self, wanted: &SliceRanges) -> usize {
        self.layout.n_values(wanted, self.length, is_gzip(&self.stream))
    }

    /// Adds the wanted slices.
    pub(super) fn read<T: Voxel>(
        mut self,
        wanted: &SliceRanges,
        voxels: &mut Vec<T>,
    ) -> Result<(), Error> {
        let Self { header, path, stream, at, length, layout } = &mut self;
        let expected = layout
            .n_bytes()
            .ok_or_else(|| Error::TooLarge(path.clone(), header.geometry.size()))?;
        let wrong_size = |found| Error::Size { path: path.clone(), found, expected };
        let offset = header.offset as u64;
        let found = length.saturating_sub(offset);
        if !is_gzip(stream) && found != expected {
            return Err(wrong_size(found));
        }
        let before = offset.saturating_sub(*at);
        let passed = stream.skip(before).map_err(|source| refused(path, stream, source))?;
        if passed < before {
            return Err(wrong_size(0));
        }
        match stream.read_slices(layout, wanted, voxels) {
            Ok(_) => Ok(()),
            Err(Stop::Io(source)) => Err(refused(path, stream, source)),
            Err(Stop::Size { found }) => Err(wrong_size(found)),
            Err(Stop::Voxel { voxel, value }) => {
                Err(Error::Voxel { path: path.clone(), voxel, value, expected: T::EXPECTED })
            }
        }
    }
}

/// What a file holds, inflated where it begins as gzip does, and the file's own length.
fn stream(path: &Path) -> Result<(Stream, u64), Error> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut first = [0; 2];
    let n = Read::by_ref(&mut file).take(2).read(&mut first)?;
    file.seek(SeekFrom::Start(0))?;
    let gzip = first[..n] == [0x1f, 0x8b];
    Ok((if gzip { Stream::Gzip(MultiGzDecoder::new(file)) } else { Stream::Plain(file) }, length))
}

const fn is_gzip(stream: &Stream) -> bool {
    matches!(stream, Stream::Gzip(_))
}

fn refused(path: &Path, stream: &Stream, source: std::io::Error) -> Error {
    if is_gzip(stream) {
        Error::Inflate { path: path.to_owned(), source }
    } else {
        Error::Io(source)
    }
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
