//! Why an experiment stopped.

use crate::pipeline::config;
use crate::pipeline::runner;
use crate::tables::{parquet, store};

/// An experiment stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A row's pipeline is not valid.
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
    /// Rows cannot be told apart.
    #[error("two rows are named `{0}`")]
    SameName(String),
    /// A row starts from one that is not there.
    #[error("row `{row}` starts from `{from}`, which is no row before it")]
    From {
        /// The row.
        row: String,
        /// The name.
        from: String,
    },
    /// The paper's figure of something else.
    #[error("row `{row}` has the paper's `{metric}`; metrics are: {known}")]
    Paper {
        /// The row.
        row: String,
        /// The name.
        metric: String,
        /// The names there are.
        known: String,
    },
    /// There is nothing to show.
    #[error("the experiment has no row that is scored")]
    NoRows,
    /// A row trains nothing.
    #[error("row `{0}` has no `[train]` section: an experiment's rows are trained")]
    NoTraining(String),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A table could not be read.
    #[error(transparent)]
    Parquet(#[from] parquet::Error),
}

impl Error {
    /// Whether what was asked for cannot be, as written.
    pub const fn is_choice(&self) -> bool {
        !matches!(self, Self::Run { .. } | Self::Store(_) | Self::Parquet(_))
    }
}
