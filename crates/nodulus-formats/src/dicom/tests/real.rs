//! Real scans compared with pydicom and SimpleITK; `tests/golden/dicom_series.py` made the numbers.

use crate::cohort::files_below;
use crate::dicom::{CtSeries, Tolerances, find_series, read_series};
use crate::volume::Volume;
use nodulus_test_needs::real_scan;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

const GOLDEN: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/dicom_series.json"));

#[derive(Deserialize)]
struct Golden {
    scans: BTreeMap<String, Scan>,
}

#[derive(Deserialize)]
struct Scan {
    pydicom: Series,
    simpleitk: Image,
}

#[derive(Deserialize)]
struct Image {
    size: [usize; 3],
    hu_min: i16,
    hu_max: i16,
    hu_sum: i64,
    hu_sha256: String,
    samples: Vec<Sample>,
    spacing_mm: [f64; 3],
    origin_mm: [f64; 3],
    direction: [f64; 9],
}

#[derive(Deserialize)]
struct Sample {
    ijk: [usize; 3],
    hu: i16,
}

#[derive(Deserialize)]
struct Series {
    #[serde(flatten)]
    image: Image,
    slice_z_mm: Vec<f64>,
    sop_instance_uids_sha256: String,
    slice_thickness_mm: f64,
    kvp: f64,
    tube_current: f64,
    manufacturer: String,
    model: String,
    kernel: String,
    transfer_syntax: String,
}

/// The only CT series below a folder.
fn series_below(folder: &Path) -> CtSeries {
    let found = find_series(&files_below(folder).unwrap()).unwrap();
    let [series] = &found[..] else { panic!("{} series below {}", found.len(), folder.display()) };
    read_series(&series.files, &Tolerances::default()).unwrap()
}

fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

fn check(volume: &Volume<i16>, golden: &Image) {
    let geometry = volume.geometry();
    assert_eq!(geometry.size(), golden.size);
    let alike = |found: &[f64], expected: &[f64], what: &str| {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{what}: {found}, expected {expected}");
        }
    };
    alike(&geometry.spacing().ijk(), &golden.spacing_mm, "spacing");
    alike(&geometry.origin_mm(), &golden.origin_mm, "origin");
    alike(&geometry.direction(), &golden.direction, "direction");
    let voxels = volume.voxels();
    for Sample { ijk: [i, j, k], hu } in &golden.samples {
        assert_eq!(voxels[[*k, *j, *i]], *hu, "voxel ({i}, {j}, {k})");
    }
    assert_eq!(voxels.iter().min(), Some(&golden.hu_min));
    assert_eq!(voxels.iter().max(), Some(&golden.hu_max));
    assert_eq!(voxels.iter().map(|hu| i64::from(*hu)).sum::<i64>(), golden.hu_sum);
    let bytes: Vec<u8> = voxels.iter().flat_map(|hu| hu.to_le_bytes()).collect();
    assert_eq!(hex(&Sha256::digest(bytes)), golden.hu_sha256);
}

#[test]
fn real_scans_agree_with_pydicom_and_simpleitk() {
    let golden: Golden = serde_json::from_str(GOLDEN).unwrap();
    let temp = tempfile::tempdir().unwrap();
    for (name, Scan { pydicom, simpleitk }) in golden.scans {
        let Some(folder) = real_scan(&name, None, temp.path()) else { continue };
        let CtSeries { info, volume, sop_instance_uids, .. } = series_below(&folder);
        check(&volume, &simpleitk);
        check(&volume, &pydicom.image);
        for (k, z) in pydicom.slice_z_mm.iter().enumerate() {
            let found = volume.geometry().voxel_to_patient([0.0, 0.0, k as f64])[2];
            assert!((found - z).abs() < 1e-6, "slice {k}: z {found}, expected {z}");
        }
        let uids = hex(&Sha256::digest(sop_instance_uids.join("\n")));
        assert_eq!(uids, pydicom.sop_instance_uids_sha256);
        assert_eq!(info.patient_id, name);
        assert_eq!(info.slice_thickness_mm, Some(pydicom.slice_thickness_mm));
        assert_eq!([info.kvp, info.tube_current], [Some(pydicom.kvp), Some(pydicom.tube_current)]);
        assert_eq!(info.manufacturer, Some(pydicom.manufacturer));
        assert_eq!(info.model, Some(pydicom.model));
        assert_eq!(info.kernel, Some(pydicom.kernel));
        assert_eq!(info.transfer_syntax, pydicom.transfer_syntax);
        assert_eq!((info.n_duplicate_slices, info.n_missing_slices), (0, Some(0)));
        assert!(info.slice_gap_max_deviation_mm.unwrap() < 1e-6);
    }
}
