//! NIfTI-1 masks: one file, `.nii` or `.nii.gz`, with a label a voxel.
//!
//! NIfTI's patient axes are RAS; ours are LPS. Source: the NIfTI-1 standard (`nifti1.h`).

mod header;
mod orientation;
mod write;

pub use header::Error;
pub use orientation::Unplaced;
pub use write::write_labels;

use super::elements;
use crate::volume::Volume;
use flate2::read::MultiGzDecoder;
use fs_err as fs;
use header::{HEADER_BYTES, Header};
use ndarray::Array3;
use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

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
    let stored = fs::read(path)?;
    let header = Header::parse(path, &inflated(path, &stored, HEADER_BYTES)?)?;
    let [ni, nj, nk] = header.geometry.size();
    let expected = header.geometry.n_voxels().saturating_mul(header.element.n_bytes());
    let bytes = inflated(path, &stored, expected.saturating_add(header.offset))?;
    let raw = bytes.get(header.offset..).unwrap_or_default();
    let wrong_size = || Error::Size { path: path.to_owned(), found: raw.len(), expected };
    if raw.len() != expected {
        return Err(wrong_size());
    }
    let scaled = |value: f64| header.slope * value + header.intercept;
    let label = |value: f64| elements::as_u16(scaled(value));
    let labels = header.element.decode(raw, header.order, label).map_err(|refused| {
        let n = refused.index;
        let voxel = [n % ni, n / ni % nj, n / (ni * nj)];
        Error::Voxel { path: path.to_owned(), voxel, value: scaled(refused.value) }
    })?;
    let labels = Array3::from_shape_vec((nk, nj, ni), labels).map_err(|_| wrong_size())?;
    Volume::new(header.geometry, labels).map_err(|_| wrong_size())
}

/// The file's bytes, or where they begin as gzip does, up to one more than `expected` of what they
/// hold: a small file must not fill the memory.
fn inflated<'a>(path: &Path, stored: &'a [u8], expected: usize) -> Result<Cow<'a, [u8]>, Error> {
    if !stored.starts_with(&[0x1f, 0x8b]) {
        return Ok(Cow::Borrowed(stored));
    }
    let most = stored.len().saturating_mul(GZIP_MOST).min(expected.saturating_add(1));
    let mut bytes = Vec::with_capacity(most);
    MultiGzDecoder::new(stored)
        .take((expected as u64).saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| Error::Inflate { path: path.to_owned(), source })?;
    Ok(Cow::Owned(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::Geometry;
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
        let (_, text) = error
            .to_string()
            .rsplit_once("mask.nii`")
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
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
        let floats = [
            (76, -1.0),
            (80, 0.7),
            (84, 0.8),
            (88, 2.5),
            (256, 0.1),
            (260, 0.2),
            (264, 0.3),
            (268, 10.0),
            (272, -20.0),
            (276, 30.0),
        ];
        changes.extend(floats.map(|(at, value): (usize, f32)| (at, value.to_le_bytes().to_vec())));
        let changes: Vec<_> = changes.iter().map(|(at, bytes)| (*at, bytes.as_slice())).collect();
        let geometry = *read_bytes(&file(&changes)).unwrap().geometry();
        // nibabel: get_qform() @ (3, 2, 1) and (1, 0, 0), x and y turned round.
        assert_near(
            geometry.voxel_to_patient([3.0, 2.0, 1.0]),
            [-9.650_370_65, 17.303_843_14, 27.585_771_88],
        );
        assert_near(
            geometry.voxel_to_patient([1.0, 0.0, 0.0]),
            [-10.517_999_98, 19.582_508_02, 29.782_338_69],
        );
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
        assert!(
            message(&file(&[(123, &[3])])).starts_with(": xyzt_units is 3, expected millimetres")
        );
    }

    #[test]
    fn other_types_are_read_where_they_are_labels() {
        // 32-bit reals take the place of 48 bytes of integers: half as many along k.
        let mut real = file(&[(46, &[1, 0]), (70, &[16, 0]), (72, &[32, 0])]);
        real.truncate(HEADER_BYTES);
        real.extend((0..12).flat_map(|v| (v as f32).to_le_bytes()));
        assert_eq!(read_bytes(&real).unwrap().voxels()[[0, 2, 3]], 11);
        real[HEADER_BYTES + 20..][..4].copy_from_slice(&(-1f32).to_le_bytes());
        assert_eq!(
            message(&real),
            ": voxel [1, 1, 0] (i, j, k) is -1, expected an integer from 0 to 65535"
        );
        let doubled = file(&[(112, &2f32.to_le_bytes()), (116, &1f32.to_le_bytes())]);
        assert_eq!(read_bytes(&doubled).unwrap().voxels()[[0, 0, 3]], 7);
        let unscaled = file(&[(112, &f32::NAN.to_le_bytes())]);
        assert_eq!(read_bytes(&unscaled).unwrap().voxels()[[1, 2, 3]], 123);
        assert!(message(&file(&[(70, &[128, 0])])).starts_with(": datatype is 128"));
    }

    #[test]
    fn further_axes_must_have_one_voxel() {
        assert!(read_bytes(&file(&[(40, &[4, 0])])).is_ok());
        assert!(
            message(&file(&[(40, &[4, 0]), (48, &[2, 0])])).starts_with(": dim is [4, 4, 3, 2, 2")
        );
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
        assert_eq!(
            message(&file(&[(108, &8f32.to_le_bytes())])),
            ": vox_offset is 8, expected 352 or more bytes"
        );
        let huge = file(&[(42, &[255, 127]), (44, &[255, 127]), (46, &[255, 127])]);
        assert!(message(&gzipped(&huge)).starts_with(" holds 48 bytes of voxels, expected 703"));
    }
}
