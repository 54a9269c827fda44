//! The files that follow a training have the rows of its log, in experiments too.

use crate::{experiments, fixture};
use nodulus::tables::TrainingLog;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The folders of metrics of a store.
fn folders(store: &Path) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(store.join("training_log/metrics")).unwrap();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

fn lines(folder: &Path) -> Vec<Value> {
    let text = fs_err::read_to_string(folder.join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The epochs of the current log, as lines have them.
fn expected(store: &Path, model_id: &str) -> Vec<Value> {
    let rows: Vec<TrainingLog> = fixture::rows(store);
    let line = |(step, row): (usize, &TrainingLog)| {
        let mut line = serde_json::to_value(row).unwrap();
        line["model_id"] = json!(model_id);
        line["step"] = json!(step);
        line
    };
    (1..).zip(&rows).map(line).collect()
}

#[test]
fn a_training_has_a_line_and_an_event_for_each_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let (pipeline, store) = (fixture::pipeline(folder.path()), folder.path().join("store"));
    let run = |command: &str, more: &[&str]| {
        let arguments =
            [&[command, pipeline.to_str().unwrap(), "--progress", "log"], more].concat();
        let output = fixture::run(&arguments);
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{log}");
        log
    };
    run("run", &["--to", "train"]);
    let [of_training] = &folders(&store)[..] else { panic!() };
    let key = fixture::manifest(&store, "training_log")["shards"][0]["key"].clone();
    assert_eq!(of_training.file_name().unwrap().to_str(), key.as_str());
    let found = lines(of_training);
    assert_eq!((found.len(), &found), (4, &expected(&store, "proposed")));
    assert_eq!(found[3]["step"], 4);
    assert_eq!((&found[3]["phase"], &found[3]["epoch"]), (&json!("finetune"), &json!(2)));
    let events = of_training.join("proposed/events.out.tfevents.nodulus");
    assert!(!events.exists());
    // An event file is no other training; a training that is made again has one.
    let with_events = ["--set", "train.tensorboard=true"];
    assert!(!run("train", &with_events).contains(" epoch "));
    assert!(
        run("train", &[&["--force", "train"][..], &with_events].concat()).contains(" epoch 1/2")
    );
    assert_eq!(folders(&store), std::slice::from_ref(of_training));
    assert_eq!(lines(of_training), expected(&store, "proposed"));
    let bytes = fs_err::read(&events).unwrap();
    let count = |text: &[u8]| bytes.windows(text.len()).filter(|part| *part == text).count();
    assert_eq!([count(b"brain.Event:2"), count(b"\x08loss_segmentation")], [1, 0]);
    assert_eq!([count(b"loss_segmentation"), count(b"learning_rate")], [4, 4]);
    let store = store.to_str().unwrap();
    fixture::run_well(&["fsck", store]);
    // Damage is found, and what is set aside is no reason to train again.
    fs_err::write(&events, &bytes[..bytes.len() - 1]).unwrap();
    let found = fixture::run(&["fsck", store, "--json"]);
    assert_eq!(found.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&found.stdout).contains("events.out.tfevents.nodulus"));
    fixture::run(&["fsck", store, "--repair"]);
    assert!(!run("train", &[]).contains(" epoch "));
    fixture::run_well(&["fsck", store]);
}

#[test]
fn a_line_of_an_experiment_names_its_row() {
    let folder = tempfile::tempdir().unwrap();
    let (path, store) = (experiments::experiment(folder.path()), folder.path().join("store"));
    fixture::run_well(&["experiment", path.to_str().unwrap(), "--set", "train.tensorboard=true"]);
    let mut by_model: BTreeMap<String, usize> = BTreeMap::new();
    for training in folders(&store) {
        let lines = lines(&training);
        let names: BTreeSet<&str> =
            lines.iter().map(|line| line["model_id"].as_str().unwrap()).collect();
        let [name] = names.into_iter().collect::<Vec<_>>()[..] else { panic!("{lines:?}") };
        assert!(training.join(name).join("events.out.tfevents.nodulus").exists());
        by_model.insert(name.to_owned(), lines.len());
    }
    assert_eq!(
        by_model.into_iter().collect::<Vec<_>>(),
        [("U-Net".to_owned(), 1), ("before".to_owned(), 1), ("proposed".to_owned(), 1)]
    );
    // Nothing current needs the other rows' trainings.
    fixture::run_well(&["gc", "--store", store.to_str().unwrap()]);
    for training in folders(&store) {
        let key = training.file_name().unwrap();
        assert!(store.join("training_log/shards").join(key).exists(), "{}", training.display());
    }
}
