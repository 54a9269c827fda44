//! Bad input ends with one clear message, the right exit status, and an intact store.

use crate::{experiments, fixture};
use nodulus_test_needs::{Need, skip};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

fn assert_one_message(error: &str) {
    assert!(error.starts_with("error: "), "{error}");
    assert_eq!(error.matches("error: ").count(), 1, "{error}");
}

/// Runs a copy of the small pipeline whose text has been changed.
fn changed(change: impl Fn(String) -> String) -> (String, Option<i32>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = fixture::pipeline(folder.path());
    let text = change(fs_err::read_to_string(&path).unwrap());
    fs_err::write(&path, text).unwrap();
    let (error, status) =
        fixture::run_badly(&["run", path.to_str().unwrap(), "--progress", "none"]);
    (error, status, folder)
}

#[test]
fn an_unknown_key_is_shown_with_its_line() {
    let (error, status, folder) = changed(|text| text.replace("margin_slices", "margin_slice"));
    assert_eq!(status, Some(2));
    assert_one_message(&error);
    assert!(
        error.contains(
            "small.toml:27:1: unknown key `crop.margin_slice`: did you mean `margin_slices`?"
        ),
        "{error}"
    );
    assert!(error.contains("27 | margin_slice = 1\n   | ^^^^^^^^^^^^"), "{error}");
    assert!(!folder.path().join("store").exists());
    let (error, status, _folder) =
        changed(|text| text.replace("clinical_patients", "clinical_patient"));
    assert_eq!(status, Some(2));
    assert!(
        error.contains("unknown key `phantom.clinical_patient`: did you mean `clinical_patients`?"),
        "{error}"
    );
}

#[test]
fn a_missing_folder_is_named() {
    let (error, status, folder) =
        changed(|text| text.replace("{store}/phantom/clinical", "no/such/folder"));
    assert_eq!(status, Some(1));
    assert_one_message(&error);
    assert!(
        error.contains("cannot list cohort `clinical`") && error.contains("`no/such/folder`"),
        "{error}"
    );
    let store = folder.path().join("store");
    let (error, status) =
        fixture::run_badly(&["show", "scans", "--store", store.to_str().unwrap()]);
    assert_eq!(status, Some(1));
    assert!(error.contains("`scans` is not in store"), "{error}");
    let (error, status) = fixture::run_badly(&["run", "no/such.toml"]);
    assert_eq!(status, Some(2));
    assert_one_message(&error);
    assert!(error.contains("no/such.toml"), "{error}");
}

#[test]
fn an_empty_cohort_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    fs_err::create_dir_all(&empty).unwrap();
    let (error, status, _kept) =
        changed(|text| text.replace("{store}/phantom/clinical", empty.to_str().unwrap()));
    assert_eq!(status, Some(1));
    assert_one_message(&error);
    assert!(
        error.contains("cohort `clinical` is empty") && error.contains("{patient}/ct"),
        "{error}"
    );
}

#[test]
fn a_store_of_a_newer_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = fixture::pipeline(folder.path());
    let store = folder.path().join("store");
    fs_err::create_dir_all(&store).unwrap();
    fs_err::write(store.join("store.json"), "{\"layout\": 3}").unwrap();
    let (error, status) = fixture::run_badly(&["run", path.to_str().unwrap()]);
    assert_eq!(status, Some(1));
    assert_one_message(&error);
    assert!(
        error.contains("has layout 3, this nodulus knows layout 2: use a newer nodulus"),
        "{error}"
    );
    assert_eq!(fs_err::read_dir(&store).unwrap().count(), 1);
}

#[test]
fn a_folder_with_other_files_is_not_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = fixture::pipeline(folder.path());
    let store = folder.path().join("store");
    fs_err::create_dir_all(&store).unwrap();
    fs_err::write(store.join("thesis.doc"), "x").unwrap();
    let (error, status) = fixture::run_badly(&["run", path.to_str().unwrap()]);
    assert_eq!(status, Some(1));
    assert!(error.contains("is not a store"), "{error}");
    assert_eq!(fs_err::read_dir(&store).unwrap().count(), 1);
}

#[test]
fn a_run_names_the_process_that_has_the_store_alone() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = experiments::experiment(folder.path());
    let alone = ["experiment", experiment.to_str().unwrap(), "--progress", "none"];
    let mut first = fixture::nodulus(&alone).stdout(std::process::Stdio::null()).spawn().unwrap();
    let lock = folder.path().join("store/lock");
    let holder = format!("process {} on ", first.id());
    while !fs_err::read_to_string(&lock).is_ok_and(|text| text.starts_with(&holder)) {
        assert!(
            first.try_wait().unwrap().is_none(),
            "the first process ended before it held the lock"
        );
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let pipeline = folder.path().join("small.toml");
    let (error, status) =
        fixture::run_badly(&["run", pipeline.to_str().unwrap(), "--progress", "none"]);
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(status, Some(1));
    assert_one_message(&error);
    assert!(error.contains("is in use by process ") && error.contains(&holder), "{error}");
}

