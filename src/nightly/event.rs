//! What is told of a run while it goes on.

use super::summary::Stopped;
use serde::Serialize;

/// What happens in a run; no path and no patient is named.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Networks run on the device that was found.
    Device {
        /// Which, and why it is no card where it is none.
        text: String,
    },
    /// The input is listed.
    Listed {
        /// Series in it.
        found: usize,
        /// Of them, those to look at.
        to_do: usize,
    },
    /// A series is scored.
    Scored {
        /// The series.
        series: String,
        /// Its nodules.
        nodules: usize,
        /// Seconds that the model took.
        seconds: f64,
    },
    /// Files of a series that was scored before are written.
    Completed {
        /// The series.
        series: String,
    },
    /// Something could not be scored.
    Failed {
        /// The series, or what the file is called.
        series: String,
        /// Why.
        cause: String,
    },
    /// A series has no candidates yet.
    Waiting {
        /// The series.
        series: String,
    },
    /// A series still arrives.
    Settling {
        /// The series.
        series: String,
    },
    /// Something is doubtful.
    Warning {
        /// What.
        text: String,
    },
    /// The run ends before everything is done.
    Stopped {
        /// Why.
        why: Stopped,
        /// Series that are left.
        left: usize,
    },
}
