//! Metrics of mask files, of a finished store and of detections.

use crate::{fixture, python};
use nodulus::tables::{Comparison, Summary};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const FORMATS: [&str; 4] = ["nii.gz", "mha", "dcm", "coronal.nii.gz"];

fn metrics(files: [&Path; 2], label: &str) -> Map<String, Value> {
    let files = files.map(|file| file.to_str().unwrap());
    let mut arguments = vec!["metrics", files[0], files[1], "--json"];
    if !label.is_empty() {
        arguments.extend(["--label", label]);
    }
    serde_json::from_str(&fixture::run_well(&arguments)).unwrap()
}

#[test]
fn masks_in_any_two_formats_have_the_metrics_of_scipy_and_simpleitk() {
    let folder = tempfile::tempdir().unwrap();
    let Some(text) = python::script("mask_metrics.py", &[folder.path().to_str().unwrap()]) else {
        return;
    };
    let expected: BTreeMap<String, BTreeMap<String, f64>> = serde_json::from_str(&text).unwrap();
    assert_eq!(expected.len(), 3);
    let file = |name: &str| folder.path().join(name);
    for (label, expected) in &expected {
        let mut sizes: BTreeSet<String> = BTreeSet::new();
        for reference in FORMATS {
            for prediction in FORMATS {
                let files = [
                    file(&format!("reference.{reference}")),
                    file(&format!("prediction.{prediction}")),
                ];
                let found = metrics([&files[0], &files[1]], label);
                for (name, expected) in expected {
                    let value = found[name].as_f64().unwrap();
                    // NIfTI stores spacings in 32 bits.
                    let tolerance = 1e-6 * expected.abs().max(1.0);
                    assert!(
                        (value - expected).abs() <= tolerance,
                        "{reference} and {prediction}, label `{label}`: {name} is {value}, expected {expected}"
                    );
                }
                let axes = ["reference_long_axis_mm", "predicted_short_axis_mm"];
                sizes.insert(
                    axes.map(|name| format!("{:.4}", found[name].as_f64().unwrap())).concat(),
                );
            }
        }
        assert_eq!(sizes.len(), 1, "axes depend on the format: {sizes:?}");
    }
    let badly = |prediction: &str| {
        let files = [file("reference.dcm"), file(prediction)];
        fixture::run_badly(&["metrics", files[0].to_str().unwrap(), files[1].to_str().unwrap()])
    };
    let (error, status) = badly("elsewhere.mha");
    assert_eq!(status, Some(1));
    assert!(error.contains("reference.dcm` does not lie on the slices of `"), "{error}");
    assert!(error.contains("voxel centres differ by"), "{error}");
    let (error, _) = badly("other-frame.dcm");
    assert!(error.contains("reference.dcm` is in frame of reference "), "{error}");
    let table = fixture::run_well(&[
        "metrics",
        file("reference.mha").to_str().unwrap(),
        file("prediction.dcm").to_str().unwrap(),
    ]);
    for name in ["dice", "hausdorff_95_mm", "volume_error_mm3", "short_axis_relative_error"] {
        assert!(table.contains(name), "{table}");
    }
}

#[test]
fn a_summary_has_subgroups_readers_and_the_classifier() {
    let rows = fixture::rows::<Summary>(&fixture::finished().join("store"));
    let names: BTreeSet<&str> =
        rows.iter().map(|row| row.subgroup.split('=').next().unwrap()).collect();
    let expected = [
        "all",
        "calcification",
        "cohort",
        "diameter_mm",
        "n_readers",
        "reader_dice",
        "spacing_k_mm",
        "texture_type",
    ];
    assert_eq!(names, BTreeSet::from(expected));
    let of = |model: &str, metric: &str| {
        let all = |row: &&Summary| {
            (row.model_id.as_str(), row.metric.as_str(), row.subgroup.as_str())
                == (model, metric, "all")
        };
        rows.iter().find(all).unwrap_or_else(|| panic!("no {metric} of {model}"))
    };
    let network = rows.iter().find(|row| row.metric == "classifier_auc").unwrap();
    for metric in ["classifier_auc", "classifier_brier", "classifier_ece"] {
        let row = of(&network.model_id, metric);
        // The fixture's test patients are too few for an interval, and the row says so.
        assert!((0.0..=1.0).contains(&row.mean.unwrap()) && row.n_patients < 6, "{row:?}");
        assert_eq!((row.ci_low, row.ci_high), (None, None), "{row:?}");
        assert_eq!(row.ci_missing_reason.as_deref(), Some("fewer than 8 patients"));
    }
    let readers = of("reader", "dice");
    assert!(readers.mean.unwrap() > 0.5, "{readers:?}");
    for metric in ["volume_error_mm3", "long_axis_absolute_error_mm", "slice_assd_mm"] {
        assert!(of("region_growing", metric).n_total > 0);
    }
    // Each nodule is in one subgroup of each kind that covers all nodules.
    for kind in [
        "calcification=",
        "cohort=",
        "diameter_mm=",
        "n_readers=",
        "spacing_k_mm=",
        "texture_type=",
    ] {
        let dice = rows.iter().filter(|row| {
            row.model_id == "region_growing"
                && row.metric == "dice"
                && row.subgroup.starts_with(kind)
        });
        assert_eq!(
            dice.map(|row| row.n_total).sum::<i64>(),
            of("region_growing", "dice").n_total,
            "{kind}"
        );
    }
}