#[test]
fn a_read_only_store_can_be_read_but_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = fixture::pipeline(folder.path());
    let store = folder.path().join("store");
    fixture::run_well(&["ingest", path.to_str().unwrap(), "--progress", "none"]);
    let before = fixture::outputs(&store);
    // Root may write anywhere, so the program runs as the user `nobody`, from a folder that this user can reach.
    let program = folder.path().join("nodulus");
    fs_err::copy(env!("CARGO_BIN_EXE_nodulus"), &program).unwrap();
    fs_err::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let as_nobody = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        if is_root() {
            command.uid(65534);
        }
        command.args(arguments).output().unwrap()
    };
    if !is_root() {
        fs_err::set_permissions(&store, Permissions::from_mode(0o555)).unwrap();
        fs_err::set_permissions(store.join("lock"), Permissions::from_mode(0o444)).unwrap();
    }
    let output = as_nobody(&["run", path.to_str().unwrap(), "--progress", "none"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_one_message(&error);
    assert!(
        error.contains("cannot be written to") && error.contains("ermission denied"),
        "{error}"
    );
    for arguments in [["tables", "--store"], ["lineage", "--store"]] {
        let mut arguments = arguments.to_vec();
        arguments.push(store.to_str().unwrap());
        if arguments[0] == "lineage" {
            arguments.push("marks");
        }
        let output = as_nobody(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(fixture::outputs(&store), before);
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"))
}

#[test]
fn a_full_disk_leaves_an_intact_store_that_continues() {
    let folder = tempfile::tempdir().unwrap();
    let small = folder.path().join("disk");
    fs_err::create_dir_all(&small).unwrap();
    let mount = |options: &str| {
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&small)
            .output();
        status.is_ok_and(|output| output.status.success())
    };
    if !mount("size=200k") {
        skip(
            Need::Root,
            "a small disk cannot be mounted: run the tests as root, with the right to mount",
        );
        return;
    }
    let _unmount = Unmount(small.clone());
    // The phantom is on a disk with room, the store on the small one.
    let phantom = folder.path().join("phantom");
    fixture::run_well(&[
        "phantom",
        phantom.to_str().unwrap(),
        "--seed",
        "3",
        "--patients",
        "3",
        "--clinical-patients",
        "3",
        "--size",
        "128",
        "--progress",
        "none",
    ]);
    let path = fixture::pipeline(folder.path());
    let text = fs_err::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("[phantom]").unwrap();
    let (_, after) = rest.split_once("[ingest]").unwrap();
    let text =
        format!("{before}[ingest]{after}").replace("{store}/phantom", phantom.to_str().unwrap());
    fs_err::write(&path, text).unwrap();
    let arguments = ["crop", "merge"];
    let run = |store: &Path| {
        fixture::run_badly(&[
            "run",
            path.to_str().unwrap(),
            "--store",
            store.to_str().unwrap(),
            "--progress",
            "none",
        ])
    };
    let store = small.join("store");
    let (error, status) = run(&store);
    assert_eq!(status, Some(1), "{arguments:?}: {error}");
    assert_one_message(&error);
    assert!(error.contains("No space left on device"), "{error}");
    // Everything that was committed can be read, and nothing else is listed.
    let tables = fixture::run_well(&["tables", "--store", store.to_str().unwrap(), "--json"]);
    let tables: serde_json::Value = serde_json::from_str(&tables).unwrap();
    for table in tables.as_array().unwrap() {
        fixture::run_well(&[
            "show",
            table["table"].as_str().unwrap(),
            "--store",
            store.to_str().unwrap(),
        ]);
    }
    // With room, the run continues and ends with the bytes of a run that never stopped.
    assert!(mount("remount,size=500m"));
    let (error, status) = run(&store);
    assert_eq!(status, Some(0), "{error}");
    let elsewhere = folder.path().join("elsewhere");
    let (error, status) = run(&elsewhere);
    assert_eq!(status, Some(0), "{error}");
    let [found, expected] = [&store, &elsewhere].map(|store| fixture::outputs(store));
    for (name, bytes) in expected.iter().filter(|(name, _)| !name.starts_with("training_log")) {
        assert!(found.get(name) == Some(bytes), "`{name}` differs");
    }
}

struct Unmount(std::path::PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        // The temporary folder cannot be removed while the disk is mounted in it.
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
