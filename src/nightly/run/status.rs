//! Status of the nightly job.

use super::error::Error;
use super::summary::RunSummary;
use crate::nightly::records::entry::SeriesState;
use crate::nightly::records::ledger::Ledger;
use crate::nightly::records::record::Undone;
use nodulus_store::{Store, lock};
use serde::Serialize;

/// Status of the job, as its store shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct JobStatus {
    /// The process that holds the lock, while a job runs.
    pub holder: Option<String>,
    /// Summary of the last run that ended.
    pub last_run: Option<RunSummary>,
    /// Series with a result.
    pub scored: usize,
    /// Series whose files still arrived at the last run.
    pub settling: Vec<SeriesStatus>,
    /// Series without candidates, and since when.
    pub waiting: Vec<SeriesStatus>,
    /// Series that failed, and why.
    pub failed: Vec<SeriesStatus>,
    /// Series that the last run left undone, as the machine or the program was at fault, and why.
    pub undone: Vec<SeriesStatus>,
    /// Number of series among the failed and the undone ones that never had a result.
    pub never_scored: usize,
    /// Series that a rule excludes, and why.
    pub excluded: Vec<SeriesStatus>,
    /// Files of candidates that the last run could not read, and why.
    pub unreadable_candidates: Vec<SeriesStatus>,
    /// Files of candidates that had malformed rows in the last run that may be of any series, and what is wrong.
    pub unplaced_candidates: Vec<SeriesStatus>,
    /// Series records that cannot be read, and what is wrong with each.
    pub damaged: Vec<String>,
    /// Series with an object that an archive did not take in the last run, and why.
    pub undelivered: Vec<SeriesStatus>,
}

/// Status of a series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeriesStatus {
    /// The series, or the redacted name of its source or of a file.
    pub id: String,
    /// Since when, or why; may be empty.
    pub detail: String,
}

/// Reads the status of the job. A job may run meanwhile.
///
/// # Errors
///
/// Fails if the store cannot be read.
pub fn status(store: &Store) -> Result<JobStatus, Error> {
    let last_run = RunSummary::last(store)?;
    let settling = last_run.iter().flat_map(|last| &last.settling_series);
    let unreadable = last_run.iter().flat_map(|last| &last.candidates.unreadable_files);
    let unplaced = last_run.iter().flat_map(|last| &last.candidates.unplaced_rows);
    let failures = last_run.iter().flat_map(|last| &last.delivery_failures);
    let mut status = JobStatus {
        holder: lock::holder(store.root()).map_err(nodulus_store::Error::from)?,
        settling: settling
            .map(|id| SeriesStatus { id: id.clone(), detail: String::new() })
            .collect(),
        unreadable_candidates: unreadable
            .map(|of| SeriesStatus { id: of.file.clone(), detail: of.cause.clone() })
            .collect(),
        unplaced_candidates: unplaced
            .map(|of| SeriesStatus {
                id: of.file.clone(),
                detail: format!("{} rows; the first one: {}", of.n_rows, of.cause),
            })
            .collect(),
        undelivered: failures
            .map(|failure| SeriesStatus {
                id: failure.id.clone(),
                detail: format!("{}: {}", failure.destination, failure.cause),
            })
            .collect(),
        last_run: last_run.clone(),
        ..JobStatus::default()
    };
    let ledger = Ledger::open(store.root(), None)?;
    status.damaged = ledger.damaged().map(ToString::to_string).collect();
    for (id, entry) in ledger.entries() {
        let id = id.clone();
        if let Some(Undone { at, cause, .. }) = &entry.undone {
            let detail = format!("{at}, {cause}");
            status.undone.push(SeriesStatus { id: id.clone(), detail });
        }
        status.never_scored += usize::from(entry.is_never_scored());
        if let Some((_, cause)) = &entry.refused {
            status.failed.push(SeriesStatus { id: id.clone(), detail: cause.clone() });
        }
        match &entry.state {
            SeriesState::Undone(_) => {}
            SeriesState::Scored { .. } => status.scored += 1,
            SeriesState::Waiting(since) => {
                status.waiting.push(SeriesStatus { id, detail: format!("since {since}") });
            }
            SeriesState::Failed(_, cause) => {
                status.failed.push(SeriesStatus { id, detail: cause.clone() });
            }
            SeriesState::Excluded(_, reason) => {
                status.excluded.push(SeriesStatus { id, detail: reason.clone() });
            }
        }
    }
    Ok(status)
}
