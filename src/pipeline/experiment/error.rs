//! Why an experiment stopped.

use crate::pipeline::config;
use crate::pipeline::runner;

/// An experiment stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A row's settings are not valid.
    #[error("row `{row}`")]
    Config {
        /// The row.
        row: String,
        /// What is wrong.
        source: config::Error,
    },
    /// A row's run stopped.
    #[error("row `{row}`")]
    Run {
        /// The row.
        row: String,
        /// What is wrong.
        source: runner::Error,
    },
    /// Two rows have one name.
    #[error("two rows are named `{0}`")]
    SameName(String),
    /// A row starts from a row that is not before it.
    #[error("row `{row}` starts from `{from}`, which is no row before it")]
    From {
        /// The row.
        row: String,
        /// The name.
        from: String,
    },
    /// A figure of the paper is for an unknown metric.
    #[error("row `{row}`: `paper` has unknown metric `{metric}`{near}; metrics are: {known}")]
    Paper {
        /// The row.
        row: String,
        /// The name.
        metric: String,
        /// Near names, if any.
        near: String,
        /// All metrics.
        known: String,
    },
    /// No row is measured.
    #[error("every row of the experiment has `scored = false`: leave it out of at least one row")]
    NoRows,
    /// A row has no `[train]` section.
    #[error("row `{0}` has no `[train]` section: an experiment's rows are trained")]
    NoTraining(String),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] nodulus_store::Error),
}

impl Error {
    /// Whether the experiment file has to be changed.
    pub const fn is_choice(&self) -> bool {
        !matches!(self, Self::Run { .. } | Self::Store(_))
    }
}
