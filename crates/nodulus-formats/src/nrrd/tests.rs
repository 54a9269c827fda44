//! Files as 3D Slicer and pynrrd write them, made byte by byte; `tests/it/images.rs` reads pynrrd's own.

use super::*;
use crate::image_file::ImageRules;
use crate::mask_file::{LabelSegment, MaskRules};
use crate::repair::Repair;
use flate2::Compression;
use flate2::write::GzEncoder;
use fs_err as fs;
use std::error::Error as _;
use std::io::Write;

/// A header as Slicer 5 writes it, of 3 × 2 × 2 voxels.
const HEADER: &str = "NRRD0004\n# Complete NRRD file format specification at:\n\
    # http://teem.sourceforge.net/nrrd/format.html\ntype: short\ndimension: 3\n\
    space: left-posterior-superior\nsizes: 3 2 2\n\
    space directions: (0.5,0,0) (0,0.75,0) (0,0,-2)\nkinds: domain domain domain\nendian: little\n\
    encoding: raw\nspace origin: (-10,20,30)\n\n";

const VALUES: [i16; 12] = [-1024, 0, 1, 10, 11, 12, 100, 101, 102, 110, 111, 3071];

fn bytes() -> Vec<u8> {
    VALUES.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn read_with(header: &str, voxels: &[u8], rules: &ReadRules) -> Result<LoadedImage<i16>, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ct.nrrd");
    fs::write(&path, [header.as_bytes(), voxels].concat()).unwrap();
    load(&path, &SliceRanges::all(), rules)
}

fn read(header: &str, voxels: &[u8]) -> Result<LoadedImage<i16>, Error> {
    read_with(header, voxels, &ReadRules::default())
}

/// The text of the error after the file's name, and of its cause.
fn message(header: &str, voxels: &[u8]) -> String {
    let error = read(header, voxels).unwrap_err();
    let text = error.to_string();
    let (_, text) = text.rsplit_once("ct.nrrd`").unwrap();
    let cause = error.source().map(|cause| format!(": {cause}"));
    text.to_owned() + &cause.unwrap_or_default()
}

#[expect(clippy::float_cmp, reason = "the file states these numbers")]
#[test]
fn a_file_is_read_in_its_order_and_in_lps() {
    let loaded = read(HEADER, &bytes()).unwrap();
    assert!(loaded.is_placed && loaded.repairs.is_empty());
    let geometry = *loaded.slices.geometry();
    assert_eq!((geometry.size(), geometry.spacing().ijk()), ([3, 2, 2], [0.5, 0.75, 2.0]));
    assert_eq!(geometry.voxel_to_patient([2.0, 1.0, 1.0]), [-9.0, 20.75, 28.0]);
    assert_eq!(loaded.slices.slice(1).unwrap()[[1, 2]], 3071);
    assert_eq!(loaded.slices.slice(0).unwrap()[[1, 0]], 10);
    for (space, last) in [
        ("right-anterior-superior", [9.0, -20.75, 28.0]),
        ("RAS", [9.0, -20.75, 28.0]),
        ("left-anterior-superior", [-9.0, -20.75, 28.0]),
        ("LPS", [-9.0, 20.75, 28.0]),
    ] {
        let header = HEADER.replace("left-posterior-superior", space);
        let geometry = *read(&header, &bytes()).unwrap().slices.geometry();
        assert_eq!(geometry.voxel_to_patient([2.0, 1.0, 1.0]), last, "{space}");
    }
}

#[test]
fn every_encoding_order_and_spelling_is_read() {
    let plain = read(HEADER, &bytes()).unwrap();
    let same = |header: &str, voxels: &[u8]| {
        assert_eq!(read(header, voxels).unwrap().slices, plain.slices, "{header}");
    };
    for name in ["gzip", "gz", "GZIP"] {
        same(&HEADER.replace("raw", name), &gzip(&bytes()));
    }
    let big: Vec<u8> = VALUES.iter().flat_map(|value| value.to_be_bytes()).collect();
    same(&HEADER.replace("little", "big"), &big);
    let floats: Vec<u8> = VALUES.iter().flat_map(|v| f32::from(*v).to_le_bytes()).collect();
    same(&HEADER.replace("short", "float"), &floats);
    same(&HEADER.replace('\n', "\r\n"), &bytes());
    same(&HEADER.replace("(0.5,0,0)", "(0.5, 0, 0)"), &bytes());
    same(
        &HEADER.replace("\n\n", "\nspace units: \"mm\" \"mm\" \"mm\"\nkey: one:=two: three\n\n"),
        &bytes(),
    );
    same(&HEADER.replace("\n\n", "\nbyte skip: 3\n\n"), &[&[1, 2, 3], &bytes()[..]].concat());
    same(&HEADER.replace("\n\n", "\nbyteskip: -1\n\n"), &[&[1, 2, 3], &bytes()[..]].concat());
    let four = HEADER.replace("dimension: 3", "dimension: 4").replace("3 2 2", "3 2 2 1");
    same(&four.replace("(0,0,-2)", "(0,0,-2) none"), &bytes());
}

