//! Positions in scans, from any of LUNA16's tables: `candidates.csv`, a submission, or `annotations.csv`.

use super::error::Error;
use super::rows::{self, Row, Rows};
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

/// A row of a table of positions.
#[derive(Debug)]
pub struct PositionRow {
    /// Its line, from 1.
    pub line: usize,
    /// `SeriesInstanceUID` of the scan, empty if the row is whole but for that; `None` if a row that is wrong does not tell it for
    /// certain.
    pub series_instance_uid: Option<String>,
    /// The position, or what is wrong with the row.
    pub position: Result<Position, Error>,
}

/// Reads the positions of a table; a file with a header line alone has none.
///
/// METHOD: a number that is cut short is a number too, so that the last line counts only if it ends. A row that is wrong
/// tells its series only where another value follows it: a name that is cut short is a name too, and may be the beginning of
/// several. It tells none where the name has a quote alone or is that of the column. A row of as many values as the header has
/// names is whole.
///
/// # Errors
///
/// Fails if the file cannot be read, lacks a column or is a header line without an end. A row is wrong if it has more or
/// fewer values than the header, a value is not a finite number, a coordinate is beyond its [limit](crate::limits), or its
/// line does not end.
pub fn read_positions(path: &Path) -> Result<Vec<PositionRow>, Error> {
    let has_confidence = rows::text(path)?.lines().next().is_some_and(|line| {
        line.split(',').any(|name| name.trim().trim_matches('"') == NAMES_WITH_CONFIDENCE[4])
    });
    let Rows { mut rows, is_ended } = if has_confidence {
        rows::read_each(path, NAMES_WITH_CONFIDENCE, |fields| {
            position(fields, Some(fields.number(4)?))
        })?
    } else {
        rows::read_each(path, NAMES, |fields| position(fields, None))?
    };
    if !is_ended {
        let Some(last) = rows.last_mut() else {
            return Err(Error::CutOff { path: path.to_owned(), line: 1 });
        };
        last.value = Err(Error::CutOff { path: path.to_owned(), line: last.line });
    }
    let rows = rows.into_iter();
    Ok(rows
        .map(|row| PositionRow {
            line: row.line,
            series_instance_uid: told(&row),
            position: row.value,
        })
        .collect())
}

/// The series of a row, if it is told for certain.
fn told(row: &Row<Position>) -> Option<String> {
    let is_partial = matches!(row.value, Err(Error::CutOff { .. } | Error::Fields { .. }));
    let is_cut = is_partial && (row.ends_with_first || row.first.is_empty());
    let is_name = row.first != NAMES[0] && !row.first.contains('"');
    (is_name && !is_cut).then(|| row.first.clone())
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

    fn positions(path: &Path) -> Vec<Position> {
        let rows = read_positions(path).unwrap().into_iter();
        rows.map(|row| row.position.unwrap()).collect()
    }

    /// The series of each row, and what is wrong with it.
    fn rows(text: &str) -> Vec<(Option<String>, String)> {
        let (_folder, path) = file(text);
        let rows = read_positions(&path).unwrap().into_iter();
        rows.map(|row| {
            let wrong = row.position.err().map(|error| message(&error)).unwrap_or_default();
            (row.series_instance_uid, wrong)
        })
        .collect()
    }

    #[test]
    fn what_is_wrong_with_a_row_does_not_concern_the_others() {
        const HEAD: &str = "seriesuid,coordX,coordY,coordZ,probability\n";
        let found = rows(&format!("{HEAD}1.2,1,2\n1.3,1,2,x,0.5\n1.4,1,2,3,0.5\n,1,2,3,0.5\n"));
        let series: Vec<_> = found.iter().map(|(series, _)| series.as_deref()).collect();
        assert_eq!(series, [Some("1.2"), Some("1.3"), Some("1.4"), Some("")]);
        assert!(found[0].1.contains("line 2: 3 values, expected 5"), "{}", found[0].1);
        assert!(found[1].1.contains("line 3: coordZ is \"x\", expected"), "{}", found[1].1);
        assert_eq!(found[2].1, "");
        for space in ["\u{a0}", "\u{2009}"] {
            let wrong = rows(&format!("{HEAD}1.3,1,{space}2,3,0.5\n1.3, 1,2\t,3,0.5\n"));
            assert!(wrong[0].1.contains("line 2: coordY is"), "{}", wrong[0].1);
            assert_eq!(wrong[1].1, "");
        }
        assert!(found[3].1.contains("line 5: seriesuid is \"\", expected some text"));
    }

    #[test]
    fn a_last_line_that_does_not_end_is_wrong() {
        const HEAD: &str = "seriesuid,coordX,coordY,coordZ\n";
        // Every way to cut a row off, with its series once the next value has begun.
        let whole = "1.25,1,2,3\n1.25,1.5,2.25,3.75";
        for end in "1.25,1,2,3\n1".len()..=whole.len() {
            let found = rows(&format!("{HEAD}{}", &whole[..end]));
            assert_eq!(found[0], (Some("1.25".to_owned()), String::new()));
            let told = (end > "1.25,1,2,3\n1.25".len()).then_some("1.25");
            assert_eq!(found[1].0.as_deref(), told, "{end}");
            assert!(found[1].1.contains("line 3: the line does not end"), "{}", found[1].1);
        }
        // Another series, whose name is cut off or not.
        assert_eq!(rows(&format!("{HEAD}1.25,1,2,3\n1.3"))[1].0, None);
        assert_eq!(rows(&format!("{HEAD}1.25,1,2,3\n1.3,"))[1].0.as_deref(), Some("1.3"));
        for end in ["\n", "\r\n", "\n\n  ", "\r"] {
            assert_eq!(rows(&format!("{HEAD}1.25,1,2,3{end}"))[0].1, "", "{end:?}");
        }
        // A cut within the file, an open quote, a second header line.
        for text in ["1.2\n1.25,1,2,3\n", "\"1.2,1,2,3\n", ",1,2\n", "\n1.25,1,2,3\n", HEAD] {
            assert_eq!(rows(&format!("{HEAD}{text}"))[0].0, None, "{text}");
        }
        let (_folder, path) = file(&format!("{HEAD}1.25,1,2,3\n\0\0"));
        let error = message(&read_positions(&path).unwrap_err());
        assert!(error.contains("line 3: a control character (such as NUL"), "{error}");
        // Ends of lines of an old kind: not a table without rows.
        let (_folder, path) = file(&format!("{HEAD}1.25,1,2,3\n").replace('\n', "\r"));
        let error = message(&read_positions(&path).unwrap_err());
        assert!(
            error.contains("line 1: a control character (such as NUL, or a carriage"),
            "{error}"
        );
        let (_folder, path) = file(HEAD.trim_end());
        let error = message(&read_positions(&path).unwrap_err());
        assert!(error.contains("line 1: the line does not end"), "{error}");
    }

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
            assert_eq!(positions(&path), [position(confidence)]);
        }
        let (_folder, path) = file("coordZ,coordX,coordY,seriesuid\n3,1.5,-2,1.3\n");
        assert_eq!(positions(&path), [position(None)]);
        let (_folder, path) = file("seriesuid,coordX,coordY\n1.3,1,2\n");
        let error = message(&read_positions(&path).unwrap_err());
        assert!(error.contains("column coordZ occurs 0 times"), "{error}");
    }
}
