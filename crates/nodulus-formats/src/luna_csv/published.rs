//! LUNA16's tables of nodules and findings with numbers as LUNA16 printed them.

use super::annotations;
use super::error::Error;
use super::findings::Finding;
use fs_err as fs;
use std::path::Path;

/// Significant digits of a number.
const DIGITS: i32 = 10;

/// Writes `annotations.csv` or `annotations_excluded.csv` with numbers of ten digits, as LUNA16's are.
///
/// # Errors
///
/// Fails if the file cannot be written.
pub fn write_published(path: &Path, rows: &[Finding]) -> Result<(), Error> {
    let mut text = annotations::NAMES.join(",");
    text.push('\n');
    for row in rows {
        let numbers = [row.x_mm, row.y_mm, row.z_mm, row.diameter_mm.unwrap_or(-1.0)];
        let numbers = numbers.map(ten_digits).join(",");
        text.extend([&row.series_instance_uid, ",", &*numbers, "\n"]);
    }
    Ok(fs::write(path, text)?)
}

/// A number with ten significant digits and without zeros at the end, as C's `%.10g` prints it.
fn ten_digits(number: f64) -> String {
    let scientific = format!("{number:.n$e}", n = DIGITS as usize - 1);
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..DIGITS).contains(&exponent) {
        let n = usize::try_from(DIGITS - 1 - exponent).unwrap_or_default();
        return without_zeros(&format!("{number:.n$}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", without_zeros(mantissa), exponent.abs())
}

fn without_zeros(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

#[cfg(test)]
mod tests {
    use super::super::read_findings;
    use super::*;

    /// Python: `f"{number:.10g}"`.
    #[test]
    fn numbers_have_ten_digits() {
        for (number, expected) in [
            (-128.699_421_066_7, "-128.6994211"),
            (-24.013_824_2, "-24.0138242"),
            (-227.121_25, "-227.12125"),
            (-1.0, "-1"),
            (0.0, "0"),
            (1_234.567_890_12, "1234.56789"),
            (0.000_123_456_789_01, "0.000123456789"),
            (0.000_012_345_678_901_2, "1.23456789e-05"),
            (12_345_678_901.0, "1.23456789e+10"),
            (9.999_999_999_96, "10"),
            (-80.0, "-80"),
        ] {
            assert_eq!(ten_digits(number), expected);
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
