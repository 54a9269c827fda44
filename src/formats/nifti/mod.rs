//! NIfTI-1 masks: one file, `.nii` or `.nii.gz`, with a label a voxel.
//!
//! NIfTI's patient axes are RAS; ours are LPS. Source: the NIfTI-1 standard (`nifti1.h`).

mod orientation;
mod write;

pub use orientation::Unplaced;
pub use write::write_labels;

use super::elements::{self, ByteOrder, Element};
use crate::volume::{Geometry, Volume};
use flate2::read::MultiGzDecoder;
use fs_err as fs;
use ndarray::Array3;
use nifti::{Endianness, NiftiHeader};
use std::io::{self, Read};
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
const HEADER_BYTES: usize = 352;

/// gzip shrinks bytes to no less than this share of one.
const GZIP_MOST: usize = 1032;

/// Reads a mask of labels, 0 where there is none.
///
/// Any stored type is taken, and its scaling applied, as long as every label is an integer.
///
/// # Errors
///
/// Fails if the file cannot be read, is no NIfTI-1 file of three axes, does not place its voxels in
/// the patient (no orientation code, a shear, or two orientations that differ), holds more or fewer
/// bytes than its header says, or a value is no label.
pub fn read_labels(path: &Path) -> Result<Volume<u16>, Error> {
    let bytes = inflated(path, fs::read(path)?)?;
    let header = header(path, &bytes)?;
    let size = size(path, &header)?;
    let element = element(path, &header)?;
    let geometry = geometry(path, &header, size)?;
    let wrong = |field, found: f32, expected| Error::Value {
        path: path.to_owned(),
        field,
        found: found.to_string(),
        expected,
    };
    let offset = header.vox_offset;
    if !(offset.fract() == 0.0 && offset >= HEADER_BYTES as f32) {
        return Err(wrong("vox_offset", offset, "352 or more bytes"));
    }
    let expected = geometry.n_voxels().saturating_mul(element.n_bytes());
    let raw = bytes.get(offset as usize..).unwrap_or_default();
    if raw.len() != expected {
        return Err(Error::Size { path: path.to_owned(), found: raw.len(), expected });
    }
    let order = match header.endianness {
        Endianness::Little => ByteOrder::Little,
        Endianness::Big => ByteOrder::Big,
    };
    let (slope, intercept) = scaling(&header);
    let label = |value: f64| elements::as_u16(slope * value + intercept);
    let labels = element.decode(raw, order, label).map_err(|refused| {
        let ([ni, nj, _], n) = (size, refused.index);
        let voxel = [n % ni, n / ni % nj, n / (ni * nj)];
        Error::Voxel { path: path.to_owned(), voxel, value: slope * refused.value + intercept }
    })?;
    let [ni, nj, nk] = size;
    let too_few = |_| Error::Size { path: path.to_owned(), found: raw.len(), expected };
    let labels = Array3::from_shape_vec((nk, nj, ni), labels).map_err(too_few)?;
    Volume::new(geometry, labels)
        .map_err(|_| Error::Size { path: path.to_owned(), found: raw.len(), expected })
}

/// The file's bytes, decompressed where they begin as gzip does.
fn inflated(path: &Path, bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut start = Vec::new();
    let inflate = |source| Error::Inflate { path: path.to_owned(), source };
    MultiGzDecoder::new(bytes.as_slice())
        .take(HEADER_BYTES as u64)
        .read_to_end(&mut start)
        .map_err(inflate)?;
    // The header tells how much to read: a small file must not fill the memory.
    let header = header(path, &start)?;
    let voxels: usize = size(path, &header)?.iter().product();
    let expected = voxels
        .saturating_mul(element(path, &header)?.n_bytes())
        .saturating_add(header.vox_offset as usize);
    let mut all = Vec::with_capacity(expected.min(bytes.len().saturating_mul(GZIP_MOST)));
    MultiGzDecoder::new(bytes.as_slice())
        .take((expected as u64).saturating_add(1))
        .read_to_end(&mut all)
        .map_err(inflate)?;
    Ok(all)
}

fn header(path: &Path, bytes: &[u8]) -> Result<NiftiHeader, Error> {
    let header = NiftiHeader::from_reader(bytes)
        .map_err(|source| Error::Header { path: path.to_owned(), source })?;
    if header.sizeof_hdr != 348 || header.magic != *b"n+1\0" {
        return Err(Error::Value {
            path: path.to_owned(),
            field: "magic",
            found: format!("{:?} with {} bytes", header.magic, header.sizeof_hdr),
            expected: "`n+1` with 348 bytes: NIfTI-1 with header and voxels in one file",
        });
    }
    Ok(header)
}

