//! The fields of a NIfTI-1 or NIfTI-2 header, by their offsets in `nifti1.h` and `nifti2.h`.

use crate::voxel_encoding::ByteOrder;

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
    pub(super) magic: Vec<u8>,
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

impl HeaderFields {
    /// Reads the fields at the start of `bytes`; `None` where no header begins, or it is cut off.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let first = *bytes.first_chunk::<4>()?;
        let of = |n: i32| usize::try_from(n).ok().filter(|n| HEADER_BYTES.contains(n));
        let (order, n_bytes) = match (of(i32::from_le_bytes(first)), of(i32::from_be_bytes(first)))
        {
            (Some(n), _) => (ByteOrder::Little, n),
            (None, Some(n)) => (ByteOrder::Big, n),
            (None, None) => return None,
        };
        let bytes = bytes.get(..n_bytes)?;
        let numbers = Numbers { bytes, order };
        if n_bytes == HEADER_BYTES[0] { numbers.nifti_1() } else { numbers.nifti_2() }
    }
}

/// Numbers at offsets of a header.
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

    fn i16(&self, offset: usize) -> Option<i64> {
        self.at(offset).map(|bytes| i64::from(i16::from_le_bytes(bytes)))
    }

    fn i32(&self, offset: usize) -> Option<i64> {
        self.at(offset).map(|bytes| i64::from(i32::from_le_bytes(bytes)))
    }

    fn i64(&self, offset: usize) -> Option<i64> {
        self.at(offset).map(i64::from_le_bytes)
    }

    fn f32(&self, offset: usize) -> Option<f64> {
        self.at(offset).map(|bytes| f64::from(f32::from_le_bytes(bytes)))
    }

    fn f64(&self, offset: usize) -> Option<f64> {
        self.at(offset).map(f64::from_le_bytes)
    }

    /// `N` numbers of `width` bytes, one after the other.
    fn several<T: Default + Copy, const N: usize>(
        offset: usize,
        width: usize,
        read: impl Fn(usize) -> Option<T>,
    ) -> Option<[T; N]> {
        let mut numbers = [T::default(); N];
        for (n, number) in numbers.iter_mut().enumerate() {
            *number = read(offset + n * width)?;
        }
        Some(numbers)
    }

    fn nifti_1(&self) -> Option<HeaderFields> {
        let floats = |offset| Self::several(offset, 4, |at| self.f32(at));
        let row = |offset| Self::several(offset, 4, |at| self.f32(at));
        Some(HeaderFields {
            order: self.order,
            least_offset: NIFTI_1_BYTES,
            magic: self.bytes.get(344..348)?.to_vec(),
            dim: Self::several(40, 2, |at| self.i16(at))?,
            datatype: self.i16(70)?,
            pixdim: Self::several(76, 4, |at| self.f32(at))?,
            vox_offset: self.f32(108)?,
            scl_slope: self.f32(112)?,
            scl_inter: self.f32(116)?,
            xyzt_units: *self.bytes.get(123)?,
            qform_code: self.i16(252)?,
            sform_code: self.i16(254)?,
            quaternion: floats(256)?,
            qoffset: floats(268)?,
            srow: [row(280)?, row(296)?, row(312)?],
        })
    }

    fn nifti_2(&self) -> Option<HeaderFields> {
        let floats = |offset| Self::several(offset, 8, |at| self.f64(at));
        let row = |offset| Self::several(offset, 8, |at| self.f64(at));
        Some(HeaderFields {
            order: self.order,
            least_offset: LONGEST_BYTES,
            magic: self.bytes.get(4..12)?.to_vec(),
            dim: Self::several(16, 8, |at| self.i64(at))?,
            datatype: self.i16(12)?,
            pixdim: Self::several(104, 8, |at| self.f64(at))?,
            // An integer of 64 bits: no file is long enough for a real to round it.
            vox_offset: self.i64(168)? as f64,
            scl_slope: self.f64(176)?,
            scl_inter: self.f64(184)?,
            xyzt_units: u8::try_from(self.i32(500)?).unwrap_or(u8::MAX),
            qform_code: self.i32(344)?,
            sform_code: self.i32(348)?,
            quaternion: floats(352)?,
            qoffset: floats(376)?,
            srow: [row(400)?, row(432)?, row(464)?],
        })
    }
}
