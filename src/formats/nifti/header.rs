//! The header of a NIfTI-1 file.

use super::super::elements::{ByteOrder, Element};
use super::orientation::{self, Unplaced};
use crate::volume::Geometry;
use nifti::{Endianness, NiftiHeader};
use std::io;
use std::path::{Path, PathBuf};

/// A NIfTI file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A compressed file is damaged.
    #[error("`{path}` is no gzip stream")]
    Inflate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// The file does not begin with a header of NIfTI-1.
    #[error("`{path}` is no NIfTI-1 file")]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: nifti::NiftiError,
    },
    /// A field of the header has a value that is not supported.
    #[error("`{path}`: {field} is {found}, expected {expected}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// Its value.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The header does not place the voxels in the patient.
    #[error("`{path}` does not place its voxels in the patient")]
    Unplaced {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Unplaced,
    },
    /// There are more or fewer bytes than the header says.
    #[error("`{path}` holds {found} bytes of voxels, expected {expected}")]
    Size {
        /// The file.
        path: PathBuf,
        /// Bytes that there are, as far as they were read.
        found: usize,
        /// Bytes that the header asks for.
        expected: usize,
    },
    /// A voxel's value is no label.
    #[error("`{path}`: voxel {voxel:?} (i, j, k) is {value}, expected an integer from 0 to 65535")]
    Voxel {
        /// The file.
        path: PathBuf,
        /// The voxel.
        voxel: [usize; 3],
        /// Its value.
        value: f64,
    },
}

/// Bytes before the voxels of a file without extensions: the header and four zeros.
pub(super) const HEADER_BYTES: usize = 352;

/// What the header says.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) geometry: Geometry,
    pub(super) element: Element,
    pub(super) order: ByteOrder,
    /// Bytes before the voxels.
    pub(super) offset: usize,
    /// A label is the stored value times this …
    pub(super) slope: f64,
    /// … plus this.
    pub(super) intercept: f64,
}

impl Header {
    /// Reads the header at the start of `bytes`.
    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, Error> {
        let header = NiftiHeader::from_reader(bytes)
            .map_err(|source| Error::Header { path: path.to_owned(), source })?;
        let wrong = |field, found: String, expected| Error::Value {
            path: path.to_owned(),
            field,
            found,
            expected,
        };
        if header.sizeof_hdr != 348 || header.magic != *b"n+1\0" {
            let found = format!("{:?} with {} bytes", header.magic, header.sizeof_hdr);
            let expected = "`n+1` with 348 bytes: NIfTI-1 with header and voxels in one file";
            return Err(wrong("magic", found, expected));
        }
        // METHOD: tools leave the unit out and mean millimetres; one that is named must be them.
        if !matches!(header.xyzt_units & 7, 0 | 2) {
            return Err(wrong("xyzt_units", header.xyzt_units.to_string(), "millimetres (2)"));
        }
        let offset = header.vox_offset;
        if !(offset.fract() == 0.0 && offset >= HEADER_BYTES as f32) {
            return Err(wrong("vox_offset", offset.to_string(), "352 or more bytes"));
        }
        let size = size(&header).ok_or_else(|| {
            wrong("dim", format!("{:?}", header.dim), "three axes of one or more voxels")
        })?;
        let element = element(header.datatype).ok_or_else(|| {
            let expected = "the code of an integer or real type of up to 64 bits";
            wrong("datatype", header.datatype.to_string(), expected)
        })?;
        let geometry = orientation::geometry(&header, size)
            .map_err(|source| Error::Unplaced { path: path.to_owned(), source })?;
        let order = match header.endianness {
            Endianness::Little => ByteOrder::Little,
            Endianness::Big => ByteOrder::Big,
        };
        // METHOD: the standard says that a slope of 0 means no scaling; nibabel also takes one that
        // is not finite for none.
        let (slope, intercept) = match f64::from(header.scl_slope) {
            slope if slope.is_finite() && slope != 0.0 => (slope, f64::from(header.scl_inter)),
            _ => (1.0, 0.0),
        };
        Ok(Self { geometry, element, order, offset: offset as usize, slope, intercept })
    }
}

/// Voxels along i, j, k; further axes must have one.
fn size(header: &NiftiHeader) -> Option<[usize; 3]> {
    let [n, axes @ ..] = header.dim.map(usize::from);
    let (&[i, j, k], more) = axes.get(..n)?.split_first_chunk()?;
    (i.min(j).min(k) > 0 && more.iter().all(|length| *length == 1)).then_some([i, j, k])
}

fn element(datatype: i16) -> Option<Element> {
    Some(match datatype {
        2 => Element::U8,
        4 => Element::I16,
        8 => Element::I32,
        16 => Element::F32,
        64 => Element::F64,
        256 => Element::I8,
        512 => Element::U16,
        768 => Element::U32,
        1024 => Element::I64,
        1280 => Element::U64,
        _ => return None,
    })
}
