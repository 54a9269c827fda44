//! Files that are made byte by byte at the standard's offsets.

use super::fields::{LONGEST_BYTES, NIFTI_1_BYTES as HEADER_BYTES};
use super::*;
use crate::repair::{Repair, Repairs};
use crate::volume::Geometry;
use flate2::Compression;
use flate2::write::GzEncoder;
use fs_err as fs;
use ndarray::Array3;
use std::error::Error as _;
use std::io::Write;

/// 4 × 3 × 2 voxels, rotated about the head, with k reversed.
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

/// The text of the error after the file's name, and of its cause.
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
    // RAS has x to the right and y to the front: LPS (-10, 20) is RAS (10, -20).
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
    // nibabel's get_qform() @ (3, 2, 1) and (1, 0, 0), with x and y negated.
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
fn files_that_do_not_place_their_voxels_are_refused() {
    assert_eq!(
        message(&file(&[(254, &[0, 0])])),
        " does not place its voxels in the patient: neither sform_code nor qform_code is set; \
         `tolerances.image_files.unplaced = true` places an image from 0, and `masks.unplaced = true` puts a mask on its \
         image's grid"
    );
    let shear = message(&file(&[(284, &0.3f32.to_le_bytes()), (300, &0.4f32.to_le_bytes())]));
    assert!(shear.contains("axes must be unit vectors at right angles"), "{shear}");
    let spacing = message(&file(&[(88, &2.4f32.to_le_bytes())]));
    assert!(spacing.ends_with("pixdim's [0.75, 0.5, 2.4000000953674316] mm"), "{spacing}");
    // A qform without rotation differs from the rotated sform.
    let two = message(&file(&[(252, &[1, 0])]));
    assert!(two.contains("sform and qform differ by"), "{two}");
    assert_eq!(
        message(&file(&[(123, &[4])])),
        ": xyzt_units is 4, expected metres (1), millimetres (2), micrometres (3) or unknown (0)"
    );
}

#[test]
fn voxels_that_no_scanner_makes_are_refused_with_the_limit() {
    // Metres in place of millimetres, and an origin that is no position.
    let metres = message(&file(&[(123, &[1])]));
    let expected = " does not place its voxels in the patient: spacing must be 0.01 to 50 mm along i, j and k, got [750.0";
    assert!(metres.starts_with(expected), "{metres}");
    let far = message(&file(&[(292, &1e8f32.to_le_bytes())]));
    let expected = "origin must be -1000000 to 1000000 mm along x, y and z, got [-100000000.0,";
    assert!(far.contains(expected), "{far}");
}

#[test]
fn other_types_are_read_where_they_are_labels() {
    // 32-bit reals replace 48 bytes of integers: half as many along k.
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
    // As in nibabel: without a slope, the intercept is ignored.
    for slope in [0f32, f32::NAN, f32::INFINITY] {
        let none = file(&[(112, &slope.to_le_bytes()), (116, &7f32.to_le_bytes())]);
        assert_eq!(read_bytes(&none).unwrap().voxels()[[0, 0, 3]], 3, "{slope}");
    }
    assert_eq!(
        message(&file(&[(116, &f32::NAN.to_le_bytes())])),
        ": scl_inter is NaN, expected -1000000 to 1000000"
    );
    for (at, value, expected) in [
        (
            112,
            1e30f32,
            ": scl_slope is 1000000015047466200000000000000, expected 0, or 0.000001 to",
        ),
        (112, -1e-30, ": scl_slope is -0.000000000000000000000000000001"),
        (116, 1e9, ": scl_inter is 1000000000, expected -1000000 to 1000000"),
    ] {
        let error = message(&file(&[(at, &value.to_le_bytes())]));
        assert!(error.starts_with(expected), "{error}");
    }
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
    assert!(message(&file(&[(42, &[0xff, 0xff])])).starts_with(": dim is"), "-1");
}

