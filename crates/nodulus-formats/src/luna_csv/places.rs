//! Places in scans, whichever of LUNA16's tables they are in: `candidates.csv`, a submission, or
//! `annotations.csv`.

use super::{Error, rows};
use std::path::Path;

/// Columns that all of them have.
const NAMES: [&str; 4] = ["seriesuid", "coordX", "coordY", "coordZ"];
/// Those of a submission.
const NAMES_SCORED: [&str; 5] = ["seriesuid", "coordX", "coordY", "coordZ", "probability"];

/// A place in a scan.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Series of the scan.
    pub series_instance_uid: String,
    /// Where it is, LPS.
    pub place_mm: [f64; 3],
    /// What a submission has as its `probability`, which may be any number.
    pub score: Option<f64>,
}

/// Reads the places of a table; none where it has only its first line.
///
/// # Errors
///
/// Fails if the file cannot be read, lacks a column, or a value is no finite number.
pub fn read_places(path: &Path) -> Result<Vec<Place>, Error> {
    let scored = rows::text(path)?.lines().next().is_some_and(|line| {
        line.split(',').any(|name| name.trim().trim_matches('"') == NAMES_SCORED[4])
    });
    if scored {
        rows::read(path, NAMES_SCORED, |fields| place(fields, Some(fields.number(4)?)))
    } else {
        rows::read(path, NAMES, |fields| place(fields, None))
    }
}

fn place<const N: usize>(fields: &rows::Fields<'_, N>, score: Option<f64>) -> Result<Place, Error> {
    let place_mm = [fields.millimetres(1)?, fields.millimetres(2)?, fields.millimetres(3)?];
    Ok(Place { series_instance_uid: fields.text(0)?, place_mm, score })
}

#[cfg(test)]
mod tests {
    use super::super::test_file::{file, message};
    use super::*;

    #[test]
    fn a_score_is_read_where_there_is_one() {
        let place = |score| Place {
            series_instance_uid: "1.3".to_owned(),
            place_mm: [1.5, -2.0, 3.0],
            score,
        };
        for (name, value, score) in
            [("class", "1", None), ("probability", "0.25", Some(0.25)), ("diameter_mm", "7", None)]
        {
            let text = format!("seriesuid,coordX,coordY,coordZ,{name}\n1.3,1.5,-2,3,{value}\n");
            let (_folder, path) = file(&text);
            assert_eq!(read_places(&path).unwrap(), [place(score)]);
        }
        let (_folder, path) = file("coordZ,coordX,coordY,seriesuid\n3,1.5,-2,1.3\n");
        assert_eq!(read_places(&path).unwrap(), [place(None)]);
        let (_folder, path) = file("seriesuid,coordX,coordY\n1.3,1,2\n");
        let error = message(&read_places(&path).unwrap_err());
        assert!(error.contains("column coordZ is there 0 times"), "{error}");
    }
}
