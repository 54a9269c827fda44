//! The nightly job's files for each study, and how it follows patients over time.

use crate::fixture;
use crate::nightly_job::{Job, counts, files, series_of, unfinished, write_visits};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;

const OUTPUTS: &str = "score.outputs=[\"seg\",\"rtstruct\",\"nifti\",\"png\",\"json\"]";

#[test]
fn files_are_written_for_each_study_and_older_ones_stay() {
    let job = Job::new();
    let set = ["--set", OUTPUTS, "--set", "score.probability_threshold=0.3"];
    assert_eq!(job.counts(&set)[1], 3);
    let output = job.store().join("output");
    let names = |end: &str| {
        let files = files(&output).into_keys();
        files.filter(|file| file.to_str().unwrap().ends_with(end)).collect::<Vec<_>>()
    };
    // A scan without nodules has no DICOM objects.
    let masked: std::collections::BTreeSet<String> = job
        .rows()
        .iter()
        .filter(|row| row["volume_mm3"].as_f64() > Some(0.0))
        .map(|row| row["series_instance_uid"].as_str().unwrap().to_owned())
        .collect();
    assert!(!masked.is_empty());
    assert_eq!(names("_segmentation.dcm").len(), masked.len());
    assert_eq!(names("_structure_set.dcm").len(), masked.len());
    for (end, n) in [("_labels.nii.gz", 3), ("_overlay.png", 3), ("_nodules.json", 3)] {
        assert_eq!(names(end).len(), n, "{end}");
    }
    let before = files(&output);
    assert_eq!(job.counts(&set)[3], 3);
    assert_eq!(files(&output), before);
    // Files of other results are beside them.
    assert_eq!(job.counts(&["--set", OUTPUTS, "--set", "score.probability_threshold=0.4"])[2], 3);
    let after = files(&output);
    assert!(before.iter().all(|(path, bytes)| after.get(path) == Some(bytes)));
    assert_eq!(names("_nodules.json").len(), 6);
    // Nothing is unfinished, and the record has the paths.
    assert_eq!(unfinished(&after), [""; 0].map(Path::new));
    let records = files(&job.store().join("series"));
    let record: Value = serde_json::from_slice(records.values().next().unwrap()).unwrap();
    let kept = record["current"]["outcome"]["scored"]["outputs"].as_array().unwrap();
    assert!(kept.len() >= 3);
    assert!(kept.iter().all(|path| output.join(path.as_str().unwrap()).is_file()), "{record}");
}

#[test]
fn files_requested_later_belong_to_the_same_result() {
    let job = Job::new();
    let few = ["--set", "score.outputs=[\"seg\"]", "--set", "score.probability_threshold=0.3"];
    assert_eq!(job.counts(&few)[1], 3);
    let (output, scores) = (job.store().join("output"), job.store().join("scores"));
    let (before, rows) = (files(&output), files(&scores));
    assert!(!before.is_empty());
    let all = ["--set", OUTPUTS, "--set", "score.probability_threshold=0.3"];
    let (summary, log) = job.run(0, &all);
    assert_eq!((&summary["completed"], &summary["scored"]), (&3.into(), &0.into()), "{log}");
    assert!(!summary["warnings"].to_string().contains("second pass"), "{summary}");
    assert_eq!(files(&scores), rows);
    let after = files(&output);
    assert!(before.iter().all(|(path, bytes)| after.get(path) == Some(bytes)));
    let documents: Vec<_> = after
        .iter()
        .filter(|(path, _)| path.to_str().unwrap().ends_with("_nodules.json"))
        .collect();
    assert_eq!(documents.len(), 3);
    for (path, bytes) in documents {
        let document: Value = serde_json::from_slice(bytes).unwrap();
        let listed = document["files"].as_array().unwrap().len();
        let beside = fs_err::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(listed + 1, beside, "{document}");
    }
    // The new files are there, and files that are no longer requested stay.
    assert_eq!(job.counts(&all)[3], 3);
    assert_eq!(job.counts(&few)[3], 3);
    assert_eq!(files(&output), after);
}

