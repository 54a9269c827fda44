//! What watches the nightly job: the summary by its schema, and the figures for Prometheus.

use crate::fixture;
use crate::nightly_job::{Job, files, series_of, unfinished};
use nodulus_settings::check_json;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/run-summary.schema.json");
    serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap()
}

fn keys(value: &Value) -> BTreeSet<&String> {
    value.as_object().unwrap().keys().collect()
}

#[test]
fn a_summary_is_as_its_schema_says() {
    let job = Job::new();
    let slice = job.series()[0].join("000003.dcm");
    let whole = fs_err::read(&slice).unwrap();
    fs_err::write(&slice, &whole[..whole.len() - 100]).unwrap();
    let (mut printed, _) = job.run(3, &[]);
    let kept: Vec<Vec<u8>> = files(&job.store().join("runs")).into_values().collect();
    let [kept] = &kept[..] else { panic!("{} summaries", kept.len()) };
    let mut kept: Value = serde_json::from_slice(kept).unwrap();
    assert!(kept.as_object_mut().unwrap().remove("record_sha256").is_some());
    assert_eq!(kept, printed);
    let schema = schema();
    assert_eq!(printed["schema_version"], schema["properties"]["schema_version"]["const"]);
    assert_eq!(keys(&printed), keys(&schema["properties"]));
    let required: BTreeSet<&str> =
        schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(keys(&printed).len(), required.len());
    assert_ne!(printed["failures"], json!([]));
    assert_ne!(printed["warnings"], json!([]));
    // As a run with an archive has them.
    printed["deliveries"] =
        json!({"pacs": {"stored": 1, "already_there": 0, "failed": 1, "left": 2}});
    printed["delivery_failures"] =
        json!([{"destination": "pacs", "id": "1.2", "object": "1.3", "cause": "HTTP 503"}]);
    printed["stopped"] = "signal".into();
    assert_eq!(check_json(&printed, &schema, "summary"), Ok(()));
    for (pointer, value) in [
        ("/failed", json!("1")),
        ("/failed", json!(-1)),
        ("/seconds/deliver", json!(null)),
        ("/stopped", json!("tired")),
        ("/failures/0/cause", json!(3)),
        ("/deliveries/pacs/left", json!(1.5)),
        ("/exit_status", json!(256)),
        ("/error", json!(false)),
    ] {
        let mut changed = printed.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        assert!(check_json(&changed, &schema, "summary").is_err(), "{pointer}");
    }
    for key in ["failed", "schema_version", "seconds"] {
        let mut changed = printed.clone();
        changed.as_object_mut().unwrap().remove(key);
        assert!(check_json(&changed, &schema, "summary").is_err(), "{key}");
    }
}

