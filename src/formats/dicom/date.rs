//! Dates as DICOM writes them (PS3.5, 6.2: DA), and their shift by days.

/// The date `days` later, negative for earlier; `None` where the text is no date `YYYYMMDD`.
pub fn shifted_date(date: &str, days: i64) -> Option<String> {
    if date.len() != 8 || !date.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number = |text: &str| text.parse::<i64>().ok();
    let (year, month, day) = (number(&date[..4])?, number(&date[4..6])?, number(&date[6..])?);
    let count = days_from_civil(year, month, day);
    // A day that its month does not have comes back as another one.
    if civil_from_days(count) != (year, month, day) {
        return None;
    }
    let (year, month, day) = civil_from_days(count.checked_add(days)?);
    (0..=9999).contains(&year).then(|| format!("{year:04}{month:02}{day:02}"))
}

/// Days from 1970-01-01 of a date of the Gregorian calendar.
///
/// METHOD: years run from March, in eras of 400 years of 146,097 days, so that leap days come last
/// (H. Hinnant, chrono-Compatible Low-Level Date Algorithms).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of a number of days from 1970-01-01.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + 400 * era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_are_shifted_over_months_and_leap_days() {
        for (date, days, expected) in [
            ("20240228", 1, "20240229"),
            ("20230228", 1, "20230301"),
            ("20000301", -1, "20000229"),
            ("19000301", -1, "19000228"),
            ("20261124", -365, "20251124"),
            ("19700101", 0, "19700101"),
            ("19691231", 1, "19700101"),
        ] {
            assert_eq!(shifted_date(date, days).as_deref(), Some(expected), "{date} {days}");
        }
        assert_eq!((days_from_civil(1970, 1, 1), days_from_civil(2000, 3, 1)), (0, 11_017));
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
            year in 1900i64..2100, month in 1i64..13, day in 1i64..29,
            apart in -4000i64..4000, shift in -4000i64..4000,
        ) {
            let first = format!("{year:04}{month:02}{day:02}");
            let second = shifted_date(&first, apart).unwrap();
            let [a, b] = [&first, &second].map(|date| shifted_date(date, shift).unwrap());
            prop_assert_eq!(shifted_date(&a, apart).unwrap(), b);
            prop_assert_eq!(shifted_date(&a, -shift).unwrap(), first);
        }
    }
}