#[test]
fn de_identified_outputs_name_no_patient() {
    let job = Job::new();
    fs_err::write(job.store().with_file_name("key"), "0123456789abcdef0123456789abcdef").unwrap();
    let set = ["--set", OUTPUTS, "--set", "score.deidentify.key=\"key\"", "--log", "json"];
    // One scan fails and one waits, so that logs mention them too.
    let series = job.series();
    let slice = series[0].join("000003.dcm");
    let bytes = fs_err::read(&slice).unwrap();
    fs_err::write(&slice, &bytes[..bytes.len() - 9]).unwrap();
    let waiting = series_of(&series[1]);
    let text = fs_err::read_to_string(job.candidates()).unwrap();
    let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with(&waiting)).collect();
    fs_err::write(job.candidates(), kept.join("\n") + "\n").unwrap();
    let (summary, log) = job.run(3, &set);
    assert_eq!((&summary["scored"], &summary["waiting"]), (&1.into(), &1.into()));
    let mut texts = vec![log.into_bytes(), summary.to_string().into_bytes()];
    let cache = job.store().join("cache");
    for (path, bytes) in files(&job.store()) {
        // The cache of the input has the series, but no patient.
        let is_cache = path.starts_with(&cache);
        texts.push(path.to_str().unwrap().as_bytes().to_vec());
        let (_, patients) = secrets(&series);
        for secret in &patients {
            assert!(!holds(&bytes, secret), "{secret} is in {}", path.display());
        }
        if !is_cache {
            texts.push(bytes);
        }
    }
    let (uids, patients) = secrets(&series);
    for secret in uids.iter().chain(&patients) {
        assert!(!texts.iter().any(|bytes| holds(bytes, secret)), "{secret} is named");
    }
    assert_eq!(counts(&job.run(3, &set[..4]).0)[3], 1);
    // Without de-identification, results differ, in a store of their own.
    let plain = job.store().with_file_name("plain");
    let at = format!("score.store={:?}", plain.to_str().unwrap());
    assert_eq!(job.run(3, &["--set", OUTPUTS, "--set", &at]).0["scored"], 1);
    let rows = Job::rows_of(&plain);
    assert!(rows.iter().any(|row| row["patient_id"] == patients[2].as_str()));
}

/// UIDs of the series and studies, and names and ids of the patients.
fn secrets(series: &[std::path::PathBuf]) -> (Vec<String>, Vec<String>) {
    use dicom_dictionary_std::tags;
    let (mut uids, mut patients) = (Vec::new(), Vec::new());
    for folder in series {
        let object = dicom_object::open_file(folder.join("000001.dcm")).unwrap();
        let text = |tag| {
            let text = object.element(tag).unwrap().to_str().unwrap().into_owned();
            text.trim_matches(['\0', ' ']).to_owned()
        };
        uids.extend([tags::SERIES_INSTANCE_UID, tags::STUDY_INSTANCE_UID].map(text));
        patients.push(text(tags::PATIENT_ID));
        let name = text(tags::PATIENT_NAME);
        patients.extend(Some(name).filter(|name| !name.is_empty()));
    }
    patients.sort();
    patients.dedup();
    (uids, patients)
}