#[test]
fn the_figures_of_each_run_are_a_whole_file() {
    let job = Job::new();
    let folder = job.folder.path().join("collector");
    fs_err::create_dir(&folder).unwrap();
    let file = folder.join("nodulus.prom");
    let set = ["--set", "score.prometheus=collector/nodulus.prom"];
    let sample = |name: &str| -> f64 {
        let text = fs_err::read_to_string(&file).unwrap();
        let line =
            text.lines().find_map(|line| line.strip_prefix(&format!("nodulus_score_{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    };
    let (summary, _) = job.run(0, &set);
    let count = |summary: &Value, key: &str| summary[key].as_f64().unwrap();
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
    close(sample("series{outcome=\"scored\"}"), 3.0);
    close(sample("nodules"), count(&summary, "nodules"));
    close(sample("empty_nodules"), count(&summary, "empty_masks"));
    close(sample("seconds{step=\"total\"}"), count(&summary["seconds"], "total"));
    close(sample("exit_status"), 0.0);
    let model = summary["model_id"].as_str().unwrap();
    // Too few nodules for an index.
    let drift = format!("drift_nodules{{model=\"{model}\",quantity=\"probability\"}}");
    close(sample(&drift), count(&summary, "nodules"));
    let text = fs_err::read_to_string(&file).unwrap();
    for folder in job.series() {
        assert!(!text.contains(&series_of(&folder)));
    }
    // Nothing new: the drift of the last night with nodules stays.
    job.run(0, &set);
    close(sample("series{outcome=\"unchanged\"}"), 3.0);
    close(sample("nodules"), 0.0);
    close(sample(&drift), count(&summary, "nodules"));
    // A run that stops with an error says so.
    let missing = [&set[..], &["--set", "score.input=none"]].concat();
    job.run(1, &missing);
    close(sample("exit_status"), 1.0);
    assert_eq!(unfinished(&files(&folder)), [""; 0].map(std::path::PathBuf::from));
    assert_eq!(files(&folder).len(), 1);
    for (set, status, expected) in [
        ("score.prometheus=nodulus.txt", 2, "expected a file whose name ends in `.prom`"),
        ("score.prometheus=in/nodulus.prom", 1, "lies in `score.input`"),
    ] {
        let output = job.command(&["--set", set]).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(status) && error.contains(expected), "{error}");
    }
    assert!(!job.input().join("nodulus.prom").exists());
    // A folder that is not there, or is a file: the run has failed by its message, its summary and its record.
    fs_err::write(job.folder.path().join("plain"), "").unwrap();
    for place in ["none", "plain"] {
        let set = format!("score.prometheus={place}/nodulus.prom");
        let (summary, log) = job.run(1, &["--set", &set]);
        let error = summary["error"].as_str().unwrap();
        assert!(error.starts_with("cannot write `score.prometheus`: its folder"), "{error}");
        assert!(log.contains(&format!("error: {error}")), "{log}");
        let last = &job.status()["last_run"];
        assert_eq!((&last["error"], &last["exit_status"]), (&summary["error"], &json!(1)));
        assert!(!job.folder.path().join("none").exists());
    }
}

#[test]
fn several_names_of_a_patient_and_files_that_cannot_be_read_are_counted() {
    use dicom_core::{DataElement, PrimitiveValue, VR};
    use dicom_dictionary_std::tags;
    let job = Job::new();
    let series = job.series();
    let is_slice = |file: &PathBuf| file.extension().is_some_and(|end| end == "dcm");
    let slices: Vec<_> = files(&series[0]).into_keys().filter(is_slice).collect();
    let name = |path: &Path, name: &str| {
        let mut object = dicom_object::open_file(path).unwrap();
        let value = PrimitiveValue::from(name);
        object.put(DataElement::new(tags::PATIENT_NAME, VR::PN, value));
        object.write_to_file(path).unwrap();
    };
    for (n, slice) in slices.iter().enumerate() {
        // Case and empty components make no other name.
        name(slice, ["MARKED^ONE", "Marked^One^^"][n % 2]);
    }
    let tables = job.folder.path().join("tables");
    fs_err::create_dir_all(&tables).unwrap();
    fs_err::copy(job.candidates(), tables.join("a.csv")).unwrap();
    let set = format!("score.candidates={:?}", tables.to_str().unwrap());
    let set = ["--set", &set, "--set", "score.prometheus=nodulus.prom"];
    let (summary, _) = job.run(0, &set);
    assert_eq!(summary["several_names"], 0);
    name(&slices[1], "OTHER^TWO");
    fs_err::write(tables.join("b.csv"), "no table").unwrap();
    let (summary, log) = job.run(3, &set);
    assert_eq!((&summary["scored"], &summary["several_names"]), (&json!(1), &json!(1)));
    let texts = summary["warnings"].to_string();
    assert!(
        texts.contains("its slices have 2 different PatientNames under one PatientID"),
        "{texts}"
    );
    assert!(!texts.contains("OTHER") && !log.contains("OTHER") && !log.contains("MARKED"), "{log}");
    let text = fs_err::read_to_string(job.folder.path().join("nodulus.prom")).unwrap();
    for line in [
        "nodulus_score_several_names_series 1",
        "nodulus_score_unreadable_candidate_files 1",
        "nodulus_score_series{outcome=\"restored\"} 0",
        "nodulus_score_candidates{outcome=\"malformed\"} 0",
        "nodulus_score_exit_status 3",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    // Back to one name, the first result is current again.
    name(&slices[1], "Marked^One^^");
    fs_err::remove_file(tables.join("b.csv")).unwrap();
    assert_eq!(job.run(0, &set).0["restored"], 1);
    let text = fs_err::read_to_string(job.folder.path().join("nodulus.prom")).unwrap();
    assert!(text.contains("nodulus_score_series{outcome=\"restored\"} 1\n"), "{text}");
}

#[test]
fn a_program_without_the_sender_refuses_to_send() {
    let job = Job::new();
    let text = fs_err::read_to_string(job.file()).unwrap();
    let text = text.replace("[score]\n", "[score]\noutputs = [\"seg\"]\n");
    fs_err::write(job.file(), text + "[score.deliver.pacs]\naddress = \"127.0.0.1:9\"\n").unwrap();
    let (error, status) = fixture::run_badly(&["score", "status", job.file().to_str().unwrap()]);
    if cfg!(feature = "deliver") {
        assert_eq!(status, Some(0), "{error}");
    } else {
        assert_eq!(status, Some(2), "{error}");
        assert!(error.contains("`cargo build --release --features deliver`"), "{error}");
        assert!(error.contains("[score.deliver.pacs]"), "{error}");
    }
}
