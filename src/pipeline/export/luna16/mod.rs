//! Exports a cohort as LUNA16's files.

mod rows;
mod files;

pub use files::Counts;

use super::folder::{Folder, Record};
use super::{Error, check_made_of, one_cohort};
use crate::tables::{Output, Table};
use nodulus_formats::luna_csv;
use nodulus_store::{Store, hash};
use rows::{Luna16Rows, MarkColumns, NoduleColumns, ScanColumns};
use serde::Serialize;
use std::path::Path;

/// Options of the export.
#[derive(Clone, Copy, Debug)]
pub struct Luna16Options<'a> {
    /// The cohort; `None` for the only one.
    pub cohort: Option<&'a str>,
    /// Least number of marks of a nodule of the reference standard.
    pub min_marks: i64,
    /// File of candidates whose classes are computed again.
    pub candidates: Option<&'a Path>,
}

/// Settings and counts of the export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Luna16Description {
    /// The cohort.
    pub cohort: String,
    /// Least number of marks of a nodule of the reference standard.
    pub min_marks: i64,
    /// SHA-256 of the candidates' file, if any.
    pub candidates_sha256: Option<String>,
    /// Rows of the files, by their names.
    pub rows: Counts,
    /// Number of marks without a position, which are in no file.
    pub n_unplaced: usize,
    /// Number of candidates of other scans, which are in no file.
    pub n_candidates_left_out: usize,
}

/// Writes a cohort as LUNA16's files into a folder, which is created if necessary.
///
/// - `annotations.csv`: nodules with at least `min_marks` marks; mean centre and diameter.
/// - `annotations_excluded.csv`: every mark that is in none of these nodules, at its own centre; points have the
///   diameter -1.
/// - `seriesuids.csv`: the included scans; nodules and marks of other scans are in no file.
/// - `candidates.csv`, where candidates are given: those of the included scans, with new classes.
/// - `export.json`: cohort, settings, keys of the tables, SHA-256 of the files ([`Record`]).
///
/// Rows are by series, and within a series in the order of the store or of the candidates' file. The files replace those
/// of an earlier export when all are finished.
///
/// # Errors
///
/// Fails if the store lacks a table or the cohort, the nodules were not made from the current marks, a scan has no image,
/// or the folder has a file that no export wrote.
pub fn export(
    store: &Store,
    to: &Path,
    options: Luna16Options<'_>,
) -> Result<Record<Luna16Description>, Error> {
    let folder = Folder::open(to)?;
    let [scans, nodules, marks] = [Table::Scans, Table::Nodules, Table::Marks]
        .map(|table| store.require(Output::Table(table)));
    let (scans, nodules, marks) = (scans?, nodules?, marks?);
    for version in [&scans, &marks] {
        check_made_of(&nodules, version)?;
    }
    let merged_with = nodules.manifest.config.get("min_marks").and_then(serde_json::Value::as_i64);
    if let Some(found) = merged_with.filter(|found| *found > options.min_marks) {
        return Err(Error::MinMarks { found, asked: options.min_marks });
    }

    let mut all = Vec::new();
    for batch in scans.columns::<ScanColumns>(&rows::SCAN_COLUMNS) {
        all.extend(batch?);
    }
    let cohort = one_cohort(&rows::cohorts(&all), options.cohort)?;
    let mut rows = Luna16Rows::new(cohort.clone(), options.min_marks, &all)?;
    for batch in nodules.columns::<NoduleColumns>(&rows::NODULE_COLUMNS) {
        for nodule in batch? {
            rows.add_nodule(nodule)?;
        }
    }
    for batch in marks.columns::<MarkColumns>(&rows::MARK_COLUMNS) {
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
    let counts = files::write(folder.aside(), &rows, candidates.as_deref())?;
    let about = Luna16Description {
        cohort,
        min_marks: options.min_marks,
        candidates_sha256: options.candidates.map(hash::sha256_file).transpose()?,
        rows: counts,
        n_unplaced: rows.n_unplaced,
        n_candidates_left_out,
    };
    let inputs = [&scans, &nodules, &marks].map(|version| version.manifest.as_input());
    folder.publish("luna16", about, inputs.into())
}
