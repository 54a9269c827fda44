//! Positions in scans, from any of LUNA16's tables: `candidates.csv`, a submission, or `annotations.csv`.

use super::error::Error;
use super::rows;
use std::path::Path;

/// Columns that all tables have.
const NAMES: [&str; 4] = ["seriesuid", "coordX", "coordY", "coordZ"];
/// Columns of a submission.
const NAMES_WITH_CONFIDENCE: [&str; 5] = ["seriesuid", "coordX", "coordY", "coordZ", "probability"];

/// A position in a scan.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// `SeriesInstanceUID` of the scan.
    pub series_instance_uid: String,
    /// The position, LPS.
    pub position_mm: [f64; 3],
    /// The `probability` of a submission, which may be any number.
    pub confidence: Option<f64>,
}

/// Reads the positions of a table; a file with a header line alone has none.
///
/// # Errors
///
/// Fails if the file cannot be read, lacks a column, or a value is not a finite number, or a coordinate is
/// beyond its [limit](crate::limits).
pub fn read_positions(path: &Path) -> Result<Vec<Position>, Error> {
    let has_confidence = rows::text(path)?.lines().next().is_some_and(|line| {
        line.split(',').any(|name| name.trim().trim_matches('"') == NAMES_WITH_CONFIDENCE[4])
    });
    if has_confidence {
        rows::read(path, NAMES_WITH_CONFIDENCE, |fields| position(fields, Some(fields.number(4)?)))
    } else {
        rows::read(path, NAMES, |fields| position(fields, None))
    }
}

fn position<const N: usize>(
    fields: &rows::RowValues<'_, N>,
    confidence: Option<f64>,
) -> Result<Position, Error> {
    let position_mm =
        [fields.coordinate_mm(1)?, fields.coordinate_mm(2)?, fields.coordinate_mm(3)?];
    Ok(Position { series_instance_uid: fields.text(0)?, position_mm, confidence })
}

#[cfg(test)]
mod tests {
    use super::super::test_file::{file, message};
    use super::*;

    #[test]
    fn the_confidence_is_read_if_the_table_has_it() {
        let position = |confidence| Position {
            series_instance_uid: "1.3".to_owned(),
            position_mm: [1.5, -2.0, 3.0],
            confidence,
        };
        for (name, value, confidence) in
            [("class", "1", None), ("probability", "0.25", Some(0.25)), ("diameter_mm", "7", None)]
        {
            let text = format!("seriesuid,coordX,coordY,coordZ,{name}\n1.3,1.5,-2,3,{value}\n");
            let (_folder, path) = file(&text);
            assert_eq!(read_positions(&path).unwrap(), [position(confidence)]);
        }
        let (_folder, path) = file("coordZ,coordX,coordY,seriesuid\n3,1.5,-2,1.3\n");
        assert_eq!(read_positions(&path).unwrap(), [position(None)]);
        let (_folder, path) = file("seriesuid,coordX,coordY\n1.3,1,2\n");
        let error = message(&read_positions(&path).unwrap_err());
        assert!(error.contains("column coordZ occurs 0 times"), "{error}");
    }
}
