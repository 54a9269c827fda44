//! Writes LUNA16's files.

use super::rows::Luna16Rows;
use crate::pipeline::export::Error;
use nodulus_formats::luna_csv::{self, Candidate, Finding};
use serde::Serialize;
use std::path::Path;

/// The nodules of the reference standard.
const ANNOTATIONS: &str = "annotations.csv";
/// Marks that are in none of these nodules.
const FINDINGS: &str = "annotations_excluded.csv";
/// The scans.
const SERIES: &str = "seriesuids.csv";
/// Candidates with their classes.
const CANDIDATES: &str = "candidates.csv";

/// Number of rows of each file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Nodules of the reference standard.
    pub annotations: usize,
    /// Marks that are in none of these nodules.
    pub annotations_excluded: usize,
    /// Scans.
    pub seriesuids: usize,
    /// Candidates, where any were given.
    pub candidates: Option<usize>,
}

/// Writes the files into a folder; `as_published` with numbers as LUNA16 printed them.
pub(super) fn write(
    folder: &Path,
    rows: &Luna16Rows,
    candidates: Option<&[Candidate]>,
    as_published: bool,
) -> Result<Counts, Error> {
    let series: Vec<&str> = rows.series.iter().map(String::as_str).collect();
    let (annotations, findings) = (folder.join(ANNOTATIONS), folder.join(FINDINGS));
    if as_published {
        let nodules: Vec<Finding> = rows.annotations.iter().map(Finding::from).collect();
        luna_csv::write_published(&annotations, &nodules)?;
        luna_csv::write_published(&findings, &rows.findings)?;
    } else {
        luna_csv::write_annotations(&annotations, &rows.annotations)?;
        luna_csv::write_findings(&findings, &rows.findings)?;
    }
    luna_csv::write_series_uids(&folder.join(SERIES), &series)?;
    if let Some(candidates) = candidates {
        luna_csv::write_candidates(&folder.join(CANDIDATES), candidates)?;
    }
    Ok(Counts {
        annotations: rows.annotations.len(),
        annotations_excluded: rows.findings.len(),
        seriesuids: series.len(),
        candidates: candidates.map(<[Candidate]>::len),
    })
}
