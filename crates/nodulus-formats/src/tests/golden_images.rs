//! Image files that SimpleITK and nibabel wrote, compared with what those read.

use crate::volume::Volume;
use crate::{metaimage, nifti};
use fs_err as fs;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Made by `tests/golden/image_files.py`.
const GOLDEN: &str = include_str!("../../../../tests/golden/image_files.json");

#[derive(Deserialize)]
struct Golden {
    corners: Vec<[f64; 3]>,
    metaimage: Vec<Case>,
    nifti: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    /// Content of each file, in hexadecimal.
    files: BTreeMap<String, String>,
    corners_mm: Vec<[f64; 3]>,
    values: Vec<f64>,
}

/// NIfTI stores positions in 32 bits.
const TOLERANCE_MM: f64 = 1e-4;

fn check<T: Copy + Into<f64>>(case: &Case, corners: &[[f64; 3]], volume: &Volume<T>) {
    let name = &case.name;
    assert_eq!(volume.geometry().size(), [4, 3, 2], "{name}");
    for (corner, expected) in corners.iter().zip(&case.corners_mm) {
        let found = volume.geometry().voxel_to_patient(*corner);
        let near = (0..3).all(|a| (found[a] - expected[a]).abs() < TOLERANCE_MM);
        assert!(near, "{name}: voxel {corner:?} lies at {found:?}, expected {expected:?}");
    }
    let values: Vec<f64> = volume.voxels().iter().map(|v| (*v).into()).collect();
    assert_eq!(values, case.values, "{name}");
}

#[test]
fn files_of_simpleitk_and_nibabel_are_read_as_they_read_them() {
    let golden: Golden = serde_json::from_str(GOLDEN).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in golden.metaimage.iter().chain(&golden.nifti).flat_map(|c| &c.files) {
        let digits = content.as_bytes().as_chunks::<2>().0;
        let byte = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        fs::write(folder.path().join(name), digits.iter().map(byte).collect::<Vec<u8>>()).unwrap();
    }
    for case in &golden.metaimage {
        check(case, &golden.corners, &metaimage::read(&folder.path().join(&case.name)).unwrap());
    }
    for case in &golden.nifti {
        check(case, &golden.corners, &nifti::read_labels(&folder.path().join(&case.name)).unwrap());
    }
}
