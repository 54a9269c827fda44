//! Slices by the value of an attribute, where values that mean the same are one.

use crate::dicom::date::Date;
use std::collections::BTreeMap;
use std::fmt;

/// The value of an attribute that differs between the images of a series that are no one volume.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Missing,
    Number(f64),
    Text(&'a str),
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

impl<'a> Value<'a> {
    pub(super) fn whole(number: Option<i64>) -> Self {
        number.map_or(Self::Missing, |number| Self::Number(number as f64))
    }

    pub(super) fn decimal(number: Option<f64>) -> Self {
        number.map_or(Self::Missing, Self::Number)
    }

    pub(super) fn text(text: Option<&'a str>) -> Self {
        text.map_or(Self::Missing, Self::Text)
    }
}

/// Which values mean the same.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reading {
    /// Texts without regard to case, to empty values and to how words are separated.
    Text,
    /// Numbers that differ by at most this, or by this share.
    Number { within: f64, share: f64 },
    /// Times, or dates and times, that are less than this apart, in seconds.
    Time { apart: f64 },
}

/// What a value means.
enum Meaning {
    Missing,
    Number(f64),
    Text(String),
}

impl Reading {
    fn meaning(self, value: Value<'_>) -> Meaning {
        let number = match (self, value) {
            (_, Value::Missing) => return Meaning::Missing,
            (_, Value::Number(number)) => Some(number),
            (Self::Text, Value::Text(_)) => None,
            (Self::Number { .. }, Value::Text(text)) => text.trim().parse().ok(),
            (Self::Time { .. }, Value::Text(text)) => seconds(text),
        };
        match number.filter(|number: &f64| number.is_finite()) {
            Some(number) => Meaning::Number(number),
            None => Meaning::Text(words(&value.to_string())),
        }
    }

    /// Whether two numbers, the first one the lesser, mean the same.
    fn joins(self, a: f64, b: f64) -> bool {
        match self {
            Self::Text => false,
            Self::Number { within, share } => b - a <= within.max(share * a.abs().max(b.abs())),
            Self::Time { apart } => b - a < apart,
        }
    }

    /// The number or time by which slices are in order; `None` for a value that has no place in it.
    pub(super) fn place(self, value: Value<'_>) -> Option<f64> {
        match self.meaning(value) {
            Meaning::Number(number) => Some(number),
            Meaning::Missing | Meaning::Text(_) => None,
        }
    }
}

/// The words of a text in capitals.
fn words(text: &str) -> String {
    let parts = text.split('\\').map(|part| {
        let words = part.split(|c: char| c.is_whitespace() || matches!(c, '_' | '\0'));
        words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    });
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\\").to_uppercase()
}

/// The seconds of a time of the day (`120030.5`, `12:00:30`), or of a date and time (`20260131120030.5+0100`).
fn seconds(text: &str) -> Option<f64> {
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

/// The slices with one value.
#[derive(Debug)]
pub(super) struct Class {
    /// The value; of several that mean the same, the first and the last one.
    pub(super) label: String,
    /// The number of values that mean the same.
    pub(super) n_values: usize,
    /// Where the slices lie along the normal, in mm, ascending.
    pub(super) heights: Vec<f64>,
}

impl Class {
    /// The slices with values from the first to the last one.
    pub(super) fn of(
        first: Value<'_>,
        last: Value<'_>,
        n_values: usize,
        mut heights: Vec<f64>,
    ) -> Self {
        let (first, last) = (first.to_string(), last.to_string());
        let label = if first == last { first } else { format!("{first} to {last}") };
        heights.sort_by(f64::total_cmp);
        Self { label, n_values, heights }
    }

    pub(super) fn n_slices(&self) -> usize {
        self.heights.len()
    }

    pub(super) fn least(&self) -> f64 {
        self.heights.first().copied().unwrap_or(f64::NAN)
    }

    pub(super) fn greatest(&self) -> f64 {
        self.heights.last().copied().unwrap_or(f64::NAN)
    }

    /// The number of slices at heights from `least` to `greatest`.
    pub(super) fn n_within(&self, least: f64, greatest: f64) -> usize {
        let below = self.heights.partition_point(|mm| *mm < least);
        let up_to = self.heights.partition_point(|mm| *mm <= greatest);
        up_to.saturating_sub(below)
    }
}

/// The slices by their value. A missing value is a value of its own. Numbers ascend, and texts follow them.
pub(super) fn classes<'a>(
    reading: Reading,
    slices: impl Iterator<Item = (Value<'a>, f64)>,
) -> Vec<Class> {
    let mut numbers: Vec<(f64, Value<'a>, f64)> = Vec::new();
    let mut others: BTreeMap<String, (Value<'a>, Vec<f64>)> = BTreeMap::new();
    for (value, height) in slices {
        let text = match reading.meaning(value) {
            Meaning::Number(number) => {
                numbers.push((number, value, height));
                continue;
            }
            Meaning::Text(text) => text,
            // As a text without words.
            Meaning::Missing => String::new(),
        };
        others.entry(text).or_insert_with(|| (value, Vec::new())).1.push(height);
    }
    numbers.sort_by(|a, b| a.0.total_cmp(&b.0));
    let joined = numbers.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq() || reading.joins(a.0, b.0));
    let of_numbers = joined.map(|same| {
        let n_values = 1 + same.windows(2).filter(|pair| pair[0].0 < pair[1].0).count();
        let heights = same.iter().map(|(.., height)| *height).collect();
        Class::of(same[0].1, same[same.len() - 1].1, n_values, heights)
    });
    let mut classes: Vec<Class> = of_numbers.collect();
    classes
        .extend(others.into_values().map(|(value, heights)| Class::of(value, value, 1, heights)));
    classes
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

    #[test]
    fn values_that_mean_the_same_are_one() {
        let of = |reading: Reading, values: &[&str]| {
            let slices =
                values.iter().map(|text| Value::text(Some(*text).filter(|t| !t.is_empty())));
            let classes = classes(reading, slices.zip([0.0, 1.0, 2.0, 3.0]));
            classes.into_iter().map(|class| (class.label, class.heights.len())).collect::<Vec<_>>()
        };
        let number = |within, share| Reading::Number { within, share };
        let named = |label: &str, n: usize| (label.to_owned(), n);
        assert_eq!(of(Reading::Text, &["THORAX", "Thorax ", "thorax\\"]), [named("THORAX", 3)]);
        assert_eq!(of(Reading::Text, &["A B", "A_B"]), [named("A B", 2)]);
        assert_eq!(
            of(Reading::Text, &["A", "B", ""]),
            [named("missing", 1), named("A", 1), named("B", 1)]
        );
        assert_eq!(
            of(number(0.0, 0.01), &["1", "0.99999994", "1.0"]),
            [named("0.99999994 to 1.0", 3)]
        );
        assert_eq!(
            of(number(1.0, 0.0), &["150", "150.1", "80\\140", ""]),
            [named("150 to 150.1", 2), named("missing", 1), named("80\\140", 1)]
        );
        assert_eq!(
            of(Reading::Time { apart: 2.0 }, &["120000", "120000.00", "120001", "120500"]),
            [named("120000 to 120001", 3), named("120500", 1)]
        );
    }
}
