//! One scan in every format gives the same volume: files by SimpleITK, files for SimpleITK, and cohorts.

use crate::{fixture, python};
use ndarray::Array3;
use nodulus::tables::Scan;
use nodulus_formats::cohort::files_below;
use nodulus_formats::dicom::{self, NewSeries, Numbering};
use nodulus_formats::image_file::ImageRules;
use nodulus_formats::volume::{Geometry, Volume};
use nodulus_formats::{image_file, metaimage, nifti};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;

/// A file as SimpleITK reads it.
#[derive(Deserialize)]
struct SimpleItkFile {
    name: String,
    size: [usize; 3],
    spacing: [f64; 3],
    corners: Vec<[f64; 3]>,
    corners_mm: Vec<[f64; 3]>,
    /// Voxels, i fastest.
    values: Vec<i64>,
}

const TOLERANCE_MM: f64 = 1e-4;

fn assert_near(found: [f64; 3], expected: [f64; 3], what: &str) {
    let near = (0..3).all(|axis| (found[axis] - expected[axis]).abs() < TOLERANCE_MM);
    assert!(near, "{what}: {found:?} mm, expected {expected:?} mm");
}

fn assert_same(volume: &Volume<i16>, file: &SimpleItkFile) {
    let name = &file.name;
    let geometry = volume.geometry();
    assert_eq!(geometry.size(), file.size, "{name}");
    assert_near(geometry.spacing().ijk(), file.spacing, name);
    assert_eq!(file.corners.len(), 8);
    for (corner, expected) in file.corners.iter().zip(&file.corners_mm) {
        assert_near(geometry.voxel_to_patient(*corner), *expected, name);
    }
    let values: Vec<i64> = volume.voxels().iter().map(|value| i64::from(*value)).collect();
    assert_eq!(values, file.values, "{name}");
}

/// 7 × 6 × 5 voxels with unequal sides, rotated about all three axes.
fn volume() -> Volume<i16> {
    let turn = |(s, c): (f64, f64), [a, b]: [usize; 2], d: [f64; 9]| -> [f64; 9] {
        std::array::from_fn(|n| {
            let (row, column) = (n / 3 * 3, n % 3);
            match column {
                _ if column == a => c * d[row + a] + s * d[row + b],
                _ if column == b => c * d[row + b] - s * d[row + a],
                _ => d[n],
            }
        })
    };
    let mut direction = Geometry::AXIAL;
    for (angle, axes) in [(0.35f64, [1, 2]), (-0.2, [0, 2]), (0.5, [0, 1])] {
        direction = turn(angle.sin_cos(), axes, direction);
    }
    let geometry =
        Geometry::new([7, 6, 5], [0.683_593_8, 0.71, 1.25], [-171.3, -180.25, -378.125], direction);
    let voxels =
        Array3::from_shape_fn((5, 6, 7), |(k, j, i)| ((k * 6 + j) * 7 + i) as i16 * 37 - 3024);
    Volume::new(geometry.unwrap(), voxels).unwrap()
}

fn write_series(folder: &Path, volume: &Volume<i16>) {
    let uids: Vec<String> =
        (1..=volume.geometry().size()[2]).map(|k| format!("1.2.3.{k}")).collect();
    let series = NewSeries {
        series_instance_uid: "1.2.3",
        study_instance_uid: "1.2.4",
        frame_of_reference_uid: "1.2.5",
        sop_instance_uids: &uids,
        patient_id: "p",
        patient_name: "",
        patient_birth_date: None,
        study_date: None,
        slice_thickness_mm: 1.25,
        manufacturer: "m",
        model: "n",
        kernel: "k",
        kvp: 120.0,
        tube_current: 100,
        rescale_slope: 1.0,
        rescale_intercept: -1024.0,
        numbering: Numbering::AgainstK,
    };
    dicom::write_series(folder, &series, volume).unwrap();
}

/// Writes the volume in every format.
fn write_all(folder: &Path, volume: &Volume<i16>) -> Vec<&'static str> {
    for (name, compressed) in [("a.mhd", false), ("b.mhd", true), ("c.mha", false), ("d.mha", true)]
    {
        metaimage::write(&folder.join(name), volume, compressed).unwrap();
    }
    for name in ["e.nii", "f.nii.gz"] {
        nifti::write(&folder.join(name), volume).unwrap();
    }
    write_series(&folder.join("g"), volume);
    vec!["a.mhd", "b.mhd", "c.mha", "d.mha", "e.nii", "f.nii.gz", "g"]
}

fn read(path: &Path) -> Volume<i16> {
    if path.is_dir() {
        let series = dicom::find_series(&files_below(path).unwrap()).unwrap();
        dicom::read_series(&series[0].files, &dicom::Tolerances::default()).unwrap().volume
    } else {
        image_file::read(path, &ImageRules::default()).unwrap()
    }
}

