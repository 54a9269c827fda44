//! A slice in every transfer syntax, made by `tests/golden/compressed_slices.py`.

use super::samples;
use crate::dicom::series::find::find_series;
use crate::dicom::series::read::read_series;
use crate::dicom::series::tolerances::Tolerances;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use fs_err as fs;
use proptest::prelude::*;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
struct Golden {
    size: [usize; 2],
    images: BTreeMap<String, Vec<i16>>,
    files: Vec<Compressed>,
}

#[derive(Deserialize)]
struct Compressed {
    file: String,
    transfer_syntax: String,
    image: String,
    /// What pydicom reads, if that is not the image.
    hu: Option<Vec<i16>>,
    /// The greatest difference that a decoder may have.
    tolerance: Option<i32>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/compressed")
}

fn golden() -> Golden {
    serde_json::from_slice(&fs::read(folder().join("golden.json")).unwrap()).unwrap()
}

fn furthest(found: &[i16], expected: &[i16]) -> i32 {
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().zip(expected);
    pairs.map(|(a, b)| (i32::from(*a) - i32::from(*b)).abs()).max().unwrap()
}

#[test]
fn a_slice_is_the_same_in_every_lossless_syntax() {
    let Golden { size, images, files } = golden();
    let mut syntaxes = std::collections::BTreeSet::new();
    for Compressed { file, transfer_syntax, image, hu, tolerance } in files {
        let series = read_series(&[folder().join(&file)], &Tolerances::default()).unwrap();
        assert_eq!(series.info.transfer_syntax, transfer_syntax, "{file}");
        assert_eq!(series.volume.geometry().size(), [size[0], size[1], 1], "{file}");
        let found = series.volume.voxels().as_slice().unwrap();
        let expected = hu.as_ref().unwrap_or(&images[&image]);
        let allowed = tolerance.unwrap_or(0);
        assert!(furthest(found, expected) <= allowed, "{file}: {}", furthest(found, expected));
        syntaxes.insert(transfer_syntax);
    }
    assert_eq!(syntaxes.len(), 17);
    // The values span the whole range, so that a shift by 32768 would show.
    assert_eq!(images["s16"].iter().min(), Some(&i16::MIN));
    assert_eq!(images["s16"].iter().max(), Some(&i16::MAX));
}

#[test]
fn compressed_series_are_found() {
    let found = find_series(&crate::cohort::files_below(&folder()).unwrap()).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].files.len(), golden().files.len());
}

/// Copies a file, with the first occurrence of some bytes replaced.
fn replaced(file: &str, what: &[u8], with: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.dcm");
    let mut bytes = fs::read(self::folder().join(file)).unwrap();
    let at = bytes.windows(what.len()).position(|window| window == what).unwrap();
    bytes.splice(at..at + what.len(), with.iter().copied());
    fs::write(&copy, bytes).unwrap();
    (folder, copy)
}

fn refused(file: &Path) -> String {
    read_series(&[file.to_owned()], &Tolerances::default()).unwrap_err().to_string()
}

#[test]
fn a_codestream_that_contradicts_its_file_is_refused() {
    // PixelRepresentation (0028,0103) from 1 to 0, and Rows (0028,0010) from 24 to 25.
    let signed = [0x28, 0, 3, 1, b'U', b'S', 2, 0, 1, 0];
    let unsigned = [0x28, 0, 3, 1, b'U', b'S', 2, 0, 0, 0];
    let cases = [
        ("jpeg_2000_lossless_s16.dcm", "JPEG 2000"),
        ("htj2k_lossless_s12.dcm", "HTJ2K"),
        ("jpeg_2000_s12.dcm", "JPEG 2000"),
    ];
    for (file, codec) in cases {
        let (_folder, copy) = replaced(file, &signed, &unsigned);
        let expected = format!(
            "{codec} pixel data: found signed samples, expected unsigned samples, as \
             PixelRepresentation is 0"
        );
        assert!(refused(&copy).ends_with(&expected), "{file}: {}", refused(&copy));
    }
    let rows = [0x28, 0, 0x10, 0, b'U', b'S', 2, 0, 24, 0];
    let more = [0x28, 0, 0x10, 0, b'U', b'S', 2, 0, 25, 0];
    for Compressed { file, transfer_syntax, .. } in golden().files {
        if transfer_syntax.starts_with("1.2.840.10008.1.2.4.") {
            let error = refused(&replaced(&file, &rows, &more).1);
            assert!(error.contains("found 32 x 24 x 1 samples of "), "{error}");
            assert!(error.contains("expected 32 x 25 x 1 of "), "{error}");
        }
    }
    let (_folder, copy) = replaced("rle_s16.dcm", &rows, &more);
    assert!(refused(&copy).contains("RLE pixel data: found a segment of bytes"));
}