/// Voxels along i, j, k; further axes must have one.
fn size(path: &Path, header: &NiftiHeader) -> Result<[usize; 3], Error> {
    let (n, axes) = (usize::from(header.dim[0]), header.dim.map(usize::from));
    match axes {
        [_, i, j, k, ref more @ ..]
            if (3..8).contains(&n) && i.min(j).min(k) > 0 && more[..n - 3].iter().all(|m| *m == 1) =>
        {
            Ok([i, j, k])
        }
        _ => Err(Error::Value {
            path: path.to_owned(),
            field: "dim",
            found: format!("{axes:?}"),
            expected: "three axes of one or more voxels",
        }),
    }
}

fn element(path: &Path, header: &NiftiHeader) -> Result<Element, Error> {
    Ok(match header.datatype {
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
        code => {
            return Err(Error::Value {
                path: path.to_owned(),
                field: "datatype",
                found: code.to_string(),
                expected: "the code of an integer or real type of up to 64 bits",
            });
        }
    })
}

/// Stored values times the first plus the second are the labels.
///
/// METHOD: the standard says that a slope of 0 means no scaling; nibabel also takes one that is not
/// finite for none.
fn scaling(header: &NiftiHeader) -> (f64, f64) {
    let (slope, intercept) = (f64::from(header.scl_slope), f64::from(header.scl_inter));
    let scaled = slope.is_finite() && slope != 0.0;
    if scaled { (slope, intercept) } else { (1.0, 0.0) }
}

fn geometry(path: &Path, header: &NiftiHeader, size: [usize; 3]) -> Result<Geometry, Error> {
    // METHOD: tools leave the unit out and mean millimetres; a file that names another is refused.
    if !matches!(header.xyzt_units & 7, 0 | 2) {
        return Err(Error::Value {
            path: path.to_owned(),
            field: "xyzt_units",
            found: header.xyzt_units.to_string(),
            expected: "millimetres (2)",
        });
    }
    orientation::geometry(header, size)
        .map_err(|source| Error::Unplaced { path: path.to_owned(), source })
}