#[test]
fn voxels_may_be_in_another_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ct.nhdr");
    let header =
        HEADER.trim_end().replace("encoding: raw", "encoding: gzip\ndata file: a/ct.raw.gz");
    fs::write(&path, header).unwrap();
    assert_eq!(data_file(&path), None);
    fs::create_dir(folder.path().join("a")).unwrap();
    fs::write(folder.path().join("a/ct.raw.gz"), gzip(&bytes())).unwrap();
    assert_eq!(data_file(&path), Some(folder.path().join("a/ct.raw.gz")));
    let loaded = load::<i16>(&path, &SliceRanges::all(), &ReadRules::default()).unwrap();
    assert_eq!(loaded.slices.slice(1).unwrap()[[1, 2]], 3071);
    assert_eq!(estimate_bytes(&path).unwrap(), 24);
    for name in ["../ct.raw", "/ct.raw", "LIST", "ct%d.raw 1 2 1"] {
        let error = message(&HEADER.replace("raw", &format!("raw\ndatafile: {name}")), &[]);
        assert_eq!(
            error,
            format!(": `data file` is `{name}`, expected one file below the header's folder")
        );
    }
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    for (from, to, expected) in [
        (
            "NRRD0004",
            "NRRD",
            " is not an NRRD file: it does not begin with `NRRD000` and a version",
        ),
        ("type: short\n", "", " has no field `type`"),
        ("endian: little\n", "", " has no field `endian`"),
        (
            "type: short",
            "type: block",
            ": `type` is `block`, expected a type of one number, such as short",
        ),
        ("encoding: raw", "encoding: bzip2", ": `encoding` is `bzip2`, expected raw or gzip"),
        (
            "3 2 2",
            "3 2",
            ": `sizes` is `3 2 of dimension 3`, expected three whole numbers, or four with layers of segments",
        ),
        (
            "(0,0,-2)",
            "(0,0)",
            ": `space directions` is `(0.5,0,0) (0,0.75,0) (0,0)`, expected three vectors such as `(0.7,0,0)`",
        ),
        (
            "(-10,20,30)",
            "here",
            ": `space origin` is `here`, expected a vector such as `(-170,-180,-50)`",
        ),
        (
            "type: short",
            "type: short\ntype: float",
            ": `type` is `short` and `float`, expected one value",
        ),
        (
            "type: short",
            "hello",
            ", line 4: expected `field: value` or `key:=value`, found \"hello\"",
        ),
        (
            "type: short",
            "type: short\nspace units: \"m\" \"m\" \"m\"",
            ": `space units` is `\"m\" \"m\" \"m\"`, expected \"mm\" \"mm\" \"mm\"",
        ),
        ("type: short", "type: short\nline skip: 2", ": `line skip` is `2`, expected 0"),
        (
            "(0,0,-2)",
            "(0,0.5,-2)",
            " does not place its voxels in the patient: axes must be unit vectors",
        ),
        (
            "(0,0,-2)",
            "(0,0,0)",
            " does not place its voxels in the patient: spacing must be 0.01 to 50 mm along i, j and k, got [",
        ),
        (
            "(0,0,-2)",
            "(0,0,-70)",
            " does not place its voxels in the patient: spacing must be 0.01 to 50 mm along i, j and k, got [",
        ),
        ("3 2 2", "3 2 3", " holds 24 bytes of voxels, expected 36"),
        ("3 2 2", "3 2 1", " holds 24 bytes of voxels, expected 12"),
        ("3 2 2", "0 2 1", " does not place its voxels in the patient: size must be 1 to 65535"),
        (
            "space: left-posterior-superior\n",
            "",
            " does not place its voxels in the patient: it has no `space`",
        ),
        (
            "left-posterior-superior",
            "3D-right-handed",
            " does not place its voxels in the patient: it has no",
        ),
    ] {
        let found = message(&HEADER.replace(from, to), &bytes());
        assert!(found.starts_with(expected), "{found}\nexpected: {expected}");
    }
    let damaged = message(&HEADER.replace("raw", "gzip"), &gzip(&bytes())[..20]);
    assert!(damaged.starts_with(" holds no valid gzip stream"), "{damaged}");
}

