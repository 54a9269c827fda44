//! Dates without a time of day.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A day of the Gregorian calendar, ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: i32,
    month: u8,
    day: u8,
}

impl Date {
    /// Makes a date; `None` if there is no such day in the years 1 to 9999.
    pub fn new(year: i32, month: u8, day: u8) -> Option<Self> {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + u8::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        ((1..=9999).contains(&year) && (1..=days).contains(&day)).then_some(Self {
            year,
            month,
            day,
        })
    }

    /// Parses a DICOM date (`20260131`), or the first eight digits of a date and time; `None` for other texts.
    ///
    /// PS3.5, 6.2: dates from before DICOM 3.0 have dots, `2026.01.31`.
    pub fn from_dicom(text: &str) -> Option<Self> {
        let text = text.trim_matches(['\0', ' ']);
        let dotted = text.len() == 10 && [4, 7].iter().all(|at| text.as_bytes()[*at] == b'.');
        let digits = if dotted { text.replace('.', "") } else { text.to_owned() };
        let digits = digits.get(..8)?;
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Self::new(digits[..4].parse().ok()?, digits[4..6].parse().ok()?, digits[6..].parse().ok()?)
    }

    /// Parses `2026-01-31`; `None` for other texts.
    pub fn from_iso(text: &str) -> Option<Self> {
        let dashed = text.len() == 10 && [4, 7].iter().all(|at| text.as_bytes()[*at] == b'-');
        if dashed { Self::from_dicom(&text.replace('-', "")) } else { None }
    }

    /// The date in DICOM's format, `20260131`.
    pub fn to_dicom(self) -> String {
        format!("{:04}{:02}{:02}", self.year, self.month, self.day)
    }

    /// Days from `earlier` to this day; negative if this day is earlier.
    pub fn days_since(self, earlier: Self) -> i64 {
        self.number() - earlier.number()
    }

    /// The day `days` later; `None` outside the years 1 to 9999.
    pub fn plus_days(self, days: i64) -> Option<Self> {
        let number = self.number().checked_add(days)?;
        // A year has 365.2425 days on average, so the estimate is off by one year at most.
        let year = (number as f64 / 365.2425).floor() as i64;
        let years = (year - 1).max(1)..=(year + 2).min(9999);
        let first = |year: i32| Self { year, month: 1, day: 1 }.number();
        let year = years.rev().map(|y| y as i32).find(|year| first(*year) <= number)?;
        let of_year = |month, day| Self::new(year, month, day);
        (1..=12)
            .flat_map(|month| (1..=31).filter_map(move |day| of_year(month, day)))
            .find(|date| date.number() == number)
    }

    /// Days since 1 March of the year 0.
    ///
    /// METHOD: years begin in March, so that a leap day is the last day of its year.
    fn number(self) -> i64 {
        let (year, month) = (i64::from(self.year), i64::from(self.month));
        let years = if month > 2 { year } else { year - 1 };
        let months = (month + 9) % 12;
        years * 365 + years / 4 - years / 100
            + years / 400
            + (153 * months + 2) / 5
            + i64::from(self.day)
            - 1
    }
}

/// Shifts a date `YYYYMMDD` by `days`, which may be negative; `None` if the text is not such a date.
pub fn shifted_date(date: &str, days: i64) -> Option<String> {
    let date = Date::from_dicom(date).filter(|_| date.len() == 8)?;
    date.plus_days(days).map(Date::to_dicom)
}

/// `2026-01-31`.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_iso(&text)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is not a date YYYY-MM-DD")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_are_parsed_in_the_formats_of_dicom_and_iso() {
        let day = Date::new(2024, 2, 29);
        for text in ["20240229", "20240229 ", "2024.02.29", "20240229134501.25+0100"] {
            assert_eq!(Date::from_dicom(text), day, "{text}");
        }
        for text in ["", "2024022", "20230229", "20241301", "2024-02-29", "2024022é", "00000101"] {
            assert_eq!(Date::from_dicom(text), None, "{text}");
        }
        assert_eq!(day.unwrap().to_string(), "2024-02-29");
        assert_eq!(Date::from_iso("2024-02-29"), day);
        assert_eq!(Date::from_iso("20240229"), None);
    }

    #[test]
    fn days_between_dates() {
        let date = |text| Date::from_iso(text).unwrap();
        // By Python's datetime.
        for (from, to, days) in [
            ("2024-02-28", "2024-03-01", 2),
            ("2023-02-28", "2023-03-01", 1),
            ("1999-12-31", "2026-11-24", 9825),
            ("1900-01-01", "2000-01-01", 36524),
            ("2026-11-24", "2025-11-24", -365),
        ] {
            assert_eq!(date(to).days_since(date(from)), days, "{from} to {to}");
            assert_eq!(date(from).plus_days(days), Some(date(to)));
        }
        assert_eq!(date("9999-12-31").plus_days(1), None);
        assert_eq!(date("0001-01-01").plus_days(-1), None);
    }

    #[test]
    fn dates_are_shifted_over_months_and_leap_days() {
        for (date, days, expected) in [
            ("20240228", 1, "20240229"),
            ("20230228", 1, "20230301"),
            ("20000301", -1, "20000229"),
            ("19000301", -1, "19000228"),
            ("20261124", -365, "20251124"),
            ("19691231", 1, "19700101"),
        ] {
            assert_eq!(shifted_date(date, days).as_deref(), Some(expected), "{date} {days}");
        }
        for bad in ["", "2024", "20240230", "20241301", "20240001", "2024-2-3", "2024022é"] {
            assert_eq!(shifted_date(bad, 1), None, "{bad}");
        }
        assert_eq!(shifted_date("00010101", -1000), None);
        assert_eq!(shifted_date("20240101", i64::MAX), None);
        assert_eq!(shifted_date("20240101", i64::MIN), None);
    }

    proptest! {
        #[test]
        fn intervals_hold(
            year in 1900i32..2100, month in 1u8..13, day in 1u8..29,
            apart in -4000i64..4000, shift in -4000i64..4000,
        ) {
            let first = Date::new(year, month, day).unwrap().to_dicom();
            let second = shifted_date(&first, apart).unwrap();
            let [a, b] = [&first, &second].map(|date| shifted_date(date, shift).unwrap());
            prop_assert_eq!(shifted_date(&a, apart).unwrap(), b);
            prop_assert_eq!(shifted_date(&a, -shift).unwrap(), first);
        }

        #[test]
        fn days_are_added_and_counted_alike(
            year in 1..=9999i32, month in 1..=12u8, day in 1..=28u8, days in -200_000..200_000i64,
        ) {
            let date = Date::new(year, month, day).unwrap();
            if let Some(other) = date.plus_days(days) {
                prop_assert_eq!(other.days_since(date), days);
                prop_assert_eq!(Date::from_iso(&other.to_string()), Some(other));
            }
        }
    }
}
