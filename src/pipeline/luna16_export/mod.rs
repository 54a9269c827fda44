//! A store's cohort as LUNA16's files.

mod rows;
mod folder;

pub use folder::{FileRecord, Record};

use crate::formats::luna_csv;
use crate::tables::store::{self, Store};
use crate::tables::{Output, Table, hash, manifest, parquet};
use rows::{Mark, Nodule, Rows, Scan};
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};

/// What to export.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The cohort; `None` for the only one.
    pub cohort: Option<&'a str>,
    /// Marks that a nodule of the reference standard has at least.
    pub min_marks: i64,
    /// Candidates whose classes are set anew.
    pub candidates: Option<&'a Path>,
}

/// What was exported; all but `n_unplaced` and `n_candidates_left_out` is `export.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Export {
    /// What the files say and what they were made from.
    #[serde(flatten)]
    pub record: Record,
    /// Marks that have no place in their scan, and are in no file.
    pub n_unplaced: usize,
    /// Candidates of other scans, which are in no file.
    pub n_candidates_left_out: usize,
}

/// Nothing was exported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A part of the store could not be read.
    #[error(transparent)]
    Parquet(#[from] parquet::Error),
    /// A CSV file could not be read or written.
    #[error(transparent)]
    Csv(#[from] luna_csv::Error),
    /// The record could not be read or written.
    #[error(transparent)]
    Record(#[from] manifest::Error),
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
    /// A table has changed since the nodules were made of it.
    #[error("`nodules` was made of another version of `{table}`: run merge, then export again")]
    Stale {
        /// Name of the table.
        table: String,
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
    /// The folder holds such a file that is not an export's.
    #[error("`{0}` is there already and no export made it: name another folder")]
    Occupied(PathBuf),
}

impl Error {
    /// Whether another `--cohort` would do.
    pub const fn is_choice(&self) -> bool {
        matches!(self, Self::NoCohort { .. } | Self::Cohorts { .. })
    }
}

/// Writes a cohort of a store as LUNA16's files into a folder, which is made if need be.
///
/// - `annotations.csv`: nodules with at least `min_marks` marks; mean centre and diameter.
/// - `annotations_excluded.csv`: every mark that is in none of them, at its own centre; -1 is the
///   diameter of points.
/// - `seriesuids.csv`: the scans that later stages use; rows of other scans are in no file.
/// - `candidates.csv`, where candidates are given: those of these scans, with classes set anew.
/// - `export.json`: cohort, settings, keys of the tables, SHA-256 of the files ([`Record`]).
///
/// Rows are by series, within one as in the store or the candidates' file. Files are written aside
/// and moved to their place when all are finished; those of an earlier export are replaced.
///
/// # Errors
///
/// Fails if the store lacks a table or the cohort, its nodules are not of its marks, its scans came
/// without images, or the folder has such a file that no export made.
pub fn export(store: &Store, to: &Path, options: Options<'_>) -> Result<Export, Error> {
    let earlier = folder::open(to)?;
    let [scans, nodules, marks] = [Table::Scans, Table::Nodules, Table::Marks]
        .map(|table| store.require(Output::Table(table)));
    let (scans, nodules, marks) = (scans?, nodules?, marks?);
    for version in [&scans, &marks] {
        let now = version.manifest.as_input();
        let then = nodules.manifest.inputs.iter().find(|input| input.name == now.name);
        if then.is_some_and(|then| then.content_sha256 != now.content_sha256) {
            return Err(Error::Stale { table: now.name });
        }
    }
    let merged_with = nodules.manifest.config.get("min_marks").and_then(serde_json::Value::as_i64);
    if let Some(found) = merged_with.filter(|found| *found > options.min_marks) {
        return Err(Error::MinMarks { found, asked: options.min_marks });
    }

    let mut all = Vec::new();
    for batch in scans.columns::<Scan>(Table::Scans, &rows::SCAN_COLUMNS) {
        all.extend(batch?);
    }
    let cohort = rows::cohort(&all, options.cohort)?;
    let mut rows = Rows::new(cohort.clone(), options.min_marks, &all)?;
    for batch in nodules.columns::<Nodule>(Table::Nodules, &rows::NODULE_COLUMNS) {
        for nodule in batch? {
            rows.add_nodule(nodule)?;
        }
    }
    for batch in marks.columns::<Mark>(Table::Marks, &rows::MARK_COLUMNS) {
        for mark in batch? {
            rows.add_mark(mark);
        }
    }
    rows.sort();
    let mut candidates = None;
    let mut n_candidates_left_out = 0;
    if let Some(path) = options.candidates {
        let read = luna_csv::read_candidates(path)?;
        let n_read = read.len();
        let classed = rows.classed(read);
        n_candidates_left_out = n_read - classed.len();
        candidates = Some(classed);
    }
    let record = Record {
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        cohort,
        min_marks: options.min_marks,
        inputs: [&scans, &nodules, &marks].map(|version| version.manifest.as_input()).into(),
        candidates_sha256: options.candidates.map(hash::sha256_file).transpose()?,
        files: Vec::new(),
    };
    let record = folder::write(to, &rows, candidates.as_deref(), record, earlier.as_ref())?;
    Ok(Export { record, n_unplaced: rows.n_unplaced, n_candidates_left_out })
}