#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    /// 4 × 3 × 2 voxels, turned about the head and the far way round along k.
    fn volume() -> Volume<u16> {
        let direction = [0.6, -0.8, 0.0, 0.8, 0.6, 0.0, 0.0, 0.0, -1.0];
        let geometry = Geometry::new([4, 3, 2], [0.75, 0.5, 2.5], [-10.0, 20.0, 30.0], direction);
        let labels = Array3::from_shape_fn((2, 3, 4), |(k, j, i)| (100 * k + 10 * j + i) as u16);
        Volume::new(geometry.unwrap(), labels).unwrap()
    }

    /// The bytes of `volume` with some of them changed.
    fn file(changes: &[(usize, &[u8])]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mask.nii");
        write_labels(&path, &volume()).unwrap();
        let mut bytes = fs::read(path).unwrap();
        for (at, change) in changes {
            bytes[*at..at + change.len()].copy_from_slice(change);
        }
        bytes
    }

    fn read_bytes(bytes: &[u8]) -> Result<Volume<u16>, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mask.nii");
        fs::write(&path, bytes).unwrap();
        read_labels(&path)
    }

    /// The error's own text and its causes', after the file's name.
    fn message(bytes: &[u8]) -> String {
        let error = read_bytes(bytes).unwrap_err();
        let (_, text) = error.to_string().rsplit_once("mask.nii`").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        text + &cause.unwrap_or_default()
    }

    fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn assert_near(found: [f64; 3], expected: [f64; 3]) {
        for a in 0..3 {
            assert!((found[a] - expected[a]).abs() < 1e-5, "{found:?} {expected:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["mask.nii", "mask.nii.gz"] {
            let path = folder.path().join(name);
            write_labels(&path, &volume()).unwrap();
            let back = read_labels(&path).unwrap();
            assert_eq!(back.voxels(), volume().voxels());
            for corner in [[0.0; 3], [3.0, 2.0, 1.0]] {
                assert_near(
                    back.geometry().voxel_to_patient(corner),
                    volume().geometry().voxel_to_patient(corner),
                );
            }
        }
    }

    #[test]
    fn the_sform_is_ras() {
        // x to the right, y to the front: LPS (-10, 20) is RAS (10, -20).
        let bytes = file(&[]);
        let float = |at: usize| f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_near([292, 308, 324].map(|at| f64::from(float(at))), [10.0, -20.0, 30.0]);
        assert_near([280, 296, 312].map(|at| f64::from(float(at))), [-0.45, -0.6, 0.0]);
    }

    #[test]
    fn the_qform_stands_in_for_a_missing_sform() {
        let mut changes = vec![(252usize, 1i16.to_le_bytes().to_vec()), (254, vec![0, 0])];
        let floats = [(76, -1.0), (80, 0.7), (84, 0.8), (88, 2.5), (256, 0.1), (260, 0.2), (264, 0.3), (268, 10.0), (272, -20.0), (276, 30.0)];
        changes.extend(floats.map(|(at, value): (usize, f32)| (at, value.to_le_bytes().to_vec())));
        let changes: Vec<_> = changes.iter().map(|(at, bytes)| (*at, bytes.as_slice())).collect();
        let geometry = *read_bytes(&file(&changes)).unwrap().geometry();
        // nibabel: get_qform() @ (3, 2, 1) and (1, 0, 0), x and y turned round.
        assert_near(geometry.voxel_to_patient([3.0, 2.0, 1.0]), [-9.650_370_65, 17.303_843_14, 27.585_771_88]);
        assert_near(geometry.voxel_to_patient([1.0, 0.0, 0.0]), [-10.517_999_98, 19.582_508_02, 29.782_338_69]);
    }

    #[test]
    fn what_is_not_placed_is_refused() {
        assert_eq!(
            message(&file(&[(254, &[0, 0])])),
            " does not place its voxels in the patient: neither sform_code nor qform_code is set"
        );
        let shear = message(&file(&[(284, &0.3f32.to_le_bytes()), (300, &0.4f32.to_le_bytes())]));
        assert!(shear.contains("axes must be unit vectors at right angles"), "{shear}");
        let spacing = message(&file(&[(88, &2.4f32.to_le_bytes())]));
        assert!(spacing.ends_with("pixdim's [0.75, 0.5, 2.4000000953674316] mm"), "{spacing}");
        // A qform without rotation is elsewhere than the turned sform.
        let two = message(&file(&[(252, &[1, 0])]));
        assert!(two.contains("sform and qform differ by"), "{two}");
        assert!(message(&file(&[(123, &[3])])).starts_with(": xyzt_units is 3, expected millimetres"));
    }

    #[test]
    fn other_types_are_read_where_they_are_labels() {
        // 32-bit reals take the place of 48 bytes of integers: half as many along k.
        let mut real = file(&[(46, &[1, 0]), (70, &[16, 0]), (72, &[32, 0])]);
        real.truncate(HEADER_BYTES);
        real.extend((0..12).flat_map(|v| (v as f32).to_le_bytes()));
        assert_eq!(read_bytes(&real).unwrap().voxels()[[0, 2, 3]], 11);
        real[HEADER_BYTES + 20..][..4].copy_from_slice(&(-1f32).to_le_bytes());
        assert_eq!(message(&real), ": voxel [1, 1, 0] (i, j, k) is -1, expected an integer from 0 to 65535");
        let doubled = file(&[(112, &2f32.to_le_bytes()), (116, &1f32.to_le_bytes())]);
        assert_eq!(read_bytes(&doubled).unwrap().voxels()[[0, 0, 3]], 7);
        let unscaled = file(&[(112, &f32::NAN.to_le_bytes())]);
        assert_eq!(read_bytes(&unscaled).unwrap().voxels()[[1, 2, 3]], 123);
        assert!(message(&file(&[(70, &[128, 0])])).starts_with(": datatype is 128"));
    }

    #[test]
    fn further_axes_must_have_one_voxel() {
        assert!(read_bytes(&file(&[(40, &[4, 0])])).is_ok());
        assert!(message(&file(&[(40, &[4, 0]), (48, &[2, 0])])).starts_with(": dim is [4, 4, 3, 2, 2"));
        assert!(message(&file(&[(40, &[2, 0])])).starts_with(": dim is"));
        assert!(message(&file(&[(42, &[0, 0])])).starts_with(": dim is"));
    }

    #[test]
    fn damaged_files_are_refused() {
        let whole = file(&[]);
        assert_eq!(message(&whole[..whole.len() - 1]), " holds 47 bytes of voxels, expected 48");
        let mut long = whole.clone();
        long.push(0);
        assert_eq!(message(&long), " holds 49 bytes of voxels, expected 48");
        assert_eq!(message(&gzipped(&long)), " holds 49 bytes of voxels, expected 48");
        assert!(message(&gzipped(&whole)[..60]).starts_with(" is no gzip stream"));
        assert!(message(b"hello").starts_with(" is no NIfTI-1 file"));
        assert!(message(&file(&[(344, b"ni1")])).starts_with(": magic is"));
        assert!(message(&file(&[(0, &[28, 2])])).starts_with(": magic is"));
        assert_eq!(message(&file(&[(108, &8f32.to_le_bytes())])), ": vox_offset is 8, expected 352 or more bytes");
        let huge = file(&[(42, &[255, 127]), (44, &[255, 127]), (46, &[255, 127])]);
        assert!(message(&gzipped(&huge)).starts_with(" holds 48 bytes of voxels, expected 703"));
    }
}
