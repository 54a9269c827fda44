//! A small cohort that can grow: one clinical patient and one scan of LUNA16 are held back at first.

use crate::fixture;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A pipeline over files outside its store, of which some are held back.
pub(crate) struct Growing {
    /// Keeps the files.
    folder: tempfile::TempDir,
    held: Vec<[PathBuf; 2]>,
}

impl Growing {
    /// Writes the files, and holds one case of each cohort back.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let phantom = [
            ["--seed", "3"],
            ["--patients", "4"],
            ["--clinical-patients", "4"],
            ["--size", "128"],
            ["--progress", "none"],
        ];
        fixture::run_well(&[&["phantom", data.to_str().unwrap()], phantom.as_flattened()].concat());
        let path = fixture::pipeline(folder.path());
        let text = fs_err::read_to_string(&path).unwrap();
        let (before, rest) = text.split_once("[phantom]").unwrap();
        let (_, after) = rest.split_once("[ingest]").unwrap();
        let text = format!("{before}[ingest]{after}")
            .replace("{store}/phantom", data.to_str().unwrap())
            .replace("assignment = \"exact\"", "assignment = \"stable\"")
            .replace("test = 0.4", "test = 0.5");
        fs_err::write(&path, text).unwrap();
        let mut growing = Self { folder, held: Vec::new() };
        growing.hold(&data.join("clinical/CLINIC-004"));
        growing.hold(&data.join("luna16/xml/004.xml"));
        let scan = data.join("luna16/subset3/*");
        for path in glob::glob(scan.to_str().unwrap()).unwrap().map(Result::unwrap) {
            growing.hold(&path);
        }
        growing
    }

    fn hold(&mut self, path: &Path) {
        let held = self.folder.path().join("held");
        fs_err::create_dir_all(&held).unwrap();
        let to = held.join(path.file_name().unwrap());
        fs_err::rename(path, &to).unwrap();
        self.held.push([to, path.to_owned()]);
    }

    /// Adds the cases that were held back.
    pub(crate) fn grow(&mut self) {
        for [held, to] in self.held.drain(..) {
            fs_err::rename(held, to).unwrap();
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn arguments<'a>(path: &'a str, command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        [&[command, path][..], more].concat()
    }

    fn path(&self) -> String {
        self.folder.path().join("small.toml").to_str().unwrap().to_owned()
    }

    /// What a command on the pipeline prints; it must succeed.
    pub(crate) fn text(&self, command: &str, more: &[&str]) -> String {
        fixture::run_well(&Self::arguments(&self.path(), command, more))
    }

    /// The same as JSON.
    pub(crate) fn json(&self, command: &str, more: &[&str]) -> Value {
        let more = [&["--json", "--progress", "none"][..], more].concat();
        serde_json::from_str(&self.text(command, &more)).unwrap()
    }

    /// The JSON of a run in which cases fail.
    pub(crate) fn failing(&self, more: &[&str]) -> Value {
        let more = [&["--json", "--progress", "none"][..], more].concat();
        let output = fixture::run(&Self::arguments(&self.path(), "run", &more));
        assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Standard error and exit status of a command that fails.
    pub(crate) fn error(&self, command: &str, more: &[&str]) -> (String, Option<i32>) {
        fixture::run_badly(&Self::arguments(&self.path(), command, more))
    }

    /// What a command on the store prints, and its warnings.
    pub(crate) fn on_store(&self, command: &[&str]) -> (String, String) {
        let store = self.store();
        let output = fixture::run(&[command, &["--store", store.to_str().unwrap()]].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{command:?}: {error}");
        (String::from_utf8(output.stdout).unwrap(), error)
    }
}

/// A field of each stage, by the stage's name.
pub(crate) fn by_stage<'a>(json: &'a Value, field: &str) -> Vec<(&'a str, Value)> {
    let stages = json["stages"].as_array().unwrap().iter();
    let pointer = format!("/{field}");
    stages.map(|s| (s["stage"].as_str().unwrap(), s.pointer(&pointer).cloned().unwrap())).collect()
}