fn holds(bytes: &[u8], text: &str) -> bool {
    !text.is_empty() && bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn drift_is_a_table_and_a_page() {
    let job = Job::new();
    assert_eq!(job.counts(&[])[1], 3);
    let store = job.store();
    let arguments = ["show", "drift", "--store", store.to_str().unwrap(), "--json", "--rows", "99"];
    let text = fixture::run_well(&arguments);
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let quantities: Vec<&str> = rows.iter().map(|row| row["quantity"].as_str().unwrap()).collect();
    assert_eq!(quantities, ["probability", "volume_mm3", "mean_hu"]);
    assert_eq!(rows[0]["n_nodules"], job.rows().len());
    assert!(rows[0]["n_training"].as_i64() > Some(0), "{}", rows[0]);
    let reasons = |rows: &[Value]| -> Vec<String> {
        rows.iter().map(|row| row["psi_missing_reason"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(reasons(&rows), ["fewer than 20 nodules"; 3]);
    assert!(job.rows().iter().all(|row| row["component"] == "centre" && row["threshold"] == 0.5));
    let page = fs_err::read_to_string(store.join("drift.html")).unwrap();
    assert!(page.contains("<h1>Drift</h1>") && page.contains("proposed-"));

    // Masks by another rule than the profile's are not compared with it.
    let (_, log) = job.run(0, &["--set", "score.component=all"]);
    assert!(log.contains("no drift of volume and mean HU: masks by another rule"), "{log}");
    let text = fixture::run_well(&arguments);
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [probability, volume, mean_hu] = &reasons(&rows)[..] else { panic!("{text}") };
    assert_eq!(probability, "fewer than 20 nodules");
    let expected =
        "masks by another rule (probability 0.5, component all, reach 5 mm) than the profile's";
    assert!(volume.starts_with(expected) && mean_hu == volume, "{volume}");
    assert_eq!(
        [&rows[1]["n_training"], &rows[1]["training_mean"]],
        [&Value::from(0), &Value::Null]
    );
}

#[test]
fn scans_of_a_patient_are_compared() {
    let job = Job::new();
    let input = job.store().with_file_name("visits");
    let visits = write_visits(&input);
    let mut text = "seriesuid,coordX,coordY,coordZ\n".to_owned();
    for visit in &visits {
        for nodule in &visit.nodules {
            let [x, y, z] = nodule.centre_mm;
            writeln!(text, "{},{x},{y},{z}", visit.series_instance_uid).unwrap();
        }
    }
    fs_err::write(job.candidates(), text).unwrap();
    let set = format!("score.input={:?}", input.to_str().unwrap());
    let later = Path::new("later");
    fs_err::rename(input.join(later), input.with_file_name("aside")).unwrap();
    assert_eq!(job.counts(&["--set", &set])[1], 1);
    let store = job.store();
    let growth = || -> Vec<Value> {
        let arguments =
            ["show", "growth", "--store", store.to_str().unwrap(), "--json", "--rows", "99"];
        let text = fixture::run_well(&arguments);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    assert_eq!(growth(), [Value::Null; 0]);
    fs_err::rename(input.with_file_name("aside"), input.join(later)).unwrap();
    assert_eq!(job.counts(&["--set", &set])[1], 1);
    let rows = growth();
    assert!(!rows.is_empty());
    for row in &rows {
        assert_eq!(
            (&row["days"], &row["acquired_on"]),
            (&120.into(), &"2026-03-20".into()),
            "{row}"
        );
        assert_eq!(row["series_instance_uid"], visits[1].series_instance_uid);
        assert_eq!(row["earlier_series_instance_uid"], visits[0].series_instance_uid);
    }
    // After scoring again, both scans are still compared only once.
    let again = ["--set", &set, "--set", "score.probability_threshold=0.51"];
    assert_eq!(job.counts(&again)[2], 2);
    let pairs = |rows: &[Value]| rows.iter().filter(|row| row["matched"] == true).count();
    assert!(
        growth().len() <= 2 * rows.len()
            && pairs(&growth()) <= pairs(&rows).max(visits[1].nodules.len())
    );
}

#[test]
fn points_of_dicom_files_are_candidates() {
    let job = Job::new();
    // Our own structure sets are read back.
    assert_eq!(
        job.counts(&[
            "--set",
            "score.outputs=[\"rtstruct\"]",
            "--set",
            "score.probability_threshold=0.3"
        ])[1],
        3
    );
    let sets = files(&job.store().join("output"));
    assert!(!sets.is_empty());
    let folder = job.input().join("sets");
    fs_err::create_dir_all(&folder).unwrap();
    for (n, bytes) in sets.values().enumerate() {
        fs_err::write(folder.join(format!("{n}.dcm")), bytes).unwrap();
    }
    let store = job.store().with_file_name("points");
    let set = format!("score.store={:?}", store.to_str().unwrap());
    let none = ["--set", &set, "--set", "score.candidates=[]"];
    assert_eq!(job.counts(&none)[4], 3);
    let with = [&none[..], &["--set", "score.points_in_input=true"]].concat();
    assert_eq!(job.counts(&with)[1], sets.len() as u64);
    let arguments =
        ["show", "scores", "--store", store.to_str().unwrap(), "--json", "--rows", "999"];
    let n = fixture::run_well(&arguments).lines().count();
    let masked = job.rows().iter().filter(|row| row["volume_mm3"].as_f64() > Some(0.0)).count();
    assert_eq!(n, masked);
}

#[test]
fn analysts_read_the_table() {
    let job = Job::new();
    assert_eq!(job.counts(&[])[1], 3);
    let n = job.rows().len();
    let store = job.store();
    let store = store.to_str().unwrap();
    let sql = "SELECT scored_on, count(*) AS n FROM scores GROUP BY scored_on";
    let text = fixture::run_well(&["sql", sql, "--store", store, "--format", "json"]);
    let row: Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(row["n"], n);
    let day = row["scored_on"].as_str().unwrap().to_owned();
    let shown = fixture::run_well(&[
        "show",
        "scores",
        "--store",
        store,
        "--where",
        &format!("scored_on={day}"),
        "--rows",
        "1000",
        "--json",
    ]);
    assert_eq!(shown.lines().count(), n);
    let tables = fixture::run_well(&["tables", "--store", store, "--json"]);
    let tables: Value = serde_json::from_str(&tables).unwrap();
    assert_eq!((&tables[0]["table"], &tables[0]["rows"]), (&"scores".into(), &n.into()));
    let views = fixture::run_well(&["tables", "--store", store, "--sql"]);
    let folder = job.store().join("scores");
    let Some(text) = crate::python::script("read_scores.py", &[folder.to_str().unwrap(), &views])
    else {
        return;
    };
    let found: Value = serde_json::from_str(&text).unwrap();
    for reader in ["duckdb", "polars", "pandas"] {
        assert_eq!(found[reader]["rows"], n, "{reader}");
        assert_eq!(found[reader]["scored_on"], day, "{reader}");
    }
}
