//! What a run of the nightly job did.

use crate::tables::clock;
use crate::tables::store::{self, Store};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Folder of the summaries in the store.
const FOLDER: &str = "runs";

/// What a run did, as it is kept in `STORE/runs/` and printed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// When it began.
    pub started: String,
    /// When it ended.
    pub ended: String,
    /// The process and its machine.
    pub process: String,
    /// Version of the program.
    pub version: String,
    /// What scored.
    pub model_id: String,
    /// Series in the input.
    pub found: usize,
    /// Series that still arrive: left for the next run.
    pub settling: usize,
    /// Series without candidates.
    pub waiting: usize,
    /// Series scored.
    pub scored: usize,
    /// Of them, those that were scored before from other content or candidates, or by another model.
    pub superseded: usize,
    /// Series that were scored before, and of which files were written that had not been asked for then.
    pub completed: usize,
    /// Series that were scored before, and are the same.
    pub unchanged: usize,
    /// Series that could not be scored.
    pub failed: usize,
    /// Series that could not be scored before, and are the same.
    pub failed_before: usize,
    /// Series that there was no time for.
    pub left: usize,
    /// Rows written to `scores`.
    pub nodules: usize,
    /// Why it ended before everything was done.
    pub stopped: Option<Stopped>,
    /// Seconds of each step; reading, scoring and writing overlap.
    pub seconds: Seconds,
    /// Series that still arrive.
    pub settling_series: Vec<String>,
    /// What could not be scored, and why.
    pub failures: Vec<Cause>,
    /// What to look at.
    pub warnings: Vec<String>,
    /// What stopped the run, where an error did.
    pub error: Option<String>,
    /// The program's exit status.
    pub exit_status: u8,
}

/// Why a run ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// `--max-minutes` were over.
    MaxMinutes,
    /// It was asked to, by SIGTERM or SIGINT.
    Signal,
}

/// Seconds of each step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// Loading the model.
    pub model: f64,
    /// Listing the input.
    pub list: f64,
    /// Reading scans.
    pub read: f64,
    /// Scoring them.
    pub score: f64,
    /// Writing results.
    pub write: f64,
    /// From begin to end.
    pub total: f64,
}

/// A series or file, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The series, or what the file is called.
    pub id: String,
    /// The chain of causes.
    pub cause: String,
}

impl Summary {
    /// Keeps it in the store, by the time when the run began, to the millisecond.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub fn write(&self, store: &Store, begun: SystemTime) -> Result<(), store::Error> {
        let fraction = begun.duration_since(UNIX_EPOCH).unwrap_or_default().subsec_millis();
        // No colons, for file systems that know none.
        let name = format!("{}-{fraction:03}.json", clock::timestamp(begun).replace(':', ""));
        store.write_record(&Path::new(FOLDER).join(name), self)
    }

    /// The last run's; `None` where there was none.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be read.
    pub fn last(store: &Store) -> Result<Option<Self>, store::Error> {
        let Ok(entries) = std::fs::read_dir(store.root().join(FOLDER)) else { return Ok(None) };
        let names = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let last: Option<PathBuf> =
            names.filter(|p| p.extension().is_some_and(|e| e == "json")).max();
        match last.and_then(|path| Some(Path::new(FOLDER).join(path.file_name()?))) {
            Some(name) => store.read_record(&name),
            None => Ok(None),
        }
    }
}
