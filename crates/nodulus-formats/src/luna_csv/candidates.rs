//! `candidates.csv` and `candidates_V2.csv`: candidate positions of detectors.

use super::error::Error;
use super::rows;
use serde::Serialize;
use std::path::Path;

/// The file's columns.
const NAMES: [&str; 5] = ["seriesuid", "coordX", "coordY", "coordZ", "class"];

/// A candidate position of a detector.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// `SeriesInstanceUID` of the scan.
    pub series_instance_uid: String,
    /// Position, x, LPS.
    pub x_mm: f64,
    /// Position, y, LPS.
    pub y_mm: f64,
    /// Position, z, LPS.
    pub z_mm: f64,
    /// 1 if the position is in a nodule of the reference standard, otherwise 0.
    pub class: u8,
}

/// Reads `candidates.csv`; a file with a header line alone has no rows.
///
/// # Errors
///
/// Fails if the file cannot be read, lacks a column, or a value is not a number within its [limit](crate::limits);
/// classes are 0 or 1.
pub fn read_candidates(path: &Path) -> Result<Vec<Candidate>, Error> {
    rows::read(path, NAMES, |fields| {
        Ok(Candidate {
            series_instance_uid: fields.text(0)?,
            x_mm: fields.coordinate_mm(1)?,
            y_mm: fields.coordinate_mm(2)?,
            z_mm: fields.coordinate_mm(3)?,
            class: fields.class(4)?,
        })
    })
}

/// Writes `candidates.csv`.
///
/// # Errors
///
/// Fails if the file cannot be written.
pub fn write_candidates(path: &Path, rows: &[Candidate]) -> Result<(), Error> {
    rows::write(path, &NAMES, rows)
}

#[cfg(test)]
mod tests {
    use super::super::test_file::{file, message};
    use super::*;
    use fs_err as fs;

    #[test]
    fn candidates_are_read_and_written_unchanged() {
        let text = "seriesuid,coordX,coordY,coordZ,class\n1.3,-56.08,-67.85,-311.92,0\n1.3,53.21,-244.41,-245.17,1\n";
        let (_folder, path) = file(text);
        let rows = read_candidates(&path).unwrap();
        assert_eq!([rows[0].class, rows[1].class], [0, 1]);
        write_candidates(&path, &rows).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        fs::write(&path, text.replace(",1\n", ",2\n")).unwrap();
        assert_eq!(
            message(&read_candidates(&path).unwrap_err()),
            "`, line 3: class is \"2\", expected 0 or 1"
        );
    }
}
