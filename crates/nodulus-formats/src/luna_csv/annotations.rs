//! `annotations.csv`: the nodules of the reference standard.

use super::error::Error;
use super::rows;
use serde::Serialize;
use std::path::Path;

/// The file's columns.
pub(super) const NAMES: [&str; 5] = ["seriesuid", "coordX", "coordY", "coordZ", "diameter_mm"];

/// A nodule of the reference standard.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Annotation {
    /// `SeriesInstanceUID` of the scan.
    pub series_instance_uid: String,
    /// Centre, x, LPS.
    pub x_mm: f64,
    /// Centre, y, LPS.
    pub y_mm: f64,
    /// Centre, z, LPS.
    pub z_mm: f64,
    /// Mean diameter over the readers.
    pub diameter_mm: f64,
}

/// Reads `annotations.csv`; a file with a header line alone has no rows.
///
/// # Errors
///
/// Fails if the file cannot be read, lacks a column, or a value is not a number within its [limit](crate::limits).
pub fn read_annotations(path: &Path) -> Result<Vec<Annotation>, Error> {
    rows::read(path, NAMES, |fields| {
        let diameter_mm = fields.diameter_mm(4)?;
        Ok(Annotation {
            series_instance_uid: fields.text(0)?,
            x_mm: fields.coordinate_mm(1)?,
            y_mm: fields.coordinate_mm(2)?,
            z_mm: fields.coordinate_mm(3)?,
            diameter_mm,
        })
    })
}

/// Writes `annotations.csv`.
///
/// # Errors
///
/// Fails if the file cannot be written.
pub fn write_annotations(path: &Path, rows: &[Annotation]) -> Result<(), Error> {
    rows::write(path, &NAMES, rows)
}

#[cfg(test)]
mod tests {
    use super::super::test_file::{file, message};
    use super::*;
    use fs_err as fs;

    /// Lines of LUNA16's file.
    const ANNOTATIONS: &str = "seriesuid,coordX,coordY,coordZ,diameter_mm\n\
        1.3.6.1.4.1.14519.5.2.1.6279.6001.100225287222365663678666836860,-128.6994211,-175.3192718,-298.3875064,5.651470635\n\
        1.3.6.1.4.1.14519.5.2.1.6279.6001.100225287222365663678666836860,103.7836509,-211.9251487,-227.12125,4.224708481\n";

    #[test]
    fn annotations_are_read_and_written_unchanged() {
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
    fn files_of_other_programs_give_the_same_rows() {
        let (_folder, path) = file(ANNOTATIONS);
        let rows = read_annotations(&path).unwrap();
        let quoted = ANNOTATIONS.replace("1.3.6", "\"1.3.6").replace("6860,", "6860\",");
        let lines = ANNOTATIONS.lines().enumerate();
        let numbered = lines.map(|(n, line)| format!("{n}, {line}")).collect::<Vec<_>>().join("\n");
        for text in [
            format!("\u{feff}{}\r\n", ANNOTATIONS.replace('\n', "\r\n")),
            ANNOTATIONS.trim_end().to_owned(),
            quoted,
            numbered,
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(read_annotations(&path).unwrap(), rows);
        }
    }

    #[test]
    fn invalid_files_are_refused_with_line_and_column() {
        for (from, to, expected) in [
            (
                "-175.3192718",
                "NaN",
                "`, line 2: coordY is \"NaN\", expected -1000000 to 1000000 mm",
            ),
            (
                "-175.3192718",
                "far",
                "`, line 2: coordY is \"far\", expected -1000000 to 1000000 mm",
            ),
            ("-227.12125", "", "`, line 3: coordZ is \"\", expected -1000000 to 1000000 mm"),
            ("4.224708481", "-1", "`, line 3: diameter_mm is \"-1\", expected 0.01 to 1000 mm"),
            ("4.224708481", "1e9", "`, line 3: diameter_mm is \"1e9\", expected 0.01 to 1000 mm"),
            (
                "-227.12125",
                "1e300",
                "`, line 3: coordZ is \"1e300\", expected -1000000 to 1000000 mm",
            ),
            (",5.651470635", "", "`, line 2: 4 values, expected 5, one for each name of line 1"),
            (
                "5.651470635\n",
                "5.651470635\n\n",
                "`, line 3: 1 values, expected 5, one for each name of line 1",
            ),
            (
                "coordY",
                "coordX",
                "`, line 1: column coordX occurs 2 times, expected once; the line is \
                 \"seriesuid,coordX,coordX,coordZ,diameter_mm\"",
            ),
            (
                "coordY",
                "y",
                "`, line 1: column coordY occurs 0 times, expected once; the line is \
                 \"seriesuid,coordX,y,coordZ,diameter_mm\"",
            ),
            (
                "coordY",
                "coordy",
                "`, line 1: column coordY occurs 0 times, expected once; rename `coordy`; the line is \
                 \"seriesuid,coordX,coordy,coordZ,diameter_mm\"",
            ),
        ] {
            let (_folder, path) = file(&ANNOTATIONS.replace(from, to));
            assert_eq!(message(&read_annotations(&path).unwrap_err()), expected);
        }
        // A header line that lacks columns, and an empty file.
        let (_folder, path) = file("seriesuid,coordX\n");
        assert!(matches!(read_annotations(&path), Err(Error::Columns { column: "coordY", .. })));
        let (_folder, path) = file("");
        assert!(matches!(read_annotations(&path), Err(Error::Columns { column: "seriesuid", .. })));
    }
}
