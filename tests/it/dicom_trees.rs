//! DICOM series in folders of any layout and in archives give the same rows.

use crate::series::{ingest, pack, two_patients};
use crate::{fixture, python};
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use nodulus::tables::{Failure, Mark, Roi, Scan};
use nodulus_formats::cohort::files_below;
use nodulus_formats::dicom::{Tolerances, find_series, read_series};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Rows of `scans`, `marks` and `rois`, without the paths of the files.
fn rows(store: &Path) -> (Vec<Scan>, Vec<Mark>, Vec<Roi>) {
    let lidc = store.parent().unwrap().join("lidc");
    let root = format!("ingest.cohorts.0.root={}", lidc.display());
    for stage in ["merge", "crop"] {
        let store = store.to_str().unwrap();
        let arguments = [stage, "pipelines/lidc.toml", "--progress", "none", "--store", store];
        fixture::run_well(&[&arguments[..], &["--set", &root]].concat());
    }
    let mut scans = fixture::rows::<Scan>(store);
    for scan in &mut scans {
        scan.path = None;
        scan.content_sha256 = String::new();
        scan.files_sha256 = String::new();
        scan.annotation_paths.clear();
    }
    let mut marks = fixture::rows::<Mark>(store);
    for mark in &mut marks {
        mark.source_path = String::new();
    }
    let mut rois = fixture::rows::<Roi>(store);
    scans.sort_by(|a, b| a.series_instance_uid.cmp(&b.series_instance_uid));
    marks.sort_by(|a, b| a.mark_id.cmp(&b.mark_id));
    rois.sort_by(|a, b| a.roi_id.cmp(&b.roi_id));
    (scans, marks, rois)
}

fn move_to(file: &Path, folder: &Path) {
    fs_err::create_dir_all(folder).unwrap();
    fs_err::rename(file, folder.join(file.file_name().unwrap())).unwrap();
}

#[test]
fn a_series_over_several_folders_and_in_archives_gives_the_same_rows() {
    let plain = tempfile::tempdir().unwrap();
    two_patients(&plain.path().join("lidc"));
    let (scans, store) = ingest(plain.path(), &[]);
    assert_eq!(scans.len(), 2);
    let expected = rows(&store);
    assert!(!expected.1.is_empty() && !expected.2.is_empty());

    // One patient's slices are in two folders with the XML above them; the other patient is in an archive.
    let other = tempfile::tempdir().unwrap();
    let lidc = other.path().join("lidc");
    let slices = two_patients(&lidc);
    let series = slices[0].parent().unwrap().to_owned();
    for (n, slice) in slices.iter().enumerate() {
        // Without an extension, as a scanner writes them.
        let folder = series.join(["a", "b/c"][n % 2]);
        move_to(slice, &folder);
        let moved = folder.join(slice.file_name().unwrap());
        fs_err::rename(&moved, folder.join(format!("IM{n}"))).unwrap();
    }
    let patient = series.strip_prefix(&lidc).unwrap().components().next().unwrap();
    let entries = fs_err::read_dir(&lidc).unwrap().map(|entry| entry.unwrap().path());
    let packed = entries.into_iter().find(|path| !path.ends_with(patient)).unwrap();
    pack(&packed, &lidc.join("other.tar.zst"));
    fs_err::remove_dir_all(&packed).unwrap();
    let (mut scans, store) = ingest(other.path(), &[]);
    scans.sort_by(|a, b| a.path.cmp(&b.path));
    let paths: Vec<_> = scans.iter().filter_map(|scan| scan.path.as_deref()).collect();
    let folder = series.strip_prefix(&lidc).unwrap().to_str().unwrap();
    assert_eq!(paths, [folder, "other.tar.zst"]);
    let xml = &scans[1].annotation_paths;
    assert!(xml.len() == 1 && xml[0].starts_with("other.tar.zst/"), "{xml:?}");
    assert_eq!(rows(&store), expected);
    // Nothing has changed, so nothing runs.
    let mut again = fixture::rows::<Scan>(&ingest(other.path(), &[]).1);
    again.sort_by(|a, b| a.path.cmp(&b.path));
    assert_eq!(again, scans);
}

