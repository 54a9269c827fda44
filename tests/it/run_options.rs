//! `--from` and `--to`, kept outputs, and failed cases that are tried again.

use crate::fixture;
use crate::growing::{Growing, by_stage};
use nodulus::tables::NoduleMetrics;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn stages(json: &Value) -> Vec<&str> {
    by_stage(json, "n_made").into_iter().map(|(stage, _)| stage).collect()
}

#[test]
fn a_part_of_the_line_runs_and_an_empty_one_is_refused() {
    let growing = Growing::new();
    assert_eq!(stages(&growing.json("run", &["--to", "agree"])), ["ingest", "merge", "agree"]);
    let run = growing.json("run", &["--from", "crop", "--to", "balance"]);
    assert_eq!(stages(&run), ["crop", "balance"]);
    for (more, expected) in [
        (
            &["--from", "crop", "--to", "merge"][..],
            "`--from crop --to merge` is no stage: merge comes before crop",
        ),
        (&["--to", "blance"], "there is no stage `blance`: did you mean `balance`?"),
        (&["--from", "trian"], "there is no stage `trian`: did you mean `train`?"),
        (&["--keep", "trian"], "there is no stage `trian`: did you mean `train`?"),
        (&["--keep", "train", "--to", "crop"], "`--keep train`: this run leaves train out"),
        (&["--force", "merge", "--from", "crop"], "`--force merge`: this run leaves merge out"),
        (&["--keep", "crop"], "`--keep crop`: expected one of ingest, train, report"),
        (&["--keep", "train", "--force", "train"], "contradict each other"),
    ] {
        let (error, status) = growing.error("run", more);
        assert_eq!(status, Some(2), "{error}");
        assert!(error.contains(expected), "{error}");
    }
    let (error, status) = growing.error("merge", &["--force", "crop"]);
    assert_eq!(status, Some(2));
    assert!(error.contains("`--force crop`: this command runs merge alone"), "{error}");
    let (error, status) =
        growing.error("run", &["--from", "train", "--keep", "train", "--progress", "none"]);
    assert_eq!(status, Some(1));
    assert!(error.contains("has no outputs of train that could be kept"), "{error}");
    let (error, _) = growing.error("run", &["--from", "infer", "--progress", "none"]);
    assert!(
        error.contains("infer needs `checkpoint`") && error.contains("run train first"),
        "{error}"
    );
}

