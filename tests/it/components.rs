//! What is evaluated is what is delivered: one rule of components for `infer`, `evaluate` and `score`.

use crate::{fixture, python};
use nodulus::tables::{Nodule, NoduleMetrics, Prediction, Roi, SliceMetrics, Summary};
use nodulus_formats::volume::Mask;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

/// Runs the pipeline so that each region has all slices of its scan.
fn run(pipeline: &Path, component: &str) {
    let component = format!("infer.component={component}");
    let sets = [
        "train.phases.0.schedule.epochs=1",
        "train.phases.1.schedule.epochs=1",
        "crop.margin_slices=50",
        "infer.splits=[\"train\", \"validation\", \"test\"]",
        "infer.allow_training_patients=true",
        &component,
    ];
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    let arguments = ["run", pipeline.to_str().unwrap(), "--progress", "none"];
    fixture::run_well(&arguments.into_iter().chain(sets).collect::<Vec<_>>());
}

/// Scores one candidate of each series, at the centroid of a nodule, and returns the rows of `scores` by series.
fn score(
    folder: &Path,
    component: &str,
    candidates: &BTreeMap<String, Nodule>,
) -> BTreeMap<String, Value> {
    let mut text = "seriesuid,coordX,coordY,coordZ\n".to_owned();
    for (series, nodule) in candidates {
        let [x, y, z] =
            [nodule.centroid_x_mm, nodule.centroid_y_mm, nodule.centroid_z_mm].map(Option::unwrap);
        writeln!(text, "{series},{x},{y},{z}").unwrap();
    }
    fs_err::write(folder.join("candidates.csv"), text).unwrap();
    let store = folder.join("store");
    let file = folder.join("score.toml");
    let settings = format!(
        "[score]\ninput = \"{}\"\nstore = \"score-{component}\"\nmodel = \"{}\"\ncandidates = \"candidates.csv\"\n\
         settle_seconds = 0\ncomponent = \"{component}\"\nallow_training_patients = true\nallow_other_preprocessing = true\n[score.region]\n\
         extent_mm = 500.0\nwindow = {{ low_hu = -1000.0, high_hu = 400.0 }}\n",
        store.join("phantom/lidc").display(),
        store.display(),
    );
    fs_err::write(&file, settings).unwrap();
    fixture::run_well(&["score", file.to_str().unwrap(), "--json"]);
    let of_score = folder.join(format!("score-{component}"));
    let arguments =
        ["show", "scores", "--store", of_score.to_str().unwrap(), "--json", "--rows", "1000"];
    let text = fixture::run_well(&arguments);
    let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| (row["series_instance_uid"].as_str().unwrap().to_owned(), row)).collect()
}

/// Voxels and centroid (LPS) of a nodule's delivered mask.
fn delivered(rois: &[Roi], predictions: &[Prediction], nodule_id: &str) -> (usize, [f64; 3]) {
    let (mut n, mut sums) = (0, [0.0; 3]);
    for roi in rois.iter().filter(|roi| roi.nodule_id == nodule_id) {
        let row = predictions.iter().find(|row| row.roi_id == roi.roi_id).unwrap();
        let size = [roi.width as usize, roi.height as usize, 1];
        for [i, j, _] in Mask::from_bits(size, row.mask_bits.clone()).unwrap().voxels() {
            let origin = [roi.origin_x_mm, roi.origin_y_mm, roi.origin_z_mm];
            let steps = [i as f64 * roi.spacing_i_mm, j as f64 * roi.spacing_j_mm];
            n += 1;
            for (a, sum) in sums.iter_mut().enumerate() {
                *sum +=
                    origin[a] + (0..2).map(|b| roi.direction[3 * a + b] * steps[b]).sum::<f64>();
            }
        }
    }
    (n, sums.map(|sum| sum / n.max(1) as f64))
}

