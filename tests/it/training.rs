//! Training stops early, keeps its best weights, and starts from existing weights.

use crate::fixture;
use nodulus::tables::{Output, Prediction, Roi, Sample, Scan, TrainingLog};
use nodulus_metrics::{Distribution, ValueRange};
use nodulus_nets::{PROBABILITY_EDGES, PredictionProfile, TrainingProfile, VOLUME_EDGES_MM3};
use nodulus_store::Store;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Settings under which the clinical patients are trained on and validated in one phase.
const ONE_PHASE: &[&str] = &[
    "balance.splits.clinical.validation=0.3",
    "balance.splits.clinical.test=0.0",
    r#"train.phases=[{ name = "all", cohorts = ["clinical"], schedule = { epochs = 2 } }]"#,
];

/// Allows to predict the validation split, on which epochs were chosen.
const SEEN: &str = "infer.allow_training_patients=true";

/// Arguments that run `stage` and what it needs with these settings.
fn arguments(stage: &str, pipeline: &Path, sets: &[&str]) -> Vec<String> {
    let mut arguments = vec![stage.to_owned(), pipeline.to_str().unwrap().to_owned()];
    arguments.extend(["--progress", "log"].map(str::to_owned));
    arguments.extend(sets.iter().flat_map(|set| ["--set".to_owned(), (*set).to_owned()]));
    arguments
}

/// Runs the stages up to `train`, and returns the log.
fn train(pipeline: &Path, sets: &[&str]) -> String {
    let mut messages = String::new();
    for stage in ["ingest", "merge", "crop", "balance", "train"] {
        let arguments = arguments(stage, pipeline, sets);
        let output = fixture::run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        messages = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{stage}: {messages}");
    }
    messages
}

/// The files of the current checkpoint, where they stay when another becomes current.
fn checkpoint(store: &Path) -> PathBuf {
    let version = Store::open(store).unwrap().require(Output::Checkpoint).unwrap();
    version.file("model.safetensors").unwrap().unwrap().parent().unwrap().to_owned()
}

fn described(path: &Path) -> Value {
    serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap()
}

