//! The demo does what the README promises.

use crate::fixture;
use nodulus::tables::Comparison;
use nodulus_metrics::holm::holm;
use serde_json::Value;
use std::path::Path;

#[test]
fn the_network_and_the_baseline_predict_held_out_patients() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo");
    let store = folder.join("store");
    if folder.exists() {
        fs_err::remove_dir_all(&folder).unwrap();
    }
    let store = store.to_str().unwrap();
    let text = fixture::run_well(&[
        "run",
        "pipelines/demo.toml",
        "--store",
        store,
        "--json",
        "--progress",
        "log",
    ]);
    let output: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(output["n_failures"], 0);
    let dice = |model: &str| {
        let rows = output["dice"].as_array().unwrap();
        let row = rows.iter().find(|row| row["model_id"] == model).unwrap();
        row["mean"].as_f64().unwrap()
    };
    let [network, baseline] = [dice("proposed-tiny"), dice("region_growing")];
    // Region growing finds the phantom's round nodules; a single threshold had 0.015 here.
    assert!(network > 0.3 && baseline > 0.5, "network {network}, baseline {baseline}");
    let report = fs_err::read_to_string(output["report"].as_str().unwrap()).unwrap();
    for value in [network, baseline] {
        assert!(report.contains(&format!("{value:.3}")), "{value:.3} is not in the report");
    }

    // Six patients are enough for a test of the two by patient, and not for an interval.
    let comparisons = fixture::rows::<Comparison>(Path::new(store));
    let p: Vec<f64> = comparisons.iter().filter_map(|row| row.p).collect();
    assert_eq!(p.len(), comparisons.len());
    for (row, p_holm) in comparisons.iter().zip(holm(&p)) {
        assert_eq!(row.n_patients, 6, "{row:?}");
        // The least p of six patients: two of 2⁶ patterns of signs.
        assert!(row.p.unwrap() >= 2.0 / 64.0 && row.test.is_some(), "{row:?}");
        assert!((row.p_holm.unwrap() - p_holm).abs() < 1e-12, "{row:?}");
        assert_eq!((row.ci_low, row.ci_high), (None, None), "{row:?}");
        assert_eq!(row.ci_missing_reason.as_deref(), Some("fewer than 8 patients"));
        assert!(row.rank_biserial.unwrap().abs() <= 1.0, "{row:?}");
    }

    // Test patients are held out: no patient is in two splits.
    let rows = fixture::run_well(&[
        "show",
        "samples",
        "--store",
        store,
        "--json",
        "--columns",
        "patient_id,split",
        "--rows",
        "100000",
    ]);
    let mut splits = std::collections::BTreeMap::new();
    for row in rows.lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        let split = row["split"].as_str().unwrap().to_owned();
        let patient = row["patient_id"].as_str().unwrap().to_owned();
        assert_eq!(splits.entry(patient).or_insert_with(|| split.clone()), &split);
    }
    assert!(splits.values().filter(|split| *split == "test").count() > 2);
}