#[test]
fn a_damaged_archive_or_slice_in_it_is_a_failure_named_by_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let lidc = folder.path().join("lidc");
    let slices = two_patients(&lidc);
    let series = slices[0].parent().unwrap();
    fs_err::write(lidc.join("none.zip"), "no archive").unwrap();
    let bytes = fs_err::read(&slices[1]).unwrap();
    fs_err::write(&slices[1], &bytes[..bytes.len() - 9]).unwrap();
    pack(series, &lidc.join("cut.tar"));
    // A missing slice instead: the series is refused, and its neighbours are named.
    fs_err::remove_file(&slices[1]).unwrap();
    fs_err::remove_file(&slices[4]).unwrap();
    pack(series, &lidc.join("hole.tar"));
    fs_err::remove_dir_all(series).unwrap();
    let root = format!("ingest.cohorts.0.root={}", lidc.display());
    let store = folder.path().join("store");
    let arguments = ["ingest", "pipelines/lidc.toml", "--progress", "none", "--store"];
    let arguments = [&arguments[..], &[store.to_str().unwrap(), "--set", &root]].concat();
    let output = fixture::run(&arguments);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let mut failures = fixture::rows::<Failure>(&store);
    failures.sort_by(|a, b| a.case_id.cmp(&b.case_id));
    // The marks of the incomplete series have no scan either.
    let [cut, reads, none] = &failures[..] else { panic!("{failures:?}") };
    assert_eq!((cut.case_id.as_str(), none.case_id.as_str()), ("cut.tar", "none.zip"));
    assert!(reads.path.as_deref().is_some_and(|path| path.starts_with("cut.tar/")), "{reads:?}");
    let name = slices[1].file_name().unwrap().to_str().unwrap();
    let expected = format!("cut.tar/{name}`: cut off at byte");
    assert!(cut.cause.contains(&expected), "{}", cut.cause);
    assert!(none.cause.contains("none.zip` cannot be unpacked"), "{}", none.cause);
    let scans = fixture::rows::<Scan>(&store);
    let refused = scans.iter().find(|scan| !scan.included).unwrap();
    assert_eq!(refused.path.as_deref(), Some("hole.tar"));
    let reason = &refused.exclusion_reasons[0];
    assert!(reason.contains("between `hole.tar/"), "{reason}");
    let temporary = std::env::temp_dir().display().to_string();
    assert!(!format!("{failures:?}{scans:?}").contains(&format!("{temporary}/nodulus-")));
}

/// Folders of the phantom's clinical patients whose CT is a DICOM folder.
fn clinical_patients() -> Vec<PathBuf> {
    let from = fixture::finished().join("store/phantom/clinical");
    let mut patients: Vec<_> =
        fs_err::read_dir(&from).unwrap().map(|entry| entry.unwrap().path()).collect();
    patients.retain(|path| path.join("ct").is_dir());
    patients.sort();
    patients
}

#[test]
fn a_clinical_patient_may_be_a_folder_tree_or_an_archive() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("clinical");
    let patients = clinical_patients();
    let mut expected = Vec::new();
    for (n, patient) in patients.iter().enumerate() {
        let to = root.join(patient.file_name().unwrap());
        fs_err::create_dir_all(&to).unwrap();
        fs_err::copy(patient.join("mask.nii.gz"), to.join("mask.nii.gz")).unwrap();
        if n == 0 {
            pack(&patient.join("ct"), &to.join("ct.tar"));
        } else {
            for (at, file) in files_below(&patient.join("ct")).unwrap().iter().enumerate() {
                let part = to.join("ct.tar").join(format!("{}", at % 3));
                fs_err::create_dir_all(&part).unwrap();
                fs_err::copy(file, part.join(file.file_name().unwrap())).unwrap();
            }
        }
        expected.push(format!("{}/ct.tar", patient.file_name().unwrap().to_str().unwrap()));
    }
    let pipeline = folder.path().join("p.toml");
    let text = "store = \"STORE\"\n[[ingest.cohorts]]\nname = \"clinical\"\nsource = \"volumes\"\n\
                root = \"ROOT\"\nimage = \"{patient}/ct.tar\"\n[infer]\ncheckpoint = \"none\"\n";
    let store = folder.path().join("store");
    let text = text.replace("STORE", store.to_str().unwrap());
    fs_err::write(&pipeline, text.replace("ROOT", root.to_str().unwrap())).unwrap();
    for stage in ["ingest", "merge", "crop"] {
        fixture::run_well(&[stage, pipeline.to_str().unwrap(), "--progress", "none"]);
    }
    let found = fixture::rows::<Scan>(&store);
    assert_eq!(found.iter().filter_map(|scan| scan.path.clone()).collect::<Vec<_>>(), expected);
    let original = fixture::rows::<Scan>(&fixture::finished().join("store"));
    for scan in &found {
        let mut of_original = original.iter().filter(|o| o.cohort == "clinical");
        let own = of_original.find(|o| o.series_instance_uid == scan.series_instance_uid).unwrap();
        assert_eq!(
            (scan.hu_min, scan.hu_max, scan.n_slices),
            (own.hu_min, own.hu_max, own.n_slices)
        );
    }
    assert!(!fixture::rows::<Roi>(&store).is_empty());
}

