//! What of a text is compared where values that mean the same are one.

use crate::dicom::date::Date;

/// The words of a text in capitals; of several values in the order of the alphabet.
///
/// METHOD: programs write `HELICAL MODE` and `HELICAL_MODE`, `1.0` and `1,0`. A hyphen between letters or digits separates
/// words; a sign before a number does not.
pub(super) fn words(text: &str) -> String {
    let parts = text.split('\\').map(|part| {
        let mut spaced = String::with_capacity(part.len());
        let mut chars = part.chars().peekable();
        while let Some(c) = chars.next() {
            let is_joint = spaced.ends_with(char::is_alphanumeric)
                && chars.peek().is_some_and(|next| next.is_alphanumeric());
            let separates = c.is_whitespace()
                || matches!(c, '_' | '\0' | ',' | ';' | '.' | '/')
                || c == '-' && is_joint;
            spaced.push(if separates { ' ' } else { c });
        }
        spaced.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    });
    let mut parts: Vec<String> =
        parts.filter(|part| !part.is_empty()).map(|part| part.to_uppercase()).collect();
    parts.sort_unstable();
    parts.dedup();
    parts.join("\\")
}

/// Several numbers in ascending order, each once.
pub(super) fn numbers(text: &str) -> Option<String> {
    let parsed: Option<Vec<f64>> = text.split('\\').map(|part| part.trim().parse().ok()).collect();
    let mut numbers = parsed.filter(|numbers| numbers.iter().all(|number| number.is_finite()))?;
    numbers.sort_by(f64::total_cmp);
    numbers.dedup();
    Some(numbers.iter().map(f64::to_string).collect::<Vec<_>>().join("\\"))
}

/// The days of a date, `20260131` or `2026.01.31`.
pub(super) fn days(text: &str) -> Option<f64> {
    let is_point = |c: char| matches!(c, '.' | '-' | '/' | ' ' | '\0');
    let digits = text.replace(is_point, "");
    Some(Date::from_dicom(&digits)?.days_since(Date::new(1, 1, 1)?) as f64)
}

/// The seconds by which a date and time is ahead of universal time; `None` without an offset.
pub(super) fn offset_seconds(text: &str) -> Option<f64> {
    let text = text.trim();
    let at = text.rfind(['+', '-']).filter(|at| *at >= 8)?;
    let (sign, digits) = text.get(at..)?.split_at_checked(1)?;
    let part = |from: usize| digits.get(from..from + 2)?.parse::<u8>().ok().map(f64::from);
    let ahead = 3600.0 * part(0)? + 60.0 * part(2)?;
    Some(if sign == "-" { -ahead } else { ahead })
}

/// The seconds of a time of the day (`120030.5`, `12:00:30`), or of a date and time (`20260131120030.5+0100`).
pub(super) fn seconds(text: &str) -> Option<f64> {
    let text: String = text.trim().chars().filter(|c| *c != ':').collect();
    let text = text.split(['+', '-']).next().unwrap_or_default();
    let digits = text.split('.').next().unwrap_or_default().len();
    if digits == 0 {
        return None;
    }
    // A date has 8 digits, and the time after it 6.
    let (days, time) = if digits >= 8 {
        let first = Date::new(1, 1, 1)?;
        (Date::from_dicom(text.get(..8)?)?.days_since(first), text.get(8..)?)
    } else {
        (0, text)
    };
    let part = |at: usize| match time.get(at..at + 2) {
        Some(part) => part.parse::<u8>().ok().map(f64::from),
        None => (time.len() <= at).then_some(0.0),
    };
    let fraction = match time.get(6..) {
        None | Some("") => 0.0,
        Some(rest) => rest.starts_with('.').then(|| format!("0{rest}").parse::<f64>().ok())??,
    };
    Some(days as f64 * 86_400.0 + 3600.0 * part(0)? + 60.0 * part(2)? + part(4)? + fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_however_they_are_written() {
        for (text, expected) in [
            ("120000", 43_200.0),
            ("120000.00", 43_200.0),
            ("12:00:30.5", 43_230.5),
            ("1200", 43_200.0),
            ("12", 43_200.0),
            ("00010102000001.25+0100", 86_401.25),
            ("00010102", 86_400.0),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for text in ["", "noon", "1", "12000", "120000x", "20269901120000", "120000.x", "é20000"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
