//! Training ends early, keeps its best weights, and starts from weights that are there.

use crate::fixture;
use nodulus::tables::{Prediction, TrainingLog};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Settings under which the clinical patients are learnt from and looked at in one phase.
const ONE_PHASE: &[&str] = &[
    "balance.splits.clinical.validation=0.3",
    "balance.splits.clinical.test=0.0",
    r#"train.phases=[{ name = "all", cohorts = ["clinical"], schedule = { epochs = 2 } }]"#,
];

/// Arguments that run `train` and what it needs with some settings.
fn arguments(stage: &str, pipeline: &Path, sets: &[&str]) -> Vec<String> {
    let mut arguments = vec![stage.to_owned(), pipeline.to_str().unwrap().to_owned()];
    arguments.extend(["--progress", "log"].map(str::to_owned));
    arguments.extend(sets.iter().flat_map(|set| ["--set".to_owned(), (*set).to_owned()]));
    arguments
}

/// Runs the stages up to `train`, and returns what was said on the way.
fn train(pipeline: &Path, sets: &[&str]) -> String {
    let mut said = String::new();
    for stage in ["ingest", "merge", "crop", "balance", "train"] {
        let arguments = arguments(stage, pipeline, sets);
        let output = fixture::run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{stage}: {said}");
    }
    said
}

fn checkpoint(store: &Path) -> PathBuf {
    let key = fs_err::read_to_string(store.join("checkpoint/CURRENT")).unwrap();
    store.join("checkpoint").join(key.trim()).join("files")
}

fn described(path: &Path) -> Value {
    serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap()
}

#[test]
fn a_phase_ends_early_and_its_best_weights_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (pipeline, store) = (fixture::pipeline(folder.path()), folder.path().join("store"));
    let patient = r#"train.phases=[{ name = "all", cohorts = ["clinical"], patience = 1, schedule = { epochs = 40 } }]"#;
    train(&pipeline, &[&ONE_PHASE[..2], &[patient]].concat());
    let mut log: Vec<TrainingLog> = fixture::rows(&store);
    log.sort_by_key(|row| row.epoch);
    let dice: Vec<f64> = log.iter().map(|row| row.validation_dice.unwrap()).collect();
    let (last, before) = dice.split_last().unwrap();
    assert!(before.windows(2).all(|pair| pair[1] > pair[0]), "{dice:?}");
    let best = before.last().unwrap();
    assert!(last <= best && log.len() < 40, "{dice:?}");
    let files = checkpoint(&store);
    let found = described(&files.join("best.json"));
    assert_eq!(found["metadata"]["epoch"], log.len() - 1, "{found}");
    assert_eq!(found["metadata"]["validation_dice"], *best);
    assert_eq!(described(&files.join("model.json"))["metadata"]["epoch"], log.len());
    let weights = ["best", "model"].map(|n| fs_err::read(files.join(format!("{n}.safetensors"))));
    let [best, last] = weights.map(Result::unwrap);
    assert!(best.len() == last.len() && best != last);

    // Either predicts.
    let predicted = ["last", "best"].map(|weights| {
        let chosen = format!("infer.weights={weights}");
        let sets = [&ONE_PHASE[..2], &[patient, "infer.splits=[\"validation\"]", &chosen]].concat();
        let arguments = arguments("infer", &pipeline, &sets);
        fixture::run_well(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let mut rows: Vec<Prediction> = fixture::rows(&store);
        rows.retain(|row| row.model_id == "proposed");
        rows
    });
    let [of_last, of_best] = &predicted;
    assert!(!of_last.is_empty() && of_last.len() == of_best.len() && of_last != of_best);
}

#[test]
fn training_starts_from_weights_that_fit_and_says_which_do() {
    let folder = tempfile::tempdir().unwrap();
    let (pipeline, store) = (fixture::pipeline(folder.path()), folder.path().join("store"));
    train(&pipeline, ONE_PHASE);
    let first = checkpoint(&store);

    // The same network: all of it, from the store by its name.
    let initial = format!("train.initial.checkpoint={}", store.display());
    let said = train(&pipeline, &[ONE_PHASE, &[&initial]].concat());
    let all = described(&first.join("model.json"));
    assert!(
        said.contains(" tensors taken, 0 not in it, 0 of another shape, 0 of it unused"),
        "{said}"
    );
    let second = checkpoint(&store);
    assert_ne!(first, second);
    assert!(all["metadata"]["initial"].is_null());
    let found = described(&second.join("model.json"));
    let n_tensors = found["metadata"]["initial"]["taken"].as_array().unwrap().len();
    assert!(n_tensors > 300, "{n_tensors}");

    // Another network: nothing of it. A wider one: what has its width.
    let weights = format!("train.initial.checkpoint={}", first.join("model.safetensors").display());
    let unet = [ONE_PHASE, &[&weights, "train.model.architecture=unet"]].concat();
    let unet = arguments("train", &pipeline, &unet);
    let (error, status) = fixture::run_badly(&unet.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(status, Some(1));
    assert!(error.contains("none of its tensors is one of this network"), "{error}");
    let wider = [ONE_PHASE, &[&weights, "train.model.classifier_width=24"]].concat();
    let said = train(&pipeline, &wider);
    assert!(said.contains("another shape: "), "{said}");
    let found = described(&checkpoint(&store).join("model.json"));
    let initial = &found["metadata"]["initial"];
    let names = |what: &str| initial[what].as_array().unwrap().clone();
    assert_eq!(names("taken").len() + names("other_shape").len(), n_tensors, "{initial}");
    assert!(names("missing").is_empty() && names("unused").is_empty());
    let other: Vec<String> =
        names("other_shape").iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    assert!(other.iter().any(|name| name.starts_with("classifier.conv1.weight: [")), "{other:?}");
}

#[test]
fn what_training_cannot_do_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = fixture::pipeline(folder.path());
    train(&pipeline, &["train.phases.0.schedule.epochs=1", "train.phases.1.schedule.epochs=1"]);
    for (set, expected) in [
        ("train.phases.1.patience=2", "phase `finetune` has `patience` and no validation samples"),
        ("train.phases.1.patience=0", "`train.phases.patience` must be at least 1, got 0"),
        ("train.phases.1.name=pretrain", "must be another for each phase, got `pretrain` twice"),
        ("train.save_minutes=-1", "`train.save_minutes` must be from 0 to 1000000, got -1"),
        ("train.phases.0.schedule.clip_norm=0.0", "clip_norm 0, expected a positive number"),
        (
            "train.initial.checkpoint=nowhere",
            "cannot read the weights that `train.initial.checkpoint`",
        ),
        ("infer.weights=best", "has none: its last phase had no validation samples"),
    ] {
        let stage = if set.starts_with("infer.") { "infer" } else { "train" };
        let arguments = arguments(stage, &pipeline, &[set]);
        let (error, status) =
            fixture::run_badly(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(status == Some(1) || status == Some(2), "{set}");
        assert!(error.contains(expected), "{set}: {error}");
    }
}
