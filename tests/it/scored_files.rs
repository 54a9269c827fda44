//! The files of scored scans, opened with highdicom, dcmqi, pydicom, SimpleITK and dciodvfy.

use crate::{fixture, python};
use ndarray::Array3;
use nodulus::nightly::deliver::{EarlierObjects, ResultObjects};
use nodulus::nightly::identity::{DeidentifySettings, UidPolicy};
use nodulus::nightly::scan::scored::{ScoredNodule, ScoredScan, ScoringModel};
use nodulus::nightly::{DeliveredFile, Identity, OutputKind, deliver};
use nodulus_formats::cohort::files_below;
use nodulus_formats::dicom::{self, Date, NewSeries, Numbering, SourceSeries, Tolerances};
use nodulus_formats::volume::{Geometry, Mask, PlacedMask, Volume};
use nodulus_test_needs::{Need, skip};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const SIZE: [usize; 3] = [40, 32, 12];

/// Texts that must not be in a de-identified file.
const PATIENT: [&str; 6] =
    ["Mustermann", "Erika", "PAT-4711", "19561104", "20240131", "2024-01-31"];

fn series(sop_instance_uids: &[String]) -> NewSeries<'_> {
    NewSeries {
        series_instance_uid: "2.25.4001",
        study_instance_uid: "2.25.4002",
        frame_of_reference_uid: "2.25.4003",
        sop_instance_uids,
        patient_id: "PAT-4711",
        patient_name: "Mustermann^Erika",
        patient_birth_date: Date::new(1956, 11, 4),
        study_date: Date::new(2024, 1, 31),
        slice_thickness_mm: 2.5,
        manufacturer: "Maker",
        model: "M 1",
        kernel: "SOFT",
        kvp: 120.0,
        tube_current: 250,
        rescale_slope: 1.0,
        rescale_intercept: -1024.0,
        numbering: Numbering::AgainstK,
    }
}

/// Writes a CT that is rotated about two axes, one file for each slice.
pub(crate) fn write_ct(folder: &Path) -> Vec<PathBuf> {
    let ([s, c], [t, d]) = ([0.28, 0.96], [0.6, 0.8]);
    // A rotation about z, then one about x.
    let direction = [c, -s, 0.0, d * s, d * c, -t, t * s, t * c, d];
    let geometry = Geometry::new(SIZE, [0.703_125, 0.8, 2.5], [-120.5, 33.25, -378.125], direction);
    let hu = |(k, j, i)| ((k * 37 + j * 11 + i * 5) % 1400) as i16 - 1000;
    let voxels = Array3::from_shape_fn((SIZE[2], SIZE[1], SIZE[0]), hu);
    let volume = Volume::new(geometry.unwrap(), voxels).unwrap();
    let uids: Vec<String> = (0..SIZE[2]).map(|k| format!("2.25.4004.{k}")).collect();
    dicom::write_series(folder, &series(&uids), &volume).unwrap()
}

/// A shell with a hole in it, a nodule at the scan's edge that touches it, one on two slices that are not neighbours, and
/// one without voxels.
fn masks() -> Vec<Option<PlacedMask>> {
    let shell = Mask::from_fn([11, 11, 5], |i, j, k| {
        let of = |n: usize, c: f64| (n as f64 - c).powi(2);
        let r2 = of(i, 5.0) + of(j, 5.0) + 4.0 * of(k, 2.0);
        (6.0..28.0).contains(&r2)
    });
    let edge = Mask::from_fn([6, 5, 3], |i, j, k| (i + j + k) % 3 != 0);
    let apart = Mask::from_fn([5, 4, 4], |i, j, k| (k == 0 || k == 3) && (i != 2 || j < 2));
    vec![
        Some(PlacedMask { start: [3, 3, 4], mask: shell }),
        Some(PlacedMask { start: [0, 0, 6], mask: edge }),
        Some(PlacedMask { start: [35, 28, 8], mask: apart }),
        None,
    ]
}