#[test]
fn a_kept_checkpoint_goes_on_and_says_so_until_it_is_trained_again() {
    let mut growing = Growing::new();
    // The baseline, which is chosen on the training samples, stays with the checkpoint.
    growing.json("run", &[]);
    let checkpoint = fs_err::read(growing.store().join("checkpoint/CURRENT")).unwrap();
    growing.grow();
    let keep = ["--keep", "train"];
    let told = growing.json("run", &[&keep[..], &["--dry-run"]].concat());
    let run = growing.json("run", &keep);
    assert_eq!(by_stage(&told, "shards/n_to_make"), by_stage(&run, "n_made"));
    assert_eq!(told["training"]["starts"], "kept");
    let kept: Vec<&str> = by_stage(&run, "kept")
        .into_iter()
        .filter(|(_, kept)| *kept == true)
        .map(|(stage, _)| stage)
        .collect();
    assert_eq!(kept, ["train"]);
    assert_eq!(fs_err::read(growing.store().join("checkpoint/CURRENT")).unwrap(), checkpoint);
    // Only the shards with new cases are predicted.
    let infer = &run["stages"][6];
    assert!(infer["n_made"].as_u64().unwrap() < infer["n_shards"].as_u64().unwrap(), "{infer}");

    let is_named = |outdated: &Value| {
        let outputs: Vec<_> =
            outdated.as_array().unwrap().iter().map(|o| (&o["output"], &o["kept"])).collect();
        assert_eq!(
            outputs,
            [(&json!("training_log"), &json!(true)), (&json!("checkpoint"), &json!(true))]
        );
    };
    is_named(&run["outdated"]);
    let status = growing.json("status", &[]);
    is_named(&status["stages"][5]["outdated"]);
    assert_eq!(status["training"]["starts"], "again");
    let (text, _) = growing.on_store(&["tables"]);
    let line = "`training_log` was kept (`--keep train`) and was made from other versions of `scans`, `rois` and `samples`";
    assert!(text.contains(line), "{text}");
    let (text, _) = growing.on_store(&["lineage", "checkpoint"]);
    assert!(text.contains("\n  kept, and not made from scans "), "{text}");
    let report = fs_err::read(growing.store().join("report/current/report.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    let sources = report["provenance"].as_array().unwrap().iter();
    let newer: Vec<_> = sources
        .filter(|source| !source["made"]["newer_inputs"].is_null())
        .map(|source| &source["name"])
        .collect();
    assert_eq!(newer, ["training_log", "checkpoint"]);
    let html = fs_err::read_to_string(growing.store().join("report/current/report.html")).unwrap();
    assert!(html.contains("was kept (<code>--keep train</code>)"));

    let before = scored(&growing);
    // A stage alone goes on beside what the checkpoint was kept beside.
    assert_eq!(growing.json("infer", &[])["stages"][0]["n_made"], 0);
    let metrics_before = fs_err::read_to_string(growing.store().join("nodule_metrics/CURRENT"));
    let metrics_before = metrics_before.unwrap().trim().to_owned();
    let (unknown, _) = growing.error("run", &["--dry-run", "--set", "report.before=none"]);
    let expected = format!("has no such version of `nodule_metrics`; it has {metrics_before}");
    assert!(unknown.contains(&expected), "{unknown}");
    let beside = format!("report.before={metrics_before}");
    let run = growing.json("run", &["--set", &beside]);
    assert_eq!(run["stages"][5]["n_made"], 1);
    let report = fs_err::read(growing.store().join("report/current/report.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    let compared = &report["before"];
    assert_eq!(compared["key"], metrics_before.as_str());
    assert_eq!(compared["models"][0]["n_nodules"].as_u64().unwrap() as usize, before.len());
    assert_eq!(compared["without_pair"], json!([]));
    for model in compared["models"].as_array().unwrap() {
        // Two test patients are too few for an interval and for a test, and both say so.
        assert_eq!(model["ci_missing_reason"], "fewer than 8 patients");
        assert_eq!(
            (&model["p"], &model["p_missing_reason"]),
            (&Value::Null, &json!("fewer than 6 patients"))
        );
    }
    let html = fs_err::read_to_string(growing.store().join("report/current/report.html")).unwrap();
    assert!(html.contains("Mean Dice before and after, on the nodules of both"));
    assert_eq!(run["outdated"], json!([]));
    assert_eq!(growing.on_store(&["show", "training_log"]).1, "");
    // Before and after are about the same test patients.
    assert!(!before.is_empty());
    assert_eq!(scored(&growing), before);
    // Nodules of other patients have no before.
    let others = ["--set", "infer.splits=[\"train\"]", "--allow-training-patients"];
    growing.json("run", &[&others[..], &["--set", &beside]].concat());
    let report = fs_err::read(growing.store().join("report/current/report.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["before"]["models"], json!([]));
    assert_eq!(report["before"]["without_pair"].as_array().unwrap().len(), 2);
    let html = fs_err::read_to_string(growing.store().join("report/current/report.html")).unwrap();
    assert!(html.contains("Without a nodule in both: "), "no such line");
}

/// The nodules that the store's models are measured on.
fn scored(growing: &Growing) -> BTreeSet<String> {
    let rows = fixture::rows::<NoduleMetrics>(&growing.store());
    rows.into_iter().map(|row| row.nodule_id).collect()
}

#[test]
fn failed_cases_are_tried_again_when_asked_or_when_there_is_memory() {
    let growing = Growing::new();
    // No case fits.
    let output = growing.failing(&["--to", "agree", "--max-memory", "1KiB"]);
    assert_eq!(output["n_failures"], 6);
    let told = growing.json("run", &["--to", "agree", "--dry-run"]);
    assert_eq!(told["stages"][0]["reasons"], json!(["failed cases are tried again"]));
    let again = growing.json("run", &["--to", "agree"]);
    assert_eq!(by_stage(&told, "shards/n_to_make")[0], by_stage(&again, "n_made")[0]);
    assert_eq!(again["stages"][0]["n_failures"], 0);
    assert_eq!(growing.json("run", &["--to", "agree"])["stages"][0]["n_made"], 0);

    // A file that is cut off fails each time, and is tried again when asked for.
    let scans = growing.folder().join("data/luna16/subset*/*.raw");
    let raw = glob::glob(scans.to_str().unwrap()).unwrap().next().unwrap().unwrap();
    fs_err::write(&raw, "short").unwrap();
    let failed = growing.failing(&["--to", "agree"]);
    assert_eq!(
        (&failed["stages"][0]["n_failures"], &failed["stages"][0]["n_made"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(growing.failing(&["--to", "agree"])["stages"][0]["n_made"], 0);
    let told = growing.json("run", &["--to", "agree", "--retry-failed", "--dry-run"]);
    assert_eq!(told["stages"][0]["shards"]["n_to_make"], 1);
    let again = growing.failing(&["--to", "agree", "--retry-failed"]);
    assert_eq!(again["stages"][0]["n_made"], 1);
    let text = fixture::run(&[
        "run",
        growing.folder().join("small.toml").to_str().unwrap(),
        "--to",
        "agree",
    ]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(
        text.contains("1 case failed") && text.contains("`--retry-failed` tries them again"),
        "{text}"
    );
}
