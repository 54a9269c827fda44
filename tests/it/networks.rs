//! Every network, and every switch of the proposed network, from a pipeline file to its metrics.

use crate::fixture;
use nodulus::tables::{NoduleMetrics, Prediction, TrainingLog};
use serde_json::Value;
use std::path::Path;

/// Runs the small pipeline with these settings and one epoch for each phase, and returns the stages that ran.
fn run(pipeline: &Path, sets: &[&str]) -> Vec<String> {
    let mut arguments = vec!["run", pipeline.to_str().unwrap(), "--json", "--progress", "none"];
    let epochs = ["train.phases.0.schedule.epochs=1", "train.phases.1.schedule.epochs=1"];
    for &set in epochs.iter().chain(sets) {
        arguments.extend(["--set", set]);
    }
    let output: Value = serde_json::from_str(&fixture::run_well(&arguments)).unwrap();
    let ran = output["stages"].as_array().unwrap().iter().filter(|s| !s["seconds"].is_null());
    ran.map(|s| s["stage"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_network_is_trained_and_evaluated_from_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = fixture::pipeline(folder.path());
    let store = folder.path().join("store");
    run(&pipeline, &[]);
    for name in ["unet", "resunet", "resunet_plus_plus", "deeplab_v3_plus"] {
        let ran = run(&pipeline, &[&format!("train.model.architecture={name}")]);
        assert_eq!(ran, ["train", "infer", "evaluate", "report"], "{name}");
        let log: Vec<TrainingLog> = fixture::rows(&store);
        assert_eq!(log.len(), 2);
        assert!(log.iter().all(|row| row.loss_classification.is_none() && row.loss > 0.0));
        let mut predicted: Vec<Prediction> = fixture::rows(&store);
        predicted.retain(|row| row.model_id == name);
        assert!(!predicted.is_empty(), "{name}");
        // Without a classifier there is no probability of a nodule, which is not the same as 0.
        let is_segmented = |row: &Prediction| {
            row.nodule_probability.is_none() && row.probability.as_ref().unwrap().len() == 64 * 64
        };
        assert!(predicted.iter().all(is_segmented), "{name}");
        let metrics: Vec<NoduleMetrics> = fixture::rows(&store);
        assert!(metrics.iter().any(|row| row.model_id == name), "{name}");
    }
    for switch in ["mode=\"none\"", "mode=\"std\"", "combination=false"] {
        let ran = run(&pipeline, &[&format!("train.model.{switch}")]);
        assert_eq!(ran, ["train", "infer", "evaluate", "report"], "{switch}");
        let log: Vec<TrainingLog> = fixture::rows(&store);
        assert!(log.iter().all(|row| row.loss_classification.is_some()), "{switch}");
    }
}

#[test]
fn inference_settings_run_inference_alone_and_are_named_in_its_table() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = fixture::pipeline(folder.path());
    let store = folder.path().join("store");
    let split = "balance.splits.clinical={validation=0.4,test=0.4}";
    let network = |rows: Vec<Prediction>| -> Vec<Prediction> {
        rows.into_iter().filter(|row| row.model_id != "region_growing").collect()
    };
    run(&pipeline, &[split]);
    let rows: Vec<Prediction> = fixture::rows(&store);
    let is_baseline = |row: &&Prediction| row.model_id == "region_growing";
    assert!(rows.iter().filter(is_baseline).all(|row| row.threshold_from == "learning"));
    let plain = network(rows);
    assert!(plain.iter().all(|row| (row.threshold, &*row.threshold_from) == (0.5, "setting")));

    // Predictions do not depend on the batch size.
    assert!(run(&pipeline, &[split, "infer.batch=1"]).is_empty());
    let ran = run(&pipeline, &[split, "infer.flips=true"]);
    assert_eq!(ran, ["infer", "evaluate", "report"]);
    let flipped = network(fixture::rows(&store));
    assert_eq!(flipped.len(), plain.len());
    assert!(flipped.iter().zip(&plain).all(|(a, b)| a.roi_id == b.roi_id));
    assert!(flipped.iter().zip(&plain).any(|(a, b)| a.probability != b.probability));

    let ran = run(&pipeline, &[split, "infer.probability_threshold=validation"]);
    assert_eq!(ran, ["infer", "evaluate", "report"]);
    let chosen = network(fixture::rows(&store));
    for (row, plain) in chosen.iter().zip(&plain) {
        assert_eq!((&*row.threshold_from, &row.probability), ("validation", &plain.probability));
        assert!((0.01..=0.99).contains(&row.threshold));
    }
}

#[test]
fn settings_of_another_network_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = fixture::pipeline(folder.path());
    let refused = |set: &str| {
        let unet = "train.model.architecture=unet";
        let pipeline = pipeline.to_str().unwrap();
        let (error, status) =
            fixture::run_badly(&["run", pipeline, "--set", unet, "--set", set, "--dry-run"]);
        assert_eq!(status, Some(2), "{set}: {error}");
        error
    };
    for set in ["mode=std", "std_steps=5", "combination=false", "dilations=[1]"] {
        let error = refused(&format!("train.model.{set}"));
        let name = set.split('=').next().unwrap();
        let expected = format!("`{name}` is not a setting of architecture `unet`");
        assert!(error.contains(&expected), "{error}");
    }
    let error = refused("train.phases.0.schedule.freeze=[\"S1\"]");
    assert!(error.contains("freeze.0` is \"S1\", which is neither a block"), "{error}");
}
