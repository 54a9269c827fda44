//! LUNA16's CSV files: nodules, other findings, candidates, submissions and the list of series.
//!
//! Positions are patient millimetres, LPS. A byte order mark, `\r\n` and blank lines at the end are
//! read over; more columns than LUNA16's are left alone. Source: the LUNA16 challenge (Setio et al.
//! 2017).

mod rows;
mod annotations;
mod findings;
mod candidates;
mod detections;
mod places;
mod series_uids;

pub use annotations::{Annotation, read_annotations, write_annotations};
pub use candidates::{Candidate, read_candidates, write_candidates};
pub use detections::{Detection, read_detections};
pub use findings::{Finding, read_findings, write_findings};
pub use places::{Place, read_places};
pub use series_uids::{read_series_uids, write_series_uids};

use std::io;
use std::path::PathBuf;

/// A CSV file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A row could not be written.
    #[error("cannot write `{path}` as CSV")]
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: csv::Error,
    },
    /// The line of names lacks a column, or has it twice.
    #[error(
        "`{path}`, line 1: column {column} is there {found} times, expected once; the line is {line:?}"
    )]
    Columns {
        /// The file.
        path: PathBuf,
        /// Name of the column.
        column: &'static str,
        /// How often it is there.
        found: usize,
        /// The line of names.
        line: String,
    },
    /// A row has more or fewer values than there are names.
    #[error(
        "`{path}`, line {line}: {found} values, expected {expected}, one for each name of line 1"
    )]
    Fields {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Values in the line.
        found: usize,
        /// Names in the first line.
        expected: usize,
    },
    /// A row's value is not allowed.
    #[error("`{path}`, line {line}: {column} is {found:?}, expected {expected}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Name of the column.
        column: &'static str,
        /// The value.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
}

#[cfg(test)]
mod test_file {
    use super::Error;
    use std::path::PathBuf;

    /// A file `a.csv` with a text, and the folder that it goes with.
    pub(super) fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        fs_err::write(&path, text).unwrap();
        (folder, path)
    }

    /// What an error says after the file's folder.
    pub(super) fn message(error: &Error) -> String {
        let error = error.to_string();
        error.rsplit_once("a.csv").unwrap().1.to_owned()
    }
}
