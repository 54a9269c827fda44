//! One odd entry in a folder never stops a run, and costs no series that it does not belong to.

use crate::fixture;
use crate::nightly_job::Job;
use crate::series::two_patients;
use nodulus::tables::{Failure, PassedOverFile, Scan};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// Puts what a disk of a hospital may hold into a folder; `slice` is a file of a series in it.
fn add_odd_entries(folder: &Path, slice: &Path) {
    let at = |name: &str| folder.join(name);
    assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    symlink(at("none"), at("broken")).unwrap();
    symlink(folder, at("circle")).unwrap();
    fs_err::write(at("empty.dcm"), "").unwrap();
    fs_err::write(at("page.dcm"), "<html><body>Not found</body></html>").unwrap();
    fs_err::write(at("VERSION"), vec![7; 300]).unwrap();
    // Bytes that are not Unicode.
    let named = folder.join(OsStr::from_bytes(b"sl\xff\xe4.dcm"));
    fs_err::rename(slice, named).unwrap();
}

fn ingest(folder: &Path, more: &[&str]) -> (Option<i32>, String) {
    let store = folder.join("store");
    let root = format!("ingest.cohorts.0.root={}", folder.join("lidc").display());
    let arguments = ["ingest", "pipelines/lidc.toml", "--progress", "none", "--store"];
    let arguments = [&arguments[..], &[store.to_str().unwrap(), "--set", &root], more].concat();
    let output = fixture::run(&arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), text + &String::from_utf8_lossy(&output.stderr))
}

#[test]
fn odd_entries_are_passed_over_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let slices = two_patients(&folder.path().join("lidc"));
    let series = slices[0].parent().unwrap();
    add_odd_entries(series, &slices[1]);
    let (status, text) = ingest(folder.path(), &[]);
    assert_eq!(status, Some(0), "{text}");
    let store = folder.path().join("store");
    let scans = fixture::rows::<Scan>(&store);
    assert!(scans.len() == 2 && scans.iter().all(|scan| scan.included), "{scans:?}");
    let own = nodulus_formats::cohort::relative(&folder.path().join("lidc"), series);
    let own = scans.iter().find(|scan| scan.path.as_deref() == Some(own.as_str())).unwrap();
    assert_eq!(own.n_slices as usize, slices.len());
    assert_eq!(own.irregularities, ["unreadable_files: 1"]);
    assert_eq!(fixture::rows::<Failure>(&store), []);
    let rows = fixture::rows::<PassedOverFile>(&store);
    let found: BTreeSet<_> =
        rows.iter().map(|row| (row.path.rsplit('/').next().unwrap(), row.rule.as_str())).collect();
    let expected = BTreeSet::from([
        ("pipe", "no_file"),
        ("broken", "no_file"),
        ("circle", "no_file"),
        ("empty.dcm", "empty"),
        ("page.dcm", "not_dicom"),
        ("VERSION", "not_dicom"),
    ]);
    assert_eq!(found, expected);
    // A slice that is cut off before its series is a failure; both series are still read.
    let bytes = fs_err::read(&slices[2]).unwrap();
    fs_err::write(series.join("cut.dcm"), &bytes[..300]).unwrap();
    let (status, text) = ingest(folder.path(), &[]);
    assert_eq!(status, Some(3), "{text}");
    let [failure] = &fixture::rows::<Failure>(&store)[..] else { panic!() };
    assert!(failure.path.as_deref().is_some_and(|path| path.ends_with("/cut.dcm")), "{failure:?}");
    assert!(failure.cause.contains("cut off at byte 300"), "{failure:?}");
    let scans = fixture::rows::<Scan>(&store);
    assert!(scans.len() == 2 && scans.iter().all(|scan| scan.included), "{scans:?}");
    // Headers alone tell as much, and change nothing.
    let before = fixture::outputs(&store);
    let (status, text) = ingest(folder.path(), &["--dry-run", "--check"]);
    assert_eq!(status, Some(0), "{text}");
    let expected =
        "headers: 2 scans can be read, 1 scans, masks or files are refused, 6 files are left aside";
    assert!(text.contains(expected), "{text}");
    assert!(text.contains("a file that is cut off") && text.contains("cut.dcm`"), "{text}");
    assert_eq!(fixture::outputs(&store), before);
}

#[test]
fn odd_entries_do_not_stop_a_nightly_job() {
    let job = Job::new();
    let series = job.series();
    let slices = nodulus_formats::cohort::files_below(&series[0]).unwrap();
    let slice = slices.iter().find(|file| file.extension().is_some_and(|end| end == "dcm"));
    add_odd_entries(&series[0], slice.unwrap());
    // An empty file may be a slice that is still to be written: its series waits for it.
    fs_err::remove_file(series[0].join("empty.dcm")).unwrap();
    assert_eq!(job.counts(&[])[..2], [3, 3]);
}