#[test]
fn damaged_files_are_refused() {
    let whole = file(&[]);
    assert_eq!(message(&whole[..whole.len() - 1]), " holds 47 bytes of voxels, expected 48");
    // As many bytes as two slices are no padding.
    let long = [&whole[..], &[0; 48]].concat();
    assert_eq!(message(&long), " holds 96 bytes of voxels, expected 48");
    assert_eq!(message(&gzipped(&long)), " holds 96 bytes of voxels, expected 48");
    assert!(message(&gzipped(&whole)[..60]).starts_with(" is not a valid gzip stream"));
    for bytes in [&b"hello"[..], &file(&[(0, &[29, 2])]), &whole[..300]] {
        let expected = " is not a NIfTI file: it does not begin with 348 or 540 bytes of a header";
        assert_eq!(message(bytes), expected);
    }
    assert!(message(&file(&[(344, b"ni1")])).starts_with(": magic is"));
    let analyze = message(&file(&[(344, b"abc")]));
    assert!(analyze.starts_with(": magic is `abc\\x00`, expected `n+1` or `ni1`"), "{analyze}");
    assert_eq!(
        message(&file(&[(108, &8f32.to_le_bytes())])),
        ": vox_offset is 8, expected 352 or more bytes"
    );
    let huge = file(&[(42, &[255, 127]), (44, &[255, 127]), (46, &[255, 127])]);
    assert!(message(&gzipped(&huge)).starts_with(" holds 48 bytes of voxels, expected 703"));
}

/// The labels by the rules, whether they are placed, and what was put right.
fn read_by(bytes: &[u8], rules: &ReadRules) -> Result<(Volume<u16>, bool, Repairs), Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mask.nii");
    fs::write(&path, bytes).unwrap();
    let loaded = load(&path, &SliceRanges::all(), rules)?;
    let (is_placed, repairs) = (loaded.is_placed, loaded.repairs.clone());
    Ok((loaded.into_volume(too_large(&path))?, is_placed, repairs))
}

#[expect(clippy::float_cmp, reason = "the file states these numbers")]
#[test]
fn what_others_ignore_is_ignored_and_told_of() {
    let whole = file(&[]);
    let rules = ReadRules::default();
    let padded = [&whole[..], &[7; 1000]].concat();
    let tape = [&gzipped(&whole)[..], &[0; 4096]].concat();
    let tail = [&gzipped(&whole)[..], b"tail"].concat();
    for bytes in [padded.clone(), gzipped(&padded), tape, tail] {
        let (labels, is_placed, repairs) = read_by(&bytes, &rules).unwrap();
        assert_eq!((labels.voxels(), is_placed), (volume().voxels(), true));
        assert_eq!(repairs, Repairs::from([Repair::ExtraBytes]));
    }
    let (_, _, none) = read_by(&whole, &rules).unwrap();
    assert!(none.is_empty());
    // A shear of 0.0005: the axes are 0.6 0.8 and -0.8 0.6, and the second column is lengthened.
    let sheared = file(&[(284, &(0.4f32 + 2.5e-4).to_le_bytes())]);
    let (labels, _, repairs) = read_by(&sheared, &rules).unwrap();
    assert_eq!(repairs, Repairs::from([Repair::Sheared]));
    let middle = labels.geometry().voxel_to_patient([1.5, 1.0, 0.5]);
    let mut expected = volume().geometry().voxel_to_patient([1.5, 1.0, 0.5]);
    expected[0] -= 2.5e-4;
    assert_near(middle, expected);
    let strict = read_by(&sheared, &ReadRules { off_grid: 1e-5, ..rules }).unwrap_err();
    assert!(strict.source().unwrap().to_string().contains("axes are at no right angles"));
    let unplaced = file(&[(254, &[0, 0])]);
    let allowed = ReadRules { unplaced: true, ..rules };
    let (labels, is_placed, repairs) = read_by(&unplaced, &allowed).unwrap();
    assert_eq!((is_placed, repairs), (false, Repairs::from([Repair::Unplaced])));
    assert_eq!(labels.geometry().spacing().ijk(), [0.75, 0.5, 2.5]);
    assert_eq!(labels.geometry().origin_mm(), [0.0; 3]);
}

