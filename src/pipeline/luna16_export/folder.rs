//! The folder of an export: whose it is, and its files.

use super::Error;
use super::rows::Rows;
use crate::formats::luna_csv::{self, Candidate};
use crate::tables::manifest::{self, InputRef};
use crate::tables::{durable, hash};
use fs_err as fs;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The nodules of the reference standard.
const ANNOTATIONS: &str = "annotations.csv";
/// Marks that are in none of them.
const FINDINGS: &str = "annotations_excluded.csv";
/// The scans.
const SERIES: &str = "seriesuids.csv";
/// Candidates with their classes.
const CANDIDATES: &str = "candidates.csv";
/// What the files were made from.
const RECORD: &str = "export.json";
/// Files that are being written.
const UNFINISHED: &str = ".export.tmp";

/// `export.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Version of the program.
    pub tool_version: String,
    /// The cohort.
    pub cohort: String,
    /// Marks that a nodule of the reference standard has at least.
    pub min_marks: i64,
    /// The store's tables.
    pub inputs: Vec<InputRef>,
    /// SHA-256 of the file that the candidates came from, if any.
    pub candidates_sha256: Option<String>,
    /// The files.
    pub files: Vec<FileRecord>,
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Its name.
    pub file: String,
    /// Its rows.
    pub rows: usize,
    /// SHA-256 of its content.
    pub sha256: String,
}

/// The record of the export that is there, if any.
///
/// # Errors
///
/// Fails if there is none and the folder holds a file of LUNA16's.
pub(super) fn open(to: &Path) -> Result<Option<Record>, Error> {
    let record = manifest::read(&to.join(RECORD))?;
    let names = [ANNOTATIONS, FINDINGS, SERIES, CANDIDATES];
    match names.map(|name| to.join(name)).into_iter().find(|path| path.exists()) {
        Some(path) if record.is_none() => Err(Error::Occupied(path)),
        _ => Ok(record),
    }
}

/// Writes the files aside, then the record, then puts the files in their place.
pub(super) fn write(
    to: &Path,
    rows: &Rows,
    candidates: Option<&[Candidate]>,
    mut record: Record,
    earlier: Option<&Record>,
) -> Result<Record, Error> {
    let aside = to.join(UNFINISHED);
    if aside.exists() {
        fs::remove_dir_all(&aside)?;
    }
    fs::create_dir_all(&aside)?;
    let written: Result<Record, Error> = (|| {
        record.files = write_aside(&aside, rows, candidates)?;
        // First, so that a folder with any of the files is known as an export's.
        manifest::write(&to.join(RECORD), &record)?;
        for file in &record.files {
            durable::publish(&aside.join(&file.file), &to.join(&file.file))?;
        }
        // Classes of an earlier export belong to its nodules.
        let is_candidates = |file: &FileRecord| file.file == CANDIDATES;
        let had = earlier.is_some_and(|earlier| earlier.files.iter().any(is_candidates));
        if had && candidates.is_none() && to.join(CANDIDATES).exists() {
            fs::remove_file(to.join(CANDIDATES))?;
        }
        Ok(record)
    })();
    let cleared = fs::remove_dir_all(&aside);
    let record = written?;
    cleared?;
    Ok(record)
}

fn write_aside(
    aside: &Path,
    rows: &Rows,
    candidates: Option<&[Candidate]>,
) -> Result<Vec<FileRecord>, Error> {
    let series: Vec<&str> = rows.series.iter().map(String::as_str).collect();
    luna_csv::write_annotations(&aside.join(ANNOTATIONS), &rows.annotations)?;
    luna_csv::write_findings(&aside.join(FINDINGS), &rows.findings)?;
    luna_csv::write_series_uids(&aside.join(SERIES), &series)?;
    let mut files = vec![
        (ANNOTATIONS, rows.annotations.len()),
        (FINDINGS, rows.findings.len()),
        (SERIES, series.len()),
    ];
    if let Some(candidates) = candidates {
        luna_csv::write_candidates(&aside.join(CANDIDATES), candidates)?;
        files.push((CANDIDATES, candidates.len()));
    }
    let record = |(name, rows): (&str, usize)| {
        let sha256 = hash::sha256_file(&aside.join(name))?;
        Ok(FileRecord { file: name.to_owned(), rows, sha256 })
    };
    files.into_iter().map(record).collect()
}
