//! Files that change between their hash and their reading are a failure, and never a row with the hash of other bytes.

use crate::fixture;
use nodulus::phantom;
use nodulus::pipeline::Config;
use nodulus::pipeline::runner::{self, ChosenVersions, Options, RunEvent};
use nodulus::stages::Stage;
use nodulus::tables::{Failure, Roi, Scan};
use nodulus_nets::Device;
use nodulus_store::Store;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Runs stages of the small pipeline, and calls `on` for each event.
fn run(pipeline: &Path, stages: &[Stage], again: bool, on: &(dyn Fn(&RunEvent) + Sync)) {
    let config = Config::read(pipeline, &[], None).unwrap();
    let store = Store::create(&config.store).unwrap();
    let none = BTreeSet::new();
    let options = Options {
        force: &none,
        stages,
        device: &Device::Cpu,
        max_memory: 1 << 32,
        chosen: &ChosenVersions::new(),
        keep: &none,
        retry_failed: again,
    };
    runner::run(&config, &store, &options, &|event| on(&event)).unwrap();
}

/// A file of voxels of the phantom.
fn voxels(store: &Path) -> PathBuf {
    let pattern = store.join("phantom/luna16/subset*/*.raw");
    glob::glob(pattern.to_str().unwrap()).unwrap().next().unwrap().unwrap()
}

/// Other voxels in a file of the same size.
fn change(path: &Path) {
    let mut bytes = fs_err::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].iter_mut().for_each(|byte| *byte ^= 1);
    fs_err::write(path, bytes).unwrap();
}

fn failures(store: &Path) -> Vec<(String, String)> {
    let rows: Vec<Failure> = fixture::rows(store);
    rows.into_iter().map(|row| (row.stage, row.cause)).collect()
}

const TEXT: &str = "changed while they were read: run again with `--retry-failed`";

#[test]
fn a_scan_that_changes_after_it_was_hashed_is_a_failure_in_ingest_and_in_crop() {
    let folder = tempfile::tempdir().unwrap();
    let (pipeline, store) = (fixture::pipeline(folder.path()), folder.path().join("store"));
    let config = Config::read(&pipeline, &[], None).unwrap();
    Store::create(&store).unwrap();
    phantom::write(&store.join("phantom"), &config.phantom.unwrap(), &|_, _| {}).unwrap();
    let file = voxels(&store);
    let series = file.file_stem().unwrap().to_str().unwrap().to_owned();
    run(&pipeline, &[Stage::Ingest], false, &|event| {
        if let RunEvent::Sources { done, total } = event
            && done == total
        {
            change(&file);
        }
    });
    let scans: Vec<Scan> = fixture::rows(&store);
    assert!(scans.len() == 5 && scans.iter().all(|scan| scan.series_instance_uid != series));
    let found = failures(&store);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].0 == "ingest" && found[0].1.contains(TEXT), "{found:?}");

    // It is read again, as it is now.
    run(&pipeline, &[Stage::Ingest, Stage::Merge], true, &|_| ());
    assert_eq!(failures(&store), []);
    assert_eq!(fixture::rows::<Scan>(&store).len(), 6);

    // Between the list of files and the voxels that crop reads.
    run(&pipeline, &[Stage::Ingest, Stage::Crop], false, &|event| {
        if *event == RunEvent::Begin(Stage::Crop) {
            change(&file);
        }
    });
    let rois: Vec<Roi> = fixture::rows(&store);
    assert!(!rois.is_empty() && rois.iter().all(|roi| roi.series_instance_uid != series));
    let found = failures(&store);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].0 == "crop" && found[0].1.contains(TEXT), "{found:?}");
    run(&pipeline, &[Stage::Ingest, Stage::Merge, Stage::Crop], true, &|_| ());
    assert_eq!(failures(&store), []);
    let rois: Vec<Roi> = fixture::rows(&store);
    assert!(rois.iter().any(|roi| roi.series_instance_uid == series));
}
