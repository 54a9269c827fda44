//! Slices by the value of an attribute, where values that mean the same are one.

use super::telling::FAR_APART;
use super::value_text::{days, numbers, offset_seconds, seconds, words};
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
    /// Texts without regard to case, to empty values, to the order of several values and to how words are separated.
    Text,
    /// Texts as they stand, such as UIDs.
    Exact,
    /// Names of manufacturers, of which the first word counts.
    Maker,
    /// Names of computers, without their numbers.
    Computer,
    /// Body parts, of which some have several names.
    BodyPart,
    /// Numbers that differ by at most this, or by this share of the greater one.
    Number { within: f64, share: f64 },
    /// Times, or dates and times, that are less than this apart, in seconds.
    Time { apart: f64, is_utc: bool },
    /// Dates, with or without points.
    Date,
}

/// METHOD: names of one body part, of which the first is compared.
const BODY_PARTS: [&[&str]; 3] = [
    &["CHEST", "THORAX", "THORACIC", "TORAX", "LUNG", "LUNGS"],
    &["HEAD", "SKULL", "BRAIN", "CRANIUM"],
    &["ABDOMEN", "ABD", "BELLY"],
];

/// What a value means.
enum Meaning {
    Missing,
    Number(f64),
    Text(String),
}

impl Reading {
    /// The reading of these values: date-times that all have an offset are compared in universal time, and local times
    /// else.
    pub(super) fn of_all<'a>(self, mut values: impl Iterator<Item = Value<'a>>) -> Self {
        let Self::Time { apart, .. } = self else { return self };
        let is_utc = values.all(|value| match value {
            Value::Text(text) => offset_seconds(text).is_some(),
            Value::Number(_) => false,
            Value::Missing => true,
        });
        Self::Time { apart, is_utc }
    }

    /// The reading of numbers by which only those are two that differ more than twofold.
    pub(super) fn far_apart(self) -> Self {
        match self {
            Self::Number { within, .. } => Self::Number { within, share: FAR_APART },
            other => other,
        }
    }

    fn meaning(self, value: Value<'_>) -> Meaning {
        let number = match (self, value) {
            (_, Value::Missing) => return Meaning::Missing,
            (_, Value::Number(number)) => Some(number),
            (Self::Number { .. }, Value::Text(text)) => text.trim().parse().ok(),
            (Self::Time { is_utc, .. }, Value::Text(text)) => {
                let offset = offset_seconds(text).filter(|_| is_utc).unwrap_or_default();
                seconds(text).map(|local| local - offset)
            }
            (Self::Date, Value::Text(text)) => days(text),
            (
                Self::Text | Self::Exact | Self::Maker | Self::Computer | Self::BodyPart,
                Value::Text(_),
            ) => None,
        };
        match number.filter(|number: &f64| number.is_finite()) {
            Some(number) => Meaning::Number(number),
            None => Meaning::Text(self.text(&value.to_string())),
        }
    }

    /// What of a text is compared.
    fn text(self, text: &str) -> String {
        match self {
            Self::Exact => text.trim_matches([' ', '\0']).to_owned(),
            Self::Maker => words(text).split([' ', '\\']).next().unwrap_or_default().to_owned(),
            Self::Computer => words(text).replace(|c: char| c.is_ascii_digit(), ""),
            Self::BodyPart => {
                let words = words(text);
                let names = |word| BODY_PARTS.iter().find(|names| names.contains(&word));
                let known = words.split([' ', '\\']).find_map(names);
                known
                    .and_then(|names| names.first())
                    .map_or(words.clone(), |name| (*name).to_owned())
            }
            Self::Number { .. } => numbers(text).unwrap_or_else(|| words(text)),
            Self::Text | Self::Time { .. } | Self::Date => words(text),
        }
    }

    /// Whether two numbers, the first one the lesser, mean the same.
    fn joins(self, a: f64, b: f64) -> bool {
        match self {
            Self::Number { within, share } => b - a <= within.max(share * a.abs().max(b.abs())),
            Self::Time { apart, .. } => b - a < apart,
            _ => false,
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

/// The slices with one value.
#[derive(Debug)]
pub(super) struct Class {
    /// The value; of several that mean the same, the first and the last one.
    pub(super) label: String,
    /// The number of values that mean the same.
    pub(super) n_values: usize,
    /// Whether the slices have no value.
    pub(super) is_missing: bool,
    /// The slices, by their place along the normal.
    pub(super) slices: Vec<usize>,
    /// Where they lie along the normal, in mm, ascending.
    pub(super) heights: Vec<f64>,
}

/// A slice: its place along the normal, and where it lies there, in mm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) at: usize,
    pub(super) mm: f64,
}

impl Class {
    /// The slices with values from the first to the last one.
    pub(super) fn of(
        first: Value<'_>,
        last: Value<'_>,
        n_values: usize,
        mut places: Vec<Place>,
    ) -> Self {
        let is_missing = first == Value::Missing;
        let (first, last) = (first.to_string(), last.to_string());
        let label = if first == last { first } else { format!("{first} to {last}") };
        places.sort_by_key(|place| place.at);
        let slices = places.iter().map(|place| place.at).collect();
        let heights = places.iter().map(|place| place.mm).collect();
        Self { label, n_values, is_missing, slices, heights }
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

/// The slices by their value, given in the order of their places. A missing value is a value of its own. Numbers ascend,
/// and texts follow them. Several numbers mean the same as one of them.
pub(super) fn classes<'a>(
    reading: Reading,
    slices: impl Iterator<Item = (Value<'a>, Place)>,
) -> Vec<Class> {
    let mut numbers: Vec<(f64, Value<'a>, Place)> = Vec::new();
    let mut others: BTreeMap<String, (Value<'a>, Vec<Place>)> = BTreeMap::new();
    for (value, place) in slices {
        let text = match reading.meaning(value) {
            Meaning::Number(number) => {
                numbers.push((number, value, place));
                continue;
            }
            Meaning::Text(text) => text,
            // As a text without words.
            Meaning::Missing => String::new(),
        };
        others.entry(text).or_insert_with(|| (value, Vec::new())).1.push(place);
    }
    numbers.sort_by(|a, b| a.0.total_cmp(&b.0));
    let joined = numbers.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq() || reading.joins(a.0, b.0));
    let of_numbers = joined.map(|same| {
        let n_values = 1 + same.windows(2).filter(|pair| pair[0].0 < pair[1].0).count();
        let mut places: Vec<Place> = same.iter().map(|(.., place)| *place).collect();
        others.retain(|text, (_, more)| {
            let is_one_of_them =
                text.contains('\\') && text.split('\\').any(|part| has(same, part.parse().ok()));
            if is_one_of_them {
                places.append(more);
            }
            !is_one_of_them
        });
        Class::of(same[0].1, same[same.len() - 1].1, n_values, places)
    });
    let mut classes: Vec<Class> = of_numbers.collect();
    classes.extend(others.into_values().map(|(value, places)| Class::of(value, value, 1, places)));
    classes
}

/// Whether a number is among these.
#[expect(clippy::float_cmp, reason = "the same text gives the same number")]
fn has(numbers: &[(f64, Value<'_>, Place)], wanted: Option<f64>) -> bool {
    wanted.is_some_and(|wanted| numbers.iter().any(|(number, ..)| *number == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_mean_the_same_are_one() {
        let of = |reading: Reading, values: &[&str]| {
            let slices =
                values.iter().map(|text| Value::text(Some(*text).filter(|t| !t.is_empty())));
            let reading = reading.of_all(slices.clone());
            let places = (0..).map(|at| Place { at, mm: at as f64 });
            let classes = classes(reading, slices.zip(places));
            let counted = |class: Class| (class.label.clone(), class.n_slices());
            classes.into_iter().map(counted).collect::<Vec<_>>()
        };
        let number = |within, share| Reading::Number { within, share };
        let time = Reading::Time { apart: 2.0, is_utc: false };
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
            of(time, &["120000", "120000.00", "120001", "120500"]),
            [named("120000 to 120001", 3), named("120500", 1)]
        );
        // One moment in two time zones; without a zone on every value, local times.
        for values in [
            ["20200101120000+0000", "20200101130000+0100"],
            ["20200101120000", "20200101120000+0100"],
            ["20200101120000-0500", "20200101170000.00+0000"],
        ] {
            assert_eq!(of(time, &values).len(), 1, "{values:?}");
        }
        assert_eq!(of(time, &["20200101120000+0000", "20200101120000+0100"]).len(), 2);
        let is_one = |reading: Reading, values: &[&str]| of(reading, values).len() == 1;
        for (reading, values) in [
            (Reading::Date, ["20200131", "2020.01.31"]),
            (Reading::Text, ["FS\\HELICAL", "HELICAL\\FS"]),
            (Reading::Text, ["Thorax 1.0", "Thorax  1,0"]),
            (Reading::Text, ["BR-36", "BR 36"]),
            (Reading::Maker, ["GE MEDICAL SYSTEMS", "GE Medical Systems, Inc."]),
            (Reading::Maker, ["SIEMENS", "Siemens Healthineers"]),
            (Reading::Computer, ["REC0", "REC1"]),
            (Reading::BodyPart, ["CHEST", "THORAX"]),
            (number(5.0, 0.0), ["40\\-600", "-600\\40"]),
            (number(5.0, 0.0), ["40\\-600", "40"]),
        ] {
            assert!(is_one(reading, &values), "{values:?}");
        }
        for (reading, values) in [
            (Reading::Date, ["20200131", "20200201"]),
            (Reading::Exact, ["1.2.3.1", "1.2.31"]),
            (Reading::Text, ["30", "-30"]),
            (Reading::Maker, ["SIEMENS", "Philips"]),
            (Reading::Computer, ["REC0", "CT0"]),
            (Reading::BodyPart, ["CHEST", "ABDOMEN"]),
            (number(5.0, 0.0), ["40\\-600", "400"]),
        ] {
            assert!(!is_one(reading, &values), "{values:?}");
        }
    }
}
