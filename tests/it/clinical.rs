//! A clinic's cohorts: CTs with masks and outlines in every format, by one or several readers.

use crate::{fixture, python};
use nodulus::tables::{Exclusion, Failure, Mark, Nodule, Roi, Scan};
use nodulus_formats::nifti;
use nodulus_formats::volume::Volume;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

type Voxels = BTreeSet<[usize; 3]>;

/// What `clinical_files.py` prints about the files that it wrote.
#[derive(Deserialize)]
struct WrittenFiles {
    /// Voxels by patient and by the reader's id of a nodule.
    exact: BTreeMap<String, BTreeMap<String, Voxels>>,
    resample: BTreeMap<String, BTreeMap<String, Voxels>>,
    /// Parts of each patient's error.
    refused: BTreeMap<String, Vec<String>>,
}

/// What a pipeline file needs besides its cohorts, to run up to `crop`.
const REST: &str = "\n[crop]\nsize = 64\n\n[infer]\ncheckpoint = \"none\"\n";

/// Writes a pipeline file into `folder`, with a cohort `c` of volumes below `root` and these settings.
fn pipeline(folder: &Path, root: &Path, settings: &str) -> PathBuf {
    let path = folder.join("p.toml");
    let (store, root) = (folder.join("store"), root.display());
    let text = format!(
        "store = \"{}\"\n\n[[ingest.cohorts]]\nname = \"c\"\nsource = \"volumes\"\nroot = \"{root}\"\n\
         {settings}\n{REST}",
        store.display()
    );
    fs_err::write(&path, text).unwrap();
    path
}

fn voxels(mark: &Mark) -> Voxels {
    let placed = mark.placed().unwrap().unwrap();
    placed.voxels().collect()
}

/// Ingests the patients below `root` and returns the store.
fn ingest(folder: &Path, root: &Path, settings: &str) -> PathBuf {
    let to = folder.join(root.file_name().unwrap()).with_extension("run");
    fs_err::create_dir_all(&to).unwrap();
    let pipeline = pipeline(&to, root, settings);
    fixture::run(&["ingest", pipeline.to_str().unwrap(), "--progress", "none"]);
    to.join("store")
}

fn assert_marks(store: &Path, expected: &BTreeMap<String, BTreeMap<String, Voxels>>) {
    assert_eq!(fixture::rows::<Failure>(store), []);
    let mut found: BTreeMap<String, BTreeMap<String, Voxels>> = BTreeMap::new();
    for mark in fixture::rows::<Mark>(store) {
        let of_patient = found.entry(mark.patient_id.clone()).or_default();
        let before = of_patient.insert(mark.reader_nodule_id.clone(), voxels(&mark));
        assert_eq!(before, None, "{} {}", mark.patient_id, mark.reader_nodule_id);
    }
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (patient, expected) in expected {
        let found = &found[patient];
        let ids = |marks: &BTreeMap<String, Voxels>| marks.keys().cloned().collect::<Vec<_>>();
        assert_eq!(ids(found), ids(expected), "{patient}");
        for (id, expected) in expected {
            let differ = found[id].symmetric_difference(expected).count();
            assert_eq!(differ, 0, "{patient}, {id}: {} of {} voxels", differ, expected.len());
        }
    }
}

