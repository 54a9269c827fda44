//! Why a run stopped.

use crate::nightly::identity;
use crate::nightly::input::candidate_file;
use crate::nightly::records::{day_tables, store_identity};
use crate::nightly::redaction::{self, OwnError};
use crate::nightly::scan::{contract, model};
use crate::nightly::send;
use crate::nightly::settings::ScoreSettings;
use nodulus_faults::is_disk_full;
use std::io;

/// The run stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input cannot be listed.
    #[error("cannot read the folder `score.input`; mount it, or correct the path")]
    Input(#[source] io::Error),
    /// The input is empty, and was not before.
    #[error(
        "`score.input` holds no series, and {n_known} were there before; mount or restore the folder, or set \
         `score.allow_empty = true` if it may be empty"
    )]
    EmptyInput {
        /// Series that have a record.
        n_known: usize,
    },
    /// The store or the outputs lie in the input.
    #[error(
        "`{setting}` lies in `score.input`, which is never written to; name a folder outside it"
    )]
    InInput {
        /// The setting.
        setting: &'static str,
    },
    /// The candidates cannot be read.
    #[error(transparent)]
    Candidates(#[from] candidate_file::Error),
    /// The key of pseudonyms cannot be used.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// The store's results name others.
    #[error(transparent)]
    OtherIdentity(#[from] store_identity::Error),
    /// The device of the networks cannot be used.
    #[error(transparent)]
    Device(nodulus_nets::Error),
    /// The model cannot be loaded.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// The settings do not fit the model.
    #[error(transparent)]
    Contract(#[from] contract::Error),
    /// A disk is full.
    #[error(
        "a disk is full: {cause}; make room, then run again: the scans that are left are scored then"
    )]
    DiskFull {
        /// The error of the file system and its causes.
        cause: String,
    },
    /// The settings of an archive cannot be followed.
    #[error(transparent)]
    Send(#[from] send::Error),
    /// The file for Prometheus could not be written.
    #[error("cannot write `score.prometheus`")]
    Prometheus(#[source] io::Error),
    /// The folder of the file for Prometheus does not exist.
    #[error(
        "cannot write `score.prometheus`: its folder does not exist; create the folder that the collector reads, or correct the path"
    )]
    NoPrometheusFolder,
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] nodulus_store::Error),
    /// A table could not be written.
    #[error(transparent)]
    Tables(#[from] day_tables::Error),
}

impl OwnError for Error {}

impl Error {
    /// The same error as that of a full disk, if it is one.
    pub(super) fn or_disk_full(self, settings: &ScoreSettings) -> Self {
        if matches!(self, Self::DiskFull { .. }) || !is_disk_full(&self) {
            return self;
        }
        Self::DiskFull { cause: redaction::cause_of_run(settings, &self) }
    }
}
