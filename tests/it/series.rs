//! DICOM series that do not form a volume are rows of `scans` with the reason, never a guess.

use crate::{annotations, fixture};
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use nodulus::tables::{Exclusion, Failure, Mark, Nodule, Scan};
use std::path::{Path, PathBuf};

/// Copies the phantom's first two LIDC-style patients, and returns the files of the first patient's series, from the lowest
/// slice up.
pub(crate) fn two_patients(to: &Path) -> Vec<PathBuf> {
    let from = annotations::phantom().join("lidc");
    let mut patients: Vec<_> =
        fs_err::read_dir(&from).unwrap().map(|entry| entry.unwrap().path()).collect();
    patients.sort();
    let mut slices = Vec::new();
    for (n, patient) in patients.iter().take(2).enumerate() {
        for file in nodulus_formats::cohort::files_below(patient).unwrap() {
            let copy = to.join(file.strip_prefix(&from).unwrap());
            fs_err::create_dir_all(copy.parent().unwrap()).unwrap();
            fs_err::copy(&file, &copy).unwrap();
            if n == 0 && copy.extension().is_some_and(|extension| extension == "dcm") {
                slices.push(copy);
            }
        }
    }
    slices.sort();
    slices
}

/// Packs a folder's files into a tar archive, compressed according to the archive's extension.
pub(crate) fn pack(folder: &Path, archive: &Path) {
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_dir_all(".", folder).unwrap();
    let bytes = tar.into_inner().unwrap();
    let bytes = match archive.extension().unwrap().to_str().unwrap() {
        "zst" => zstd::encode_all(&bytes[..], 1).unwrap(),
        "tar" => bytes,
        other => panic!("{other}"),
    };
    fs_err::write(archive, bytes).unwrap();
}

pub(crate) fn ingest(folder: &Path, sets: &[&str]) -> (Vec<Scan>, PathBuf) {
    let store = folder.join("store");
    let root = format!("ingest.cohorts.0.root={}", folder.join("lidc").display());
    let mut arguments = vec!["ingest", "pipelines/lidc.toml", "--progress", "none", "--store"];
    arguments.extend([store.to_str().unwrap(), "--set", &root]);
    for set in sets {
        arguments.extend(["--set", set]);
    }
    fixture::run_well(&arguments);
    (fixture::rows::<Scan>(&store), store)
}

#[test]
fn a_series_with_a_missing_slice_is_a_row_with_its_reason_and_its_marks_are_excluded() {
    let folder = tempfile::tempdir().unwrap();
    let slices = two_patients(&folder.path().join("lidc"));
    fs_err::remove_file(&slices[slices.len() / 2]).unwrap();
    let (scans, store) = ingest(folder.path(), &[]);
    assert_eq!(scans.len(), 2);
    let refused = scans.iter().find(|scan| !scan.included).unwrap();
    assert_eq!(refused.n_slices as usize, slices.len() - 1);
    assert_eq!(refused.n_missing_slices, Some(1));
    let spacing = refused.spacing_k_mm.unwrap();
    assert!((refused.slice_gap_max_deviation_mm.unwrap() - spacing).abs() < 1e-6);
    assert_eq!((refused.hu_min, &refused.direction), (None, &None));
    let [reason] = &refused.exclusion_reasons[..] else {
        panic!("{:?}", refused.exclusion_reasons)
    };
    assert!(reason.starts_with("1 slice is missing; the widest gap, between `"), "{reason}");
    assert!(!reason.contains(folder.path().to_str().unwrap()), "{reason}");
    assert_eq!(fixture::rows::<Failure>(&store), []);
    let exclusions = fixture::rows::<Exclusion>(&store);
    assert_eq!(exclusions.len(), 1);
    assert_eq!(exclusions[0].rule, "scan_not_included");
    assert_eq!(
        exclusions[0].series_instance_uid.as_deref(),
        Some(refused.series_instance_uid.as_str())
    );
    let marks = fixture::rows::<Mark>(&store);
    assert!(!marks.is_empty());
    assert!(marks.iter().all(|mark| mark.series_instance_uid != refused.series_instance_uid));
}

