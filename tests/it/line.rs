//! The pipeline from files to report: which stages run again, and which do not.

use crate::fixture;
use serde_json::Value;
use std::path::Path;

fn stages_run(pipeline: &Path, more: &[&str]) -> Vec<String> {
    let mut arguments = vec!["run", pipeline.to_str().unwrap(), "--json", "--progress", "none"];
    arguments.extend(more);
    let output: Value = serde_json::from_str(&fixture::run_well(&arguments)).unwrap();
    let ran = output["stages"].as_array().unwrap().iter().filter(|s| !s["seconds"].is_null());
    ran.map(|s| s["stage"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_change_runs_its_stage_and_later_ones_only() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = fixture::pipeline(folder.path());
    let all =
        ["ingest", "merge", "agree", "crop", "balance", "train", "infer", "evaluate", "report"];
    assert_eq!(stages_run(&pipeline, &[]), all);
    let before = fixture::outputs(&folder.path().join("store"));

    // Nothing changed, so nothing runs, and the output says so.
    let text = fixture::run_well(&["run", pipeline.to_str().unwrap()]);
    assert!(text.starts_with("nothing to do: everything is up to date\n"), "{text}");
    assert_eq!(fixture::outputs(&folder.path().join("store")), before);

    let status = fixture::run_well(&[
        "status",
        pipeline.to_str().unwrap(),
        "--set",
        "crop.padding_hu=-1024",
    ]);
    assert!(status.contains("stale: padding_hu was -1000, now -1024"), "{status}");
    assert!(status.contains("waits for crop"), "{status}");
    let changed = stages_run(&pipeline, &["--set", "crop.margin_slices=2"]);
    assert_eq!(changed, ["crop", "balance", "train", "infer", "evaluate", "report"]);
    let changed = stages_run(&pipeline, &["--set", "agree.seed=2"]);
    // `evaluate` reads the pairs of readers, which have no seed.
    assert_eq!(changed, ["agree", "report"]);

    // With the old setting again, the earlier outputs are still there.
    assert_eq!(stages_run(&pipeline, &[]), [""; 0]);
    let after = fixture::outputs(&folder.path().join("store"));
    for (name, bytes) in &before {
        assert_eq!(after.get(name), Some(bytes), "{name}");
    }
    assert_eq!(stages_run(&pipeline, &["--force", "evaluate"]), ["evaluate"]);
    assert_eq!(fixture::outputs(&folder.path().join("store")), after);
}

#[test]
fn a_stage_alone_needs_its_inputs() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = fixture::pipeline(folder.path());
    let pipeline = pipeline.to_str().unwrap();
    let (error, status) = fixture::run_badly(&["merge", pipeline, "--progress", "none"]);
    assert_eq!(status, Some(1));
    assert!(error.contains("merge needs `scans`") && error.contains("run ingest first"), "{error}");
    for stage in ["ingest", "merge", "crop", "balance"] {
        fixture::run_well(&[stage, pipeline, "--progress", "none"]);
    }
    let status = fixture::run_well(&["status", pipeline]);
    // None of these stages needs `agree`, so it has not run.
    assert!(status.contains("agree     missing"), "{status}");
    assert!(status.contains("balance   current"), "{status}");
    assert!(status.contains("report    waits for agree"), "{status}");
}

#[test]
fn a_failed_case_is_a_row_and_the_run_continues() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = fixture::pipeline(folder.path());
    let pipeline = pipeline.to_str().unwrap();
    let store = folder.path().join("store");
    fixture::run_well(&["ingest", pipeline, "--progress", "none"]);
    // A clinical mask is truncated.
    let clinical = store.join("phantom/clinical");
    let mut patients: Vec<_> =
        fs_err::read_dir(&clinical).unwrap().map(|e| e.unwrap().path()).collect();
    patients.sort();
    let mask = patients[0].join("mask.nii.gz");
    let bytes = fs_err::read(&mask).unwrap();
    fs_err::write(&mask, &bytes[..bytes.len() / 2]).unwrap();
    let none = folder.path().join("failures");
    fixture::copy(&store.join("failures"), &none);
    let output = fixture::run(&["ingest", pipeline, "--progress", "none"]);
    assert_eq!(output.status.code(), Some(3));
    // A run that is killed before it writes the failures leaves those of before: the next one writes them.
    fs_err::remove_dir_all(store.join("failures")).unwrap();
    fixture::copy(&none, &store.join("failures"));
    let output = fixture::run(&["ingest", pipeline, "--progress", "none"]);
    assert_eq!(output.status.code(), Some(3));
    let failures =
        fixture::run_well(&["show", "failures", "--store", store.to_str().unwrap(), "--json"]);
    let row: Value = serde_json::from_str(failures.lines().next().unwrap()).unwrap();
    assert_eq!(row["stage"], "ingest");
    assert!(row["path"].as_str().unwrap().ends_with("mask.nii.gz"), "{row}");
    assert_eq!(failures.lines().count(), 1);
    // All other scans are in the table.
    let tables = fixture::run_well(&["tables", "--store", store.to_str().unwrap(), "--json"]);
    let tables: Value = serde_json::from_str(&tables).unwrap();
    assert_eq!(tables[0]["rows"], 6);
}

#[test]
fn lineage_leads_back_to_the_files() {
    let store = fixture::finished().join("store");
    let text =
        fixture::run_well(&["lineage", "summary", "--store", store.to_str().unwrap(), "--json"]);
    let mut node: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(node["name"], "summary");
    let input = |node: &Value, name: &str| {
        let inputs = node["inputs"].as_array().unwrap().iter();
        inputs.clone().find(|input| input["name"] == name).expect(name).clone()
    };
    // What stands above is not listed again.
    let scans = input(&input(&node, "nodules"), "scans");
    assert_eq!((&scans["repeated"], scans["inputs"].as_array().unwrap().len()), (&true.into(), 0));
    for name in ["scans", "sources"] {
        node = input(&node, name);
        assert_eq!(node["repeated"], false);
    }
    assert_eq!(node["cases"].as_array().unwrap().len(), 6);
    let digest = node["cases"][0]["content_sha256"].as_str().unwrap();
    let shown = fixture::run_well(&[
        "show",
        "scans",
        "--store",
        store.to_str().unwrap(),
        "--json",
        "--where",
        &format!("content_sha256={digest}"),
    ]);
    assert_eq!(shown.lines().count(), 1, "{shown}");
}
