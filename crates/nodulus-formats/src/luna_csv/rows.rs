//! Reads and writes the rows of a CSV file with a header line.

use super::error::Error;
use crate::limits::{DIAMETER_MM, Limit, POSITION_MM};
use fs_err as fs;
use nodulus_settings::near_names;
use serde::Serialize;
use std::io;
use std::path::Path;

/// The text of a file, without a byte order mark and without blank lines at its end.
///
/// METHOD: text has no control characters but tabs and ends of lines. A block of a file that was never written is full of
/// NUL, so that the rows of such a file are not all there. A carriage return alone ends no line: a file that has no other ends
/// would be a header line without rows.
pub(super) fn text(path: &Path) -> Result<String, Error> {
    whole_text(path).map(|(text, _)| text)
}

/// The same text, and whether its last line ends.
pub(super) fn whole_text(path: &Path) -> Result<(String, bool), Error> {
    let mut text =
        nodulus_faults::fs::read_to_string(path).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => Error::NotText(path.to_owned()),
            _ => error.into(),
        })?;
    let end = text.trim_end().len();
    let is_ended = text.is_empty() || text[end..].contains(['\n', '\r']);
    text.truncate(end);
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    let is_control = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    let is_alone =
        |(at, _): &(usize, &str)| !text[at + 1..].trim_start_matches('\r').starts_with('\n');
    let carriage_return = text.match_indices('\r').find(is_alone).map(|(at, _)| at);
    match text.find(is_control).into_iter().chain(carriage_return).min() {
        Some(at) => {
            let line = 1 + text[..at].matches('\n').count();
            Err(Error::Control { path: path.to_owned(), line })
        }
        None => Ok((text, is_ended)),
    }
}

/// The values of a line in the requested columns.
pub(super) struct RowValues<'a, const N: usize> {
    path: &'a Path,
    line: usize,
    names: [&'static str; N],
    values: [&'a str; N],
    /// The values with the spaces about them.
    exact: [&'a str; N],
}

impl<const N: usize> RowValues<'_, N> {
    /// The value of a column, which must not be empty.
    pub(super) fn text(&self, field: usize) -> Result<String, Error> {
        let text = self.values[field];
        if text.is_empty() { Err(self.wrong(field, "some text")) } else { Ok(text.to_owned()) }
    }

    /// The value of a column with the spaces about it; it must not be empty.
    pub(super) fn exact_text(&self, field: usize) -> Result<String, Error> {
        self.text(field).map(|_| unquoted(self.exact[field]).to_owned())
    }

    /// The value of a column, a coordinate.
    pub(super) fn coordinate_mm(&self, field: usize) -> Result<f64, Error> {
        self.within(field, &POSITION_MM)
    }

    /// The value of a column, a diameter.
    pub(super) fn diameter_mm(&self, field: usize) -> Result<f64, Error> {
        self.within(field, &DIAMETER_MM)
    }

    fn within(&self, field: usize, limit: &Limit) -> Result<f64, Error> {
        let number = self.values[field].parse().ok().filter(|number| limit.holds(*number));
        number.ok_or_else(|| self.wrong(field, limit.text))
    }

    /// The value of a column, a finite number.
    pub(super) fn number(&self, field: usize) -> Result<f64, Error> {
        let number = self.values[field].parse().ok().filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| self.wrong(field, "a finite number"))
    }

    /// Whether the value of a column is this number.
    pub(super) fn is(&self, field: usize, number: f64) -> bool {
        self.values[field].parse().is_ok_and(|found: f64| (found - number).abs() < f64::EPSILON)
    }

    /// The value of a column, 0 or 1.
    pub(super) fn class(&self, field: usize) -> Result<u8, Error> {
        let class = self.values[field].parse().ok().filter(|class| *class <= 1);
        class.ok_or_else(|| self.wrong(field, "0 or 1"))
    }

    /// An error about the value of a column.
    pub(super) fn wrong(&self, field: usize, expected: &'static str) -> Error {
        Error::Value {
            path: self.path.to_owned(),
            line: self.line,
            column: self.names[field],
            found: self.values[field].to_owned(),
            expected,
        }
    }
}

