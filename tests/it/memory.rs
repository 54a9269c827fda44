//! A scan of 512 × 512 × 1,200 voxels stays within the memory limit, and a scan that does not fit fails alone.

use crate::fixture;
use crate::large_scan::{write_mask, write_reals, write_zraw};
use crate::peak_memory::peak_memory;
use nodulus::tables::{Failure, Roi, Scan};
use std::path::{Path, PathBuf};

const PIPELINE: &str = r#"
store = "{{FOLDER}}/store"

[[ingest.cohorts]]
name = "zraw"
source = "volumes"
root = "{{FOLDER}}/data"
image = "{patient}.mhd"
mask = "{patient}-mask-of-mhd.nii.gz"

[[ingest.cohorts]]
name = "reals"
source = "volumes"
root = "{{FOLDER}}/data"
image = "{patient}-ct.nii.gz"
mask = "{patient}-mask.nii.gz"

[infer]
checkpoint = "unused.safetensors"
"#;

/// Writes a pipeline file with two cohorts of one scan each.
fn cohorts(folder: &Path) -> PathBuf {
    let data = folder.join("data");
    fs_err::create_dir_all(&data).unwrap();
    write_zraw(&data, "a");
    write_reals(&data.join("b-ct.nii.gz"));
    write_mask(&data.join("a-mask-of-mhd.nii.gz"));
    fs_err::copy(data.join("a-mask-of-mhd.nii.gz"), data.join("b-mask.nii.gz")).unwrap();
    let path = folder.join("large.toml");
    fs_err::write(&path, PIPELINE.replace("{{FOLDER}}", folder.to_str().unwrap())).unwrap();
    path
}

#[test]
#[cfg(target_os = "linux")]
fn a_large_scan_takes_little_more_memory_than_its_voxels() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = cohorts(folder.path());
    let store = folder.path().join("store");
    let pipeline = pipeline.to_str().unwrap();
    // The voxels of each scan take 600 MiB, so the two do not fit side by side.
    for stage in ["ingest", "merge", "crop"] {
        let arguments = [stage, pipeline, "--max-memory", "700MiB", "--progress", "none", "--json"];
        let mut command = fixture::nodulus(&arguments);
        let (status, peak) = peak_memory(command.stdout(std::process::Stdio::null()));
        assert!(status.success(), "{stage}");
        assert!(peak > 1 << 20, "{stage}: no memory was seen");
        assert!(peak < (6 << 30) / 5, "{stage}: {} MiB", peak >> 20);
        if stage == "crop" {
            assert!(peak < 200 << 20, "crop reads the slices of two nodules: {} MiB", peak >> 20);
        }
    }
    let rois: Vec<Roi> = fixture::rows(&store);
    // Two scans with two nodules of five slices each, and three slices more on each side.
    assert_eq!(rois.len(), 2 * 2 * 11);
    assert!(rois.iter().all(|roi| roi.pixels_hu().unwrap().contains(&40)));
    let force = ["--force", "ingest", "--progress", "none", "--max-memory", "599MiB"];
    let (_, status) = fixture::run_badly(&[&["ingest", pipeline][..], &force].concat());
    assert_eq!(status, Some(3));
    let failures: Vec<Failure> = fixture::rows(&store);
    let causes: Vec<&str> = failures.iter().map(|failure| failure.cause.as_str()).collect();
    assert_eq!(causes, ["scan needs 600 MiB, --max-memory is 599 MiB"; 2]);
    assert!(fixture::rows::<Scan>(&store).is_empty());
}

/// Scans that fit are processed while one that does not fit fails.
#[test]
fn a_scan_that_does_not_fit_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = fixture::pipeline(folder.path());
    let path = path.to_str().unwrap();
    let store = folder.path().join("store");
    fixture::run_well(&["ingest", path, "--progress", "none"]);
    let n_scans = fixture::rows::<Scan>(&store).len();
    // LUNA16's scans of 128 × 128 × 24 voxels take 768 KiB; the files of a clinical series take more.
    let limit = ["--force", "ingest", "--max-memory", "780KiB", "--progress", "none"];
    let (_, status) = fixture::run_badly(&[&["ingest", path][..], &limit].concat());
    assert_eq!(status, Some(3));
    let failures: Vec<Failure> = fixture::rows(&store);
    let scans: Vec<Scan> = fixture::rows(&store);
    assert!(!scans.is_empty() && scans.iter().all(|scan| scan.cohort == "luna16"));
    assert_eq!(scans.len() + failures.len(), n_scans);
    for failure in &failures {
        let needed = failure.cause.strip_suffix(" bytes, --max-memory is 798,720 bytes").unwrap();
        let needed: u64 =
            needed.strip_prefix("scan needs ").unwrap().replace(',', "").parse().unwrap();
        assert!(needed > 798_720, "{}", failure.cause);
    }
}
