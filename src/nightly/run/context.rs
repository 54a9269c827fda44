//! What all steps of a run share.

use super::event::RunEvent;
use super::summary::StopReason;
use crate::nightly::identity::Identity;
use crate::nightly::records::day_tables::DayTables;
use crate::nightly::scan::model::LoadedModel;
use crate::nightly::settings::ScoreSettings;
use nodulus_nets::Device;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Options of a run.
pub struct RunOptions<'a> {
    /// Finds the device of the networks.
    pub device: &'a (dyn Fn() -> nodulus_nets::Result<Device> + Sync),
    /// Bytes of memory: half for voxels, half for a batch with the network.
    pub max_memory: u64,
    /// No scan is begun after this time.
    pub max_time: Option<Duration>,
    /// Whether unchanged series that failed before are tried again.
    pub retry_failed: bool,
    /// Set from outside to end the run: no scan is begun then.
    pub stop: &'a AtomicBool,
}

/// What all steps of a run share.
pub(super) struct RunContext<'a> {
    pub(super) settings: &'a ScoreSettings,
    pub(super) identity: Identity,
    pub(super) tables: &'a DayTables<'a>,
    pub(super) options: &'a RunOptions<'a>,
    pub(super) model: &'a LoadedModel,
    /// Doubts about every scan.
    pub(super) doubts: Vec<String>,
    /// Series of patients that the model was trained or validated on.
    pub(super) seen: Mutex<BTreeSet<String>>,
    pub(super) deadline: Option<Instant>,
    pub(super) notify: &'a (dyn Fn(RunEvent) + Sync),
}

impl RunContext<'_> {
    /// Why no further scan is begun; `None` while the run goes on.
    pub(super) fn stop_reason(&self) -> Option<StopReason> {
        if self.options.stop.load(Ordering::SeqCst) {
            return Some(StopReason::Signal);
        }
        let is_late = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        is_late.then_some(StopReason::MaxMinutes)
    }
}
