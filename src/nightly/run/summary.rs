//! Summary of a run.

use super::error::Error;
use crate::nightly::input::reconciliation::Reconciliation;
use crate::nightly::redaction;
use crate::nightly::settings::ScoreSettings;
use nodulus_faults::FaultClass;
use nodulus_store::{Store, clock};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Folder of the summaries in the store.
const FOLDER: &str = "runs";

/// Version of the summary; raised when a key goes, or comes to mean something else.
pub const SCHEMA_VERSION: u32 = 1;

/// Summary of a run, as `STORE/runs/` keeps it and `nodulus score --json` prints it. Readers ignore keys that they do not know: new
/// ones do not raise the version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RunSummary {
    /// Version of this schema; 0 in a summary of a program that had none.
    #[schemars(extend("const" = SCHEMA_VERSION))]
    pub schema_version: u32,
    /// Time of its start.
    pub started: String,
    /// Time of its end.
    pub ended: String,
    /// Process and machine.
    pub process: String,
    /// Version of the program.
    pub version: String,
    /// Model that scored.
    pub model_id: String,
    /// Series in the input.
    pub found: usize,
    /// Series whose files still arrive; the next run reads them.
    pub settling: usize,
    /// Series without candidates.
    pub waiting: usize,
    /// Series scored.
    pub scored: usize,
    /// Scored series among them that replace a result of other content, other candidates or another model.
    pub superseded: usize,
    /// Series whose earlier result is of their content and candidates, and is current again.
    pub restored: usize,
    /// Series scored before for which further files were written.
    pub completed: usize,
    /// Series scored before that have not changed.
    pub unchanged: usize,
    /// Series that failed.
    pub failed: usize,
    /// Series that failed before and have not changed.
    pub failed_before: usize,
    /// Series that are left undone, as the machine or the program was at fault: the next run reads them.
    pub undone: usize,
    /// Series that failed or were left undone, now or before, and never had a result.
    pub never_scored: usize,
    /// Records of series that could not be read when the run began; a series whose files are in the input is scored again.
    pub damaged_records: usize,
    /// Series that a rule excludes.
    pub excluded: usize,
    /// Series that were excluded before and have not changed.
    pub excluded_before: usize,
    /// Series that are left, as the run stopped early.
    pub left: usize,
    /// Rows written to `scores`.
    pub nodules: usize,
    /// Rows among them without a marked voxel.
    pub empty_masks: usize,
    /// Series of patients that the model was trained or validated on: refused, or scored where the settings allow it.
    pub seen_by_model: usize,
    /// Scored series with several names of the patient, or issuers of the id, under one `PatientID`: in their slices, or beside
    /// other series.
    pub several_names: usize,
    /// Outcomes of objects that were to be sent, by archive.
    pub deliveries: BTreeMap<String, DeliveryCounts>,
    /// Objects that an archive does not have although they were sent, and why.
    pub delivery_failures: Vec<DeliveryFailure>,
    /// What became of the candidates' rows.
    pub candidates: Reconciliation,
    /// Warnings about the run as a whole; they are among `warnings` too.
    pub notices: Vec<String>,
    /// Why it ended before all series were done.
    pub stopped: Option<StopReason>,
    /// Seconds of each step. Reading, scoring and writing overlap.
    pub seconds: StepSeconds,
    /// Series whose files still arrive.
    pub settling_series: Vec<String>,
    /// Series that failed or are left undone, and why.
    pub failures: Vec<SeriesFailure>,
    /// Series that a rule excludes, and why.
    pub exclusions: Vec<ExcludedSeries>,
    /// Warnings.
    pub warnings: Vec<String>,
    /// The error that stopped the run, if any.
    pub error: Option<String>,
    /// The program's exit status.
    pub exit_status: u8,
}

/// Why a run ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// `--max-minutes` elapsed.
    MaxMinutes,
    /// SIGTERM or SIGINT asked it to.
    Signal,
    /// A disk is full; `error` says which.
    DiskFull,
    /// Another error; `error` says which.
    Error,
}

/// Outcomes of objects that were to be sent to an archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryCounts {
    /// Objects that the archive stored.
    pub stored: usize,
    /// Objects that it had before: a run ended between its answer and the record of it.
    pub already_there: usize,
    /// Objects that it does not have, as far as is known; the next run sends them again.
    pub failed: usize,
    /// Objects that were not sent, as the archive did not answer or the run was stopped; the next run sends them.
    pub left: usize,
}

/// An object that an archive does not have although it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryFailure {
    /// Name of the archive in the settings.
    pub destination: String,
    /// The series.
    pub id: String,
    /// The object; empty where its file cannot be read.
    pub object: String,
    /// The cause.
    pub cause: String,
}

/// Seconds of each step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StepSeconds {
    /// Loading the model.
    pub model: f64,
    /// Listing the input.
    pub list: f64,
    /// Reading scans.
    pub read: f64,
    /// Scoring scans.
    pub score: f64,
    /// Writing results.
    pub write: f64,
    /// Sending objects to archives.
    pub deliver: f64,
    /// From start to end.
    pub total: f64,
}

/// A series that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeriesFailure {
    /// The series, or the redacted name of its source.
    pub id: String,
    /// The error and its causes.
    pub cause: String,
    /// Whose fault it is; `content` for a series that failed.
    #[serde(default)]
    pub class: FaultClass,
}

/// A series that a rule excludes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExcludedSeries {
    /// The series.
    pub id: String,
    /// Name of the rule, as in `score_exclusions`.
    pub rule: String,
    /// Why it excludes the series.
    pub reason: String,
    /// Candidates that name the series, which are not scored.
    pub n_candidates: usize,
}

impl RunSummary {
    /// Notes how the run ended, for its reader and as the program's exit status.
    pub(super) fn note(&mut self, settings: &ScoreSettings, result: &Result<(), Error>) {
        self.error = result.as_ref().err().map(|error| redaction::cause_of_run(settings, error));
        self.exit_status = match (result, self.has_failures()) {
            (Err(_), _) => 1,
            (Ok(()), false) => 0,
            (Ok(()), true) => 3,
        };
    }

    /// The JSON Schema of summaries as they are written.
    pub fn schema() -> serde_json::Value {
        let settings = SchemaSettings::draft2020_12().for_serialize();
        settings.into_generator().into_root_schema_for::<Self>().to_value()
    }

    /// Whether series stand without the result that is due, files of candidates cannot be read or have rows that may be of any
    /// series, or objects failed to reach an archive.
    pub fn has_failures(&self) -> bool {
        let failed: usize = self.deliveries.values().map(|counts| counts.failed).sum();
        let unreadable = self.candidates.n_unreadable_files + self.candidates.n_unplaced_rows;
        self.failed + self.failed_before + self.undone + self.damaged_records + unreadable + failed
            > 0
    }

    /// Writes it to the store, under the time when the run began, to the millisecond.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub fn write(&self, store: &Store, begun: SystemTime) -> Result<(), nodulus_store::Error> {
        let fraction = begun.duration_since(UNIX_EPOCH).unwrap_or_default().subsec_millis();
        // Without colons, which some file systems do not allow.
        let name = format!("{}-{fraction:03}.json", clock::timestamp(begun).replace(':', ""));
        store.write_record(&Path::new(FOLDER).join(name), self)
    }

    /// The summary of the last run; `None` without a run.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be read.
    pub fn last(store: &Store) -> Result<Option<Self>, nodulus_store::Error> {
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
