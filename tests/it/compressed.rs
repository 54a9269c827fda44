//! Compressed slices against pydicom: newly made ones of several sizes, and pydicom's own test files.

use crate::python;
use nodulus_formats::dicom::{Tolerances, read_series};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Deserialize)]
struct Golden {
    images: BTreeMap<String, Vec<i64>>,
    files: Vec<Slice>,
}

#[derive(Deserialize)]
struct Slice {
    file: String,
    transfer_syntax: String,
    #[serde(default)]
    image: String,
    hu: Option<Vec<i64>>,
    tolerance: Option<i64>,
    /// Why pydicom cannot read it.
    unread: Option<String>,
}

fn furthest(found: &[i16], expected: &[i64]) -> i64 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(a, b)| (i64::from(*a) - b).abs()).max().unwrap()
}

#[test]
fn slices_of_any_size_decode_to_the_original() {
    let folder = tempfile::tempdir().unwrap();
    let make = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/compressed_slices.py");
    // Odd sizes, and more than one code block along each axis.
    for (seed, (columns, rows)) in (2..).zip([(200, 150), (67, 33), (17, 130), (512, 512)]) {
        let slices = folder.path().join(seed.to_string());
        let arguments = [
            slices.to_str().unwrap().to_owned(),
            format!("--seed={seed}"),
            format!("--columns={columns}"),
            format!("--rows={rows}"),
        ];
        let arguments = arguments.each_ref().map(String::as_str);
        if python::script(make.to_str().unwrap(), &arguments).is_none() {
            return;
        }
        let golden = fs_err::read(slices.join("golden.json")).unwrap();
        let golden: Golden = serde_json::from_slice(&golden).unwrap();
        assert!(golden.files.len() > 40);
        for slice in golden.files {
            let series = read_series(&[slices.join(&slice.file)], &Tolerances::default()).unwrap();
            assert_eq!(series.info.transfer_syntax, slice.transfer_syntax);
            let found = series.volume.voxels().as_slice().unwrap();
            let expected = slice.hu.as_ref().unwrap_or(&golden.images[&slice.image]);
            let difference = furthest(found, expected);
            let (file, allowed) = (slice.file, slice.tolerance.unwrap_or(0));
            assert!(difference <= allowed, "{file} of {columns} x {rows}: {difference} HU off");
        }
    }
}

#[test]
fn pydicoms_own_files_are_read_as_pydicom_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let Some(text) = python::script("compressed_files.py", &[folder.path().to_str().unwrap()])
    else {
        return;
    };
    let slices: Vec<Slice> = serde_json::from_str(&text).unwrap();
    let (mut read, mut refused) = (Vec::new(), BTreeMap::new());
    for slice in slices {
        match read_series(&[folder.path().join(&slice.file)], &Tolerances::default()) {
            Err(error) => {
                refused.insert(slice.file, error.to_string());
            }
            Ok(series) => {
                assert_eq!(slice.unread, None, "{}: pydicom does not read it", slice.file);
                let found = series.volume.voxels().as_slice().unwrap();
                let difference = furthest(found, &slice.hu.unwrap());
                // The decoders round a transform differently.
                let allowed = match slice.transfer_syntax.as_str() {
                    "1.2.840.10008.1.2.4.51" => 2,
                    "1.2.840.10008.1.2.4.50" | "1.2.840.10008.1.2.4.91" => 1,
                    _ => 0,
                };
                assert!(difference <= allowed, "{}: {difference} off", slice.file);
                read.push(slice.file);
            }
        }
    }
    let expected = [
        "693_J2KI.dcm",
        "JPEG2000.dcm",
        "JPEGLSNearLossless_08.dcm",
        "JPEGLSNearLossless_16.dcm",
        "JPGExtended.dcm",
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_expb.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
    ];
    for file in expected {
        assert!(read.iter().any(|read| read == file), "{file}: {:?}", refused.get(file));
    }
    let reasons = [
        ("J2K_pixelrep_mismatch.dcm", "found unsigned samples, expected signed samples"),
        ("image_dfl.dcm", "BitsAllocated (0028,0100) is 8, expected 16"),
        ("liver_expb_1frame.dcm", "BitsAllocated (0028,0100) is 1, expected 16"),
        ("rtdose_rle.dcm", "BitsAllocated (0028,0100) is 32, expected 8 or 16"),
    ];
    for (file, reason) in reasons {
        assert!(
            refused.get(file).is_some_and(|error| error.contains(reason)),
            "{file}: {refused:?}"
        );
    }
}
