//! A dry run tells what the run then does, and fails where it would.

use crate::fixture;
use crate::growing::{Growing, by_stage};
use serde_json::{Value, json};
use std::path::Path;

/// Paths and bytes of all files below a folder.
fn files(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let paths = nodulus_formats::cohort::files_below(folder).unwrap().into_iter();
    paths.map(|path| (path.clone(), fs_err::read(path).unwrap())).collect()
}

#[test]
fn the_first_run_is_foreseen_without_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = fixture::pipeline(folder.path());
    let pipeline = pipeline.to_str().unwrap();
    // The cohort is synthetic and not written yet.
    let text = fixture::run_well(&["run", pipeline, "--dry-run"]);
    for expected in [
        "luna16    at most 3  at most 3  at most 3",
        "ingest    missing           at most 6",
        "train     waits for ingest  1 of 1",
        "training: starts; there is no checkpoint yet",
        "to write: unknown before the first run of ingest, merge, agree, ",
        "are free",
    ] {
        assert!(text.contains(expected), "{text}\nexpected: {expected}");
    }
    let status = fixture::run_well(&["status", pipeline]);
    assert!(status.contains("ingest    missing"), "{status}");
    assert!(!folder.path().join("store").exists());
}

#[test]
fn a_grown_cohort_is_foreseen_to_the_shard_and_nothing_is_written() {
    let mut growing = Growing::new();
    let first = growing.json("run", &["--dry-run"]);
    assert_eq!(first["training"]["starts"], "first");
    let run = growing.json("run", &[]);
    assert_eq!(by_stage(&first, "shards/n_to_make"), by_stage(&run, "n_made"));
    assert_eq!(by_stage(&first, "shards/n_to_make_at_most"), by_stage(&run, "n_made"));
    let none = growing.json("run", &["--dry-run"]);
    assert!(by_stage(&none, "shards/n_to_make_at_most").iter().all(|(_, n)| *n == 0), "{none}");
    assert_eq!(none["training"], json!({ "starts": "no", "reasons": [] }));
    assert_eq!((&none["writes"]["bytes"], &none["writes"]["unknown"]), (&json!(0), &json!([])));

    growing.grow();
    let before = files(growing.folder());
    let told = growing.json("run", &["--dry-run"]);
    let status = growing.json("status", &[]);
    assert_eq!(files(growing.folder()), before);
    assert_eq!(told["stages"], status["stages"]);
    let cohort = |n: usize| -> Vec<&Value> {
        ["cohort", "n_cases", "n_new"].map(|field| &told["cohorts"][n][field]).into()
    };
    assert_eq!(cohort(0), [&json!("clinical"), &json!(4), &json!(1)]);
    assert_eq!(cohort(1), [&json!("luna16"), &json!(4), &json!(1)]);
    // Whose the new cases are is not known before they are read.
    assert_eq!(told["training"]["starts"], "if_inputs_change");
    let reasons = told["training"]["reasons"].as_array().unwrap();
    assert_eq!(reasons, &["scans change", "rois change", "samples change"]);
    assert!(told["writes"]["bytes"].as_u64().unwrap() > 0);
    let text = growing.text("run", &["--dry-run"]);
    let expected =
        "training: starts again if rows of training or validation patients change: scans change; ";
    assert!(text.contains(expected), "{text}");
    assert!(text.contains("`--keep train` goes on with the current checkpoint"), "{text}");

    let run = growing.json("run", &[]);
    let made = by_stage(&run, "n_made");
    let [least, most] =
        ["shards/n_to_make", "shards/n_to_make_at_most"].map(|field| by_stage(&told, field));
    assert_eq!((&least[..5], &most[..5]), (&made[..5], &made[..5]));
    for ((stage, n), ((_, least), (_, most))) in made.iter().zip(least.iter().zip(&most)) {
        let [n, least, most] = [n, least, most].map(|n| n.as_u64().unwrap());
        assert!((least..=most).contains(&n), "{stage}: {n} of {least} to {most}");
    }
    assert_eq!(by_stage(&told, "shards/n_shards"), by_stage(&run, "n_shards"));
    // A case of each cohort makes at most two shards anew.
    for (stage, n) in &made[..5] {
        assert!(n.as_u64().unwrap() <= 4, "{stage}: {n}");
    }
}

#[test]
fn a_changed_setting_and_a_changed_file_are_foreseen() {
    let growing = Growing::new();
    growing.json("run", &["--to", "balance"]);
    let told =
        growing.json("run", &["--dry-run", "--to", "balance", "--set", "crop.margin_slices=2"]);
    let state = |stage: usize| told["stages"][stage]["state"].as_str().unwrap();
    assert_eq!((state(2), state(3), state(4)), ("current", "stale", "waiting"));
    assert_eq!(told["stages"][3]["reasons"], json!(["margin_slices was 1, now 2"]));
    let run = growing.json("run", &["--to", "balance", "--set", "crop.margin_slices=2"]);
    assert_eq!(by_stage(&told, "shards/n_to_make"), by_stage(&run, "n_made"));
    // The earlier shards are still there.
    let told = growing.json("run", &["--dry-run", "--to", "balance"]);
    assert_eq!(told["stages"][3]["state"], "complete");
    assert!(by_stage(&told, "shards/n_to_make_at_most").iter().all(|(_, n)| *n == 0), "{told}");

    // Settings of ingest may leave the content of its tables as it is.
    let set = ["--set", "ingest.tolerances.off_grid=0.2"];
    let told = growing.text("run", &[&["--dry-run", "--to", "merge"][..], &set].concat());
    let merge = told.lines().find(|line| line.starts_with("merge")).unwrap();
    let words: Vec<&str> = merge.split_whitespace().collect();
    assert!(words.join(" ").contains("waits for ingest 0 to "), "{told}");
    let run = growing.json("run", &[&["--to", "merge"][..], &set].concat());
    assert_eq!(run["stages"][1]["n_made"], 0);
}

