//! The masks of a scan, reader by reader.

use super::case_rows::CaseRows;
use super::frame::Frame;
use super::mask_marks::{self, Source};
use crate::tables::exclusions::{Exclusion, Rule};
use crate::tables::{Failure, Scan};
use nodulus_formats::mask_file::{self, MaskFile, MaskRules};
use std::collections::BTreeMap;

/// A file of a reader's marks.
#[derive(Debug)]
pub struct Reading {
    /// The reader, as an index of the cohort's.
    pub(super) session: usize,
    /// The reader's name, where readers have names.
    pub(super) reader: Option<String>,
    /// What the file holds, or why it cannot be read.
    pub(super) mask: Result<MaskFile, mask_file::Error>,
}

/// The rows of a scan's masks, and how many readers there are whose masks could be used. A scan that is
/// not included has no marks.
///
/// METHOD: a reader with a file that is refused has no marks of that scan at all: with some of them
/// missing, the reader would count as one who did not see them.
pub(super) fn rows(
    scan: &Scan,
    frame: &Frame,
    rules: &MaskRules,
    masks: &[(&str, &Reading)],
) -> (CaseRows, usize) {
    let mut rows = CaseRows::default();
    let mut readers: BTreeMap<usize, Vec<(&str, &Reading)>> = BTreeMap::new();
    for (path, reading) in masks {
        readers.entry(reading.session).or_default().push((path, reading));
    }
    let mut n_whole = 0;
    for files in readers.into_values() {
        let (mut own, mut done) = (CaseRows::default(), Vec::new());
        for (path, reading) in files {
            let failure = |error: &dyn std::error::Error| {
                Failure::new("ingest", &scan.series_instance_uid, error, Some(path.to_owned()))
            };
            match &reading.mask {
                Err(error) => own.failures.push(failure(error)),
                Ok(_) if !scan.included => {}
                Ok(mask) => {
                    let source = Source {
                        session: reading.session,
                        reader: reading.reader.as_deref(),
                        path,
                    };
                    match mask_marks::marks(scan, frame, rules, mask, source) {
                        Ok((marks, exclusions)) => {
                            own.marks.extend(marks);
                            own.exclusions.extend(exclusions);
                            done.push(path);
                        }
                        Err(error) => own.failures.push(failure(&error)),
                    }
                }
            }
        }
        if own.failures.is_empty() {
            n_whole += 1;
        } else {
            own.marks.clear();
            own.exclusions = done.into_iter().map(|path| incomplete(scan, path)).collect();
        }
        rows.extend(own);
    }
    (rows, n_whole)
}

fn incomplete(scan: &Scan, path: &str) -> Exclusion {
    let reason = "another file of its reader is refused".to_owned();
    let series = Some(scan.series_instance_uid.as_str());
    Exclusion::new(Rule::IncompleteReading, Some(&scan.cohort), series, path, reason).of_file(path)
}
