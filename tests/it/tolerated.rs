//! Masks and image files with faults that other programs read past: read as they do, and told of.

use crate::{fixture, python};
use nodulus::tables::{Failure, Mark, Scan};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

type Voxels = BTreeSet<[usize; 3]>;

/// What `tolerated_files.py` prints about a folder of patients.
#[derive(Deserialize)]
struct Group {
    /// Settings of the cohort.
    settings: String,
    patients: BTreeMap<String, Patient>,
}

#[derive(Deserialize)]
struct Patient {
    /// Voxels by the reader's id.
    nodules: BTreeMap<String, Voxels>,
    /// Names in `irregularities`: of the marks, or for images of the scan.
    irregularities: Vec<String>,
    /// Parts of the error; empty where the patient is read.
    refused: Vec<String>,
}

/// Ingests a cohort `c` of volumes below `root` and returns the store.
fn ingest(folder: &Path, root: &Path, settings: &str, stage: &str) -> PathBuf {
    let store = folder.join("store");
    let text = format!(
        "store = \"{}\"\n\n[ingest]\n{stage}\n[[ingest.cohorts]]\nname = \"c\"\nsource = \"volumes\"\n\
         root = \"{}\"\nmask = \"{{patient}}/mask.*\"\n{settings}\n\n[crop]\nsize = 64\n\n\
         [infer]\ncheckpoint = \"none\"\n",
        store.display(),
        root.display()
    );
    fs_err::create_dir_all(folder).unwrap();
    let path = folder.join("p.toml");
    fs_err::write(&path, text).unwrap();
    fixture::run(&["ingest", path.to_str().unwrap(), "--progress", "none"]);
    store
}

/// The marks' voxels by the reader's id, and their irregularities, by patient.
fn marks(store: &Path) -> BTreeMap<String, BTreeMap<String, (Voxels, Vec<String>)>> {
    let mut found: BTreeMap<String, BTreeMap<_, _>> = BTreeMap::new();
    for mark in fixture::rows::<Mark>(store) {
        let voxels = mark.placed().unwrap().unwrap().voxels().collect();
        let of_patient = found.entry(mark.patient_id.clone()).or_default();
        of_patient.insert(mark.reader_nodule_id.clone(), (voxels, mark.irregularities.clone()));
    }
    found
}

/// What admits the images of the script.
const IMAGE_RULES: &str =
    "tolerances = { image_files = { round_hu = true, nan_hu = -1024, clamp_hu = true } }";

#[test]
fn faults_that_peers_read_past_are_read_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let Some(text) = python::script("tolerated_files.py", &[folder.path().to_str().unwrap()])
    else {
        return;
    };
    let groups: BTreeMap<String, Group> = serde_json::from_str(&text).unwrap();
    assert_eq!(groups.values().map(|group| group.patients.len()).sum::<usize>(), 42);
    for (name, group) in &groups {
        let root = folder.path().join(name);
        let (is_image, run) = (name == "images", folder.path().join(format!("{name}.run")));
        let stage = if is_image { IMAGE_RULES } else { "" };
        let store = ingest(&run, &root, &group.settings, stage);
        let found = marks(&store);
        let failures = fixture::rows::<Failure>(&store);
        let scans: BTreeMap<_, _> = fixture::rows::<Scan>(&store)
            .into_iter()
            .map(|scan| (scan.patient_id.clone(), scan.irregularities))
            .collect();
        for (patient, expected) in &group.patients {
            let case = format!("{name}/{patient}");
            let path = format!("{patient}/");
            let failure = failures.iter().find(|failure| {
                failure.path.as_ref().is_some_and(|own| own.starts_with(&path))
                    || failure.case_id.starts_with(&path)
            });
            let cause = failure.map(|failure| failure.cause.as_str()).unwrap_or_default();
            if !expected.refused.is_empty() {
                for part in &expected.refused {
                    assert!(cause.contains(part), "{case}: {cause}\nexpected: {part}");
                }
                assert!(!found.contains_key(patient), "{case}");
                continue;
            }
            assert_eq!(cause, "", "{case}");
            let own = &found[patient];
            assert_eq!(
                own.keys().collect::<Vec<_>>(),
                expected.nodules.keys().collect::<Vec<_>>(),
                "{case}"
            );
            let mut irregularities: BTreeSet<&String> = BTreeSet::new();
            for (id, (voxels, of_mark)) in own {
                let differ = voxels.symmetric_difference(&expected.nodules[id]).count();
                assert_eq!(differ, 0, "{case}, {id}: of {} voxels", voxels.len());
                irregularities.extend(of_mark);
            }
            if is_image {
                assert!(irregularities.is_empty(), "{case}: {irregularities:?}");
                assert_eq!(scans[patient], expected.irregularities, "{case}");
            } else {
                let expected: BTreeSet<&String> = expected.irregularities.iter().collect();
                assert_eq!(irregularities, expected, "{case}");
            }
        }
    }
    // Without the settings, each of the images that is no whole HU is refused, and the error names its setting.
    let settings = &groups["images"].settings;
    let run = folder.path().join("strict.run");
    let store = ingest(&run, &folder.path().join("images"), settings, "");
    let failures = fixture::rows::<Failure>(&store);
    for (patient, setting) in [("fraction", "round_hu"), ("nan", "nan_hu"), ("metal", "clamp_hu")] {
        let failure = failures.iter().find(|failure| failure.case_id.starts_with(patient)).unwrap();
        let expected = format!("`tolerances.image_files.{setting} = ");
        assert!(failure.cause.contains(&expected), "{}", failure.cause);
    }
    assert_eq!(failures.len(), 3);
}

#[test]
fn pixels_on_a_line_are_those_of_rt_utils_or_of_plastimatch() {
    let folder = tempfile::tempdir().unwrap();
    let Some(text) = python::script("contour_edges.py", &[folder.path().to_str().unwrap()]) else {
        return;
    };
    let peers: BTreeMap<String, BTreeMap<String, Voxels>> = serde_json::from_str(&text).unwrap();
    for (edge, peer) in [("inside", "rt_utils"), ("half_open", "plastimatch")] {
        let run = tempfile::tempdir().unwrap();
        let settings = format!("masks = {{ edge = \"{edge}\" }}");
        let found = marks(&ingest(run.path(), folder.path(), &settings, ""));
        let found = &found["p"];
        assert_eq!(found.len(), 4);
        for (name, (voxels, _)) in found {
            // rt-utils rounds corners between centres to pixels.
            if (edge, name.as_str()) != ("inside", "between") {
                assert_eq!(voxels, &peers[peer][name], "{edge}, {name}");
            }
        }
    }
}