#[test]
fn a_codestream_of_another_codec_is_refused() {
    let cases: [(&str, &str, &str, &str); 4] = [
        ("jpeg_lossless_s16.dcm", "4.57", "4.51", "JPEG pixel data: found a frame SOF3"),
        ("jpeg_extended_u12.dcm", "4.51", "4.57", "lossless JPEG pixel data: found a frame SOF1"),
        ("jpeg_ls_s16.dcm", "4.80", "4.90", "JPEG 2000 pixel data: found bytes [ff, d8, ff"),
        ("htj2k_rpcl_u16.dcm", "4.202", "4.090", "4.090 (not of the standard"),
    ];
    for (file, from, to, expected) in cases {
        let uid = |end: &str| format!("1.2.840.10008.1.2.{end}");
        let (_folder, copy) = replaced(file, uid(from).as_bytes(), uid(to).as_bytes());
        assert!(refused(&copy).contains(expected), "{}", refused(&copy));
    }
}

#[test]
fn a_truncated_deflated_slice_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.dcm");
    fs::copy(self::folder().join("deflated_s16.dcm"), &copy).unwrap();
    let bytes = fs::read(&copy).unwrap();
    fs::write(&copy, &bytes[..bytes.len() - 40]).unwrap();
    assert!(refused(&copy).contains("copy.dcm`: deflated data set: found "), "{}", refused(&copy));
}

#[test]
fn another_bit_depth_is_refused_as_for_plain_slices() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.dcm");
    fs::copy(self::folder().join("explicit_s16.dcm"), &copy).unwrap();
    samples::edit(&copy, |object| {
        let eight = PrimitiveValue::from(8u16);
        object.put_element(DataElement::new(tags::BITS_ALLOCATED, VR::US, eight));
    });
    assert!(refused(&copy).contains("BitsAllocated (0028,0100) is 8, expected 16"));
}

#[test]
fn a_truncated_slice_is_an_error_at_every_length() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.dcm");
    for name in ["fragments_s16.dcm", "rle_u16.dcm", "deflated_u16.dcm"] {
        let bytes = fs::read(self::folder().join(name)).unwrap();
        for length in 0..bytes.len() {
            fs::write(&copy, &bytes[..length]).unwrap();
            assert!(refused(&copy).contains("copy.dcm`: "), "{name}: {length}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn damage_is_an_error_or_a_slice_and_not_a_panic(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((0usize..1400, any::<u8>()), 1..6),
    ) {
        let files = golden().files;
        let name = &files[which.index(files.len())].file;
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy.dcm");
        let mut bytes = fs::read(self::folder().join(name)).unwrap();
        // The pixels are at the end.
        let n_bytes = bytes.len();
        for (back, byte) in changes {
            if let Some(old) = bytes.get_mut(n_bytes.wrapping_sub(1 + back)) {
                *old = byte;
            }
        }
        fs::write(&copy, bytes).unwrap();
        if let Ok(series) = read_series(std::slice::from_ref(&copy), &Tolerances::default()) {
            prop_assert!(series.volume.geometry().n_voxels() <= 1 << 24);
        }
    }
}
