//! Why a CSV file of LUNA16 cannot be read or written.

use nodulus_faults::quoted;
use std::io;
use std::path::PathBuf;

/// A CSV file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system failed.
    #[error("{}", quoted::io(.0))]
    Io(#[from] io::Error),
    /// The file is not text.
    #[error("{path} is not text in UTF-8, expected a CSV file", path = quoted::path(.0))]
    NotText(PathBuf),
    /// A byte that text does not have.
    #[error(
        "{path}, line {line}: a control character (such as NUL, or a carriage return without a line feed), expected text; the file is damaged: \
         write it again",
        path = quoted::path(path)
    )]
    Control {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A quote without its other one.
    #[error(
        "{path}, line {line}: a quote in value {value} that is not closed, expected values without quotes or commas in them",
        path = quoted::path(path)
    )]
    Quote {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The value, from 1.
        value: usize,
    },
    /// A row could not be written.
    #[error("cannot write {path} as CSV", path = quoted::path(path))]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: csv::Error,
    },
    /// The header line lacks a column, or has it twice.
    #[error(
        "{path}, line 1: column {column} occurs {found} times, expected once{near}; the line is {line:?}",
        path = quoted::path(path),
        near = if quoted::is_redacted() { "" } else { near },
        line = quoted::text(line)
    )]
    Columns {
        /// The file.
        path: PathBuf,
        /// Name of the column.
        column: &'static str,
        /// How often the column occurs.
        found: usize,
        /// A near name of the line, as in "; rename `coordx`"; empty where there is none.
        near: String,
        /// The header line.
        line: String,
    },
    /// A row has more or fewer values than the header line has names.
    #[error(
        "{path}, line {line}: {found} values, expected {expected}, one for each name of line 1",
        path = quoted::path(path)
    )]
    Fields {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Values in the line.
        found: usize,
        /// Names in the header line.
        expected: usize,
    },
    /// The last line does not end.
    #[error(
        "{path}, line {line}: the line does not end, so that it may be cut off, expected a line feed; write the file again, \
         or end the line if it is whole",
        path = quoted::path(path)
    )]
    CutOff {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A value is not allowed.
    #[error(
        "{path}, line {line}: {column} is {found:?}, expected {expected}",
        path = quoted::path(path),
        found = quoted::text(found)
    )]
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