#[test]
fn a_phase_stops_early_and_keeps_its_best_weights() {
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
    for (name, row) in [("best.json", &log[log.len() - 2]), ("model.json", &log[log.len() - 1])] {
        let calibration = &described(&files.join(name))["calibration"];
        let pixels: Vec<f64> =
            serde_json::from_value(calibration["pixels"]["calibrated"].clone()).unwrap();
        assert_eq!(Some(pixels), row.pixel_calibration, "{name}");
        let of_slices = row.slice_temperature.unwrap_or(1.0);
        assert_eq!(calibration["images"].as_f64(), Some(of_slices), "{name}");
    }
    let weights = ["best", "model"].map(|n| fs_err::read(files.join(format!("{n}.safetensors"))));
    let [best, last] = weights.map(Result::unwrap);
    assert!(best.len() == last.len() && best != last);

    // Both the best and the last weights predict.
    let predicted = ["last", "best"].map(|weights| {
        let chosen = format!("infer.weights={weights}");
        let sets =
            [&ONE_PHASE[..2], &[patient, "infer.splits=[\"validation\"]", &chosen, SEEN]].concat();
        let arguments = arguments("infer", &pipeline, &sets);
        fixture::run_well(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let mut rows: Vec<Prediction> = fixture::rows(&store);
        rows.retain(|row| row.model_id == "proposed");
        rows
    });
    let [of_last, of_best] = &predicted;
    assert!(!of_last.is_empty() && of_last.len() == of_best.len() && of_last != of_best);

    check_review(&pipeline, &store, patient);

    // Both describe their training cohort, and their predictions for the validation split.
    for (name, rows) in [("model.json", of_last), ("best.json", of_best)] {
        let profile =
            TrainingProfile::of(&described(&files.join(name))["metadata"]).unwrap().unwrap();
        assert_eq!(
            (profile.phase.as_str(), profile.cohorts.as_slice()),
            ("all", &["clinical".to_owned()][..])
        );
        check_cohort(&store, &profile);
        check_predicted(&store, &profile.predicted, rows);
    }
}

/// Mirror images disagree, and the nodules that they disagree about most are listed first.
fn check_review(pipeline: &Path, store: &Path, patient: &str) {
    let out = store.join("../review");
    let [store_text, out_text] = [store, &out].map(|path| path.to_str().unwrap());
    let review = ["export", "review", "--store", store_text, "--out", out_text, "--json"];
    let rows: Vec<Prediction> = fixture::rows(store);
    let networks = |rows: Vec<Prediction>| {
        rows.into_iter().filter(|row| row.model_id == "proposed").collect::<Vec<_>>()
    };
    assert!(networks(rows).iter().all(|row| row.disagreement.is_none()));

    let sets = [patient, "infer.splits=[\"validation\"]", "infer.flips=true", SEEN];
    let arguments = arguments("infer", pipeline, &[&ONE_PHASE[..2], &sets].concat());
    fixture::run_well(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let mut found: BTreeMap<String, (Option<f64>, bool)> = BTreeMap::new();
    for row in networks(fixture::rows(store)) {
        let disagreement = row.disagreement.unwrap();
        assert!((0.0..=1.0).contains(&disagreement), "{disagreement}");
        let (of_nodule, has_mask) = found.entry(row.nodule_id).or_insert((None, false));
        assert!(of_nodule.is_none_or(|other| other.to_bits() == disagreement.to_bits()));
        *of_nodule = Some(disagreement);
        *has_mask |= row.mask_bits.iter().any(|bits| *bits != 0);
    }
    let record: Value = serde_json::from_str(&fixture::run_well(&review)).unwrap();
    assert_eq!(
        (&record["n_predicted"], &record["n_listed"]),
        (&found.len().into(), &found.len().into())
    );
    let text = fs_err::read_to_string(out.join("review.csv")).unwrap();
    let mut listed = csv::Reader::from_reader(text.as_bytes());
    let listed: Vec<BTreeMap<String, String>> =
        listed.deserialize().collect::<Result<_, _>>().unwrap();
    assert_eq!(listed.len(), found.len());
    // Weights with fewer than 20 validation nodules have no distance: disagreement alone ranks those with a mask.
    let expected = |row: &BTreeMap<String, String>| found[&row["nodule_id"]];
    assert!(listed.is_sorted_by_key(|row| expected(row).1));
    let masked = listed.iter().filter(|row| expected(row).1);
    assert!(masked.map(|row| expected(row).0.unwrap()).is_sorted_by(|a, b| a >= b));
    for (n, row) in listed.iter().enumerate() {
        assert_eq!(row["rank"], (n + 1).to_string());
        assert_eq!(row["disagreement"].parse::<f64>().ok(), expected(row).0);
        assert_eq!(row["training_distance"], "");
    }
}

/// Compares a profile with the tables that it was made from.
fn check_cohort(store: &Path, profile: &TrainingProfile) {
    let mut samples: Vec<Sample> = fixture::rows(store);
    samples.retain(|sample| sample.cohort == "clinical" && sample.split == "train");
    let slices: BTreeSet<String> = samples.iter().map(|sample| sample.roi_id.clone()).collect();
    let mut rois: Vec<Roi> = fixture::rows(store);
    rois.retain(|roi| slices.contains(&roi.roi_id));
    let mut scans: Vec<Scan> = fixture::rows(store);
    scans.retain(|scan| rois.iter().any(|roi| roi.series_instance_uid == scan.series_instance_uid));
    let mut volumes: BTreeMap<String, f64> = BTreeMap::new();
    for roi in &rois {
        let pixel_mm3 = roi.spacing_i_mm * roi.spacing_j_mm * roi.spacing_k_mm;
        *volumes.entry(roi.nodule_id.clone()).or_default() += roi.n_mask_pixels as f64 * pixel_mm3;
    }
    assert_eq!(
        [profile.n_scans, profile.n_nodules, profile.n_slices],
        [scans.len(), volumes.len(), rois.len()].map(|n| n as u64)
    );
    let volumes = Distribution::of(&VOLUME_EDGES_MM3, volumes.into_values());
    assert_eq!(profile.volume_mm3.counts, volumes.counts);
    assert_eq!(profile.kernels.values().sum::<u64>(), scans.len() as u64);
    assert_eq!(profile.manufacturers.values().sum::<u64>(), scans.len() as u64);
    let thickness = scans.iter().filter_map(|scan| scan.slice_thickness_mm);
    assert_eq!(profile.slice_thickness_mm, ValueRange::of(thickness));
    assert_eq!(profile.spacing_k_mm, ValueRange::of(scans.iter().filter_map(|s| s.spacing_k_mm)));
    let inside = rois.iter().filter(|roi| !roi.padded);
    let pixels: Vec<f64> = inside.flat_map(|roi| roi.pixels_hu().unwrap()).map(f64::from).collect();
    assert_eq!(profile.region_pixels.n(), pixels.len() as u64);
    let mean = pixels.iter().sum::<f64>() / pixels.len() as f64;
    assert!((profile.region_pixels.mean.unwrap() - mean).abs() < 1e-6);
    // Clinical phantoms have intensities from 0 to 1000.
    let range = profile.region_hu.unwrap();
    assert!(range.min >= 0.0 && range.max <= 1000.0 && profile.region_mean_hu.unwrap().min > 0.0);
}

/// Compares a profile's predictions with the predictions of `infer`.
fn check_predicted(store: &Path, predicted: &PredictionProfile, rows: &[Prediction]) {
    let rois: BTreeMap<String, Roi> =
        fixture::rows::<Roi>(store).into_iter().map(|roi| (roi.roi_id.clone(), roi)).collect();
    let mut nodules: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for row in rows {
        let roi = &rois[&row.roi_id];
        assert_eq!(predicted.component.as_ref(), Some(&row.component));
        assert!((predicted.threshold - row.threshold).abs() < 1e-12);
        let n: u32 = row.mask_bits.iter().map(|bits| bits.count_ones()).sum();
        let (score, volume) = nodules.entry(row.nodule_id.clone()).or_insert((0.0, 0.0));
        *score = score.max(row.nodule_probability.unwrap());
        *volume += f64::from(n) * roi.spacing_i_mm * roi.spacing_j_mm * roi.spacing_k_mm;
    }
    assert_eq!(
        (predicted.split.as_str(), predicted.n_nodules),
        ("validation", nodules.len() as u64)
    );
    let scores = Distribution::of(&PROBABILITY_EDGES, nodules.values().map(|(score, _)| *score));
    let volumes = Distribution::of(&VOLUME_EDGES_MM3, nodules.values().map(|(_, mm3)| *mm3));
    for (found, expected) in [(&predicted.probability, &scores), (&predicted.volume_mm3, &volumes)]
    {
        assert_eq!(found.counts, expected.counts);
        assert!(
            (found.mean.unwrap() - expected.mean.unwrap()).abs() < 1e-6,
            "{found:?} {expected:?}"
        );
    }
}

#[test]
fn training_starts_from_weights_that_fit_and_lists_them() {
    let folder = tempfile::tempdir().unwrap();
    let (pipeline, store) = (fixture::pipeline(folder.path()), folder.path().join("store"));
    train(&pipeline, ONE_PHASE);
    let first = checkpoint(&store);

    // The same network, named by its store: all tensors fit.
    let initial = format!("train.initial.checkpoint={}", store.display());
    let messages = train(&pipeline, &[ONE_PHASE, &[&initial]].concat());
    let all = described(&first.join("model.json"));
    assert!(
        messages.contains(
            " tensors loaded, 0 missing in the file, 0 of another shape, 0 of the file unused"
        ),
        "{messages}"
    );
    let second = checkpoint(&store);
    assert_ne!(first, second);
    assert!(all["metadata"]["initial"].is_null());
    let found = described(&second.join("model.json"));
    let n_tensors = found["metadata"]["initial"]["taken"].as_array().unwrap().len();
    assert!(n_tensors > 300, "{n_tensors}");

    // Another network: no tensor fits. A wider one: only tensors of the same shape fit.
    let weights = format!("train.initial.checkpoint={}", first.join("model.safetensors").display());
    let unet = [ONE_PHASE, &[&weights, "train.model.architecture=unet"]].concat();
    let unet = arguments("train", &pipeline, &unet);
    let (error, status) = fixture::run_badly(&unet.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(status, Some(1));
    assert!(error.contains("none of its tensors belongs to this network"), "{error}");
    let wider = [ONE_PHASE, &[&weights, "train.model.classifier_width=24"]].concat();
    let messages = train(&pipeline, &wider);
    assert!(messages.contains("another shape: "), "{messages}");
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
fn impossible_training_settings_end_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = fixture::pipeline(folder.path());
    train(&pipeline, &["train.phases.0.schedule.epochs=1", "train.phases.1.schedule.epochs=1"]);
    for (set, expected) in [
        ("train.phases.1.patience=2", "phase `finetune` has `patience` and no validation samples"),
        (
            "train.phases.1.patience=0",
            "`train.phases.1.patience` is 0, expected a whole number from 1 to",
        ),
        (
            "train.phases.1.name=pretrain",
            "`train.phases.1.name` is \"pretrain\", which `train.phases.0.name` is too",
        ),
        (
            "train.save_minutes=-1",
            "`train.save_minutes` is -1, expected a number from 0 to 1000000, as in",
        ),
        (
            "train.phases.0.schedule.clip_norm=0.0",
            "`train.phases.0.schedule.clip_norm` is 0, expected a number over 0",
        ),
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
