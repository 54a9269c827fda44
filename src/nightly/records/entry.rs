//! What the ledger keeps in memory of a record.

use super::record::{AttemptOutcome, SeriesRecord, Undone};
use crate::nightly::deliver::OutputKind;
use crate::nightly::follow_up::reconstruction::ComparedSeries;
use crate::nightly::scan::result_inputs::ResultInputs;
use std::collections::{BTreeMap, BTreeSet};

/// What the ledger keeps in memory of a record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LedgerEntry {
    pub(crate) state: SeriesState,
    /// Why the last run left it undone, whatever its state.
    pub(crate) undone: Option<Undone>,
    /// What the last attempt was made of, and why it failed, where its candidates could not be used.
    pub(crate) refused: Option<(ResultInputs, String)>,
    /// Whether it has a result, current or superseded.
    pub(crate) has_result: bool,
    /// For each day with a result or the exclusion of the series, a hash of what its rows are made of.
    pub(super) hashes_by_day: BTreeMap<String, String>,
    /// The same for each night on which they were made.
    pub(super) hashes_by_night: BTreeMap<String, String>,
    pub(super) compared: Option<ComparedResult>,
    /// For each day with a receipt of the series, a hash of its rows.
    pub(super) receipt_hashes_by_day: BTreeMap<String, String>,
    /// Whether the current result has DICOM objects.
    pub(super) has_objects: bool,
    /// Whether a file of the current result is gone or has another size.
    pub(crate) lacks_files: bool,
    /// The archives that have answered for all of them.
    pub(super) complete_destinations: Vec<String>,
}

/// A result that is compared with others of its patient.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ComparedResult {
    pub(super) patient_id: String,
    pub(super) at: String,
    pub(super) scored_on: String,
    /// As [`FollowUpScan::patient_name`](crate::nightly::follow_up::scan::FollowUpScan::patient_name).
    pub(super) patient_name: Option<String>,
    /// As [`FollowUpScan::patient_issuer`](crate::nightly::follow_up::scan::FollowUpScan::patient_issuer).
    pub(super) patient_issuer: Option<String>,
    pub(super) series: ComparedSeries,
}

/// State of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SeriesState {
    /// It has had no candidates since this time.
    Waiting(String),
    /// It has a result.
    Scored {
        /// What the result is made of.
        inputs: ResultInputs,
        /// The time that its files hold: when it was scored, or became current again with new files.
        at: String,
        /// Kinds of files that were requested.
        requested: BTreeSet<OutputKind>,
    },
    /// It failed for this cause.
    Failed(ResultInputs, String),
    /// A rule excludes it, for this reason.
    Excluded(ResultInputs, String),
    /// No attempt came to an end, as the machine or the program was at fault.
    Undone(Undone),
}

impl LedgerEntry {
    /// The entry of a record; `None` where the record is empty.
    pub(super) fn of(record: &SeriesRecord) -> Option<Self> {
        let state = match (&record.current, &record.waiting_since) {
            (Some(attempt), _) => match &attempt.outcome {
                AttemptOutcome::Scored(result) => SeriesState::Scored {
                    inputs: attempt.inputs.clone(),
                    at: match &result.rewritten {
                        Some(rewritten) => rewritten.at.clone(),
                        None => attempt.at.clone(),
                    },
                    requested: result.requested.clone(),
                },
                AttemptOutcome::Failed(cause) => {
                    SeriesState::Failed(attempt.inputs.clone(), cause.clone())
                }
                AttemptOutcome::Excluded(exclusion) => {
                    SeriesState::Excluded(attempt.inputs.clone(), exclusion.reason.clone())
                }
            },
            (None, Some(since)) => SeriesState::Waiting(since.clone()),
            (None, None) => SeriesState::Undone(record.undone.clone()?),
        };
        let compared = record.current.as_ref().and_then(|attempt| {
            let scan = attempt.follow_up_scan().filter(|scan| !scan.patient_id.is_empty())?;
            Some(ComparedResult {
                patient_id: scan.patient_id.clone(),
                at: attempt.at.clone(),
                scored_on: attempt.scored_on.clone(),
                patient_name: scan.patient_name.clone(),
                patient_issuer: scan.patient_issuer.clone(),
                series: ComparedSeries::of(scan),
            })
        });
        let (undone, has_result) = (record.undone.clone(), record.has_result());
        let [hashes_by_day, hashes_by_night] = [record.hashes_by_day(), record.hashes_by_night()];
        let refused = record.refused.clone().map(|refused| (refused.inputs, refused.cause));
        Some(Self {
            state,
            undone,
            refused,
            has_result,
            hashes_by_day,
            hashes_by_night,
            compared,
            receipt_hashes_by_day: record.receipt_hashes_by_day(),
            has_objects: !record.objects().1.is_empty(),
            lacks_files: false,
            complete_destinations: record.complete_destinations(),
        })
    }

    /// What its last attempt was made of.
    pub(crate) fn last_inputs(&self) -> Option<&ResultInputs> {
        match (&self.refused, &self.state) {
            (Some((inputs, _)), _)
            | (
                None,
                SeriesState::Scored { inputs, .. }
                | SeriesState::Failed(inputs, _)
                | SeriesState::Excluded(inputs, _),
            ) => Some(inputs),
            (None, SeriesState::Waiting(_) | SeriesState::Undone(_)) => None,
        }
    }

    /// Whether it failed or was left undone, and never had a result.
    pub(crate) fn is_never_scored(&self) -> bool {
        let is_failed = matches!(self.state, SeriesState::Failed(..));
        (is_failed || self.undone.is_some()) && !self.has_result
    }

    /// The patient whose other results it is compared with.
    pub(super) fn patient(&self) -> Option<&str> {
        self.compared.as_ref().map(|compared| compared.patient_id.as_str())
    }
}
