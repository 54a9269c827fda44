//! What a run needs: room on the disk, and a device that computes as precisely as it asks.

use super::{Forecast, StageForecast};
use crate::pipeline::config::Config;
use crate::pipeline::runner::Error;
use crate::stages::{Stage, report};
use nodulus_nets::Device;
use nodulus_store::{Store, disk};
use serde::Serialize;

/// What a run would write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Writes {
    /// Bytes at most, of the stages for which an estimate exists.
    pub bytes: u64,
    /// Bytes of a training's working files at most, which are removed at its end.
    pub working_bytes: u64,
    /// Stages without an estimate: they have not run yet.
    pub unknown: Vec<Stage>,
    /// Free bytes on the store's disk; `None` if it does not say.
    pub free_bytes: Option<u64>,
}

impl Writes {
    pub(super) fn of(store: &Store, stages: &[StageForecast], working_bytes: u64) -> Self {
        let is_unknown = |stage: &&StageForecast| stage.bytes.is_none();
        Self {
            bytes: stages.iter().filter_map(|stage| stage.bytes).sum(),
            working_bytes,
            unknown: stages.iter().filter(is_unknown).map(|stage| stage.stage).collect(),
            free_bytes: disk::free_bytes(store.root()).ok(),
        }
    }
}

/// Fails if what a run would write does not fit on the store's disk.
///
/// # Errors
///
/// Fails if more bytes are to be written than are free, or any are and none is free.
pub fn check_room(store: &Store, writes: &Writes) -> Result<(), Error> {
    let Writes { bytes, working_bytes, unknown, free_bytes } = writes;
    let needed = bytes.saturating_add(*working_bytes);
    let store = || store.root().to_owned();
    match *free_bytes {
        Some(free) if needed > free => Err(Error::NoRoom { store: store(), needed, free }),
        Some(0) if !unknown.is_empty() => Err(Error::DiskFull { store: store() }),
        _ => Ok(()),
    }
}

/// Fails if a stage that would run cannot compute on a device.
///
/// # Errors
///
/// Fails as the stage would, if the device does not support its precision.
pub fn check_device(config: &Config, forecast: &Forecast, device: &Device) -> Result<(), Error> {
    let precision = |stage| match stage {
        Stage::Train => config.train.as_ref().map(|train| train.precision),
        Stage::Infer => Some(config.infer.precision),
        _ => None,
    };
    let at_work = forecast.stages.iter().filter(|stage| stage.shards.n_to_make_at_most > 0);
    for stage in at_work.map(|stage| stage.stage) {
        if let Some(precision) = precision(stage) {
            let opened = device.with_precision(precision);
            opened.map_err(|error| Error::Stage { stage, source: error.into() })?;
        }
    }
    Ok(())
}

/// Fails if the report would be compared with a version that the store does not have.
///
/// # Errors
///
/// Fails as the stage would, naming the versions that there are.
pub fn check_report(config: &Config, store: &Store) -> Result<(), Error> {
    let Some(key) = &config.report.before else { return Ok(()) };
    let found = report::earlier_version(store, key);
    found.map_err(|error| Error::Stage { stage: Stage::Report, source: error.into() })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_both_sizes() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::look(folder.path()).unwrap();
        let check = |bytes, unknown: &[Stage], free_bytes| {
            let unknown = unknown.to_vec();
            check_room(&store, &Writes { bytes, working_bytes: 1 << 19, unknown, free_bytes })
        };
        check(5 << 20, &[], Some(6 << 20)).unwrap();
        check(5 << 20, &[Stage::Train], None).unwrap();
        check(0, &[], Some(1 << 19)).unwrap();
        // The states of a training need room too.
        check(0, &[], Some(1 << 18)).unwrap_err();
        let error = check(5 << 20, &[], Some(3 << 20)).unwrap_err().to_string();
        assert!(error.contains("about 5.5 MiB are to be written and 3.0 MiB are free"), "{error}");
        assert!(error.contains("`nodulus gc --store "), "{error}");
        // No size is told where none is known.
        let nothing = |unknown: &[Stage]| {
            let unknown = unknown.to_vec();
            check_room(&store, &Writes { bytes: 0, working_bytes: 0, unknown, free_bytes: Some(0) })
        };
        nothing(&[]).unwrap();
        let error = nothing(&[Stage::Ingest]).unwrap_err().to_string();
        assert!(error.contains(" is full: nothing can be written"), "{error}");
        assert!(!error.contains("0 B"), "{error}");
    }
}