#[test]
fn masks_of_every_format_hold_the_voxels_that_they_were_made_from() {
    let folder = tempfile::tempdir().unwrap();
    let Some(text) = python::script("clinical_files.py", &[folder.path().to_str().unwrap()]) else {
        return;
    };
    let written: WrittenFiles = serde_json::from_str(&text).unwrap();
    assert!(written.exact.len() >= 15 && written.resample.len() >= 3 && written.refused.len() >= 8);

    let mask = "mask = \"{patient}/mask.*\"";
    let store = ingest(folder.path(), &folder.path().join("exact"), mask);
    assert_marks(&store, &written.exact);
    assert!(fixture::rows::<Mark>(&store).iter().all(|mark| mark.irregularities.is_empty()));
    let exclusions = fixture::rows::<Exclusion>(&store);
    let left_out: BTreeSet<_> = exclusions.iter().map(|e| e.reason.as_str()).collect();
    let expected = [
        "region 3 `Lung` of type ORGAN is no nodule by its type",
        "region 4 `Isocentre` of type ISOCENTER is no nodule by its type",
    ];
    assert_eq!(left_out, BTreeSet::from(expected));
    assert!(exclusions.iter().all(|e| e.rule == "roi_left_out"));

    let root = folder.path().join("resample");
    let store = ingest(folder.path(), &root, &format!("{mask}\nmasks = {{ resample = true }}"));
    assert_marks(&store, &written.resample);
    let marks = fixture::rows::<Mark>(&store);
    assert!(marks.iter().all(|mark| mark.irregularities == ["resampled"]));
    let store = ingest(&folder.path().join("refused.run"), &root, mask);
    let failures = fixture::rows::<Failure>(&store);
    assert_eq!((failures.len(), fixture::rows::<Mark>(&store)), (written.resample.len(), vec![]));

    let store = ingest(folder.path(), &folder.path().join("refused"), mask);
    assert_eq!(fixture::rows::<Mark>(&store), []);
    let failures = fixture::rows::<Failure>(&store);
    for (patient, expected) in &written.refused {
        let path = format!("{patient}/mask.");
        let of_patient = failures.iter().find(|f| f.path.as_ref().unwrap().starts_with(&path));
        let cause = &of_patient.unwrap_or_else(|| panic!("{patient}: {failures:?}")).cause;
        for part in expected {
            assert!(cause.contains(part), "{patient}: {cause}\nexpected: {part}");
        }
    }
    assert_eq!(failures.len(), written.refused.len());

    // Chosen by name: a region of another type, but not the one without a type.
    let only = folder.path().join("only/contours");
    fs_err::create_dir_all(only.parent().unwrap()).unwrap();
    fs_err::rename(folder.path().join("exact/contours"), &only).unwrap();
    let settings = format!("{mask}\nmasks = {{ rois = [\"L?ng\", \"Herd*\"] }}");
    let store = ingest(folder.path(), &folder.path().join("only"), &settings);
    let names: Vec<_> =
        fixture::rows::<Mark>(&store).into_iter().map(|mark| mark.reader_nodule_id).collect();
    assert_eq!(names, ["Herd 2", "Lung"]);
}

/// Writes two readers of the phantom's clinical patients: the phantom's own masks, and the same masks without the upper
/// slice of each nodule. The last patient has no second reader.
fn two_readers(to: &Path) {
    let from = fixture::finished().join("store/phantom/clinical");
    let mut patients: Vec<_> =
        fs_err::read_dir(&from).unwrap().map(|entry| entry.unwrap().path()).collect();
    patients.sort();
    for (n, patient) in patients.iter().enumerate() {
        let name = patient.file_name().unwrap().to_str().unwrap();
        for file in nodulus_formats::cohort::files_below(&patient.join("ct")).unwrap() {
            let copy = to.join(name).join("study/CT_chest").join(file.file_name().unwrap());
            fs_err::create_dir_all(copy.parent().unwrap()).unwrap();
            fs_err::copy(&file, &copy).unwrap();
        }
        let masks = to.join("masks");
        fs_err::create_dir_all(&masks).unwrap();
        let labels = nifti::read_labels(&patient.join("mask.nii.gz")).unwrap();
        fs_err::copy(patient.join("mask.nii.gz"), masks.join(format!("{name}_r1.nii.gz"))).unwrap();
        if n + 1 < patients.len() {
            let mut voxels = labels.voxels().clone();
            for label in 1..=labels.voxels().iter().copied().max().unwrap() {
                let of_label = labels.voxels().indexed_iter().filter(|(_, v)| **v == label);
                let top = of_label.map(|((k, ..), _)| k).max().unwrap();
                voxels.outer_iter_mut().skip(top).take(1).for_each(|mut slice| {
                    slice.mapv_inplace(|v| if v == label { 0 } else { v });
                });
            }
            let second = Volume::new(*labels.geometry(), voxels).unwrap();
            nifti::write_labels(&masks.join(format!("{name}_r2.nii.gz")), &second).unwrap();
        }
    }
}

const READERS: &str = "image = \"{patient}/**/CT*\"\n\
    [[ingest.cohorts.readers]]\nname = \"a\"\nmask = \"masks/{patient}_r1.nii.gz\"\n\
    [[ingest.cohorts.readers]]\nname = \"b\"\nmask = \"masks/{patient}_r2.nii.gz\"\n";

