//! Why an export failed.

use crate::near_names::near_or_all;
use crate::stages::StageError;
use crate::stages::balance::TwoFolds;
use nodulus_formats::luna_csv;
use std::io;
use std::path::PathBuf;

/// An export failed; nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] nodulus_store::Error),
    /// Samples of one nodule have different folds.
    #[error(transparent)]
    TwoFolds(#[from] TwoFolds),
    /// Where the scans' files lie could not be listed.
    #[error(transparent)]
    Places(#[from] StageError),
    /// A CSV file could not be read or written.
    #[error(transparent)]
    Csv(#[from] luna_csv::Error),
    /// The list of nodules could not be written.
    #[error("cannot write the list of nodules")]
    Index(#[from] csv::Error),
    /// A picture could not be written.
    #[error("cannot write a picture")]
    Png(#[from] png::EncodingError),
    /// A Parquet file with tensors could not be written.
    #[error("cannot write `{path}` as Parquet")]
    Tensors {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: Box<::parquet::errors::ParquetError>,
    },
    /// The chosen cohort is not in the store.
    #[error("store has no scans of cohort `{cohort}`{}", near(cohort, found))]
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
        "{n} of the {total} scans of cohort `{cohort}` have no images, so the patient x and y of their marks are unknown \
         (first {series}): ingest the cohort with its images, or give `ingest.scan_geometry` a table with the columns \
         origin_x_mm, origin_y_mm and direction, or a folder of .mhd headers; then merge, and export again"
    )]
    NoImages {
        /// Number of included scans without an image.
        n: usize,
        /// Number of included scans.
        total: usize,
        /// The cohort.
        cohort: String,
        /// The first of these scans.
        series: String,
    },
    /// The cohort is not in the pipeline file, which says where its files lie.
    #[error("the pipeline file has no cohort `{cohort}`{}", near(cohort, found))]
    NotInPipeline {
        /// The cohort.
        cohort: String,
        /// The pipeline file's cohorts.
        found: Vec<String>,
    },
    /// The scans have no images, to whose slices segments belong.
    #[error(
        "cohort `{cohort}` has no images, and DICOM segments belong to slices of a DICOM series: ingest it with its images"
    )]
    NoSlices {
        /// The cohort.
        cohort: String,
    },
    /// A chosen series is excluded.
    #[error(
        "series {series} is excluded, so that it has no nodules: `exclusion_reasons` of its row in `scans` says why"
    )]
    Excluded {
        /// The series.
        series: String,
    },
    /// No scan has anything to segment.
    #[error("{}", nothing_text(cohort, *n_without_nodules, *n_skipped, first.as_deref()))]
    NothingSegmented {
        /// The cohort.
        cohort: String,
        /// Number of scans without a nodule.
        n_without_nodules: usize,
        /// Number of scans whose objects could not be made.
        n_skipped: usize,
        /// The first of them, and why.
        first: Option<String>,
    },
    /// The store has no scan of the series.
    #[error("store has no scan of series {series}: `nodulus show scans` lists them")]
    NoSeries {
        /// The series.
        series: String,
    },
    /// The series has no such nodule.
    #[error("series {series} has no nodule `{nodule}`{}", near(nodule, found))]
    NoNodule {
        /// The nodule.
        nodule: String,
        /// The series.
        series: String,
        /// Nodules of the series.
        found: Vec<String>,
    },
    /// Nothing can be drawn.
    #[error(
        "series {series} has no nodule with lines: readers drew none there, or its marks are masks"
    )]
    NothingDrawn {
        /// The series.
        series: String,
    },
    /// A scan is no even grid of axial slices.
    #[error(
        "scan {series} has no origin, direction and spacing of axial slices, by which LUNA16's files place marks: export \
         without `--as-published`"
    )]
    NoGrid {
        /// The scan.
        series: String,
    },
    /// A series is twice in the cohort.
    #[error(
        "series {series} is in the cohort more than once: keep one of its scans, ingest, and export again"
    )]
    SeriesTwice {
        /// The series.
        series: String,
    },
    /// A mark is a mask that no line surrounds.
    #[error(
        "mark `{mark_id}` of series {series} has no lines, expected those of LIDC's XML: export without `--as-published`"
    )]
    NoLines {
        /// The mark.
        mark_id: String,
        /// Its series.
        series: String,
    },
    /// A nodule has no position though its scan has an image.
    #[error(
        "nodule `{nodule_id}` of series {series} has no patient coordinates: run merge again with `--force`"
    )]
    NoPlace {
        /// The nodule.
        nodule_id: String,
        /// Its series.
        series: String,
    },
    /// A table has changed since another was made from it.
    #[error("`{made}` was made from another version of `{of}`: run {stage}, then export again")]
    Stale {
        /// The table.
        made: String,
        /// Name of its input.
        of: String,
        /// The stage that writes the table.
        stage: String,
    },
    /// The merge omitted nodules that the export needs.
    #[error(
        "`nodules` was merged with min_marks = {found}, expected at most {asked}: merge again with fewer, or export with `--min-marks {found}`"
    )]
    MinMarks {
        /// `merge.min_marks`.
        found: i64,
        /// `--min-marks`.
        asked: i64,
    },
    /// The folder is a file.
    #[error("`{0}` is a file, expected a folder to write to: choose another path")]
    NotAFolder(PathBuf),
    /// The folder holds a file that no export wrote.
    #[error("`{0}` exists and was not written by an export: choose another folder")]
    Occupied(PathBuf),
    /// There is nothing to export.
    #[error("no nodule of {0} has a region in the store: nothing was written")]
    NoRegions(String),
    /// A nodule's slices do not make one region of its scan.
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
    /// The folder does not have the name of an nnU-Net data set.
    #[error(
        "`{0}` is not the name of an nnU-Net data set: expected a folder `DatasetNNN_NAME`, as in `Dataset501_Nodules`"
    )]
    DatasetName(PathBuf),
    /// There is no case for training.
    #[error(
        "none of the {0} nodules is in train or validation: nnU-Net needs at least one for training"
    )]
    NoTraining(usize),
    /// A page would be too large.
    #[error(
        "a page of {columns} × {rows} tiles of {tile} pixels has {found} pixels, expected at most {most}"
    )]
    Page {
        /// Number of columns of tiles.
        columns: usize,
        /// Number of rows of tiles.
        rows: usize,
        /// Pixels along a tile.
        tile: usize,
        /// Pixels of the page.
        found: usize,
        /// Greatest number of pixels of a page.
        most: usize,
    },
    /// The predictions say nothing that nodules can be ranked by.
    #[error(
        "the predictions of the {n} nodules by `{model_id}` have neither a disagreement, which several folds or \
         `infer.flips = true` give, nor a distance from training, which weights with a profile of 20 nodules give: nothing \
         to rank by"
    )]
    NothingToRankBy {
        /// The model.
        model_id: String,
        /// Number of nodules.
        n: usize,
    },
    /// The model has no predictions, or several models have.
    #[error("{}", model_text(model.as_deref(), found))]
    Model {
        /// The chosen model.
        model: Option<String>,
        /// Models with predictions.
        found: Vec<String>,
    },
}

impl Error {
    /// Whether other arguments help.
    pub const fn is_choice(&self) -> bool {
        matches!(
            self,
            Self::NoCohort { .. }
                | Self::Cohorts { .. }
                | Self::NotInPipeline { .. }
                | Self::DatasetName(_)
                | Self::Page { .. }
                | Self::Model { .. }
        )
    }
}

fn near(name: &str, found: &[String]) -> String {
    near_or_all(name, &found.iter().map(String::as_str).collect::<Vec<_>>())
}

fn nothing_text(cohort: &str, n_without: usize, n_skipped: usize, first: Option<&str>) -> String {
    let mut text =
        format!("nothing was written: {n_without} scans of cohort `{cohort}` have no nodule");
    if let Some(first) = first {
        text =
            format!("{text}, and of {n_skipped} no objects can be made, the first being {first}");
    }
    text
}

fn model_text(model: Option<&str>, found: &[String]) -> String {
    match model {
        Some(model) => {
            format!("there are no predictions by `{model}`{}", near(model, found))
        }
        None => format!("name a model with `--model`; there are: {}", found.join(", ")),
    }
}