/// The rows of a file, each with what is wrong with it.
pub(super) struct Rows<T> {
    pub(super) rows: Vec<Row<T>>,
    /// Whether the last line ends.
    pub(super) is_ended: bool,
}

/// A row of a file.
pub(super) struct Row<T> {
    /// Its line, from 1.
    pub(super) line: usize,
    /// The value of the first column that is asked for; empty if the row has none.
    pub(super) first: String,
    /// Whether that value is the last of the row.
    pub(super) ends_with_first: bool,
    pub(super) value: Result<T, Error>,
}

/// Reads the rows of a file; `row` makes one from the values of the columns `names`, in that order.
pub(super) fn read<T, const N: usize>(
    path: &Path,
    names: [&'static str; N],
    row: impl Fn(&RowValues<'_, N>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    read_each(path, names, row)?.rows.into_iter().map(|row| row.value).collect()
}

/// Reads the rows of a file one by one: what is wrong with one of them does not concern the others.
pub(super) fn read_each<T, const N: usize>(
    path: &Path,
    names: [&'static str; N],
    row: impl Fn(&RowValues<'_, N>) -> Result<T, Error>,
) -> Result<Rows<T>, Error> {
    let (text, is_ended) = whole_text(path)?;
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let found: Vec<&str> = first.split(',').map(value).collect();
    let mut columns = [0; N];
    for (index, column) in columns.iter_mut().zip(names) {
        let mut same = (0..found.len()).filter(|n| found[*n] == column);
        match (same.next(), same.count()) {
            (Some(n), 0) => *index = n,
            (first_index, more) => {
                let others = found.iter().copied().filter(|name| !names.contains(name));
                let near =
                    near_names(column, others).first().map(|name| format!("; rename `{name}`"));
                return Err(Error::Columns {
                    path: path.to_owned(),
                    column,
                    found: usize::from(first_index.is_some()) + more,
                    near: near.unwrap_or_default(),
                    line: first.to_owned(),
                });
            }
        }
    }
    let mut rows = Vec::new();
    for (line, text) in (2..).zip(lines) {
        let exact: Vec<&str> = text.split(',').collect();
        let values: Vec<&str> = exact.iter().map(|text| value(text)).collect();
        let first = columns.first().and_then(|n| values.get(*n)).copied().unwrap_or_default();
        let first = first.to_owned();
        let ends_with_first = columns.first().is_some_and(|n| n + 1 == values.len());
        let value = if let Some(n) = values.iter().position(|value| value.contains('"')) {
            Err(Error::Quote { path: path.to_owned(), line, value: n + 1 })
        } else if values.len() == found.len() {
            let [values, exact] = [values, exact].map(|all| columns.map(|n| all[n]));
            row(&RowValues { path, line, names, values, exact })
        } else {
            let (found, expected) = (values.len(), found.len());
            Err(Error::Fields { path: path.to_owned(), line, found, expected })
        };
        rows.push(Row { line, first, ends_with_first, value });
    }
    Ok(Rows { rows, is_ended })
}

/// UIDs and numbers contain no comma; some programs quote them nevertheless. Other white space than spaces and tabs, such as a
/// no-break space, is part of the value.
fn value(text: &str) -> &str {
    unquoted(text.trim_matches([' ', '\t', '\r']))
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// Writes rows, whose fields are in the order of `names`.
pub(super) fn write<T: Serialize>(path: &Path, names: &[&str], rows: &[T]) -> Result<(), Error> {
    Ok(fs::write(path, csv(path, names, rows)?)?)
}

/// The text of a file of rows, whose fields are in the order of `names`.
pub(super) fn csv<T: Serialize>(path: &Path, names: &[&str], rows: &[T]) -> Result<Vec<u8>, Error> {
    let wrong = |source| Error::Write { path: path.to_owned(), source };
    // The header is written here, so that a file without rows has it too.
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).map_err(wrong)?;
    }
    let body = writer.into_inner().map_err(|error| wrong(error.into_error().into()))?;
    Ok([names.join(",").as_bytes(), b"\n", &body].concat())
}
