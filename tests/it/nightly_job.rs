//! A nightly job on the phantom's scans, for tests.

use crate::fixture;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A job on a copy of the phantom's DICOM series, with candidates at the nodules and elsewhere.
pub(crate) struct Job {
    pub(crate) folder: tempfile::TempDir,
}

impl Job {
    pub(crate) fn new() -> Self {
        let job = Self { folder: tempfile::tempdir().unwrap() };
        copy(&phantom().join("lidc"), &job.input());
        fs_err::write(job.candidates(), candidates(|_| true)).unwrap();
        let model = fixture::finished().join("store");
        let file = format!(
            "[score]\ninput = \"in\"\nstore = \"store\"\nmodel = {:?}\ncandidates = \"candidates.csv\"\n\
             settle_seconds = 0\nallow_training_patients = true\n\
             allow_other_preprocessing = true\nregion = {{ window = {{ low_hu = -1000, high_hu = 400 }} }}\n",
            model.to_str().unwrap()
        );
        fs_err::write(job.file(), file).unwrap();
        job
    }

    pub(crate) fn input(&self) -> PathBuf {
        self.folder.path().join("in")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("score.toml")
    }

    pub(crate) fn candidates(&self) -> PathBuf {
        self.folder.path().join("candidates.csv")
    }

    pub(crate) fn command(&self, more: &[&str]) -> Command {
        fixture::nodulus(&[&["score", self.file().to_str().unwrap(), "--json"], more].concat())
    }

    /// Runs the job, which must end with this exit status, and returns its summary and its log.
    pub(crate) fn run(&self, status: i32, more: &[&str]) -> (Value, String) {
        let output = self.command(more).output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{log}");
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(summary["exit_status"], status);
        (summary, log)
    }

    /// Runs the job, which must succeed, and returns its counts: found, scored, superseded, unchanged, waiting, settling, left.
    pub(crate) fn counts(&self, more: &[&str]) -> [u64; 7] {
        counts(&self.run(0, more).0)
    }

    /// The rows of `scores`.
    pub(crate) fn rows(&self) -> Vec<Value> {
        Self::rows_of(&self.store())
    }

    /// The rows of `scores` of a store.
    pub(crate) fn rows_of(store: &Path) -> Vec<Value> {
        let arguments =
            ["show", "scores", "--store", store.to_str().unwrap(), "--json", "--rows", "1000"];
        let text = fixture::run_well(&arguments);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn status(&self) -> Value {
        let file = self.file();
        let text = fixture::run_well(&["score", "status", file.to_str().unwrap(), "--json"]);
        serde_json::from_str(&text).unwrap()
    }

    /// The folders of the series, sorted.
    pub(crate) fn series(&self) -> Vec<PathBuf> {
        let files = files(&self.input());
        let folders = files.keys().filter(|file| file.extension().is_some_and(|e| e == "dcm"));
        let folders: BTreeSet<PathBuf> = folders.map(|f| f.parent().unwrap().to_owned()).collect();
        folders.into_iter().collect()
    }
}

pub(crate) fn counts(summary: &Value) -> [u64; 7] {
    ["found", "scored", "superseded", "unchanged", "waiting", "settling", "left"]
        .map(|name| summary[name].as_u64().unwrap())
}

pub(crate) fn phantom() -> PathBuf {
    fixture::finished().join("store/phantom")
}

/// Writes two visits of a patient whose nodules grow; returns what they hold.
pub(crate) fn write_visits(folder: &Path) -> [nodulus::phantom::Visit; 2] {
    let plan = nodulus::phantom::FollowUp {
        seed: 3,
        size: 128,
        slices: 64,
        date: nodulus_formats::dicom::Date::from_iso("2025-11-20").unwrap(),
        days: 120,
        growth: 2.0,
        shift_mm: [7.3, -12.8, 315.5],
        view: [3.0, -2.0, 2.0],
    };
    nodulus::phantom::write_follow_up(folder, &plan).unwrap()
}

/// The phantom's nodules, and every tenth of the other candidates, in the series that `chosen` accepts.
pub(crate) fn candidates(chosen: impl Fn(&str) -> bool) -> String {
    let text = fs_err::read_to_string(phantom().join("luna16/candidates.csv")).unwrap();
    let head = text.lines().next().unwrap();
    let rows = text.lines().skip(1).enumerate().filter(|(n, line)| {
        let is_chosen = chosen(line.split(',').next().unwrap());
        is_chosen && (line.ends_with(",1") || n % 10 == 0)
    });
    let rows: Vec<&str> = rows.map(|(_, line)| line).collect();
    assert!(!rows.is_empty());
    format!("{head}\n{}\n", rows.join("\n"))
}

pub(crate) fn copy(from: &Path, to: &Path) {
    for (file, bytes) in files(from) {
        let to = to.join(file.strip_prefix(from).unwrap());
        fs_err::create_dir_all(to.parent().unwrap()).unwrap();
        fs_err::write(to, bytes).unwrap();
    }
}

/// The bytes of every file below a folder, by its path.
pub(crate) fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![folder.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.is_symlink() && !path.exists() {
                // A link that leads nowhere has no bytes.
                found.insert(path, Vec::new());
            } else {
                found.insert(path.clone(), fs_err::read(path).unwrap());
            }
        }
    }
    found
}

/// The files that an interrupted write left behind.
pub(crate) fn unfinished(files: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<PathBuf> {
    let is_unfinished = |path: &&PathBuf| path.extension().is_some_and(|end| end == "tmp");
    files.keys().filter(is_unfinished).cloned().collect()
}

/// UID of the series in a folder.
pub(crate) fn series_of(folder: &Path) -> String {
    let file = folder.join("000001.dcm");
    let object = dicom_object::open_file(file).unwrap();
    let uid = object.element(dicom_dictionary_std::tags::SERIES_INSTANCE_UID).unwrap();
    uid.to_str().unwrap().trim_matches('\0').to_owned()
}
