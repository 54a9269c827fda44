//! Events of a run, for its log.

use super::summary::StopReason;
use crate::nightly::input::reconciliation::CandidateCounts;
use serde::Serialize;

/// An event of a run. Events name neither paths nor patients.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEvent {
    /// The device of the networks is chosen.
    Device {
        /// The device, and why it is not a card where it is none.
        text: String,
    },
    /// The input is listed.
    Listed {
        /// Series in it.
        found: usize,
        /// Series among them that are read.
        to_do: usize,
    },
    /// A series is scored.
    Scored {
        /// The series.
        series: String,
        /// Its nodules.
        nodules: usize,
        /// Seconds of the model.
        seconds: f64,
    },
    /// An earlier result is of a series' content and candidates, and is current again.
    Restored {
        /// The series.
        series: String,
    },
    /// What became of the candidates' rows.
    Candidates {
        /// The redacted name of the file; `None` for all files.
        file: Option<String>,
        /// Its rows.
        #[serde(flatten)]
        counts: CandidateCounts,
    },
    /// A file of candidates cannot be read.
    UnreadableCandidates {
        /// The redacted name of the file.
        file: String,
        /// The cause.
        cause: String,
    },
    /// Malformed rows of a file may be of any series.
    UnplacedCandidates {
        /// The redacted name of the file.
        file: String,
        /// Number of such rows.
        n_rows: usize,
        /// What is wrong with the first of them.
        cause: String,
    },
    /// Further files are written for a series that was scored before.
    Completed {
        /// The series.
        series: String,
    },
    /// A series failed.
    Failed {
        /// The series, or the redacted name of its source.
        series: String,
        /// The cause.
        cause: String,
    },
    /// A series is left undone, as the machine or the program is at fault. It is tried again.
    SetBack {
        /// The series, or the redacted name of its source.
        series: String,
        /// The cause.
        cause: String,
    },
    /// A rule excludes a series.
    Excluded {
        /// The series.
        series: String,
        /// Name of the rule.
        rule: String,
        /// Why it excludes the series.
        reason: String,
        /// Candidates that name the series, which are not scored.
        n_candidates: usize,
    },
    /// A series has no candidates yet.
    Waiting {
        /// The series.
        series: String,
    },
    /// The files of a series still arrive.
    Settling {
        /// The series.
        series: String,
    },
    /// An archive has an object.
    Delivered {
        /// The series.
        series: String,
        /// Name of the archive in the settings.
        destination: String,
        /// The object.
        object: String,
        /// Whether the archive had it before.
        was_there: bool,
    },
    /// An archive does not have an object, as far as is known.
    NotDelivered {
        /// The series.
        series: String,
        /// Name of the archive in the settings.
        destination: String,
        /// The object; empty where its file cannot be read.
        object: String,
        /// The cause.
        cause: String,
    },
    /// Objects were not sent to an archive in this run.
    NotSent {
        /// Name of the archive in the settings.
        destination: String,
        /// Their number.
        n: usize,
    },
    /// A warning.
    Warning {
        /// The warning.
        text: String,
    },
    /// The run ends before all series are done.
    Stopped {
        /// The reason.
        why: StopReason,
        /// Series that are left.
        left: usize,
    },
}