#[test]
fn a_new_cohort_makes_as_many_shards_as_the_dry_run_says() {
    let folder = tempfile::tempdir().unwrap();
    let data = |seed: &str| folder.path().join(seed).to_str().unwrap().to_owned();
    for seed in ["1", "2", "3"] {
        let sizes = ["--patients", "4", "--clinical-patients", "0", "--size", "64"];
        let arguments =
            [&["phantom", &data(seed), "--seed", seed, "--progress", "none"], &sizes[..]];
        fixture::run_well(&arguments.concat());
    }
    let pipeline = folder.path().join("cohorts.toml");
    let with_cohorts = |seeds: &[&str]| {
        let cohort = |seed: &&str| {
            let root = format!("{}/lidc", data(seed));
            format!("[[ingest.cohorts]]\nname = \"c{seed}\"\nsource = \"lidc\"\nroot = {root:?}\n")
        };
        let cohorts: String = seeds.iter().map(cohort).collect();
        let store = data("store");
        let text = format!("store = {store:?}\n[ingest]\nshard_size = 2\n{cohorts}");
        fs_err::write(&pipeline, text).unwrap();
    };
    let run = |more: &[&str]| -> Value {
        let arguments =
            ["run", pipeline.to_str().unwrap(), "--to", "agree", "--progress", "none", "--json"];
        serde_json::from_str(&fixture::run_well(&[&arguments, more].concat())).unwrap()
    };
    with_cohorts(&["1", "2"]);
    run(&[]);
    with_cohorts(&["1", "2", "3"]);
    let told = run(&["--dry-run"]);
    let made = run(&[]);
    for (told, made) in
        told["stages"].as_array().unwrap().iter().zip(made["stages"].as_array().unwrap())
    {
        let shards = &told["shards"];
        assert_eq!(shards["n_to_make"], made["n_made"], "{told} {made}");
        assert_eq!(shards["n_to_make_at_most"], made["n_made"], "{told} {made}");
    }
    // The agreement of the whole cohorts is made anew too, although the first shard stays.
    let [merge, agree] = [1, 2].map(|n: usize| made["stages"][n]["n_made"].as_u64().unwrap());
    assert_eq!(agree, merge + 1);
}

#[test]
fn what_would_fail_later_fails_in_the_dry_run_with_the_same_message() {
    let growing = Growing::new();
    let weights = growing.folder().join("weights.safetensors");
    fs_err::write(&weights, "no weights").unwrap();
    let [missing, damaged] = ["gone.safetensors", "weights.safetensors"]
        .map(|name| format!("=\"{}\"", growing.folder().join(name).display()));
    let empty = growing.folder().join("empty");
    fs_err::create_dir_all(&empty).unwrap();
    let occupied = growing.folder().join("occupied/phantom");
    fs_err::create_dir_all(&occupied).unwrap();
    fs_err::write(occupied.join("x"), "x").unwrap();
    let occupied_store = occupied.parent().unwrap();
    fs_err::write(occupied_store.join("store.json"), "{\"layout\": 2}\n").unwrap();
    let file = growing.folder().join("small.toml/store");
    let root = |value: &Path| format!("ingest.cohorts.1.root=\"{}\"", value.display());
    let (no_root, no_case) = (root(&growing.folder().join("none")), root(&empty));
    let checkpoint = format!("infer.checkpoint{missing}");
    let no_weights = format!("infer.checkpoint{damaged}");
    let initial = format!("train.initial.checkpoint{missing}");
    let no_initial = format!("train.initial.checkpoint{damaged}");
    let cases: [(&[&str], &str); 9] = [
        (&["--set", &no_root], "cannot list cohort `clinical`"),
        (&["--set", &no_case], "cohort `clinical` is empty"),
        (&["--set", &checkpoint], "cannot read the weights that `infer.checkpoint` names"),
        (&["--set", &no_weights], "infer stopped: "),
        (&["--set", &initial], "cannot read the weights that `train.initial.checkpoint` names"),
        (&["--set", &no_initial], "train stopped: "),
        (&["--device", "cuda:7"], "cuda:7"),
        (
            &["--set", "phantom.patients=2", "--store", occupied_store.to_str().unwrap()],
            "is not empty and holds no phantom",
        ),
        (&["--store", file.to_str().unwrap()], "cannot be written to"),
    ];
    for (more, expected) in cases {
        let (told, status) =
            growing.error("run", &[&["--dry-run", "--progress", "none"], more].concat());
        assert!(told.contains(expected), "{more:?}: {told}");
        let (error, of_run) = growing.error("run", &[&["--progress", "none"], more].concat());
        assert_eq!((&told, status), (&error, of_run), "{more:?}");
        assert!(!growing.store().join("scans").exists(), "{more:?}");
        let _ = fs_err::remove_dir_all(growing.store());
    }
    // The processor computes in f32, which a dry run sees too.
    let more = ["--dry-run", "--progress", "none", "--set", "train.precision=bf16"];
    let (told, status) = growing.error("run", &more);
    assert_eq!(status, Some(1));
    assert!(told.starts_with("error: train stopped: ") && told.contains("bf16"), "{told}");
}
