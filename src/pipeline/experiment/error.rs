//! Why an experiment stopped.

use crate::pipeline::config;
use crate::pipeline::runner;

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