/// The volume as NIfTI-2, little-endian, with an sform in 64 bits.
fn nifti_2() -> Vec<u8> {
    let mut bytes = vec![0; LONGEST_BYTES];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &540i32.to_le_bytes());
    put(4, b"n+2\0\r\n\x1a\n");
    put(12, &512i16.to_le_bytes());
    for (n, length) in [3i64, 4, 3, 2, 1, 1, 1, 1].into_iter().enumerate() {
        put(16 + 8 * n, &length.to_le_bytes());
    }
    for (n, mm) in [1.0f64, 0.75, 0.5, 2.5].into_iter().enumerate() {
        put(104 + 8 * n, &mm.to_le_bytes());
    }
    put(168, &544i64.to_le_bytes());
    put(176, &1f64.to_le_bytes());
    put(348, &1i32.to_le_bytes());
    let rows = [[-0.45, 0.4, 0.0, 10.0], [-0.6, -0.3, 0.0, -20.0], [0.0, 0.0, -2.5, 30.0f64]];
    for (n, value) in rows.as_flattened().iter().enumerate() {
        put(400 + 8 * n, &value.to_le_bytes());
    }
    put(500, &2i32.to_le_bytes());
    let labels = volume();
    bytes.extend(labels.voxels().iter().flat_map(|label| label.to_le_bytes()));
    bytes
}

#[test]
fn the_second_version_is_read_too() {
    let bytes = nifti_2();
    for bytes in [bytes.clone(), gzipped(&bytes)] {
        let labels = read_bytes(&bytes).unwrap();
        assert_eq!(labels.voxels(), volume().voxels());
        for corner in [[0.0; 3], [3.0, 2.0, 1.0]] {
            let expected = volume().geometry().voxel_to_patient(corner);
            assert_near(labels.geometry().voxel_to_patient(corner), expected);
        }
    }
    let mut early = bytes.clone();
    early[168..170].copy_from_slice(&352i16.to_le_bytes());
    assert_eq!(message(&early), ": vox_offset is 352, expected 544 or more bytes");
    let mut mangled = bytes.clone();
    mangled[8] = b' ';
    assert!(message(&mangled).starts_with(": magic is `n+2\\x00 "), "{}", message(&mangled));
    let mut huge = bytes;
    huge[24..32].copy_from_slice(&i64::MAX.to_le_bytes());
    assert!(message(&huge).contains("does not place its voxels"), "{}", message(&huge));
    let _ = estimate_bytes(std::path::Path::new("none.nii")).unwrap_err();
}

/// A file of 3 × 2 × 1 values of -1 to 4, or of their absolute values, in the given type and order.
fn values(code: i16, bits: i16, big: bool, bytes: impl Fn(i8) -> Vec<u8>) -> Vec<u8> {
    let mut header = file(&[]);
    header.truncate(HEADER_BYTES);
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    for (at, value) in [(42, 3i16), (44, 2), (46, 1), (70, code), (72, bits)] {
        put(at, &value.to_le_bytes());
    }
    if big {
        let fields = [(0, 4), (40, 16), (56, 12), (68, 8), (76, 48), (252, 4), (256, 72)];
        for (at, n) in fields {
            let width = if matches!(at, 40 | 68 | 252) { 2 } else { 4 };
            header[at..at + n].chunks_mut(width).for_each(<[u8]>::reverse);
        }
    }
    for value in -1..5 {
        let mut value = bytes(value);
        if big {
            value.reverse();
        }
        header.extend(value);
    }
    header
}