#[test]
fn masks_of_two_readers_merge_into_one_nodule() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("clinic");
    two_readers(&root);
    let pipeline = pipeline(folder.path(), &root, READERS);
    for stage in ["ingest", "merge", "agree", "crop"] {
        fixture::run_well(&[stage, pipeline.to_str().unwrap(), "--progress", "none"]);
    }
    let store = folder.path().join("store");
    let scans = fixture::rows::<Scan>(&store);
    let sessions: Vec<_> = scans.iter().map(|scan| scan.n_reading_sessions).collect();
    assert_eq!(sessions, [2, 2, 1]);
    let marks = fixture::rows::<Mark>(&store);
    for mark in &marks {
        let reader = ["a", "b"][usize::try_from(mark.reading_session).unwrap()];
        assert_eq!(mark.reader.as_deref(), Some(reader));
    }
    let nodules = fixture::rows::<Nodule>(&store);
    assert!(nodules.iter().any(|nodule| nodule.patient_id == scans[0].patient_id));
    for nodule in &nodules {
        let is_last = nodule.patient_id == scans[2].patient_id;
        assert_eq!(nodule.n_readers, if is_last { 1 } else { 2 }, "{}", nodule.nodule_id);
        assert_eq!(nodule.n_marks, nodule.n_readers);
    }
    assert_eq!(nodules.len(), marks.iter().filter(|mark| mark.reading_session == 0).count());
    assert!(!fixture::rows::<Roi>(&store).is_empty());
    let [missing] = &fixture::rows::<Exclusion>(&store)[..] else { panic!("one exclusion") };
    assert_eq!(missing.rule, "no_mask");
    let patient = &scans[2].patient_id;
    let expected = format!(
        "reader `b` has no mask of patient `{patient}`: nothing fits `masks/{{patient}}_r2.nii.gz`"
    );
    assert_eq!(missing.reason, expected);
}

#[test]
fn a_dry_run_lists_pairs_and_missing_files() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("clinic");
    for name in [
        "p1/ct/1.dcm",
        "p2/ct/1.dcm",
        "p3/ct/1.dcm",
        "p4/ct/1.dcm",
        "p4/x/ct/1.dcm",
        "masks/p1_r1.nii.gz",
        "masks/p1_r2.nii.gz",
        "masks/p2_r1.nii.gz",
        "masks/p9_r1.nii.gz",
    ] {
        fs_err::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs_err::write(root.join(name), "x").unwrap();
    }
    let path = pipeline(folder.path(), &root, &READERS.replace("CT*", "ct"));
    let before = nodulus_formats::cohort::files_below(folder.path()).unwrap();
    for command in [&["run", "--to", "agree"][..], &["ingest"]] {
        let text = fixture::run_well(&[command, &[path.to_str().unwrap(), "--dry-run"]].concat());
        let counts = "cohort c: 5 cases, 1 paired, 1 without a mask of some readers, 1 without any mask, \
                      2 not paired";
        assert!(text.starts_with(counts), "{text}");
        for expected in [
            "a: masks/p1_r1.nii.gz; b: masks/p1_r2.nii.gz",
            "reader b: nothing fits `masks/{patient}_r2.nii.gz`",
            "`masks/p9_r1.nii.gz` is a mask of patient `p9`, who has no image",
            "patient `p4` has 2 images: `p4/ct`, `p4/x/ct`; expected one",
        ] {
            assert!(text.contains(expected), "{text}\nexpected: {expected}");
        }
    }
    let text = fixture::run_well(&["ingest", path.to_str().unwrap(), "--dry-run", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let pairs = json["pairs"][0]["pairs"].as_array().unwrap();
    let states: Vec<_> = pairs.iter().map(|pair| pair["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["unpaired", "unpaired", "without_mask", "some_readers", "paired"]);
    assert_eq!(pairs[4]["masks"][1]["files"][0], "masks/p1_r2.nii.gz");
    assert_eq!(nodulus_formats::cohort::files_below(folder.path()).unwrap(), before);

    let store = folder.path().join("other");
    let arguments =
        ["run", "pipelines/clinical.toml", "--dry-run", "--store", store.to_str().unwrap()];
    let output = fixture::run(&arguments);
    let [text, error] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(text.starts_with("cohort clinic: `data/clinic` is not a folder"), "{text}");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        error.contains("cannot list cohort `clinic`: `data/clinic` is not a folder"),
        "{error}"
    );

    // A run reports the files that have no partner.
    fixture::run(&["ingest", path.to_str().unwrap(), "--progress", "none"]);
    let store = folder.path().join("store");
    let causes: BTreeMap<_, _> =
        fixture::rows::<Failure>(&store).into_iter().map(|f| (f.case_id, f.cause)).collect();
    assert!(causes["p4"].contains("has 2 images"), "{causes:?}");
    assert!(causes["masks/p9_r1.nii.gz"].contains("who has no image"), "{causes:?}");
}
