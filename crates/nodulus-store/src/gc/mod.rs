//! Removes the versions and shards that nothing needs with the metrics of their trainings, what interrupted writes left, and damaged
//! files that were set aside.
//!
//! Kept are the current version of each output, the newest others as far as they are asked for, and every version that
//! a kept version was made from. A shard stays where a kept version lists it. Shards that no version lists and that are
//! newer than the output's `CURRENT` are the work of an interrupted run, as are the states of unfinished shards: they stay
//! too, so that the run can go on, until nothing has been written to them for a time that the caller gives. What a living
//! process works on always stays.

mod collect;
mod remove;
mod size;

use crate::{Error, Lock, Store};
use serde::Serialize;
use std::time::Duration;

/// What stays beside the current versions and what these were made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Number of the newest other versions of each output.
    pub versions: usize,
    /// How long the work of an interrupted run stays after it was last written to.
    pub interrupted: Duration,
}

/// What is removed from a store, or would be, and what stays for an interrupted run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Garbage {
    /// Versions, by output and then from the newest to the oldest.
    pub versions: Vec<RemovedVersion>,
    /// Shards of each output that no version lists.
    pub loose_shards: Vec<Shards>,
    /// Unfinished shards that no run has gone on with for long.
    pub abandoned: Vec<Abandoned>,
    /// Number of files and folders that interrupted writes left, those of unfinished shards and the folder of damaged files
    /// that were set aside included.
    pub n_unfinished: usize,
    /// Folders of the metrics of trainings that go, or are gone.
    pub n_metrics: usize,
    /// Bytes that become free in all. A file that other links keep alive counts once its last link goes.
    pub bytes: u64,
    /// Work of interrupted runs, which stays.
    pub interrupted: Vec<Shards>,
    /// Number of versions that stay.
    pub n_kept_versions: usize,
}

/// A version that is removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RemovedVersion {
    /// The output.
    pub output: String,
    /// Its key.
    pub key: String,
    /// The stage that made it.
    pub stage: String,
    /// Number of its shards that go; those of a newer version that goes too are not counted again.
    pub n_shards: usize,
    /// Bytes of its record and of these shards.
    pub bytes: u64,
}

/// The state of an unfinished shard, as of a training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Abandoned {
    /// The output.
    pub output: String,
    /// Key of the shard.
    pub key: String,
    /// Whole days since it was last written to.
    pub days: u64,
    /// Its bytes.
    pub bytes: u64,
}

/// Shards of an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shards {
    /// The output.
    pub output: String,
    /// Number of shards.
    pub n_shards: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Garbage {
    /// Number of shards that are removed.
    pub fn n_shards(&self) -> usize {
        let of_versions = self.versions.iter().map(|version| version.n_shards);
        of_versions.chain(self.loose_shards.iter().map(|shards| shards.n_shards)).sum()
    }

    /// Whether there is nothing to remove.
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty()
            && self.loose_shards.is_empty()
            && self.n_unfinished + self.n_metrics == 0
    }
}

/// What [`collect`] would remove. Nothing is changed.
///
/// # Errors
///
/// Fails if the store's records cannot be read.
pub fn look(store: &Store, keep: Keep) -> Result<Garbage, Error> {
    Ok(collect::find(store.root(), keep)?.0)
}

/// Takes the store alone and removes what nothing needs: first records of versions, then shards. Wherever the process stops,
/// a whole store is left.
///
/// # Errors
///
/// Fails if another process uses the store, its records cannot be read, or it cannot be written to. Nothing is removed if
/// a record cannot be read.
pub fn collect(store: &Store, keep: Keep) -> Result<Garbage, Error> {
    let _lock = Lock::take(store.root())?;
    let (garbage, paths) = collect::find(store.root(), keep)?;
    remove::remove(&paths)?;
    Ok(garbage)
}

#[cfg(test)]
mod tests;
