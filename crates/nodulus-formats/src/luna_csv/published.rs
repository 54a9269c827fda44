//! LUNA16's tables of nodules and findings with numbers as LUNA16 printed them.

use super::annotations;
use super::error::Error;
use super::findings::Finding;
use super::half_up::half_up;
use fs_err as fs;
use std::path::Path;

/// Most decimals of a number.
const DECIMALS: usize = 9;
/// Most significant digits of a number.
const DIGITS: usize = 10;

/// Writes `annotations.csv` or `annotations_excluded.csv` with numbers printed as LUNA16's are.
///
/// # Errors
///
/// Fails if the file cannot be written.
pub fn write_published(path: &Path, rows: &[Finding]) -> Result<(), Error> {
    let mut text = annotations::NAMES.join(",");
    text.push('\n');
    for row in rows {
        let numbers = [row.x_mm, row.y_mm, row.z_mm, row.diameter_mm.unwrap_or(-1.0)];
        let numbers = numbers.map(printed).join(",");
        text.extend([&row.series_instance_uid, ",", &*numbers, "\n"]);
    }
    Ok(fs::write(path, text)?)
}

/// A number with at most nine decimals and ten significant digits, without zeros at the end.
///
/// METHOD: LUNA16's numbers were rounded twice, first to nine decimals and then, halves up, to ten digits: a diameter of
/// 12.31597934484 mm is 12.31597935 there, by way of 12.315979345. Numbers below one have nine decimals.
fn printed(number: f64) -> String {
    half_up(&format!("{number:.DECIMALS$}"), DIGITS)
}

#[cfg(test)]
mod tests {
    use super::super::read_findings;
    use super::*;

    /// Python: `decimal.Context(prec=10, rounding=decimal.ROUND_HALF_UP).create_decimal(f"{number:.9f}")`.
    #[test]
    fn numbers_are_rounded_twice() {
        for (number, expected) in [
            (-128.699_421_066_7, "-128.6994211"),
            (-24.013_824_2, "-24.0138242"),
            (-227.121_25, "-227.12125"),
            (-1.0, "-1"),
            (0.0, "0"),
            (1_234.567_890_12, "1234.56789"),
            (0.082_104_855_12, "0.082104855"),
            (12_345_678_901.0, "12345678900"),
            (9.999_999_999_96, "10"),
            (-80.0, "-80"),
            (-4e-10, "0"),
            // Diameters and heights of LUNA16's scans, before and after.
            (12.315_979_344_840_349, "12.31597935"),
            (16.231_748_894_931_705, "16.2317489"),
            (-72.193_488_724_686_49, "-72.19348873"),
            (6.542_124_227_486, "6.542124227"),
        ] {
            assert_eq!(printed(number), expected);
        }
    }

    #[test]
    fn rows_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.csv");
        let row = |x_mm, diameter_mm| Finding {
            series_instance_uid: "1.3".to_owned(),
            x_mm,
            y_mm: -2.5,
            z_mm: 0.125,
            diameter_mm,
        };
        let rows = [row(1.25, None), row(-7.5, Some(4.5))];
        write_published(&path, &rows).unwrap();
        assert_eq!(read_findings(&path).unwrap(), rows);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().nth(1), Some("1.3,1.25,-2.5,0.125,-1"));
    }
}
