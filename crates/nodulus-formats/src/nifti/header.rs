//! The header of a NIfTI-1 file.

use super::error::Error;
use super::orientation;
use crate::volume::Geometry;
use crate::voxel_encoding::{ByteOrder, ElementType};
use nifti::{Endianness, NiftiHeader};
use std::path::Path;

/// Bytes before the voxels of a file without extensions: the header and four zeros.
pub(super) const HEADER_BYTES: usize = 352;

/// Bytes of a NIfTI-2 header: the value of its first field.
const NIFTI_2: i32 = 540;

/// The parsed header.
#[derive(Debug)]
pub(super) struct ParsedHeader {
    pub(super) geometry: Geometry,
    pub(super) element: ElementType,
    pub(super) order: ByteOrder,
    /// Whether the voxels are in another file.
    pub(super) is_pair: bool,
    /// Bytes before the voxels.
    pub(super) offset: usize,
    /// A value is the stored number times this …
    pub(super) slope: f64,
    /// … plus this.
    pub(super) intercept: f64,
}

impl ParsedHeader {
    /// Parses the header at the start of `bytes`.
    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, Error> {
        let wrong = |field, found: String, expected| Error::Value {
            path: path.to_owned(),
            field,
            found,
            expected,
        };
        let first = bytes.first_chunk().map(|first| i32::from_le_bytes(*first));
        if first.is_some_and(|n| n == NIFTI_2 || n.swap_bytes() == NIFTI_2) {
            let expected = "348: NIfTI-1, not NIfTI-2";
            return Err(wrong("sizeof_hdr", NIFTI_2.to_string(), expected));
        }
        let header = NiftiHeader::from_reader(bytes)
            .map_err(|source| Error::Header { path: path.to_owned(), source })?;
        let is_pair = header.magic == *b"ni1\0";
        if header.sizeof_hdr != 348 || !(is_pair || header.magic == *b"n+1\0") {
            let magic = header.magic.escape_ascii();
            let found = format!("`{magic}` with {} bytes", header.sizeof_hdr);
            let expected = "`n+1` or `ni1` with 348 bytes";
            return Err(wrong("magic", found, expected));
        }
        // METHOD: a header without a unit is in millimetres, as in ITK: many tools leave it out.
        let unit_mm = match header.xyzt_units & 7 {
            0 | 2 => 1.0,
            1 => 1e3,
            3 => 1e-3,
            _ => {
                let expected = "metres (1), millimetres (2), micrometres (3) or unknown (0)";
                return Err(wrong("xyzt_units", header.xyzt_units.to_string(), expected));
            }
        };
        let offset = header.vox_offset;
        let (least, expected) =
            if is_pair { (0, "0 or more bytes") } else { (HEADER_BYTES, "352 or more bytes") };
        if !(offset.fract() == 0.0 && offset >= least as f32) {
            return Err(wrong("vox_offset", offset.to_string(), expected));
        }
        let size = size(&header).ok_or_else(|| {
            wrong("dim", format!("{:?}", header.dim), "three axes of one or more voxels")
        })?;
        let element = element(header.datatype).ok_or_else(|| {
            let expected = "the code of an integer or real type of up to 64 bits";
            wrong("datatype", header.datatype.to_string(), expected)
        })?;
        let geometry = orientation::geometry(&header, size, unit_mm)
            .map_err(|source| Error::Orientation { path: path.to_owned(), source })?;
        let order = match header.endianness {
            Endianness::Little => ByteOrder::Little,
            Endianness::Big => ByteOrder::Big,
        };
        // METHOD: by the standard, a slope of 0 means no scaling, and no intercept (ITK adds it nevertheless). Like
        // nibabel, nodulus also ignores a slope that is not finite.
        let (slope, intercept) = match f64::from(header.scl_slope) {
            slope if slope.is_finite() && slope != 0.0 => (slope, f64::from(header.scl_inter)),
            _ => (1.0, 0.0),
        };
        if !intercept.is_finite() {
            let expected = "a number where scl_slope is one";
            return Err(wrong("scl_inter", intercept.to_string(), expected));
        }
        Ok(Self { geometry, element, order, is_pair, offset: offset as usize, slope, intercept })
    }
}

/// Voxels along i, j, k; further axes must have one voxel. The standard's lengths are signed.
fn size(header: &NiftiHeader) -> Option<[usize; 3]> {
    let [n, axes @ ..] = header.dim;
    let (&lengths, more) = axes.get(..usize::from(n))?.split_first_chunk()?;
    let is_length = |length: &u16| *length > 0 && i16::try_from(*length).is_ok();
    (lengths.iter().all(is_length) && more.iter().all(|length| *length == 1))
        .then_some(lengths.map(usize::from))
}

fn element(datatype: i16) -> Option<ElementType> {
    Some(match datatype {
        2 => ElementType::U8,
        4 => ElementType::I16,
        8 => ElementType::I32,
        16 => ElementType::F32,
        64 => ElementType::F64,
        256 => ElementType::I8,
        512 => ElementType::U16,
        768 => ElementType::U32,
        1024 => ElementType::I64,
        1280 => ElementType::U64,
        _ => return None,
    })
}