#[test]
fn one_scan_in_each_format_gives_the_same_volume() {
    let folder = tempfile::tempdir().unwrap();
    let volume = volume();
    for name in write_all(folder.path(), &volume) {
        let found = read(&folder.path().join(name));
        assert_eq!(found.voxels(), volume.voxels(), "{name}");
        let (found, expected) = (found.geometry(), volume.geometry());
        if name.contains(".mh") {
            assert_eq!(found, expected, "{name}");
        }
        assert_near(found.spacing().ijk(), expected.spacing().ijk(), name);
        for corner in [[0.0; 3], [6.0, 0.0, 0.0], [0.0, 5.0, 0.0], [0.0, 0.0, 4.0], [6.0, 5.0, 4.0]]
        {
            let position = expected.voxel_to_patient(corner);
            assert_near(found.voxel_to_patient(corner), position, name);
        }
    }
}

#[test]
fn files_by_simpleitk_are_read_as_simpleitk_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["write", folder.path().to_str().unwrap()];
    let Some(text) = python::script("image_files.py", &arguments) else { return };
    let files: Vec<SimpleItkFile> = serde_json::from_str(&text).unwrap();
    assert!(files.len() > 140, "{} files", files.len());
    let geometry = *volume().geometry();
    // Each file is one of two scans.
    let mut scans = BTreeSet::new();
    for file in &files {
        let volume =
            image_file::read(&folder.path().join(&file.name), &ImageRules::default()).unwrap();
        assert_same(&volume, file);
        // The script's scans have the same geometry as the one here.
        for (corner, position) in file.corners.iter().zip(&file.corners_mm) {
            assert_near(*position, geometry.voxel_to_patient(*corner), &file.name);
        }
        scans.insert(file.values.clone());
    }
    assert_eq!(scans.len(), 2);
}

#[test]
fn simpleitk_reads_our_files() {
    let folder = tempfile::tempdir().unwrap();
    let volume = volume();
    let names = write_all(folder.path(), &volume);
    let arguments = ["read", folder.path().to_str().unwrap()];
    let Some(text) = python::script("image_files.py", &arguments) else { return };
    let files: Vec<SimpleItkFile> = serde_json::from_str(&text).unwrap();
    assert_eq!(files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), names);
    for file in &files {
        assert_same(&volume, file);
    }
}

/// What a pipeline file needs besides its cohorts.
const TRAIN: &str = r#"
[crop]
size = 64

[train.model]
preset = "tiny"
image_size = 64

[[train.phases]]
name = "pretrain"
cohorts = ["c"]

[train.phases.schedule]
epochs = 1
std = false
"#;

/// Ingests a `volumes` cohort of two patients, whose images are files with this extension, and returns its scans.
fn ingested(extension: &str) -> Vec<Scan> {
    let folder = tempfile::tempdir().unwrap();
    for patient in 0..2i16 {
        let patient_folder = folder.path().join(format!("cohort/p{patient}"));
        fs_err::create_dir_all(&patient_folder).unwrap();
        // A mask needs slices that are perpendicular to the patient's z axis.
        let geometry =
            Geometry::new([7, 6, 5], [0.7, 0.71, 1.25], [-171.3, -180.2, 40.1], Geometry::AXIAL);
        let voxels = volume().into_voxels().mapv(|value| value + patient);
        let volume = Volume::new(geometry.unwrap(), voxels).unwrap();
        let image = patient_folder.join(format!("ct.{extension}"));
        if extension.starts_with('m') {
            metaimage::write(&image, &volume, true).unwrap();
        } else {
            nifti::write(&image, &volume).unwrap();
        }
        let labels = volume.voxels().mapv(|value| u16::from(value > 2000));
        let labels = Volume::new(*volume.geometry(), labels).unwrap();
        nifti::write_labels(&patient_folder.join("mask.nii.gz"), &labels).unwrap();
    }
    let pipeline = folder.path().join("p.toml");
    let root = folder.path().display();
    let text = format!(
        "store = \"{root}/store\"\n\n[[ingest.cohorts]]\nname = \"c\"\nsource = \"volumes\"\n\
         root = \"{root}/cohort\"\nimage = \"{{patient}}/ct.{extension}\"\n{TRAIN}"
    );
    fs_err::write(&pipeline, text).unwrap();
    fixture::run_well(&["ingest", pipeline.to_str().unwrap(), "--progress", "none"]);
    fixture::rows::<Scan>(&folder.path().join("store"))
}

#[test]
fn images_of_a_cohort_may_be_metaimage_or_nifti() {
    let expected = ingested("mhd");
    let series: BTreeSet<_> = expected.iter().map(|scan| &scan.series_instance_uid).collect();
    assert_eq!((expected.len(), series.len()), (2, 2), "each patient's `ct` is a series");
    for extension in ["mha", "nii", "nii.gz"] {
        let found = ingested(extension);
        assert_eq!(found.len(), 2, "{extension}");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.series_instance_uid, expected.series_instance_uid, "{extension}");
            assert_eq!(found.patient_id, expected.patient_id, "{extension}");
            assert_eq!((found.hu_min, found.hu_max), (expected.hu_min, expected.hu_max));
            assert_eq!(found.n_reading_sessions, 1, "{extension}");
            let origin = |scan: &Scan| {
                [scan.origin_x_mm, scan.origin_y_mm, scan.origin_z_mm].map(Option::unwrap)
            };
            assert_near(origin(found), origin(expected), extension);
        }
    }
}