fn scan(files: &[PathBuf]) -> (ScoredScan, Volume<i16>) {
    let read = dicom::read_series(files, &Tolerances::default()).unwrap();
    let geometry = *read.volume.geometry();
    let nodules = (1..).zip(masks()).map(|(number, mask)| ScoredNodule {
        number,
        nodule_id: format!("nod_{number}"),
        earlier_id: None,
        candidate_mm: geometry.voxel_to_patient([8.0, 8.0, 6.0]),
        candidate_confidence: Some(0.5),
        probability: Some(0.75),
        centroid_mm: [f64::from(number) * 1.5, -2.25, 3.125],
        volume_mm3: 100.0,
        equivalent_diameter_mm: 5.75,
        axial_diameter_mm: Some(6.0),
        axial_short_diameter_mm: Some(5.0),
        disagreement: Some(0.25),
        training_distance: None,
        mean_hu: Some(-100.0),
        mask,
        warnings: Vec::new(),
    });
    let scan = ScoredScan {
        series_instance_uid: read.info.series_instance_uid.clone(),
        info: Some(read.info),
        files: files.to_vec(),
        sop_instance_uids: read.sop_instance_uids,
        geometry,
        model: ScoringModel {
            id: "proposed-0123456789ab".to_owned(),
            name: "proposed".to_owned(),
            version: "0.1.0".to_owned(),
        },
        scored_at: "2026-11-24T12:52:27Z".to_owned(),
        nodules: nodules.collect(),
        warnings: Vec::new(),
    };
    (scan, read.volume)
}

const DICOM: [OutputKind; 4] =
    [OutputKind::Seg, OutputKind::Rtstruct, OutputKind::Sr, OutputKind::Sc];

/// The paths of a result's files by kind, and its DICOM objects.
fn written(delivered: &[DeliveredFile]) -> (serde_json::Map<String, Value>, ResultObjects) {
    let (mut paths, mut objects) = (serde_json::Map::new(), ResultObjects::new());
    for delivered in delivered {
        let DeliveredFile::Written { output, path, object, .. } = delivered else {
            panic!("{delivered:?}")
        };
        let name = serde_json::to_value(output).unwrap().as_str().unwrap().to_owned();
        paths.insert(name, json!(path));
        objects.extend(object.clone().map(|object| (*output, object)));
    }
    (paths, objects)
}

/// Writes the DICOM objects of a scan, then all files of the scan as if it were scored again, and returns what these
/// must contain.
pub(crate) fn case(
    files: &[PathBuf],
    identity: &Identity,
    uids_replaced: bool,
    out: &Path,
) -> Value {
    let (mut scan, hu) = scan(files);
    let hu = hu.into();
    let first = BTreeSet::from(DICOM);
    let none = EarlierObjects::default();
    let before = deliver(&scan, &hu, &first, identity, &none, &out.join("before")).unwrap();
    let (before, objects) = written(&before);
    "2026-11-25T01:02:03Z".clone_into(&mut scan.scored_at);
    let other = [OutputKind::Rejection, OutputKind::Nifti, OutputKind::Png, OutputKind::Json];
    let wanted = DICOM.into_iter().chain(other).collect();
    let earlier = EarlierObjects::of([&objects]);
    let delivered = deliver(&scan, &hu, &wanted, identity, &earlier, out).unwrap();
    let (paths, _) = written(&delivered);
    let nodules = scan.nodules.iter().map(|nodule| {
        json!({
            "label": format!("Nodule {}", nodule.number), "position_mm": nodule.centroid_mm,
            "volume_mm3": nodule.volume_mm3, "diameter_mm": nodule.equivalent_diameter_mm,
            "long_mm": nodule.axial_diameter_mm, "short_mm": nodule.axial_short_diameter_mm,
            "mean_hu": nodule.mean_hu, "probability": nodule.probability,
            "has_voxels": nodule.mask.is_some(),
        })
    });
    let nodules: Vec<Value> = nodules.collect();
    let voxels: serde_json::Map<String, Value> = scan
        .nodules
        .iter()
        .filter_map(|nodule| {
            let voxels: Vec<[usize; 3]> = nodule.mask.as_ref()?.voxels().collect();
            Some((format!("Nodule {}", nodule.number), json!(voxels)))
        })
        .collect();
    json!({
        "ct": files, "files": paths, "before": before, "voxels": voxels, "nodules": nodules,
        "algorithm": scan.model.id,
        "version": scan.model.version, "is_deidentified": identity.is_replaced(),
        "uids_replaced": uids_replaced,
    })
}