#[test]
fn every_type_is_read_in_both_orders() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ct.nii");
    for big in [false, true] {
        let files = [
            (true, values(2, 8, big, |v| vec![v.unsigned_abs()])),
            (false, values(4, 16, big, |v| i16::from(v).to_le_bytes().to_vec())),
            (false, values(8, 32, big, |v| i32::from(v).to_le_bytes().to_vec())),
            (false, values(16, 32, big, |v| f32::from(v).to_le_bytes().to_vec())),
            (false, values(64, 64, big, |v| f64::from(v).to_le_bytes().to_vec())),
            (false, values(256, 8, big, |v| v.to_le_bytes().to_vec())),
            (true, values(512, 16, big, |v| u16::from(v.unsigned_abs()).to_le_bytes().to_vec())),
            (true, values(768, 32, big, |v| u32::from(v.unsigned_abs()).to_le_bytes().to_vec())),
            (false, values(1024, 64, big, |v| i64::from(v).to_le_bytes().to_vec())),
            (true, values(1280, 64, big, |v| u64::from(v.unsigned_abs()).to_le_bytes().to_vec())),
        ];
        for (unsigned, bytes) in files {
            fs::write(&path, &bytes).unwrap();
            let found = read(&path).unwrap();
            let first = if unsigned { 1 } else { -1 };
            assert_eq!(found.voxels().as_slice().unwrap(), [first, 0, 1, 2, 3, 4]);
            let expected = volume().geometry().voxel_to_patient([2.0, 1.0, 0.0]);
            assert_near(found.geometry().voxel_to_patient([2.0, 1.0, 0.0]), expected);
        }
    }
    let past = values(4, 16, false, |_| i16::MIN.to_le_bytes().to_vec());
    assert_eq!(
        message(&past).split(" is ").nth(1),
        Some("-32768, expected an integer from 0 to 65535")
    );
    fs::write(&path, values(8, 32, false, |_| 40000i32.to_le_bytes().to_vec())).unwrap();
    let error = read(&path).unwrap_err().to_string();
    assert!(error.contains("(i, j, k) is 40000, expected a 16-bit integer;"), "{error}");
}

#[test]
fn units_of_the_header_become_millimetres() {
    for (unit, name, factor) in
        [(1u8, "metres", 1e3f32), (3, "micrometres", 1e-3), (0, "unknown", 1.0)]
    {
        let mut bytes = file(&[(123, &[unit])]);
        // `pixdim` of the axes, the offsets of the qform, and the rows of the sform.
        for at in [80, 84, 88].into_iter().chain((268..328).step_by(4)) {
            let value = bytes[at..at + 4].first_chunk().map_or(0.0, |b| f32::from_le_bytes(*b));
            bytes[at..at + 4].copy_from_slice(&(value / factor).to_le_bytes());
        }
        let found = *read_bytes(&bytes).unwrap().geometry();
        let expected = volume().geometry().voxel_to_patient([3.0, 2.0, 1.0]);
        assert_near(found.voxel_to_patient([3.0, 2.0, 1.0]), expected);
        assert!((found.spacing().ijk()[2] - 2.5).abs() < 1e-5, "{name}");
    }
}

#[test]
fn a_header_may_have_its_voxels_in_another_file() {
    let whole = file(&[]);
    let (header, voxels) = whole.split_at(HEADER_BYTES);
    let mut header = header[..348].to_vec();
    header[344..348].copy_from_slice(b"ni1\0");
    header[108..112].copy_from_slice(&0f32.to_le_bytes());
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("a.hdr"), &header).unwrap();
    let missing = read_labels(&path("a.hdr")).unwrap_err().to_string();
    assert!(missing.contains("a.img` nor") && missing.contains("a.img.gz`"), "{missing}");
    fs::write(path("a.img"), voxels).unwrap();
    assert_eq!(read_labels(&path("a.hdr")).unwrap().voxels(), volume().voxels());
    fs::write(path("b.hdr.gz"), gzipped(&header)).unwrap();
    fs::write(path("b.img.gz"), gzipped(voxels)).unwrap();
    assert_eq!(read_labels(&path("b.hdr.gz")).unwrap().voxels(), volume().voxels());
    fs::write(path("a.img"), &voxels[1..]).unwrap();
    let short = read_labels(&path("a.hdr")).unwrap_err().to_string();
    assert!(short.ends_with("a.img` holds 47 bytes of voxels, expected 48"), "{short}");
    assert_eq!(
        message(&header),
        ": magic is `ni1` or `ni2`, a header without voxels, expected `n+1` or `n+2`, or a name that ends with .hdr or \
         .hdr.gz"
    );
    assert_eq!(image_names(&path("a.nii")), None);
}
