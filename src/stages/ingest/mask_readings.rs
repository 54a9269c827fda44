//! Turns the masks of a scan into rows, reader by reader.

use super::case_rows::CaseRows;
use super::frame::Frame;
use super::mask_marks::{self, MaskSource};
use crate::tables::Scan;
use crate::tables::exclusions::{Exclusion, ExclusionRule};
use nodulus_formats::mask_file::{self, MaskFile, MaskRules};
use nodulus_store::FailedCase;
use std::collections::BTreeMap;

/// A mask file of a reader.
#[derive(Debug)]
pub struct Reading {
    /// Index of the reader in the cohort's settings.
    pub(super) session: usize,
    /// The reader's name, where readers have names.
    pub(super) reader: Option<String>,
    /// The file's content, or why it cannot be read.
    pub(super) mask: Result<MaskFile, mask_file::Error>,
}

/// The rows of a scan's masks, and the number of readers whose masks could all be used. A scan that is not included gets no
/// marks.
///
/// METHOD: a reader with a refused file gets no marks of that scan at all: with some marks missing, the reader would count
/// as one who did not see those nodules.
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
    let mut n_complete = 0;
    for files in readers.into_values() {
        let (mut own, mut done) = (CaseRows::default(), Vec::new());
        for (file, (path, reading)) in files.into_iter().enumerate() {
            let failure = |error: &(dyn std::error::Error + 'static)| {
                FailedCase::new("ingest", &scan.series_instance_uid, error, Some(path.to_owned()))
            };
            match &reading.mask {
                Err(error) => own.failures.push(failure(error)),
                Ok(_) if !scan.included => {}
                Ok(mask) => {
                    let source = MaskSource {
                        session: reading.session,
                        reader: reading.reader.as_deref(),
                        file,
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
            n_complete += 1;
        } else {
            own.marks.clear();
            own.exclusions = done.into_iter().map(|path| incomplete(scan, path)).collect();
        }
        rows.extend(own);
    }
    (rows, n_complete)
}

fn incomplete(scan: &Scan, path: &str) -> Exclusion {
    let reason = "another file of its reader is refused".to_owned();
    let series = Some(scan.series_instance_uid.as_str());
    Exclusion::new(ExclusionRule::IncompleteReading, Some(&scan.cohort), series, path, reason)
        .of_file(path)
}