/// Every case: with the patient as it is, and with pseudonyms.
fn cases(files: &[PathBuf], folder: &Path) -> Vec<Value> {
    let key = folder.join("key");
    fs_err::create_dir_all(folder).unwrap();
    fs_err::write(&key, "correct horse battery staple").unwrap();
    let with = |uids| Identity::new(Some(&DeidentifySettings { key: key.clone(), uids })).unwrap();
    vec![
        case(files, &Identity::AsIs, false, &folder.join("plain")),
        case(files, &with(UidPolicy::Replace), true, &folder.join("replaced")),
        case(files, &with(UidPolicy::Keep), false, &folder.join("kept")),
    ]
}

fn files_of(case: &Value) -> Vec<PathBuf> {
    let files = case["files"].as_object().unwrap();
    files.values().map(|path| PathBuf::from(path.as_str().unwrap())).collect()
}

#[test]
fn other_programs_find_the_same_voxels_instances_and_codes() {
    let folder = tempfile::tempdir().unwrap();
    let ct = folder.path().join("ct");
    let files = write_ct(&ct);
    let mut all = cases(&files, &folder.path().join("single"));
    let enhanced = folder.path().join("enhanced.dcm");
    let arguments = ["enhance", ct.to_str().unwrap(), enhanced.to_str().unwrap()];
    if python::script("scored_files.py", &arguments).is_none() {
        return;
    }
    all.extend(cases(&[enhanced], &folder.path().join("multi")));
    let list = folder.path().join("cases.json");
    fs_err::write(&list, serde_json::to_vec(&all).unwrap()).unwrap();
    let text = python::script("scored_files.py", &["check", list.to_str().unwrap()]).unwrap();
    let found: Value = serde_json::from_str(&text).unwrap();
    if found["dcmqi"] != true {
        let why = "the Python environment has no `dcmqi`, so that it reads no segmentation: install `tests/python/requirements.txt`";
        skip(Need::Peer, why);
    }
    validate(&all);
}