#[expect(clippy::float_cmp, reason = "the file states these numbers")]
#[test]
fn a_file_without_a_space_is_placed_by_option() {
    let header = HEADER
        .replace("space: left-posterior-superior\n", "")
        .replace("space directions: (0.5,0,0) (0,0.75,0) (0,0,-2)", "spacings: 0.5 0.75 2")
        .replace("space origin: (-10,20,30)\n", "");
    assert!(message(&header, &bytes()).contains("`masks.unplaced = true`"));
    let rules = ReadRules::from(&ImageRules { unplaced: true, ..ImageRules::default() });
    let loaded = read_with(&header, &bytes(), &rules).unwrap();
    assert!(!loaded.is_placed);
    assert_eq!(loaded.repairs, Repairs::from([Repair::Unplaced]));
    assert_eq!(loaded.slices.geometry().voxel_to_patient([1.0; 3]), [0.5, 0.75, 2.0]);
}

fn labels(header: &str, voxels: &[u8]) -> Result<LabelMask, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ct.seg.nrrd");
    fs::write(&path, [header.as_bytes(), voxels].concat()).unwrap();
    load_labels(&path, &(&MaskRules::default()).into())
}

#[test]
fn layers_and_segments_are_those_of_slicer() {
    let bytes: Vec<u8> = vec![1, 0, 0, 2, 1, 2, 0, 0, 0, 0, 0, 3];
    let keys = "Segment0_ID:=a\nSegment0_Name:=nodule \\n ü\nSegment0_LabelValue:=1\nSegment0_Layer:=0\n\
        Segment1_ID:=Segment_2\nSegment1_LabelValue:=2\nSegment1_Layer:=1\nSegment2_ID:=c\n\
        Segment2_LabelValue:=3\nSegment2_Layer:=1\nSegmentation_ConversionParameters:=x: y\n\n";
    let header = "NRRD0004\ntype: unsigned char\ndimension: 4\nspace: left-posterior-superior\n\
        sizes: 2 3 2 1\nspace directions: none (1,0,0) (0,1,0) (0,0,1)\nkinds: list domain domain domain\n\
        encoding: gzip\nspace origin: (0,0,0)\n";
    let mask = labels(&format!("{header}{keys}"), &gzip(&bytes)).unwrap();
    let layers: Vec<Vec<u16>> =
        mask.layers.iter().map(|layer| layer.voxels().iter().copied().collect()).collect();
    assert_eq!(layers, [[1, 0, 1, 0, 0, 0], [0, 2, 2, 0, 0, 3]]);
    let segment = |name: &str, layer, value| LabelSegment { name: name.to_owned(), layer, value };
    let expected = [segment("nodule \n ü", 0, 1), segment("Segment_2", 1, 2), segment("c", 1, 3)];
    assert_eq!(mask.segments, expected);
    // The layers one after the other.
    let last = header
        .replace("2 3 2 1", "3 2 1 2")
        .replace("none (1,0,0) (0,1,0) (0,0,1)", "(1,0,0) (0,1,0) (0,0,1) none");
    let moved: Vec<u8> =
        [0, 1].iter().flat_map(|n| bytes.iter().copied().skip(*n).step_by(2)).collect();
    assert_eq!(labels(&format!("{last}{keys}"), &gzip(&moved)).unwrap(), mask);
    // Slicer 4: each segment has a layer, and the value 1.
    let old = "Segment0_ID:=a\nSegment1_ID:=b\n\n";
    let ones: Vec<u8> = bytes.iter().map(|value| (*value > 0).into()).collect();
    let mask = labels(&format!("{header}{old}"), &gzip(&ones)).unwrap();
    assert_eq!(mask.segments, [segment("a", 0, 1), segment("b", 1, 1)]);
    let error = labels(&format!("{header}{old}"), &gzip(&bytes)).unwrap_err().to_string();
    assert!(
        error.ends_with("layer 1 has voxels of value 2, which is no segment's `LabelValue`"),
        "{error}"
    );
    for (key, expected) in [
        (
            "Segment0_ID:=a\nSegment0_Layer:=2\n\n",
            "`Segment0_Layer` is `2`, expected a whole number up to 1",
        ),
        (
            "Segment0_ID:=a\nSegment0_LabelValue:=x\n\n",
            "`Segment0_LabelValue` is `x`, expected a whole number up to 65535",
        ),
        (
            "Segment0_ID:=a\nSegment1_ID:=a\nSegment2_ID:=a\n\n",
            "`Segment2_Layer` is `2, the segment's own number`, expected one of 2 layers from 0",
        ),
    ] {
        let error = labels(&format!("{header}{key}"), &gzip(&bytes)).unwrap_err().to_string();
        assert!(error.ends_with(expected), "{error}");
    }
    // A voxel's position does not count the layers.
    let reals =
        header.replace("unsigned char", "float").replace("encoding", "endian: little\nencoding");
    let mut values: Vec<u8> = bytes.iter().flat_map(|v| f32::from(*v).to_le_bytes()).collect();
    values[4 * 11..].copy_from_slice(&0.5f32.to_le_bytes());
    let error = labels(&format!("{reals}\n"), &gzip(&values)).unwrap_err().to_string();
    assert!(error.contains("voxel [2, 1, 0] (i, j, k) is 0.5"), "{error}");
}
