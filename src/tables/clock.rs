//! Days and times, UTC.

use nodulus_formats::dicom::Date;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds of a day.
const DAY: u64 = 86_400;

/// A time to the second as `2026-01-31T23:59:59Z`; one before 1970 is taken for its start.
pub fn timestamp(time: SystemTime) -> String {
    let of_day = since_1970(time).as_secs() % DAY;
    let (h, m, s) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{}T{h:02}:{m:02}:{s:02}Z", day(time))
}

/// A day as `2026-01-31`; empty after the year 9999.
fn day(time: SystemTime) -> String {
    let days = (since_1970(time).as_secs() / DAY) as i64;
    let date = Date::new(1970, 1, 1).and_then(|first| first.plus_days(days));
    date.map_or_else(String::new, |date| date.to_string())
}

/// Time since 1970.
fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(timestamp(UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        }
        assert_eq!(day(UNIX_EPOCH - Duration::from_secs(5)), "1970-01-01");
    }
}
