//! `seriesuids.csv`: the series of a cohort.

use super::error::Error;
use super::rows;
use fs_err as fs;
use std::path::Path;

/// Reads `seriesuids.csv`: one series on each line, without a header line; an empty file has none.
///
/// # Errors
///
/// Fails if the file cannot be read, or a line is not a UID.
pub fn read_series_uids(path: &Path) -> Result<Vec<String>, Error> {
    let mut uids = Vec::new();
    for (line, text) in (1..).zip(rows::text(path)?.lines().map(str::trim)) {
        let is_uid = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
        if !is_uid {
            let (path, found) = (path.to_owned(), text.to_owned());
            let (column, expected) = ("seriesuid", "a UID of digits and dots");
            return Err(Error::Value { path, line, column, found, expected });
        }
        uids.push(text.to_owned());
    }
    Ok(uids)
}

/// Reads `seriesuids.csv` as [`read_series_uids`]; its last line must end, as a UID that is cut off may be another one.
///
/// # Errors
///
/// As [`read_series_uids`], and if the last line does not end.
pub fn read_ended_series_uids(path: &Path) -> Result<Vec<String>, Error> {
    let uids = read_series_uids(path)?;
    if uids.is_empty() || rows::whole_text(path)?.1 {
        return Ok(uids);
    }
    Err(Error::CutOff { path: path.to_owned(), line: uids.len() })
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

#[cfg(test)]
mod tests {
    use super::super::test_file::{file, message};
    use super::*;

    #[test]
    fn each_line_is_a_series() {
        let (_folder, path) = file("1.3.6\n1.3.7\n");
        let uids = read_series_uids(&path).unwrap();
        assert_eq!(uids, ["1.3.6", "1.3.7"]);
        write_series_uids(&path, &uids).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1.3.6\n1.3.7\n");
        fs::write(&path, "\u{feff}1.3.6\r\n1.3.7\r\n\r\n").unwrap();
        assert_eq!(read_series_uids(&path).unwrap(), uids);
        assert_eq!(read_ended_series_uids(&path).unwrap(), uids);
        fs::write(&path, "1.3.6\n1.3.7").unwrap();
        assert_eq!(read_series_uids(&path).unwrap(), uids);
        let error = message(&read_ended_series_uids(&path).unwrap_err());
        assert!(error.contains("line 2: the line does not end"), "{error}");
        fs::write(&path, "").unwrap();
        assert_eq!(read_series_uids(&path).unwrap(), [""; 0]);
    }

    #[test]
    fn other_lines_are_refused() {
        for (text, expected) in [
            ("1.3.6\nabc\n", "`, line 2: seriesuid is \"abc\", expected a UID of digits and dots"),
            ("1.3\n\n1.4\n", "`, line 2: seriesuid is \"\", expected a UID of digits and dots"),
        ] {
            let (_folder, path) = file(text);
            assert_eq!(message(&read_series_uids(&path).unwrap_err()), expected);
        }
    }
}
