//! `annotations_excluded.csv`: marks of readers that the reference standard excludes.

use super::annotations::{self, Annotation};
use super::error::Error;
use super::rows;
use serde::{Serialize, Serializer};
use std::path::Path;

/// A mark that is not a nodule of the reference standard. A detection there counts as neither right nor wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// `SeriesInstanceUID` of the scan.
    pub series_instance_uid: String,
    /// Centre, x, LPS.
    pub x_mm: f64,
    /// Centre, y, LPS.
    pub y_mm: f64,
    /// Centre, z, LPS.
    pub z_mm: f64,
    /// Diameter; `None`, stored as -1, for points: nodules under 3 mm and non-nodules.
    #[serde(serialize_with = "or_minus_one")]
    pub diameter_mm: Option<f64>,
}

impl From<&Annotation> for Finding {
    fn from(nodule: &Annotation) -> Self {
        Self {
            series_instance_uid: nodule.series_instance_uid.clone(),
            x_mm: nodule.x_mm,
            y_mm: nodule.y_mm,
            z_mm: nodule.z_mm,
            diameter_mm: Some(nodule.diameter_mm),
        }
    }
}

/// Reads `annotations_excluded.csv`; a file with a header line alone has no rows.
///
/// # Errors
///
/// Fails if the file cannot be read, lacks a column, or a value is not a number within its [limit](crate::limits), or -1 for
/// the diameter of a point.
pub fn read_findings(path: &Path) -> Result<Vec<Finding>, Error> {
    rows::read(path, annotations::NAMES, |fields| {
        let is_point = fields.is(4, -1.0);
        let expected = "0.01 to 1000 mm, or -1 for a point";
        let diameter_mm = if is_point {
            None
        } else {
            Some(fields.diameter_mm(4).map_err(|_| fields.wrong(4, expected))?)
        };
        Ok(Finding {
            series_instance_uid: fields.text(0)?,
            x_mm: fields.coordinate_mm(1)?,
            y_mm: fields.coordinate_mm(2)?,
            z_mm: fields.coordinate_mm(3)?,
            diameter_mm,
        })
    })
}

/// Writes `annotations_excluded.csv`.
///
/// # Errors
///
/// Fails if the file cannot be written.
pub fn write_findings(path: &Path, rows: &[Finding]) -> Result<(), Error> {
    rows::write(path, &annotations::NAMES, rows)
}

#[expect(clippy::ref_option, reason = "the signature that serde requires")]
fn or_minus_one<S: Serializer>(diameter: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match diameter {
        Some(diameter) => serializer.serialize_f64(*diameter),
        None => serializer.serialize_i8(-1),
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_file::{file, message};
    use super::*;
    use fs_err as fs;

    const FINDINGS: &str = "seriesuid,coordX,coordY,coordZ,diameter_mm\n\
        1.3,-24.5,64.25,-80.0,-1\n\
        1.3,-24.5,64.25,-80.0,6.5\n";

    #[test]
    fn points_have_no_diameter() {
        let (_folder, path) = file(FINDINGS);
        let rows = read_findings(&path).unwrap();
        assert_eq!([rows[0].diameter_mm, rows[1].diameter_mm], [None, Some(6.5)]);
        write_findings(&path, &rows).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), FINDINGS);
        fs::write(&path, FINDINGS.replace(",-1\n", ",-1.0\n")).unwrap();
        assert_eq!(read_findings(&path).unwrap(), rows);
        write_findings(&path, &[]).unwrap();
        assert_eq!(read_findings(&path).unwrap(), []);
    }

    #[test]
    fn other_diameters_that_are_not_positive_are_refused() {
        for diameter in ["-2", "0", "NaN", "-1.001"] {
            let (_folder, path) = file(&FINDINGS.replace("6.5", diameter));
            let expected = "0.01 to 1000 mm, or -1 for a point";
            assert_eq!(
                message(&read_findings(&path).unwrap_err()),
                format!("`, line 3: diameter_mm is {diameter:?}, expected {expected}")
            );
        }
    }
}