#[test]
fn models_are_compared_in_pairs() {
    let rows = fixture::rows::<Comparison>(&fixture::finished().join("store"));
    let metrics: Vec<&str> = rows.iter().map(|row| row.metric.as_str()).collect();
    // The network with the threshold and the readers, and the threshold with the readers.
    assert_eq!(metrics, ["dice", "hausdorff_95_mm", "assd_mm"].map(|metric| [metric; 3]).concat());
    for row in &rows {
        assert!(row.baseline_id == "reader" || row.baseline_id == "region_growing", "{row:?}");
        assert_ne!(row.model_id, row.baseline_id);
        assert!(row.n_patients <= row.n_nodules, "{row:?}");
        // A row has an interval or a reason, and a test or a reason.
        assert_ne!(row.ci_low.is_some(), row.ci_missing_reason.is_some(), "{row:?}");
        assert_ne!(row.p.is_some(), row.p_missing_reason.is_some(), "{row:?}");
        assert_eq!(row.p.is_some(), row.test.is_some(), "{row:?}");
        // The fixture's test patients are too few; tests/it/demo.rs has six.
        assert!(row.n_patients < 6 && row.p.is_none() && row.ci_low.is_none(), "{row:?}");
    }
}

#[test]
fn a_reference_detects_itself() {
    let luna16 = fixture::finished().join("store/phantom/luna16");
    let folder = tempfile::tempdir().unwrap();
    let submission = folder.path().join("submission.csv");
    let annotations = fs_err::read_to_string(luna16.join("annotations.csv")).unwrap();
    let n_nodules = annotations.lines().count() - 1;
    fs_err::write(&submission, annotations.replace("diameter_mm", "probability")).unwrap();
    let [annotations, series] =
        ["annotations.csv", "seriesuids.csv"].map(|name| luna16.join(name).display().to_string());
    let arguments = [
        "froc",
        "--reference",
        &annotations,
        "--seriesuids",
        &series,
        "--candidates",
        submission.to_str().unwrap(),
        "--json",
    ];
    let found: Value = serde_json::from_str(&fixture::run_well(&arguments)).unwrap();
    assert_eq!(found["n_nodules"], n_nodules);
    assert_eq!(found["n_false_positives"], 0);
    assert_eq!(found["score"], 1.0);
    assert_eq!(found["ci_missing_reason"], "fewer than 30 scans");
    for point in found["points"].as_array().unwrap() {
        // The phantom has fewer than 30 scans.
        assert_eq!((&point["sensitivity"], &point["ci_low"]), (&1.0.into(), &Value::Null));
    }
}

/// Evaluates a submission against two scans with a nodule each; returns the JSON and the text.
fn detector(rows: &str) -> (Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let head = "seriesuid,coordX,coordY,coordZ,";
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs_err::write(&path, text).unwrap();
        path.display().to_string()
    };
    let reference =
        file("reference.csv", &format!("{head}diameter_mm\n1.5,0,0,0,8\n1.6,0,0,0,8\n"));
    let excluded = file("excluded.csv", &format!("{head}diameter_mm\n1.6,200,0,0,8\n"));
    let series = file("series.csv", "1.5\n1.6\n");
    let submission = file("submission.csv", &format!("{head}probability\n{rows}"));
    let arguments = [
        "froc",
        "--reference",
        &reference,
        "--excluded",
        &excluded,
        "--seriesuids",
        &series,
        "--candidates",
        &submission,
    ];
    let json = fixture::run_well(&[&arguments[..], &["--json"]].concat());
    (serde_json::from_str(&json).unwrap(), fixture::run_well(&arguments))
}

#[test]
fn froc_counts_every_detection() {
    // 120 ties in a scan, of which the first hits the nodule; two unlisted series, one of them by a space alone.
    let tied: Vec<String> = (0..120).map(|n| format!("1.5,{},0,0,0.5\n", 20 * n)).collect();
    let tied = tied.concat();
    let rest = "1.6,1,0,0,0.7\n1.6,1,0,0,0.7\n1.6,200,0,0,0.6\n1.6,90,0,0,0.7\n1.6 ,0,0,0,1\n1.70,0,0,0,1\n1.70,5,0,0,1\n";
    let (found, text) = detector(&(tied + rest));
    for (name, expected) in [
        ("n_rows", 127),
        ("n_unlisted", 3),
        ("n_unlisted_series", 2),
        ("n_detections", 124),
        ("n_scans_over_limit", 1),
        ("n_over_limit", 120),
        ("n_over_limit_tied", 100),
        ("n_missed_by_limit", 1),
        ("n_hits", 2),
        ("n_repeated", 1),
        ("n_ignored", 1),
        ("n_false_positives", 1),
        ("n_repeated_positions", 1),
        ("n_tied", 1),
        ("n_detected", 1),
    ] {
        assert_eq!(found[name], expected, "{name}");
    }
    assert_eq!(found["unlisted"][0]["listed_without_spaces"], "1.6");
    for part in [
        "2 scans, 2 nodules, of which 1 detected",
        "`1.6 ` (1, which is the listed `1.6` but for spaces), `1.70` (2)",
        "100 of the first 100 tie with it and do not count; 1 nodules are missed",
        "1 detected nodules tie with a false positive",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (found, text) = detector("1.5,0,0,0,0.5\n");
    assert_eq!((&found["n_rows"], &found["n_hits"]), (&1.into(), &1.into()));
    assert!(!text.contains("do not count;") && !text.contains("tie with"), "{text}");
}