#[test]
fn a_mask_beside_several_series_belongs_to_the_only_one_that_is_included() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("clinical");
    let patients = clinical_patients();
    let to = root.join("p1");
    fs_err::create_dir_all(to.join("ct")).unwrap();
    fs_err::copy(patients[0].join("mask.nii.gz"), to.join("mask.nii.gz")).unwrap();
    for file in files_below(&patients[0].join("ct")).unwrap() {
        let name = file.file_name().unwrap().to_str().unwrap();
        fs_err::copy(&file, to.join("ct").join(name)).unwrap();
        let mut object = dicom_object::open_file(&file).unwrap();
        for (tag, vr, text) in [
            (tags::SERIES_INSTANCE_UID, VR::UI, "2.25.88"),
            (tags::IMAGE_TYPE, VR::CS, "DERIVED\\SECONDARY\\AXIAL\\MIP"),
        ] {
            object.put_element(DataElement::new(tag, vr, PrimitiveValue::from(text)));
        }
        object.write_to_file(to.join("ct").join(format!("mip-{name}"))).unwrap();
    }
    let pipeline = folder.path().join("p.toml");
    let store = folder.path().join("store");
    let text = format!(
        "store = \"{}\"\n[[ingest.cohorts]]\nname = \"clinical\"\nsource = \"volumes\"\nroot = \"{}\"\nimage = \"{{patient}}/ct\"\n\
         [infer]\ncheckpoint = \"none\"\n",
        store.display(),
        root.display()
    );
    fs_err::write(&pipeline, text).unwrap();
    let ingest = |more: &[&str]| {
        let arguments = ["ingest", pipeline.to_str().unwrap(), "--progress", "none"];
        fixture::run(&[&arguments[..], more].concat()).status.code()
    };
    assert_eq!(ingest(&[]), Some(0));
    let scans = fixture::rows::<Scan>(&store);
    let included: Vec<_> = scans.iter().filter(|scan| scan.included).collect();
    assert_eq!((scans.len(), included.len()), (2, 1));
    let marks = fixture::rows::<Mark>(&store);
    assert!(!marks.is_empty());
    assert!(marks.iter().all(|m| m.series_instance_uid == included[0].series_instance_uid));
    // Both are included: it could belong to either.
    assert_eq!(ingest(&["--set", "ingest.inclusion.exclude_reformats=false"]), Some(3));
    let [failure] = &fixture::rows::<Failure>(&store)[..] else { panic!() };
    assert!(failure.cause.contains("could belong to any"), "{failure:?}");
    assert_eq!(failure.cohort.as_deref(), Some("clinical"));
}

#[derive(Deserialize)]
struct Kind {
    /// Folder with the series.
    folder: PathBuf,
    /// Size, spacing, origin and direction by SimpleITK, if it reads this kind.
    size: Option<[usize; 3]>,
    spacing_mm: Option<[f64; 3]>,
    origin_mm: Option<[f64; 3]>,
    direction: Option<[f64; 9]>,
    /// HU along i, then j, then k, by pydicom and by SimpleITK.
    pydicom: Vec<i64>,
    simpleitk: Option<Vec<i64>>,
}

#[test]
fn enhanced_and_monochrome1_series_agree_with_pydicom_and_simpleitk() {
    let folder = tempfile::tempdir().unwrap();
    let Some(text) = python::script("dicom_kinds.py", &[folder.path().to_str().unwrap()]) else {
        return;
    };
    let kinds: Vec<Kind> = serde_json::from_str(&text).unwrap();
    let mut by_simpleitk = 0;
    for kind in &kinds {
        let name = kind.folder.display();
        let found = find_series(&files_below(&kind.folder).unwrap()).unwrap();
        assert_eq!(found.len(), 1, "{name}");
        let series = read_series(&found[0].files, &Tolerances::default()).unwrap();
        let volume = series.volume;
        let hu: Vec<i64> = volume.voxels().iter().map(|hu| i64::from(*hu)).collect();
        assert!(hu == kind.pydicom, "{name} differs from pydicom");
        let (Some(by_itk), Some(size)) = (&kind.simpleitk, kind.size) else { continue };
        by_simpleitk += 1;
        // ITK inverts MONOCHROME1 before it rescales: a stored value v becomes -1 - v.
        let turned = |hu: &i64| -1 - (hu + 1024) - 1024;
        let as_itk: fn(&i64) -> i64 =
            if kind.folder.ends_with("monochrome1") { turned } else { |hu: &i64| *hu };
        assert!(hu.iter().map(as_itk).eq(by_itk.iter().copied()), "{name} differs from SimpleITK");
        let geometry = volume.geometry();
        assert_eq!(geometry.size(), size, "{name}");
        let near = |found: &[f64], expected: &[f64], most: f64| {
            let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst < most, "{name}: {found:?}, expected {expected:?} to within {most}");
        };
        // Where positions are rounded, ITK's grid goes through the first and the last slice, and ours lies as near to
        // all as it can: they differ by no more than what ours leaves.
        let left_mm = series.info.grid_residual_mm.unwrap();
        let gaps = (size[2] - 1).max(1) as f64;
        near(&geometry.spacing().ijk(), &kind.spacing_mm.unwrap(), 1e-5 + 2.0 * left_mm / gaps);
        near(&geometry.origin_mm(), &kind.origin_mm.unwrap(), 1e-5 + left_mm);
        near(&geometry.direction(), &kind.direction.unwrap(), 1e-5);
    }
    assert_eq!((kinds.len(), by_simpleitk), (19, 16));
}
