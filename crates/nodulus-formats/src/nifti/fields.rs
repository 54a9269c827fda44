//! The fields of a NIfTI-1 header, and those of a NIfTI-2 header by their offsets in `nifti2.h`.

use crate::voxel_encoding::ByteOrder;
use nifti::{Endianness, NiftiHeader};

/// Bytes of the header of each version.
const HEADER_BYTES: [usize; 2] = [348, 540];

/// Bytes of the longest header, and the four bytes that follow each.
pub(super) const LONGEST_BYTES: usize = 544;

/// Bytes before the voxels of a NIfTI-1 file without extensions.
pub(super) const NIFTI_1_BYTES: usize = 352;

/// The fields that are used, as they stand in the file.
#[derive(Clone, Debug)]
pub(super) struct HeaderFields {
    pub(super) order: ByteOrder,
    /// Bytes before the voxels of a file without extensions.
    pub(super) least_offset: usize,
    pub(super) dim: [i64; 8],
    pub(super) datatype: i64,
    pub(super) pixdim: [f64; 8],
    pub(super) vox_offset: f64,
    pub(super) scl_slope: f64,
    pub(super) scl_inter: f64,
    pub(super) xyzt_units: u8,
    pub(super) qform_code: i64,
    pub(super) sform_code: i64,
    /// The quaternion's b, c and d.
    pub(super) quaternion: [f64; 3],
    pub(super) qoffset: [f64; 3],
    /// The rows of the sform.
    pub(super) srow: [[f64; 4]; 3],
}

/// The byte order of the header at the start of `bytes`, and its bytes.
fn header(bytes: &[u8]) -> Option<(ByteOrder, &[u8])> {
    let first = *bytes.first_chunk::<4>()?;
    let of = |n: i32| usize::try_from(n).ok().filter(|n| HEADER_BYTES.contains(n));
    let (order, n_bytes) = match (of(i32::from_le_bytes(first)), of(i32::from_be_bytes(first))) {
        (Some(n), _) => (ByteOrder::Little, n),
        (None, Some(n)) => (ByteOrder::Big, n),
        (None, None) => return None,
    };
    Some((order, bytes.get(..n_bytes)?))
}

/// The text by which a header names its format; `None` where no header begins, or it is cut off.
pub(super) fn magic(bytes: &[u8]) -> Option<&[u8]> {
    let (_, header) = header(bytes)?;
    header.get(if header.len() == HEADER_BYTES[0] { 344..348 } else { 4..12 })
}

impl HeaderFields {
    /// Reads the fields at the start of `bytes`; `None` where no header begins, or it is cut off.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (order, bytes) = header(bytes)?;
        if bytes.len() == HEADER_BYTES[0] {
            NiftiHeader::from_reader(bytes).ok().map(|header| Self::nifti_1(&header))
        } else {
            Numbers { bytes, order }.nifti_2()
        }
    }

    fn nifti_1(header: &NiftiHeader) -> Self {
        let row = |row: [f32; 4]| row.map(f64::from);
        Self {
            order: match header.endianness {
                Endianness::Little => ByteOrder::Little,
                Endianness::Big => ByteOrder::Big,
            },
            least_offset: NIFTI_1_BYTES,
            // The crate reads the axes' lengths without their sign.
            dim: header.dim.map(|n| i64::from(n.cast_signed())),
            datatype: header.datatype.into(),
            pixdim: header.pixdim.map(f64::from),
            vox_offset: header.vox_offset.into(),
            scl_slope: header.scl_slope.into(),
            scl_inter: header.scl_inter.into(),
            xyzt_units: header.xyzt_units,
            qform_code: header.qform_code.into(),
            sform_code: header.sform_code.into(),
            quaternion: [header.quatern_b, header.quatern_c, header.quatern_d].map(f64::from),
            qoffset: [header.quatern_x, header.quatern_y, header.quatern_z].map(f64::from),
            srow: [row(header.srow_x), row(header.srow_y), row(header.srow_z)],
        }
    }
}

/// Numbers at offsets of a NIfTI-2 header, which the crate `nifti` does not read.
struct Numbers<'a> {
    bytes: &'a [u8],
    order: ByteOrder,
}

impl Numbers<'_> {
    fn at<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let mut bytes: [u8; N] = *self.bytes.get(offset..)?.first_chunk()?;
        if self.order == ByteOrder::Big {
            bytes.reverse();
        }
        Some(bytes)
    }

    fn i32(&self, offset: usize) -> Option<i64> {
        self.at(offset).map(|bytes| i64::from(i32::from_le_bytes(bytes)))
    }

    fn i64(&self, offset: usize) -> Option<i64> {
        self.at(offset).map(i64::from_le_bytes)
    }

    /// `N` reals, one after the other.
    fn reals<const N: usize>(&self, offset: usize) -> Option<[f64; N]> {
        let mut numbers = [0.0; N];
        for (n, number) in numbers.iter_mut().enumerate() {
            *number = f64::from_le_bytes(self.at(offset + n * 8)?);
        }
        Some(numbers)
    }

    fn nifti_2(&self) -> Option<HeaderFields> {
        let mut dim = [0; 8];
        for (n, length) in dim.iter_mut().enumerate() {
            *length = self.i64(16 + n * 8)?;
        }
        let [scl_slope, scl_inter] = self.reals(176)?;
        Some(HeaderFields {
            order: self.order,
            least_offset: LONGEST_BYTES,
            dim,
            datatype: self.at(12).map(|bytes| i64::from(i16::from_le_bytes(bytes)))?,
            pixdim: self.reals(104)?,
            // An integer of 64 bits: no file is long enough for a real to round it.
            vox_offset: self.i64(168)? as f64,
            scl_slope,
            scl_inter,
            xyzt_units: u8::try_from(self.i32(500)?).unwrap_or(u8::MAX),
            qform_code: self.i32(344)?,
            sform_code: self.i32(348)?,
            quaternion: self.reals(352)?,
            qoffset: self.reals(376)?,
            srow: [self.reals(400)?, self.reals(432)?, self.reals(464)?],
        })
    }
}
