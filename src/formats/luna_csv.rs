//! LUNA16's CSV files: nodules, candidates and the list of series.
//!
//! Positions are patient millimetres, LPS. Source: the LUNA16 challenge (Setio et al. 2017).

use fs_err as fs;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// A nodule of the reference standard: a row of `annotations.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Annotation {
    /// Series of the scan.
    #[serde(rename = "seriesuid")]
    pub series_instance_uid: String,
    /// Centre, x.
    #[serde(rename = "coordX")]
    pub x_mm: f64,
    /// Centre, y.
    #[serde(rename = "coordY")]
    pub y_mm: f64,
    /// Centre, z.
    #[serde(rename = "coordZ")]
    pub z_mm: f64,
    /// Mean diameter over the readers.
    pub diameter_mm: f64,
}

/// A place that a detector found: a row of `candidates.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Series of the scan.
    #[serde(rename = "seriesuid")]
    pub series_instance_uid: String,
    /// Place, x.
    #[serde(rename = "coordX")]
    pub x_mm: f64,
    /// Place, y.
    #[serde(rename = "coordY")]
    pub y_mm: f64,
    /// Place, z.
    #[serde(rename = "coordZ")]
    pub z_mm: f64,
    /// 1 where it hits a nodule of the reference standard, 0 elsewhere.
    pub class: u8,
}

/// A CSV file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file has other columns, or a row does not fit them.
    #[error("`{path}` is not a table of LUNA16")]
    Csv {
        /// The file.
        path: PathBuf,
        /// Line, column and what is wrong.
        source: csv::Error,
    },
    /// A row's value is not allowed.
    #[error("`{path}`, line {line}: {column} is {found}, expected {expected}")]
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

/// Reads `annotations.csv`; none where it has only its first line.
///
/// # Errors
///
/// Fails if the file cannot be read, lacks a column, or a value is no number; positions must be
/// finite and diameters positive.
pub fn read_annotations(path: &Path) -> Result<Vec<Annotation>, Error> {
    let rows: Vec<Annotation> = read(path)?;
    for (n, row) in rows.iter().enumerate() {
        finite(path, n, [row.x_mm, row.y_mm, row.z_mm])?;
        if !(row.diameter_mm.is_finite() && row.diameter_mm > 0.0) {
            let found = row.diameter_mm.to_string();
            return Err(value(path, n, "diameter_mm", found, "positive millimetres"));
        }
    }
    Ok(rows)
}

/// Reads `candidates.csv`; none where it has only its first line.
///
/// # Errors
///
/// Fails if the file cannot be read, lacks a column, or a value is no number; positions must be
/// finite and classes 0 or 1.
pub fn read_candidates(path: &Path) -> Result<Vec<Candidate>, Error> {
    let rows: Vec<Candidate> = read(path)?;
    for (n, row) in rows.iter().enumerate() {
        finite(path, n, [row.x_mm, row.y_mm, row.z_mm])?;
        if row.class > 1 {
            return Err(value(path, n, "class", row.class.to_string(), "0 or 1"));
        }
    }
    Ok(rows)
}

/// Reads `seriesuids.csv`: one series a line, without a line of names.
///
/// # Errors
///
/// Fails if the file cannot be read, or a line is no UID.
pub fn read_series_uids(path: &Path) -> Result<Vec<String>, Error> {
    let text = fs::read_to_string(path)?;
    let mut uids = Vec::new();
    for (n, line) in text.lines().map(str::trim).enumerate() {
        let is_uid = !line.is_empty() && line.chars().all(|c| c.is_ascii_digit() || c == '.');
        if !is_uid {
            let (path, found) = (path.to_owned(), format!("{line:?}"));
            let (column, expected) = ("seriesuid", "a UID of digits and dots");
            return Err(Error::Value { path, line: n + 1, column, found, expected });
        }
        uids.push(line.to_owned());
    }
    Ok(uids)
}

/// Writes `annotations.csv`.
///
/// # Errors
///
/// Fails if the file cannot be written.
pub fn write_annotations(path: &Path, rows: &[Annotation]) -> Result<(), Error> {
    write(path, "seriesuid,coordX,coordY,coordZ,diameter_mm", rows)
}

/// Writes `candidates.csv`.
///
/// # Errors
///
/// Fails if the file cannot be written.
pub fn write_candidates(path: &Path, rows: &[Candidate]) -> Result<(), Error> {
    write(path, "seriesuid,coordX,coordY,coordZ,class", rows)
}

