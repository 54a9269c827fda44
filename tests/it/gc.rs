//! `nodulus gc` removes what nothing needs, and what it prints is what becomes free.

use crate::fixture;
use crate::growing::{Growing, by_stage};
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Bytes of all files of a store, each counted once however many links it has.
fn used(store: &Path) -> u64 {
    let files = nodulus_formats::cohort::files_below(store).unwrap().into_iter();
    let files = files.filter(|path| path.file_name().is_some_and(|name| name != "lock"));
    let metadata = files.map(|path| fs_err::metadata(path).unwrap());
    metadata.map(|file| (file.ino(), file.len())).collect::<BTreeMap<_, _>>().values().sum()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The table of regions in the list of tables.
fn rois(tables: &Value) -> &Value {
    tables.as_array().unwrap().iter().find(|table| table["table"] == "rois").unwrap()
}

#[test]
fn a_store_after_two_settings_keeps_what_is_current() {
    let growing = Growing::new();
    let store = growing.store();
    growing.json("run", &["--to", "balance"]);
    let old = json(&growing.on_store(&["tables", "--json"]).0);
    let changed = ["--to", "balance", "--set", "crop.margin_slices=2"];
    growing.json("run", &changed);
    let before = fixture::outputs(&store);
    let tables = json(&growing.on_store(&["tables", "--json"]).0);
    assert_eq!(rois(&tables)["versions"].as_array().unwrap().len(), 2);

    // With one version kept beside the current one there is nothing to do.
    let (text, _) = growing.on_store(&["gc", "--keep", "1", "--dry-run"]);
    assert!(text.starts_with("nothing to remove: "), "{text}");
    let bytes = used(&store);
    let told = json(&growing.on_store(&["gc", "--dry-run", "--json"]).0);
    let (text, _) = growing.on_store(&["gc", "--dry-run"]);
    assert!(text.contains("would remove 2 versions, ") && text.contains("iB ("), "{text}");
    assert_eq!(fixture::outputs(&store), before);
    let mut removed = json(&growing.on_store(&["gc", "--json"]).0);
    removed["dry_run"] = true.into();
    assert_eq!(removed, told);
    let outputs: Vec<&str> = removed["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["output"].as_str().unwrap())
        .collect();
    assert_eq!(outputs, ["rois", "samples"]);
    assert_eq!(bytes - used(&store), removed["bytes"].as_u64().unwrap());

    // Everything current reads as before, and nothing is to be made.
    for table in ["scans", "marks", "nodules", "rois", "samples", "exclusions", "failures"] {
        growing.on_store(&["show", table]);
    }
    let after = fixture::outputs(&store);
    assert!(after.iter().all(|(name, bytes)| before.get(name) == Some(bytes)));
    let run = growing.json("run", &changed);
    assert!(by_stage(&run, "n_made").iter().all(|(_, n)| *n == 0), "{run}");
    // The old versions are gone, and made anew when they are asked for.
    let key = rois(&old)["version"].as_str().unwrap();
    let (error, status) =
        fixture::run_badly(&["tables", "--store", store.to_str().unwrap(), "--version", key]);
    assert_eq!(status, Some(1));
    assert!(error.contains(&format!("there is no version `{key}`")), "{error}");
    let run = growing.json("run", &["--to", "balance"]);
    assert!(run["stages"][3]["n_made"].as_u64().unwrap() > 0);
    assert_eq!(rois(&json(&growing.on_store(&["tables", "--json"]).0))["version"], key);
}

#[test]
fn a_store_in_use_is_left_alone() {
    let growing = Growing::new();
    growing.json("run", &["--to", "ingest"]);
    let store = nodulus_store::Store::open(&growing.store()).unwrap();
    let run = store.share().unwrap();
    let arguments = ["gc", "--store", store.root().to_str().unwrap()];
    let (error, status) = fixture::run_badly(&arguments);
    assert_eq!(status, Some(1));
    assert!(error.contains("is needed alone and is in use by one run or more"), "{error}");
    // Other runs share it.
    growing.json("run", &["--to", "ingest"]);
    drop(run);
    let alone = store.lock().unwrap();
    let (error, status) = growing.error("run", &["--progress", "none"]);
    assert_eq!(status, Some(1));
    assert!(error.contains("which needs it alone: wait until it has ended"), "{error}");
    drop(alone);
    fixture::run_well(&arguments);
}
