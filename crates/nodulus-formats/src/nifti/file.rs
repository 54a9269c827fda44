//! Reads the file that holds the voxels of a NIfTI header.

use super::error::Error;
use super::fields::LONGEST_BYTES;
use super::header::ParsedHeader;
use crate::gzip_members::{self, GzipMembers};
use crate::image_rules::ReadRules;
use crate::repair::{Repair, Repairs};
use crate::volume::SliceRanges;
use crate::voxel_encoding::{Voxel, VoxelEncoding};
use crate::voxel_stream::{StreamError, StreamLayout, VoxelStream};
use nodulus_faults::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A header, and the open file with its voxels.
pub(super) struct NiftiFile {
    pub(super) header: ParsedHeader,
    path: PathBuf,
    /// The content of the file, at its start.
    stream: VoxelStream,
    /// Length of the file in bytes.
    length: u64,
    layout: StreamLayout,
}

impl NiftiFile {
    pub(super) fn open(path: &Path, rules: &ReadRules) -> Result<Self, Error> {
        let (mut start, _) = stream(path)?;
        let mut bytes = [0; LONGEST_BYTES];
        let n = start.fill(&mut bytes).map_err(|source| stream_error(path, &start, source))?;
        let header = ParsedHeader::parse(path, &bytes[..n], rules)?;
        let mut path = path.to_owned();
        if header.is_pair {
            path = image_of(&path)?;
        }
        // From the start once more: the header may be shorter than what was read, and voxels follow it.
        let (stream, length) = stream(&path)?;
        let [ni, nj, nk] = header.geometry.size();
        let ParsedHeader { element, order, slope, intercept, .. } = header;
        let encoding = VoxelEncoding { element, order, slope, intercept };
        let layout = StreamLayout { encoding, rules: rules.values, size: [ni, nj], slices: 0..nk };
        Ok(Self { header, path, stream, length, layout })
    }

    /// Number of voxels in the wanted slices, or of those that the file can hold.
    pub(super) fn n_values(&self, wanted: &SliceRanges) -> usize {
        self.layout.n_values(wanted, self.length, is_gzip(&self.stream))
    }

    /// Appends the wanted slices.
    pub(super) fn read<T: Voxel>(
        mut self,
        wanted: &SliceRanges,
        voxels: &mut Vec<T>,
        repairs: &mut Repairs,
    ) -> Result<(), Error> {
        let Self { header, path, stream, length, layout } = &mut self;
        let expected = layout
            .n_bytes()
            .ok_or_else(|| Error::TooLarge(path.clone(), header.geometry.size()))?;
        let wrong_size = |found| Error::Size { path: path.clone(), found, expected };
        let before = header.offset as u64;
        let found = length.saturating_sub(before);
        if !is_gzip(stream) {
            match found.checked_sub(expected) {
                Some(0) => {}
                Some(extra) if layout.is_padding(extra) => {
                    repairs.note(Repair::ExtraBytes);
                }
                _ => return Err(wrong_size(found)),
            }
        }
        let passed = stream.skip(before).map_err(|source| stream_error(path, stream, source))?;
        if passed < before {
            return Err(wrong_size(0));
        }
        match stream.read_slices(layout, wanted, voxels, repairs) {
            Ok(_) => Ok(()),
            Err(StreamError::Io(source)) => Err(stream_error(path, stream, source)),
            Err(StreamError::Size { found }) => Err(wrong_size(found)),
            Err(StreamError::Voxel { voxel, value }) => {
                Err(Error::Voxel { path: path.clone(), voxel, value, expected: T::expected(value) })
            }
        }
    }
}

/// The files that may hold the voxels of a header `.hdr` or `.hdr.gz`, the likelier one first; `None` for another
/// name.
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

/// The content of a file, decompressed if it begins like gzip, and the length of the file.
fn stream(path: &Path) -> Result<(VoxelStream, u64), Error> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut first = [0; 2];
    let n = Read::by_ref(&mut file).take(2).read(&mut first)?;
    file.seek(SeekFrom::Start(0))?;
    let gzip = first[..n] == gzip_members::MAGIC;
    Ok((
        if gzip { VoxelStream::Gzip(GzipMembers::new(file)) } else { VoxelStream::Plain(file) },
        length,
    ))
}

const fn is_gzip(stream: &VoxelStream) -> bool {
    matches!(stream, VoxelStream::Gzip(_))
}

fn stream_error(path: &Path, stream: &VoxelStream, source: std::io::Error) -> Error {
    if is_gzip(stream) {
        Error::Inflate { path: path.to_owned(), source }
    } else {
        Error::Io(source)
    }
}

/// The file with the voxels of a header.
fn image_of(path: &Path) -> Result<PathBuf, Error> {
    let names = image_names(path).ok_or_else(|| Error::Value {
        path: path.to_owned(),
        field: "magic",
        found: "`ni1` or `ni2`, a header without voxels".to_owned(),
        expected: "`n+1` or `n+2`, or a name that ends with .hdr or .hdr.gz",
    })?;
    let found = names.iter().find(|name| fs::exists(name)).cloned();
    found.ok_or_else(|| Error::NoImage { path: path.to_owned(), images: names })
}
