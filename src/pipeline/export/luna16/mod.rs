//! Exports a cohort as LUNA16's files.

mod rows;
mod published;
mod files;

pub use files::Counts;

use super::folder::{Folder, Record};
use super::{Error, check_made_of, one_cohort};
use crate::tables::{Output, Table};
use nodulus_formats::luna_csv;
use nodulus_store::{Store, hash};
use published::{DRAWN_COLUMNS, DrawnColumns, PublishedMarks};
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
    /// Whether both files of marks are those that LUNA16 published, row by row, rather than the store's nodules.
    pub as_published: bool,
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
    /// Whether the files are those that LUNA16 published, row by row.
    pub as_published: bool,
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
///
/// With `as_published`, these two files are made from the marks by LUNA16's own rule, whatever `nodules` has: each mark is a row
/// of one of the two, with numbers of ten digits.
///
/// - `seriesuids.csv`: the included scans; nodules and marks of other scans are in no file.
/// - `candidates.csv`, where candidates are given: those of the included scans, with new classes.
/// - `export.json`: cohort, settings, keys of the tables, SHA-256 of the files ([`Record`]).
///
/// Rows are by series, and within a series in the order of the store or of the candidates' file. The files replace those
/// of an earlier export when all are finished.
///
/// # Errors
///
/// Fails if the store lacks a table or the cohort, the nodules were not made from the current marks, the place of a scan in the
/// patient is not known, marks are no lines and `as_published` asks for them, or the folder has a file that no export wrote.
pub fn export(
    store: &Store,
    to: &Path,
    options: Luna16Options<'_>,
) -> Result<Record<Luna16Description>, Error> {
    let folder = Folder::open(to)?;
    let require = |table| store.require(Output::Table(table));
    let (scans, marks) = (require(Table::Scans)?, require(Table::Marks)?);
    let mut inputs = vec![scans.manifest.as_input()];
    let mut all = Vec::new();
    for batch in scans.columns::<ScanColumns>(&rows::SCAN_COLUMNS) {
        all.extend(batch?);
    }
    let cohort = one_cohort(&rows::cohorts(&all), options.cohort)?;
    let mut rows = Luna16Rows::new(cohort.clone(), options.min_marks, &all)?;
    if options.as_published {
        let included = all.iter().filter(|scan| scan.included && scan.cohort == cohort);
        let mut published = PublishedMarks::new(included)?;
        for batch in marks.columns::<DrawnColumns>(&DRAWN_COLUMNS) {
            for mark in batch?.iter().filter(|mark| mark.cohort == cohort) {
                published.add(mark)?;
            }
        }
        rows.set_published(published);
    } else {
        let nodules = require(Table::Nodules)?;
        for version in [&scans, &marks] {
            check_made_of(&nodules, version)?;
        }
        let least = nodules.manifest.config.get("min_marks").and_then(serde_json::Value::as_i64);
        if let Some(found) = least.filter(|found| *found > options.min_marks) {
            return Err(Error::MinMarks { found, asked: options.min_marks });
        }
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
        inputs.push(nodules.manifest.as_input());
    }
    inputs.push(marks.manifest.as_input());
    let mut candidates = None;
    let mut n_candidates_left_out = 0;
    if let Some(path) = options.candidates {
        let read = luna_csv::read_candidates(path)?;
        let n_read = read.len();
        let classed = rows.classed(read);
        n_candidates_left_out = n_read - classed.len();
        candidates = Some(classed);
    }
    let counts = files::write(folder.aside(), &rows, candidates.as_deref(), options.as_published)?;
    let about = Luna16Description {
        cohort,
        min_marks: options.min_marks,
        as_published: options.as_published,
        candidates_sha256: options.candidates.map(hash::sha256_file).transpose()?,
        rows: counts,
        n_unplaced: rows.n_unplaced,
        n_candidates_left_out,
    };
    folder.publish("luna16", about, inputs)
}