#[test]
fn a_wider_tolerance_is_a_setting() {
    let folder = tempfile::tempdir().unwrap();
    let slices = two_patients(&folder.path().join("lidc"));
    // Without the second slice, one gap is twice as large as the others.
    fs_err::remove_file(&slices[1]).unwrap();
    let sets = ["ingest.tolerances.slice_gap=1.5", "ingest.tolerances.off_grid=2.0"];
    let (scans, _) = ingest(folder.path(), &sets);
    assert!(scans.iter().all(|scan| scan.included), "{scans:?}");
    let widest =
        scans.iter().filter_map(|scan| scan.slice_gap_max_deviation_mm).fold(0.0, f64::max);
    assert!(widest > 1.0, "{widest}");
    // An inclusion rule excludes what the tolerance admitted.
    let rule = "ingest.inclusion.max_slice_gap_deviation=0.01";
    let (scans, _) = ingest(folder.path(), &[sets[0], sets[1], rule]);
    let out: Vec<_> = scans.iter().filter(|scan| !scan.included).collect();
    assert_eq!(out.len(), 1);
    assert!(out[0].exclusion_reasons[0].contains("% off the spacing, over 1%"), "{out:?}");
}

#[test]
fn a_series_that_occurs_twice_is_merged_in_neither_case() {
    // Both in one shard, and in two.
    for shard_size in ["ingest.shard_size=16", "ingest.shard_size=1"] {
        let folder = tempfile::tempdir().unwrap();
        let lidc = folder.path().join("lidc");
        let slices = two_patients(&lidc);
        // In a folder the slices would only be duplicates; an archive is a case of its own.
        pack(slices[0].parent().unwrap(), &lidc.join("copy.tar"));
        let (scans, store) = ingest(folder.path(), &[shard_size]);
        assert_eq!(scans.len(), 3);
        let root = format!("ingest.cohorts.0.root={}", lidc.display());
        let store_text = store.to_str().unwrap();
        let pipeline =
            ["merge", "pipelines/lidc.toml", "--progress", "none", "--store", store_text];
        let sets = ["--set", root.as_str(), "--set", shard_size];
        let output = fixture::run(&[&pipeline[..], &sets[..]].concat());
        assert_eq!(output.status.code(), Some(3));
        let failures = fixture::rows::<Failure>(&store);
        assert_eq!(failures.len(), 2, "{failures:?}");
        let cause = &failures[0].cause;
        assert!(cause.contains("more than once: `") && cause.contains("`copy.tar`"), "{cause}");
        let nodules = fixture::rows::<Nodule>(&store);
        let twice = scans.iter().find(|scan| scan.path.as_deref() == Some("copy.tar")).unwrap();
        assert!(!nodules.is_empty());
        assert!(nodules.iter().all(|n| n.series_instance_uid != twice.series_instance_uid));
    }
}

/// Changes a text of a file.
fn set_text(file: &Path, tag: dicom_core::Tag, vr: VR, text: &str) {
    let mut object = dicom_object::open_file(file).unwrap();
    object.put_element(DataElement::new(tag, vr, PrimitiveValue::from(text)));
    object.write_to_file(file).unwrap();
}

#[test]
fn of_a_study_over_several_folders_the_thinnest_scan_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let slices = two_patients(&folder.path().join("lidc"));
    // Every other slice again, as a series of its own in a folder of its own.
    let series = slices[0].parent().unwrap();
    let thick = series.parent().unwrap().join("thick");
    fs_err::create_dir(&thick).unwrap();
    for slice in slices.iter().step_by(2) {
        let copy = thick.join(slice.file_name().unwrap());
        fs_err::copy(slice, &copy).unwrap();
        set_text(&copy, tags::SERIES_INSTANCE_UID, VR::UI, "2.25.77");
    }
    let (scans, _) = ingest(folder.path(), &[]);
    assert_eq!(scans.iter().filter(|scan| scan.included).count(), 3);
    let (scans, store) = ingest(folder.path(), &["ingest.inclusion.thinnest_of_study=true"]);
    let excluded: Vec<_> = scans.iter().filter(|scan| !scan.included).collect();
    assert_eq!((scans.len(), excluded.len()), (3, 1));
    assert_eq!(excluded[0].series_instance_uid, "2.25.77");
    let thin = scans
        .iter()
        .find(|scan| scan.study_instance_uid == excluded[0].study_instance_uid && scan.included);
    let thin = &thin.unwrap().series_instance_uid;
    let reason = format!("as thick as series {thin} of its study, with slices further apart");
    assert_eq!(excluded[0].exclusion_reasons, [reason]);
    assert!(fixture::rows::<Mark>(&store).iter().all(|mark| mark.series_instance_uid != "2.25.77"));
}

