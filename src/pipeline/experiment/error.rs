//! Why an experiment stopped.

use crate::pipeline::config;
use crate::pipeline::runner;
use crate::stages::train;

/// An experiment stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The experiment file, or the settings of a row, are not valid.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// A row's run stopped.
    #[error("row `{row}`")]
    Run {
        /// The row.
        row: String,
        /// What is wrong.
        source: runner::Error,
    },
    /// The weights that a row starts from saw patients that it predicts.
    #[error("row `{row}`")]
    Initial {
        /// The row.
        row: String,
        /// What is wrong.
        source: train::Error,
    },
    /// The initial weights of a row cannot be found.
    #[error("row `{row}`: cannot read the weights that `train.initial.checkpoint` names")]
    InitialStore {
        /// The row.
        row: String,
        /// What is wrong.
        source: nodulus_store::Error,
    },
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] nodulus_store::Error),
}

impl Error {
    /// Whether the experiment file has to be changed.
    pub const fn is_choice(&self) -> bool {
        matches!(self, Self::Config(_))
    }
}