#[test]
fn infer_and_score_deliver_the_same_mask_and_evaluate_measures_it() {
    let folder = tempfile::tempdir().unwrap();
    let (pipeline, store) = (fixture::pipeline(folder.path()), folder.path().join("store"));
    for component in ["centre", "all"] {
        run(&pipeline, component);
        let (rois, nodules) = (fixture::rows::<Roi>(&store), fixture::rows::<Nodule>(&store));
        let mut predictions = fixture::rows::<Prediction>(&store);
        assert!(predictions.iter().all(|row| row.component == component));
        predictions.retain(|row| row.model_id != "region_growing");
        let mut candidates: BTreeMap<String, Nodule> = BTreeMap::new();
        let with_region: BTreeSet<&str> = rois.iter().map(|roi| roi.nodule_id.as_str()).collect();
        for nodule in nodules.into_iter().filter(|nodule| nodule.cohort == "luna16") {
            if with_region.contains(nodule.nodule_id.as_str()) {
                candidates.entry(nodule.series_instance_uid.clone()).or_insert(nodule);
            }
        }
        assert_eq!(candidates.len(), 3);
        let scores = score(folder.path(), component, &candidates);
        let mut n_marked = 0;
        for (series, nodule) in &candidates {
            let (n, centroid) = delivered(&rois, &predictions, &nodule.nodule_id);
            let roi = rois.iter().find(|roi| roi.nodule_id == nodule.nodule_id).unwrap();
            let voxel_mm3 = roi.spacing_i_mm * roi.spacing_j_mm * roi.spacing_k_mm;
            let row = &scores[series];
            let volume = row["volume_mm3"].as_f64().unwrap();
            assert!(
                (volume - n as f64 * voxel_mm3).abs() < 1e-6 * volume.max(1.0),
                "{component}: {n} voxels, {row}"
            );
            if n > 0 {
                n_marked += 1;
                for (name, expected) in ["x", "y", "z"].iter().zip(centroid) {
                    let found = row[format!("centroid_{name}_mm")].as_f64().unwrap();
                    assert!((found - expected).abs() < 1e-6, "{component}: {centroid:?}, {row}");
                }
            }
        }
        assert!(n_marked > 0, "nothing is marked, so nothing was compared");

        // Metrics are those of the delivered mask, whatever the rule; a nodule and a model have one row.
        let metrics = fixture::rows::<NoduleMetrics>(&store);
        let keys: BTreeSet<[&str; 2]> =
            metrics.iter().map(|row| [row.nodule_id.as_str(), row.model_id.as_str()]).collect();
        assert_eq!(keys.len(), metrics.len());
        for row in &metrics {
            assert_eq!(row.components.component, component);
            let of_rule = match component {
                "all" => [row.components.all_dice, row.components.all_hausdorff_mm],
                _ => [row.components.centre_dice, row.components.centre_hausdorff_mm],
            };
            assert_eq!(of_rule, [row.metrics.dice, row.metrics.hausdorff_mm]);
        }
        for row in fixture::rows::<SliceMetrics>(&store) {
            assert_eq!(row.components.component, component);
        }
        let summary = fixture::rows::<Summary>(&store);
        let has = |metric: &str| summary.iter().any(|row| row.metric == metric);
        assert_eq!(
            [has("all_dice"), has("centre_dice")],
            [component == "centre", component == "all"]
        );
        for metric in
            ["dice", "slice_dice", "slice_precision", "slice_sensitivity", "slice_hausdorff_95_mm"]
        {
            assert!(has(metric), "{metric}");
        }
    }
}

#[test]
fn scipy_finds_the_same_components_and_metrics() {
    let store = fixture::finished().join("store");
    let Some(text) = python::script("delivered_metrics.py", &[store.to_str().unwrap()]) else {
        return;
    };
    let found: BTreeMap<String, u64> = serde_json::from_str(&text).unwrap();
    assert_eq!(found["nodules"], fixture::rows::<NoduleMetrics>(&store).len() as u64);
    assert_eq!(found["slices"], fixture::rows::<SliceMetrics>(&store).len() as u64);
    // Seven metrics of slices for each of two models.
    assert_eq!(found["summary"], 14, "{text}");
    assert!(found["numbers"] > 500, "{text}");
}
