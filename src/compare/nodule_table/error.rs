//! Why nodules could not be read or chosen.

use nodulus_formats::luna_csv;
use std::io;
use std::path::PathBuf;

/// Nodules could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A store could not be read.
    #[error(transparent)]
    Store(#[from] nodulus_store::Error),
    /// A CSV file could not be read.
    #[error(transparent)]
    Csv(#[from] luna_csv::Error),
    /// A folder holds no nodules.
    #[error("`{0}` is neither a store (with `store.json`) nor a folder of Parquet files")]
    Folder(PathBuf),
    /// A diameter or a position is not a number that it can be.
    #[error("`{path}`: a nodule of series {series} has {column} {found}, expected {expected}")]
    Value {
        /// The table.
        path: PathBuf,
        /// The nodule's series.
        series: String,
        /// Name of the column.
        column: &'static str,
        /// The value.
        found: f64,
        /// What it should be.
        expected: &'static str,
    },
    /// The chosen cohort has no nodules.
    #[error("`{path}` has no nodules of cohort `{cohort}`{near}")]
    NoCohort {
        /// The table.
        path: PathBuf,
        /// The cohort.
        cohort: String,
        /// Near cohorts, or all that have nodules.
        near: String,
    },
    /// Two cohorts have the same scan.
    #[error(
        "`{path}` has series {series} in several cohorts ({}): name one with `--cohort`", cohorts.join(", ")
    )]
    Cohorts {
        /// The table.
        path: PathBuf,
        /// The series.
        series: String,
        /// The cohorts that have it.
        cohorts: Vec<String>,
    },
}

impl Error {
    /// Whether another `--cohort` helps.
    pub const fn is_choice(&self) -> bool {
        matches!(self, Self::NoCohort { .. } | Self::Cohorts { .. })
    }
}
