//! Reads slices of an image file block by block: beside the wanted slices, only one block is in memory.

use crate::archive::MAX_RATIO;
use crate::gzip_members::GzipMembers;
use crate::repair::{Repair, Repairs};
use crate::volume::SliceRanges;
use crate::voxel_encoding::{ValueRules, Voxel, VoxelEncoding};
use flate2::read::ZlibDecoder;
use nodulus_faults::fs::File;
use std::collections::TryReserveError;
use std::io::{self, Read, Seek, SeekFrom, Take};
use std::ops::Range;

/// Bytes that are decoded at once; a multiple of the size of every type.
const BLOCK_BYTES: usize = 1 << 18;

/// Most bytes after the voxels that are ignored, unless a slice has more.
const MOST_EXTRA_BYTES: u64 = 1 << 16;

/// A stream of voxel bytes.
pub(crate) enum VoxelStream {
    Plain(File),
    Zlib(ZlibDecoder<Take<File>>),
    Gzip(GzipMembers<File>),
}

/// The content of a stream.
#[derive(Clone, Debug)]
pub(crate) struct StreamLayout {
    pub(crate) encoding: VoxelEncoding,
    pub(crate) rules: ValueRules,
    /// Voxels along i and j.
    pub(crate) size: [usize; 2],
    /// Slices k.
    pub(crate) slices: Range<usize>,
}

/// Why reading stopped.
#[derive(Debug)]
pub(crate) enum StreamError {
    /// The file system failed, or compressed bytes are damaged.
    Io(io::Error),
    /// The stream has fewer bytes than the layout needs, or more than can be padding; then as far as it was read.
    Size { found: u64 },
    /// A value that the wanted type cannot represent, at (i, j, k) of the scan.
    Voxel { voxel: [usize; 3], value: f64 },
}

impl From<io::Error> for StreamError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl StreamLayout {
    /// Bytes of all slices; `None` if memory cannot hold them.
    pub(crate) fn n_bytes(&self) -> Option<u64> {
        let n = self.size[0].checked_mul(self.size[1])?.checked_mul(self.slices.len())?;
        n.checked_mul(self.encoding.element.n_bytes())?.try_into().ok()
    }

    /// Whether bytes after the voxels are ignored: fewer than 64 KiB or a slice, whichever is more.
    ///
    /// METHOD: writers pad to blocks, and ITK and nibabel ignore whatever follows. Whole slices are no padding: then the
    /// header has the wrong number of slices.
    pub(crate) fn is_padding(&self, extra: u64) -> bool {
        let slice = (self.size[0] * self.size[1] * self.encoding.element.n_bytes()) as u64;
        extra <= slice.max(MOST_EXTRA_BYTES)
            && slice > 0
            && (extra == 0 || !extra.is_multiple_of(slice))
    }

    /// Number of values in the wanted slices, or the number that the stored bytes can hold, whichever is less: a
    /// header's claim must not fill the memory.
    pub(crate) fn n_values(&self, wanted: &SliceRanges, stored: u64, compressed: bool) -> usize {
        let most = stored.saturating_mul(if compressed { MAX_RATIO } else { 1 });
        let most = most / self.encoding.element.n_bytes() as u64;
        let slice = self.size[0].saturating_mul(self.size[1]);
        let n = wanted.within(&self.slices).n_slices().saturating_mul(slice);
        n.min(usize::try_from(most).unwrap_or(usize::MAX))
    }
}

/// An empty vector with room for `n` values.
pub(crate) fn room<T>(n: usize) -> Result<Vec<T>, TryReserveError> {
    let mut values = Vec::new();
    values.try_reserve_exact(n).map(|()| values)
}

impl VoxelStream {
    /// Appends the wanted slices of a stream that is at its first slice; returns whether the stream was read to its
    /// end. Bytes after the last wanted slice are neither read nor checked.
    pub(crate) fn read_slices<T: Voxel>(
        &mut self,
        layout: &StreamLayout,
        wanted: &SliceRanges,
        values: &mut Vec<T>,
        repairs: &mut Repairs,
    ) -> Result<bool, StreamError> {
        let [ni, nj] = layout.size;
        let slice_bytes = (ni * nj * layout.encoding.element.n_bytes()) as u64;
        let mut block = vec![0; BLOCK_BYTES];
        let (mut at, mut found) = (layout.slices.start, 0);
        for range in wanted.within(&layout.slices).iter() {
            let passed = (range.start - at) as u64 * slice_bytes;
            found += self.skip(passed)?;
            let end = (range.end - layout.slices.start) as u64 * slice_bytes;
            let first = values.len();
            while found < end {
                let length = block.len().min(usize::try_from(end - found).unwrap_or(usize::MAX));
                let n = self.fill(&mut block[..length])?;
                found += n as u64;
                let before = values.len() - first;
                let decoded = layout.encoding.decode(&block[..n], &layout.rules, values, repairs);
                decoded.map_err(|refused| {
                    let n = range.start * ni * nj + before + refused.index;
                    let voxel = [n % ni, n / ni % nj, n / (ni * nj)];
                    StreamError::Voxel { voxel, value: refused.value }
                })?;
                if n < length {
                    return Err(StreamError::Size { found });
                }
            }
            at = range.end;
        }
        let ended = at == layout.slices.end;
        if ended {
            let extra = self.skip_extra(slice_bytes.max(MOST_EXTRA_BYTES))?;
            if !layout.is_padding(extra) {
                return Err(StreamError::Size { found: found + extra });
            }
            if extra > 0 || matches!(self, Self::Gzip(members) if members.has_extra_bytes) {
                repairs.note(Repair::ExtraBytes);
            }
        }
        Ok(ended)
    }

    /// Reads bytes after the voxels, to one byte past `most` or to the end; returns how many there were.
    fn skip_extra(&mut self, most: u64) -> io::Result<u64> {
        let mut byte_block = vec![0; BLOCK_BYTES];
        let mut extra = 0;
        while extra <= most {
            let left = usize::try_from(most + 1 - extra).unwrap_or(usize::MAX);
            let length = byte_block.len().min(left);
            let n = self.fill(&mut byte_block[..length])?;
            extra += n as u64;
            if n < length {
                break;
            }
        }
        Ok(extra)
    }

    /// Skips bytes; returns how many there were, which for a plain file is not checked.
    pub(crate) fn skip(&mut self, n: u64) -> io::Result<u64> {
        if n == 0 {
            return Ok(0);
        }
        if let Self::Plain(file) = self {
            let n_signed = i64::try_from(n).map_err(|_| io::ErrorKind::InvalidInput)?;
            file.seek(SeekFrom::Current(n_signed))?;
            return Ok(n);
        }
        let mut block = vec![0; BLOCK_BYTES];
        let mut passed = 0;
        while passed < n {
            let length = block.len().min(usize::try_from(n - passed).unwrap_or(usize::MAX));
            let read = self.fill(&mut block[..length])?;
            passed += read as u64;
            if read < length {
                break;
            }
        }
        Ok(passed)
    }

    /// Fills a block as far as the stream has bytes; returns their number.
    pub(crate) fn fill(&mut self, block: &mut [u8]) -> io::Result<usize> {
        let mut n = 0;
        while n < block.len() {
            let read = match self {
                Self::Plain(file) => file.read(&mut block[n..]),
                Self::Zlib(decoder) => decoder.read(&mut block[n..]),
                Self::Gzip(decoder) => decoder.read(&mut block[n..]),
            };
            match read {
                Ok(0) => break,
                Ok(read) => n += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(n)
    }
}
