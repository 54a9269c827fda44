//! The header of a NIfTI file: what its fields mean.

use super::error::Error;
use super::fields::{self, HeaderFields};
use super::orientation;
use crate::image_rules::ReadRules;
use crate::limits::{INTERCEPT, SLOPE};
use crate::repair::{Repair, Repairs};
use crate::volume::Geometry;
use crate::voxel_encoding::{ByteOrder, ElementType};
use std::path::Path;

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
    /// Whether the header places the voxels in the patient.
    pub(super) is_placed: bool,
    pub(super) repairs: Repairs,
}

impl ParsedHeader {
    /// Parses the header at the start of `bytes`.
    pub(super) fn parse(path: &Path, bytes: &[u8], rules: &ReadRules) -> Result<Self, Error> {
        let wrong = |field, found: String, expected| Error::Value {
            path: path.to_owned(),
            field,
            found,
            expected,
        };
        let no_header = || Error::NotNifti { path: path.to_owned() };
        let magic = fields::magic(bytes).ok_or_else(no_header)?;
        let is_pair = magic == b"ni1\0" || magic == b"ni2\0\r\n\x1a\n";
        if !(is_pair || magic == b"n+1\0" || magic == b"n+2\0\r\n\x1a\n") {
            let found = format!("`{}`", magic.escape_ascii());
            let expected = "`n+1` or `ni1` of NIfTI-1, or `n+2` or `ni2` of NIfTI-2, not ANALYZE";
            return Err(wrong("magic", found, expected));
        }
        let header = HeaderFields::read(bytes).ok_or_else(no_header)?;
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
        let least = if is_pair { 0 } else { header.least_offset };
        let expected = match least {
            0 => "0 or more bytes",
            352 => "352 or more bytes",
            _ => "544 or more bytes",
        };
        if !(offset.fract() == 0.0 && offset >= least as f64) {
            return Err(wrong("vox_offset", offset.to_string(), expected));
        }
        let size = size(&header).ok_or_else(|| {
            wrong("dim", format!("{:?}", header.dim), "three axes of one or more voxels")
        })?;
        let element = element(header.datatype).ok_or_else(|| {
            let expected = "the code of an integer or real type of up to 64 bits";
            wrong("datatype", header.datatype.to_string(), expected)
        })?;
        let placed = orientation::geometry(&header, size, unit_mm, rules)
            .map_err(|source| Error::Orientation { path: path.to_owned(), source })?;
        let mut repairs = Repairs::default();
        repairs.extend(placed.is_sheared.then_some(Repair::Sheared));
        repairs.extend((!placed.is_placed).then_some(Repair::Unplaced));
        // METHOD: by the standard, a slope of 0 means no scaling, and no intercept (ITK adds it nevertheless). Like
        // nibabel, nodulus also ignores a slope that is not finite.
        let (slope, intercept) = match header.scl_slope {
            slope if slope.is_finite() && slope != 0.0 => (slope, header.scl_inter),
            _ => (1.0, 0.0),
        };
        if !SLOPE.holds(slope.abs()) {
            let expected = "0, or 0.000001 to 1000000 with either sign";
            return Err(wrong("scl_slope", slope.to_string(), expected));
        }
        if !INTERCEPT.holds(intercept) {
            return Err(wrong("scl_inter", intercept.to_string(), INTERCEPT.text));
        }
        Ok(Self {
            geometry: placed.geometry,
            element,
            order: header.order,
            is_pair,
            offset: offset as usize,
            slope,
            intercept,
            is_placed: placed.is_placed,
            repairs,
        })
    }
}

/// Voxels along i, j, k; further axes must have one voxel.
fn size(header: &HeaderFields) -> Option<[usize; 3]> {
    let [n, axes @ ..] = &header.dim;
    let (lengths, more) = axes.get(..usize::try_from(*n).ok()?)?.split_first_chunk::<3>()?;
    if !more.iter().all(|length| *length == 1) {
        return None;
    }
    let length = |n: i64| usize::try_from(n).ok().filter(|n| *n > 0);
    let [i, j, k] = lengths.map(length);
    Some([i?, j?, k?])
}

fn element(datatype: i64) -> Option<ElementType> {
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
