//! Where the nightly job stands.

use super::ledger::{Ledger, State};
use super::night::Error;
use super::summary::Summary;
use crate::tables::lock;
use crate::tables::store::{self, Store};
use serde::Serialize;

/// Where the job stands, by its store.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Status {
    /// Who holds the lock: a job that runs.
    pub holder: Option<String>,
    /// What the last run did that came to its end.
    pub last_run: Option<Summary>,
    /// Series with a result.
    pub scored: usize,
    /// Series that still arrived at the last run.
    pub settling: Vec<Standing>,
    /// Series without candidates, and since when.
    pub waiting: Vec<Standing>,
    /// What could not be scored, and why.
    pub failed: Vec<Standing>,
}

/// A series, and what there is to say of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The series, or what a file is called.
    pub id: String,
    /// What there is to say.
    pub detail: String,
}

/// Reads where the job stands; a job may run meanwhile.
///
/// # Errors
///
/// Fails if the store cannot be read.
pub fn status(store: &Store) -> Result<Status, Error> {
    let last_run = Summary::last(store)?;
    let settling = last_run.iter().flat_map(|last| &last.settling_series);
    let mut status = Status {
        holder: lock::holder(store.root()).map_err(store::Error::from)?,
        settling: settling.map(|id| Standing { id: id.clone(), detail: String::new() }).collect(),
        last_run: last_run.clone(),
        ..Status::default()
    };
    for (id, state) in Ledger::open(store.root())?.entries() {
        let id = id.clone();
        match state {
            State::Scored { .. } => status.scored += 1,
            State::Waiting(since) => {
                status.waiting.push(Standing { id, detail: format!("since {since}") });
            }
            State::Failed(_, cause) => status.failed.push(Standing { id, detail: cause.clone() }),
        }
    }
    Ok(status)
}
