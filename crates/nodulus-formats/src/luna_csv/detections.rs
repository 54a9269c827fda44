//! A submission to LUNA16: the positions that a detector found, with its confidence in each.

use super::error::Error;
use super::rows;
use serde::Serialize;
use std::path::Path;

/// The file's columns.
const NAMES: [&str; 5] = ["seriesuid", "coordX", "coordY", "coordZ", "probability"];

/// A position that a detector found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Detection {
    /// `SeriesInstanceUID` of the scan, with spaces about it if the file has any: to LUNA16, they make it another series.
    pub series_instance_uid: String,
    /// Position, x, LPS.
    pub x_mm: f64,
    /// Position, y, LPS.
    pub y_mm: f64,
    /// Position, z, LPS.
    pub z_mm: f64,
    /// The file's `probability`, which may be any number: larger is more certain.
    pub confidence: f64,
}

/// Reads a submission; a file with a header line alone has no rows.
///
/// # Errors
///
/// Fails if the file cannot be read, lacks a column, or a value is not a finite number, or a coordinate is
/// beyond its [limit](crate::limits).
pub fn read_detections(path: &Path) -> Result<Vec<Detection>, Error> {
    rows::read(path, NAMES, |fields| {
        Ok(Detection {
            series_instance_uid: fields.exact_text(0)?,
            x_mm: fields.coordinate_mm(1)?,
            y_mm: fields.coordinate_mm(2)?,
            z_mm: fields.coordinate_mm(3)?,
            confidence: fields.number(4)?,
        })
    })
}

/// The text of a submission.
///
/// # Errors
///
/// Fails if a row is none of a CSV file; `path` is what the error names.
pub fn detections_csv(path: &Path, rows: &[Detection]) -> Result<Vec<u8>, Error> {
    rows::csv(path, &NAMES, rows)
}

#[cfg(test)]
mod tests {
    use super::super::test_file::{file, message};
    use super::*;

    #[test]
    fn a_confidence_is_any_finite_number() {
        let text = "seriesuid,coordX,coordY,coordZ,probability\n1.3,1,2,3,-4.5\n";
        let (_folder, path) = file(text);
        let rows = read_detections(&path).unwrap();
        assert_eq!((rows.len(), rows[0].series_instance_uid.as_str()), (1, "1.3"));
        assert!((rows[0].confidence + 4.5).abs() < 1e-12);
        assert_eq!(
            detections_csv(&path, &rows).unwrap(),
            text.replace("1,2,3", "1.0,2.0,3.0").as_bytes()
        );
        let (_folder, path) = file(&text.replace("1.3", "1.3 "));
        assert_eq!(read_detections(&path).unwrap()[0].series_instance_uid, "1.3 ");
        let (_folder, path) = file(&text.replace("-4.5", "NaN"));
        let error = read_detections(&path).unwrap_err();
        assert_eq!(message(&error), "`, line 2: probability is \"NaN\", expected a finite number");
        let (_folder, path) = file(&text.replace("-4.5", "inf"));
        let error = read_detections(&path).unwrap_err();
        assert_eq!(message(&error), "`, line 2: probability is \"inf\", expected a finite number");
    }
}