#[test]
fn rules_of_inclusion_look_at_every_slice() {
    let folder = tempfile::tempdir().unwrap();
    let slices = two_patients(&folder.path().join("lidc"));
    let n_slices = slices.len();
    // The upper half is a projection with another kernel and voltage; the phantom's slices have no description.
    let upper = &slices[n_slices / 2..];
    for slice in upper {
        set_text(slice, tags::IMAGE_TYPE, VR::CS, "DERIVED\\SECONDARY\\AXIAL\\MIP");
        set_text(slice, tags::CONVOLUTION_KERNEL, VR::SH, "B70f");
        set_text(slice, tags::KVP, VR::DS, "80");
    }
    for slice in &slices[1..] {
        set_text(slice, tags::SERIES_DESCRIPTION, VR::LO, "Thorax 1.0");
    }
    let rules = [
        "ingest.inclusion.kvp=[100, 140]",
        "ingest.inclusion.image_type=[\"AXIAL\", \"PRIMARY\"]",
        "ingest.inclusion.description=[\"Thorax*\"]",
    ];
    let (scans, store) = ingest(folder.path(), &[]);
    let kernel = scans.iter().filter_map(|scan| scan.kernel.clone()).find(|name| name != "B70f");
    let kernels = format!("ingest.inclusion.kernels=[\"{}\"]", kernel.unwrap());
    fs_err::remove_dir_all(store).unwrap();
    let (scans, _) = ingest(folder.path(), &[&rules[..], &[&*kernels]].concat());
    let share = format!("({} of {n_slices} slices)", upper.len());
    let reasons: Vec<_> = scans.iter().map(|scan| scan.exclusion_reasons.join("; ")).collect();
    let changed =
        reasons.iter().find(|reasons| reasons.contains("B70f")).expect("the changed scan");
    for part in [
        "kernel B70f is not in ingest.inclusion.kernels",
        "a reformat by ImageType (MIP)",
        "ImageType is without PRIMARY",
        "tube voltage 80 kV is not in 100 to 140 kV",
    ] {
        assert!(changed.contains(&format!("{part} {share}")), "{changed}");
    }
    let lists = "SeriesDescription is missing, and ingest.inclusion.description lists patterns";
    assert!(changed.contains(&format!("{lists} (1 of {n_slices} slices)")), "{changed}");
    // The other scan has no description at all.
    assert!(reasons.iter().any(|reasons| reasons == lists), "{reasons:?}");
}

#[test]
fn a_tilted_series_is_refused_or_moved_onto_an_even_grid() {
    let folder = tempfile::tempdir().unwrap();
    let slices = two_patients(&folder.path().join("lidc"));
    for (k, slice) in slices.iter().enumerate() {
        let object = dicom_object::open_file(slice).unwrap();
        let element = object.element(tags::IMAGE_POSITION_PATIENT).unwrap();
        let [x, y, z] = element.to_multi_float64().unwrap()[..] else { panic!("a position") };
        let text = format!("{x}\\{}\\{z}", y + 0.5 * k as f64);
        set_text(slice, tags::IMAGE_POSITION_PATIENT, VR::DS, &text);
    }
    let (scans, _) = ingest(folder.path(), &[]);
    let refused: Vec<_> = scans.iter().filter(|scan| !scan.included).collect();
    assert_eq!(refused.len(), 1);
    assert!(
        refused[0].exclusion_reasons[0].contains("`ingest.tilt = \"resample\"`"),
        "{refused:?}"
    );
    let (moved, store) = ingest(folder.path(), &["ingest.tilt=resample"]);
    assert!(moved.iter().all(|scan| scan.included));
    let scan = |scan: &&Scan| scan.series_instance_uid == refused[0].series_instance_uid;
    let tilted = moved.iter().find(scan).unwrap();
    let other = moved.iter().find(|other| !scan(other)).unwrap();
    assert_eq!(other.tilt_deg, None);
    let degrees = (0.5 / tilted.spacing_k_mm.unwrap()).atan().to_degrees();
    assert!((tilted.tilt_deg.unwrap() - degrees).abs() < 1e-6, "{:?}", tilted.tilt_deg);
    let widened = (0.5 * (slices.len() - 1) as f64 / tilted.spacing_j_mm).ceil() as i64;
    assert_eq!(tilted.n_rows, other.n_rows.map(|n| n + widened));
    // Outlines in voxels of the files' slices have no place on moved ones.
    let marks = fixture::rows::<Mark>(&store);
    let mut own =
        marks.iter().filter(|mark| mark.series_instance_uid == tilted.series_instance_uid);
    assert!(own.all(|mark| mark.irregularities.contains(&"not_axial".to_owned())));
}
