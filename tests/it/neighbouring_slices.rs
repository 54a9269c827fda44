//! Networks that take a slice between its neighbours: training, inference and the nightly job give them the true ones.

use crate::fixture;
use crate::kill::was_killed;
use crate::nightly_job::{Job, counts};
use nodulus::tables::{Prediction, Roi, Sample};
use nodulus_imaging::normalise::normalise_slice;
use nodulus_nets::{Device, Predictor};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

const SETTINGS: [&str; 5] = [
    "train.model.architecture=unet",
    "train.model.input_slices=3",
    "train.phases.0.schedule.epochs=1",
    "train.phases.1.schedule.epochs=1",
    "infer.region_growing=false",
];

fn arguments<'a>(pipeline: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments =
        vec!["run", pipeline.to_str().unwrap(), "--progress", "none", "--to", "infer"];
    for set in SETTINGS.iter().chain(more) {
        arguments.extend(["--set", set]);
    }
    arguments
}

fn weights(store: &Path) -> Vec<u8> {
    fs_err::read(fixture::current(store, "checkpoint").join("model.safetensors")).unwrap()
}

/// Kills a training as soon as it has saved a state, and ends it.
fn interrupted(pipeline: &Path, store: &Path) {
    let arguments = arguments(pipeline, &["train.save_minutes=0"]);
    let mut command = fixture::nodulus(&arguments);
    let run = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let unfinished = store.join("training_log/unfinished");
    let deadline = Instant::now() + Duration::from_mins(5);
    let has_state = || {
        let folders = std::fs::read_dir(&unfinished).into_iter().flatten().flatten();
        folders.flat_map(|folder| std::fs::read_dir(folder.path())).flatten().next().is_some()
    };
    while !has_state() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(was_killed(run), "the training ended before it was killed");
    fixture::run_well(&arguments);
}

#[test]
fn a_network_of_three_slices_sees_the_true_neighbours() {
    let folder = tempfile::tempdir().unwrap();
    let (pipeline, store) = (fixture::pipeline(folder.path()), folder.path().join("store"));
    fixture::run_well(&arguments(&pipeline, &[]));
    let rois: Vec<Roi> = fixture::rows(&store);
    let at: BTreeMap<(&str, i64), &Roi> =
        rois.iter().map(|roi| ((&*roi.nodule_id, roi.slice_index), roi)).collect();
    let by_id: BTreeMap<&str, &Roi> = rois.iter().map(|roi| (&*roi.roi_id, roi)).collect();
    let normalised =
        |roi: &Roi| normalise_slice(&roi.pixels_hu().unwrap(), roi.norm_low_hu, roi.norm_high_hu);
    let predictor = Predictor::load(&fixture::current(&store, "checkpoint"), &Device::Cpu).unwrap();
    assert_eq!((predictor.input_slices(), predictor.image_size()), (3, 64));
    let predicted = |image: Vec<f32>| -> Vec<u8> {
        let found = predictor.predict(&[image]).unwrap().remove(0);
        found.probability.iter().map(|p| (p * 255.0).round() as u8).collect()
    };
    let samples: Vec<Sample> = fixture::rows(&store);
    let sampled: BTreeSet<&str> = samples.iter().map(|sample| &*sample.roi_id).collect();
    let predictions: Vec<Prediction> = fixture::rows(&store);
    assert!(!predictions.is_empty());
    let (mut n_other, mut n_unsampled) = (0, 0);
    for row in &predictions {
        let roi = by_id[&*row.roi_id];
        let beside = |d: i64| at.get(&(&*roi.nodule_id, roi.slice_index + d)).copied();
        let [before, after] = [-1, 1].map(|d| beside(d).unwrap_or(roi));
        n_unsampled += usize::from(!sampled.contains(&*before.roi_id));
        let image = [before, roi, after].map(normalised).concat();
        let found = row.probability.as_ref().unwrap();
        assert!(found == &predicted(image), "{}", row.roi_id);
        n_other += usize::from(found != &predicted(normalised(roi).repeat(3)));
    }
    // The neighbours matter, and not all of them are samples.
    assert!(n_other > predictions.len() / 2, "{n_other} of {}", predictions.len());
    assert!(n_unsampled > 0);
    // Batches divide nodules, and change nothing.
    let bytes = fixture::outputs(&store);
    fixture::run_well(
        &[&arguments(&pipeline, &["infer.batch=1"])[..], &["--force", "infer"]].concat(),
    );
    assert!(fixture::outputs(&store) == bytes);

    let job = Job::new();
    let text = fs_err::read_to_string(job.file()).unwrap();
    let finished = fixture::finished().join("store");
    let text = text.replace(finished.to_str().unwrap(), store.to_str().unwrap());
    fs_err::write(job.file(), text).unwrap();
    let (summary, _) = job.run(0, &[]);
    assert_eq!(counts(&summary)[..2], [3, 3]);
    assert!(job.rows().iter().all(|row| row["model_id"].as_str().unwrap().starts_with("unet-")));

    let again = tempfile::tempdir().unwrap();
    let (pipeline, stopped) = (fixture::pipeline(again.path()), again.path().join("store"));
    interrupted(&pipeline, &stopped);
    assert!(weights(&stopped) == weights(&store), "a training that was killed has other weights");
}

#[test]
fn an_even_number_of_slices_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = fixture::pipeline(folder.path());
    let refused = |n: usize| {
        let set = format!("train.model.input_slices={n}");
        let arguments = ["run", pipeline.to_str().unwrap(), "--dry-run", "--set", &set];
        let (error, status) = fixture::run_badly(&arguments);
        assert_eq!(status, Some(2), "{error}");
        error
    };
    assert!(refused(2).contains("`train.model.input_slices` is 2, expected an odd number"));
    assert!(
        refused(9).contains("`train.model.input_slices` is 9, expected a whole number from 1 to 7")
    );
}
