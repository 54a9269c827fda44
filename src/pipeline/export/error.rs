//! Why nothing was exported.

use crate::stages::balance::TwoFolds;
use crate::tables::{manifest, parquet, store};
use nodulus_formats::luna_csv;
use std::io;
use std::path::PathBuf;

/// Nothing was exported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Samples of one nodule have different folds.
    #[error(transparent)]
    TwoFolds(#[from] TwoFolds),
    /// A part of the store could not be read.
    #[error(transparent)]
    Parquet(#[from] parquet::Error),
    /// A CSV file could not be read or written.
    #[error(transparent)]
    Csv(#[from] luna_csv::Error),
    /// The list of nodules could not be written.
    #[error("cannot write the list of nodules")]
    Index(#[from] csv::Error),
    /// The record could not be read or written.
    #[error(transparent)]
    Record(#[from] manifest::Error),
    /// A picture could not be written.
    #[error("cannot write a picture")]
    Png(#[from] png::EncodingError),
    /// A part with tensors could not be written.
    #[error("cannot write `{path}` as Parquet")]
    Tensors {
        /// The part.
        path: PathBuf,
        /// What went wrong.
        source: Box<::parquet::errors::ParquetError>,
    },
    /// The cohort asked for is not in the store.
    #[error("store has no scans of cohort `{cohort}`; it has: {}", found.join(", "))]
    NoCohort {
        /// The cohort.
        cohort: String,
        /// Cohorts that have scans.
        found: Vec<String>,
    },
    /// The store has several cohorts, or none.
    #[error("store has {} cohorts ({}): name one with `--cohort`", found.len(), found.join(", "))]
    Cohorts {
        /// Cohorts that have scans.
        found: Vec<String>,
    },
    /// Patient coordinates are unknown.
    #[error(
        "{n} of the {total} scans of cohort `{cohort}` came without images, so the patient x and y of their marks are \
         unknown (first {series}): ingest the cohort with its images, merge, and export again"
    )]
    NoImages {
        /// Included scans without an image.
        n: usize,
        /// Included scans.
        total: usize,
        /// The cohort.
        cohort: String,
        /// The first of them.
        series: String,
    },
    /// A nodule has no place though its scan has an image.
    #[error(
        "nodule `{nodule_id}` of series {series} has no patient coordinates: run merge again with `--force`"
    )]
    NoPlace {
        /// The nodule.
        nodule_id: String,
        /// Its series.
        series: String,
    },
    /// A table has changed since another was made of it.
    #[error("`{made}` was made of another version of `{of}`: run {stage}, then export again")]
    Stale {
        /// The table.
        made: String,
        /// Name of what it was made of.
        of: String,
        /// The stage that makes it.
        stage: String,
    },
    /// The store lacks nodules that the export needs.
    #[error(
        "`nodules` was merged with min_marks = {found}, expected at most {asked}: merge again with fewer, or export with `--min-marks {found}`"
    )]
    MinMarks {
        /// Setting of the merge.
        found: i64,
        /// Marks asked for.
        asked: i64,
    },
    /// The folder holds a file that is not an export's.
    #[error("`{0}` is there already and no export made it: name another folder")]
    Occupied(PathBuf),
    /// Nothing is left to export.
    #[error("no nodule of {0} has a region in the store: nothing was written")]
    NoRegions(String),
    /// A nodule's rows do not make one region of its scan.
    #[error("nodule `{nodule_id}`: {what} is {found}, expected {expected}")]
    Region {
        /// The nodule.
        nodule_id: String,
        /// What is wrong.
        what: &'static str,
        /// What it is.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// The folder is not named as nnU-Net names a data set.
    #[error(
        "`{0}` is no name of a data set of nnU-Net's: expected a folder `DatasetNNN_NAME`, as Dataset501_Nodules"
    )]
    DatasetName(PathBuf),
    /// nnU-Net needs cases to train on.
    #[error("none of the {0} nodules is of train or validation: nnU-Net needs one to train on")]
    NoTraining(usize),
    /// A picture would be too large.
    #[error(
        "a page of {columns} × {rows} tiles of {tile} pixels has {found} pixels, expected at most {most}"
    )]
    Page {
        /// Tiles beside each other.
        columns: usize,
        /// Tiles below each other.
        rows: usize,
        /// Pixels along a tile.
        tile: usize,
        /// Pixels of the page.
        found: usize,
        /// Most pixels that a page has.
        most: usize,
    },
    /// The model is not in the store, or there are several.
    #[error("{}; the store has predictions by: {}", model.as_ref().map_or("name a model with `--model`".to_owned(), |model| format!("there are no predictions by `{model}`")), found.join(", "))]
    Model {
        /// The model asked for.
        model: Option<String>,
        /// Models that predicted.
        found: Vec<String>,
    },
}

impl Error {
    /// Whether other arguments would do.
    pub const fn is_choice(&self) -> bool {
        matches!(
            self,
            Self::NoCohort { .. }
                | Self::Cohorts { .. }
                | Self::DatasetName(_)
                | Self::Page { .. }
                | Self::Model { .. }
        )
    }
}