#[test]
fn objects_of_a_real_scan_are_read_by_other_programs() {
    let Some(real) = fixture::real_scans() else { return };
    let series = dicom::find_series(&files_below(&real.join("LIDC-IDRI-0001")).unwrap()).unwrap();
    // The other series is a chest X-ray.
    let largest = series.into_iter().max_by_key(|series| series.files.len()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let all = [case(&largest.files, &Identity::AsIs, false, &folder.path().join("out"))];
    validate(&all);
    let list = folder.path().join("cases.json");
    fs_err::write(&list, serde_json::to_vec(&all).unwrap()).unwrap();
    python::script("scored_files.py", &["check", list.to_str().unwrap()]);
}

/// Validates every object with dicom3tools' `dciodvfy`.
fn validate(cases: &[Value]) {
    for case in cases {
        for (name, object) in [
            ("seg", "Segmentation"),
            ("rtstruct", "RTStructureSet"),
            ("sr", "Comprehensive3DSR"),
            ("sc", "SCImage"),
            ("rejection", "KeyObjectSelectionDocument"),
        ] {
            let Some(file) = case["files"][name].as_str() else { continue };
            let Ok(output) = Command::new("dciodvfy").arg(file).output() else {
                skip(
                    Need::Peer,
                    "`dciodvfy` is not installed: install the Debian package `dicom3tools`",
                );
                return;
            };
            let messages = String::from_utf8_lossy(&output.stderr).into_owned()
                + &String::from_utf8_lossy(&output.stdout);
            let errors: Vec<&str> =
                messages.lines().filter(|line| line.starts_with("Error")).collect();
            assert!(errors.is_empty(), "{file}: {errors:#?}");
            assert!(
                messages.contains(object),
                "{file} is not recognised as a {object}: {messages}"
            );
        }
    }
}

#[test]
fn points_of_another_programs_report_are_read() {
    #[derive(Deserialize)]
    struct WrittenReport {
        points_mm: [[f64; 3]; 2],
        score: f64,
    }
    let folder = tempfile::tempdir().unwrap();
    let ct = folder.path().join("ct");
    let files = write_ct(&ct);
    let report = folder.path().join("report.dcm");
    let arguments = ["report", ct.to_str().unwrap(), report.to_str().unwrap()];
    let Some(text) = python::script("scored_files.py", &arguments) else { return };
    let written: WrittenReport = serde_json::from_str(&text).unwrap();
    let found = dicom::read_points(&report).unwrap();
    assert_eq!(found.referenced.series, BTreeSet::from(["2.25.4001".to_owned()]));
    assert!(found.instances.contains("2.25.4004.3"));
    assert_eq!(found.skipped.len(), 1, "{:?}", found.skipped);
    assert!(found.skipped[0].ends_with("is a graphic of type POLYLINE"), "{:?}", found.skipped);
    let (scan, _) = scan(&files);
    let source = SourceSeries::read(&files, &scan.sop_instance_uids, &scan.geometry).unwrap();
    assert_eq!(found.points.len(), 2);
    for (point, expected) in found.points.iter().zip(written.points_mm) {
        assert_eq!(point.finding.as_deref(), Some("27925004, SCT"));
        // Reports store positions in 32 bits.
        let position = point.position.in_patient(&source).unwrap();
        assert!(
            (0..3).all(|a| (position[a] - expected[a]).abs() < 1e-4),
            "{position:?} {expected:?}"
        );
    }
    assert_eq!(
        [found.points[0].confidence, found.points[1].confidence],
        [Some(written.score), None]
    );
}

#[test]
fn objects_conform_to_the_standard() {
    let folder = tempfile::tempdir().unwrap();
    let files = write_ct(&folder.path().join("ct"));
    validate(&cases(&files, &folder.path().join("out")));
}

#[test]
fn a_report_without_nodules_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let files = write_ct(&folder.path().join("ct"));
    let (mut scan, hu) = scan(&files);
    scan.nodules.clear();
    let wanted = BTreeSet::from([OutputKind::Seg, OutputKind::Sr]);
    let none = EarlierObjects::default();
    let out = folder.path().join("out");
    let delivered = deliver(&scan, &hu.into(), &wanted, &Identity::AsIs, &none, &out).unwrap();
    let [DeliveredFile::Empty { .. }, DeliveredFile::Written { path, .. }] = &delivered[..] else {
        panic!("{delivered:?}")
    };
    validate(&[json!({ "files": { "sr": path } })]);
    python::script("scored_files.py", &["empty_report", path.to_str().unwrap()]);
}

#[test]
fn a_deidentified_file_has_nothing_of_the_patient() {
    let folder = tempfile::tempdir().unwrap();
    let files = write_ct(&folder.path().join("ct"));
    let all = cases(&files, &folder.path().join("out"));
    let contains = |case: &Value, part: &str| {
        files_of(case).iter().any(|path| {
            let bytes = fs_err::read(path).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            name.contains(part) || bytes.windows(part.len()).any(|at| at == part.as_bytes())
        })
    };
    // The search finds the texts in files that are not de-identified.
    assert_eq!(PATIENT.map(|part| contains(&all[0], part)), [true, true, true, true, true, false]);
    for case in &all[1..] {
        for part in PATIENT.into_iter().chain(["20261124", "20261125", "2026-11-25", "010203"]) {
            assert!(!contains(case, part), "{part}");
        }
    }
    // With the character after it, so that a UID does not match the beginning of a longer one.
    for uid in ["2.25.4001", "2.25.4002", "2.25.4003", "2.25.4004.7"] {
        let ends = ["\0", "\"", "_", " "].map(|end| format!("{uid}{end}"));
        assert!(!ends.iter().any(|uid| contains(&all[1], uid)), "{uid}");
    }
}