/// Writes `seriesuids.csv`.
///
/// # Errors
///
/// Fails if the file cannot be written.
pub fn write_series_uids<S: AsRef<str>>(path: &Path, uids: &[S]) -> Result<(), Error> {
    let lines: String = uids.iter().flat_map(|uid| [uid.as_ref(), "\n"]).collect();
    Ok(fs::write(path, lines)?)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, Error> {
    let file = fs::File::open(path)?;
    let rows = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file).into_deserialize();
    rows.collect::<Result<_, _>>().map_err(|source| Error::Csv { path: path.to_owned(), source })
}

fn write<T: Serialize>(path: &Path, names: &str, rows: &[T]) -> Result<(), Error> {
    let wrong = |source| Error::Csv { path: path.to_owned(), source };
    // The names are written here, so that a file without rows has them too.
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).map_err(wrong)?;
    }
    let body = writer.into_inner().map_err(|error| wrong(error.into_error().into()))?;
    Ok(fs::write(path, [names.as_bytes(), b"\n", &body].concat())?)
}

fn finite(path: &Path, row: usize, position_mm: [f64; 3]) -> Result<(), Error> {
    for (column, position) in ["coordX", "coordY", "coordZ"].into_iter().zip(position_mm) {
        if !position.is_finite() {
            return Err(value(path, row, column, position.to_string(), "finite millimetres"));
        }
    }
    Ok(())
}

/// A wrong value in a row of a file with a line of names.
fn value(
    path: &Path,
    row: usize,
    column: &'static str,
    found: String,
    expected: &'static str,
) -> Error {
    Error::Value { path: path.to_owned(), line: row + 2, column, found, expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines as LUNA16 has them.
    const ANNOTATIONS: &str = "seriesuid,coordX,coordY,coordZ,diameter_mm\n\
        1.3.6.1.4.1.14519.5.2.1.6279.6001.100225287222365663678666836860,-128.6994211,-175.3192718,-298.3875064,5.651470635\n\
        1.3.6.1.4.1.14519.5.2.1.6279.6001.100225287222365663678666836860,103.7836509,-211.9251487,-227.12125,4.224708481\n";

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn message(error: &Error) -> String {
        let error = error.to_string();
        error.rsplit_once("a.csv").unwrap().1.to_owned()
    }

    #[test]
    fn annotations_are_read_and_written_as_they_stand() {
        let (_folder, path) = file(ANNOTATIONS);
        let rows = read_annotations(&path).unwrap();
        assert_eq!(rows.len(), 2);
        assert!((rows[1].x_mm - 103.783_650_9).abs() < 1e-12);
        assert!((rows[1].diameter_mm - 4.224_708_481).abs() < 1e-12);
        write_annotations(&path, &rows).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), ANNOTATIONS);
        write_annotations(&path, &[]).unwrap();
        assert_eq!(read_annotations(&path).unwrap(), []);
    }

    #[test]
    fn candidates_are_read_and_written_as_they_stand() {
        let text = "seriesuid,coordX,coordY,coordZ,class\n1.3,-56.08,-67.85,-311.92,0\n1.3,53.21,-244.41,-245.17,1\n";
        let (_folder, path) = file(text);
        let rows = read_candidates(&path).unwrap();
        assert_eq!([rows[0].class, rows[1].class], [0, 1]);
        write_candidates(&path, &rows).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        fs::write(&path, text.replace(",1\n", ",2\n")).unwrap();
        assert_eq!(
            message(&read_candidates(&path).unwrap_err()),
            "`, line 3: class is 2, expected 0 or 1"
        );
    }

    #[test]
    fn series_are_one_a_line() {
        let (_folder, path) = file("1.3.6\n1.3.7\n");
        let uids = read_series_uids(&path).unwrap();
        assert_eq!(uids, ["1.3.6", "1.3.7"]);
        write_series_uids(&path, &uids).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1.3.6\n1.3.7\n");
        fs::write(&path, "1.3.6\nabc\n").unwrap();
        let error = read_series_uids(&path).unwrap_err();
        assert_eq!(
            message(&error),
            "`, line 2: seriesuid is \"abc\", expected a UID of digits and dots"
        );
    }

    #[test]
    fn wrong_files_are_refused() {
        for (from, to) in [("coordY", "y"), ("-175.3192718", "far"), (",5.651470635", "")] {
            let (_folder, path) = file(&ANNOTATIONS.replace(from, to));
            assert!(matches!(read_annotations(&path), Err(Error::Csv { .. })), "{to}");
        }
        for (from, to, expected) in [
            ("-175.3192718", "NaN", "`, line 2: coordY is NaN, expected finite millimetres"),
            ("4.224708481", "-1", "`, line 3: diameter_mm is -1, expected positive millimetres"),
        ] {
            let (_folder, path) = file(&ANNOTATIONS.replace(from, to));
            assert_eq!(message(&read_annotations(&path).unwrap_err()), expected);
        }
    }
}
