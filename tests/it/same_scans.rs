//! One scan in two cohorts, and one image under two names.

use crate::fixture;
use crate::grown_training::{Cohort, of_split};
use nodulus::tables::{Mark, Nodule, Roi, Sample, Scan};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Replaces a text by another of its length in every file of a folder.
fn replace_in_files(folder: &Path, text: &str, by: &str) {
    assert_eq!(text.len(), by.len());
    for path in nodulus_formats::cohort::files_below(folder).unwrap() {
        let mut bytes = fs_err::read(&path).unwrap();
        let found: Vec<usize> = bytes
            .windows(text.len())
            .enumerate()
            .filter(|(_, window)| *window == text.as_bytes())
            .map(|(n, _)| n)
            .collect();
        for n in found {
            bytes[n..n + by.len()].copy_from_slice(by.as_bytes());
        }
        fs_err::write(&path, bytes).unwrap();
    }
}

/// The series of a patient.
fn series(cohort: &Cohort, patient: &str) -> String {
    let scans: Vec<Scan> = fixture::rows(&cohort.store());
    let scan = scans.into_iter().find(|scan| scan.patient_id == patient).unwrap();
    scan.series_instance_uid
}

#[test]
fn an_image_under_two_names_is_refused_before_training() {
    let patient = of_split("train")[0];
    let cohort = Cohort::without(&[]);
    cohort.with_cohort("copies");
    cohort.add_to("copies", patient, "R1");
    cohort.json("run", &["--to", "crop"]);
    let uid = series(&cohort, patient);
    // A copy that another program wrote has a series of its own, and the same image.
    let mut other = uid.clone();
    let last = if other.pop() == Some('1') { '2' } else { '1' };
    other.push(last);
    replace_in_files(&cohort.path("copies/R1"), &uid, &other);
    cohort.json("run", &["--to", "crop"]);
    let error = cohort.foreseen_error(&[]);
    for expected in [
        "error: balance stopped: ".to_owned(),
        format!("patient `{patient}` of cohort `clinical` (series `{uid}`)"),
        format!("patient `R1` of cohort `copies` (series `{other}`)"),
        "have the same image".to_owned(),
        "leave one of them out, or give both the same patient id".to_owned(),
    ] {
        assert!(error.contains(&expected), "{error}\nexpected: {expected}");
    }
    assert!(!cohort.store().join("samples/CURRENT").exists());
    // By the same id it is one person, in one split and fold.
    fs_err::rename(cohort.path("copies/R1"), cohort.path("copies").join(patient)).unwrap();
    cohort.json("run", &["--to", "balance"]);
    let samples: Vec<Sample> = fixture::rows(&cohort.store());
    let of_person = samples.iter().filter(|sample| sample.patient_id == patient);
    let splits: BTreeSet<_> = of_person.clone().map(|s| (s.split.clone(), s.fold)).collect();
    let cohorts: BTreeSet<&str> = of_person.map(|s| s.cohort.as_str()).collect();
    assert_eq!((splits.len(), cohorts.len()), (1, 2));
}

#[test]
fn a_series_in_two_cohorts_has_marks_and_nodules_of_its_own_in_each() {
    let cohort = Cohort::without(&[]);
    cohort.with_cohort("again");
    for patient in [of_split("train")[0], of_split("test")[0]] {
        cohort.add_to("again", patient, patient);
    }
    let both = ["--set", "train.phases.0.cohorts=[\"clinical\",\"again\"]"];
    cohort.json("run", &both);
    let store = cohort.store();
    let marks: Vec<Mark> = fixture::rows(&store);
    let ids: BTreeSet<&str> = marks.iter().map(|mark| mark.mark_id.as_str()).collect();
    assert_eq!(ids.len(), marks.len());
    let nodules: Vec<Nodule> = fixture::rows(&store);
    let of_again = nodules.iter().filter(|nodule| nodule.cohort == "again");
    assert!(of_again.clone().count() > 0);
    // The same shapes as in the other cohort, under other ids.
    for nodule in of_again {
        let same = |other: &&Nodule| {
            other.cohort == "clinical"
                && other.series_instance_uid == nodule.series_instance_uid
                && other.mask_bits == nodule.mask_bits
        };
        let other = nodules.iter().find(same).unwrap();
        assert_ne!(other.nodule_id, nodule.nodule_id);
    }
    let mut cohorts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for roi in fixture::rows::<Roi>(&store) {
        cohorts.entry(roi.nodule_id).or_default().insert(roi.cohort);
    }
    assert!(cohorts.values().all(|of_nodule| of_nodule.len() == 1));
}

#[test]
fn a_folder_of_volumes_with_another_name_is_another_patient() {
    let patient = of_split("train")[0];
    let cohort = Cohort::without(&[]);
    let ids = || -> BTreeSet<String> {
        cohort.json("run", &["--to", "ingest"]);
        let scans: Vec<Scan> = fixture::rows(&cohort.store());
        scans.into_iter().map(|scan| scan.patient_id).collect()
    };
    let mut expected = ids();
    fs_err::rename(cohort.path("clinical").join(patient), cohort.path("clinical/renamed")).unwrap();
    expected.remove(patient);
    expected.insert("renamed".to_owned());
    assert_eq!(ids(), expected);
}

#[test]
fn a_patient_whom_a_file_names_later_stays_in_test() {
    let cohort = Cohort::without(&[]);
    cohort.json("run", &["--to", "ingest"]);
    let uids: BTreeMap<&str, String> =
        of_split("train").into_iter().map(|patient| (patient, series(&cohort, patient))).collect();
    fs_err::remove_dir_all(cohort.store()).unwrap();
    // A patient whose only name is the UID of the series.
    let folder = |name: &str| cohort.path("clinical").join(name);
    for (patient, uid) in &uids {
        fs_err::rename(folder(patient), folder(uid)).unwrap();
    }
    cohort.json("run", &["--to", "balance"]);
    let splits = || -> BTreeMap<String, String> {
        let samples: Vec<Sample> = fixture::rows(&cohort.store());
        samples.into_iter().map(|sample| (sample.series_instance_uid, sample.split)).collect()
    };
    let before = splits();
    let (patient, uid) = uids.iter().find(|(_, uid)| before[*uid] == "test").unwrap();
    fs_err::rename(folder(uid), folder(patient)).unwrap();
    let [_, progress] = cohort.told("run", &["--to", "balance"]);
    let line = format!("patient `{patient}` was split by a series before a file named the patient");
    assert!(progress.contains(&line), "{progress}");
    assert!(progress.contains("the stricter split, test, holds"), "{progress}");
    assert_eq!(splits(), before);
    // A store that had the name from the start goes by it.
    fs_err::remove_dir_all(cohort.store()).unwrap();
    cohort.json("run", &["--to", "balance"]);
    assert_eq!(splits()[uid], "train");
}
