//! Names of series in candidates: tells those that are damaged from those of series that the input does not hold.

use std::collections::BTreeSet;

/// What a name is that no series of the input has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnknownName {
    /// A UID of another series, or the name of an image file.
    Other,
    /// No name of any series.
    Malformed,
}

/// The names by which candidates may name the series of the input.
#[derive(Debug, Default)]
pub(super) struct SeriesNames {
    pub(super) names: BTreeSet<String>,
    /// Whether the input may hold image files, whose names are any text.
    pub(super) has_images: bool,
}

impl SeriesNames {
    /// What a name is that is not among these.
    ///
    /// METHOD: a text that begins as a UID does and consists of digits and dots for three quarters or more is a damaged UID; parts with
    /// leading zeros are read past, as some scanners write them. Where there are no image files, every other text is malformed
    /// too.
    pub(super) fn unknown(&self, name: &str) -> UnknownName {
        let is_image = self.has_images && !name.is_empty() && !is_damaged_uid(name);
        if is_like_uid(name) || is_image { UnknownName::Other } else { UnknownName::Malformed }
    }

    /// The names that a damaged UID may have been: those with its digits and dots, and anything in the place of what else it
    /// has.
    pub(super) fn fitting<'a>(&'a self, damaged: &str) -> impl Iterator<Item = &'a str> {
        let parts = if is_damaged_uid(damaged) { whole_parts(damaged) } else { Vec::new() };
        let names = self.names.iter().map(String::as_str);
        names.filter(move |name| is_like_uid(name) && fits(name, &parts))
    }

    /// The series of the input that a UID of another series may have been: those that begin with it or that it begins with, and
    /// those with a dot more or less, with zeros before a number, and with a digit more, less or in the place of its neighbour within a
    /// number of eight digits or more.
    ///
    /// METHOD: a digit in place of another, within the UID, is not among these, as the series of a study differ by one; nor are the
    /// last four digits of a number in another order, as they may be counted. Long numbers have one length within a study, as they
    /// are random or times.
    pub(super) fn near<'a>(&'a self, other: &str) -> BTreeSet<&'a str> {
        let mut near = BTreeSet::new();
        if !is_like_uid(other) {
            return near;
        }
        let longer = self.names.range(other.to_owned()..).map(String::as_str);
        near.extend(longer.take_while(|name| name.starts_with(other)).filter(|of| is_like_uid(of)));
        let beginnings = (1..other.len()).map(|n| other[..n].to_owned());
        let dots = other.match_indices('.').map(|(n, _)| other[..n].to_owned() + &other[n + 1..]);
        let with_dot = (1..other.len()).map(|n| format!("{}.{}", &other[..n], &other[n..]));
        let without_zeros = other.split('.').map(|part| match part.trim_start_matches('0') {
            "" => "0",
            number => number,
        });
        let without_zeros = std::iter::once(without_zeros.collect::<Vec<_>>().join("."));
        let of_digits = other_digits(other).into_iter();
        for name in beginnings.chain(dots).chain(with_dot).chain(without_zeros).chain(of_digits) {
            near.extend(self.names.get(&name).map(String::as_str).filter(|of| is_like_uid(of)));
        }
        near
    }
}

/// Whether a text is a UID, or would be without leading zeros of its numbers.
fn is_like_uid(name: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    name.len() <= 64 && name.contains('.') && name.split('.').all(is_number)
}

/// Long numbers, whose digits are not counted.
const LONG: usize = 8;
const COUNTED: usize = 4;

/// The UIDs with a digit more, less, or in the place of its neighbour within a long number.
fn other_digits(uid: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut start = 0;
    for number in uid.split('.') {
        let end = start + number.len();
        let (before, after) = (&uid[..start], &uid[end..]);
        // One digit may be lost.
        if number.len() + 1 >= LONG {
            for n in 0..number.len() {
                let (left, right) = number.split_at(n);
                found.insert(format!("{before}{left}{}{after}", &right[1..]));
                if n + 1 + COUNTED < number.len() {
                    let (a, b) = (&right[..1], &right[1..2]);
                    found.insert(format!("{before}{left}{b}{a}{}{after}", &right[2..]));
                }
            }
            for n in 0..=number.len() {
                let (left, right) = number.split_at(n);
                found.extend((0..10).map(|digit| format!("{before}{left}{digit}{right}{after}")));
            }
        }
        start = end + 1;
    }
    found.remove(uid);
    found
}

fn is_of_uid(c: char) -> bool {
    c.is_ascii_digit() || c == '.'
}

/// Whether a text is no UID and was one, as far as its characters tell.
fn is_damaged_uid(name: &str) -> bool {
    let n_of_uid = name.chars().filter(|c| is_of_uid(*c)).count();
    let n_others = name.chars().count() - n_of_uid;
    let root = name.split('.').next().unwrap_or_default();
    let has_root = matches!(root, "" | "0" | "1" | "2") || !root.chars().all(is_of_uid);
    let has_dots = name.matches('.').count() >= 2;
    !is_like_uid(name) && has_root && has_dots && n_of_uid >= 3 * n_others
}

/// The pieces of a damaged UID between what no UID has there: other characters, and dots without a number beside them. A
/// piece is empty at a damaged end.
fn whole_parts(name: &str) -> Vec<String> {
    let characters: Vec<char> = name.chars().collect();
    let is_dot = |n: usize| characters.get(n).is_none_or(|c| *c == '.');
    let mut parts = vec![String::new()];
    for (n, c) in characters.iter().enumerate() {
        let is_stray = *c == '.' && (n == 0 || is_dot(n - 1) || is_dot(n + 1));
        if is_of_uid(*c) && !is_stray {
            parts.last_mut().into_iter().for_each(|part| part.push(*c));
        } else if n == 0 || parts.last().is_some_and(|part| !part.is_empty()) {
            parts.push(String::new());
        }
    }
    parts
}

/// Whether a name has these pieces in this order, the first at its beginning and the last at its end.
fn fits(name: &str, parts: &[String]) -> bool {
    let [first, middle @ .., last] = parts else { return false };
    let Some(rest) = name.strip_prefix(first.as_str()) else { return false };
    let Some(mut rest) = rest.strip_suffix(last.as_str()) else { return false };
    for part in middle {
        match rest.find(part.as_str()) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(has_images: bool) -> SeriesNames {
        let names = ["1.2.840.55.1", "1.2.840.55.2", "2.25.77", "scan7"].map(str::to_owned);
        SeriesNames { names: BTreeSet::from(names), has_images }
    }

    #[test]
    fn a_damaged_uid_fits_the_series_with_its_digits() {
        let names = names(true);
        let fitting = |name: &str| names.fitting(name).collect::<Vec<_>>();
        for damaged in [
            "1.2.8x0.55.1",
            "1.2.8é40.55.1",
            "1.2.840.55.1\u{200b}",
            "?.2.840.55.1",
            "1.2.840.5 5.1",
            "1.2..840.55.1",
            "1.2.840.55.1\0",
            "'1.2.840.55.1'",
            ".1.2.840.55.1",
        ] {
            assert_eq!(names.unknown(damaged), UnknownName::Malformed, "{damaged:?}");
            assert_eq!(fitting(damaged), ["1.2.840.55.1"], "{damaged:?}");
        }
        // A lost end may be of either.
        for damaged in ["1.2.840.55.\u{fffd}", "1.2.840.55.", "1.2.840??"] {
            assert_eq!(names.unknown(damaged), UnknownName::Malformed);
            assert_eq!(fitting(damaged), ["1.2.840.55.1", "1.2.840.55.2"], "{damaged}");
        }
        // Of no series of the input.
        let long = format!("1.2.{}", "3".repeat(64));
        for damaged in ["1.2.9x0.55.1", "1.2.3.x", &long] {
            assert_eq!(names.unknown(damaged), UnknownName::Malformed, "{damaged}");
            assert!(fitting(damaged).is_empty(), "{damaged}");
        }
    }

    #[test]
    fn a_uid_that_was_cut_or_lost_a_dot_is_near_its_series() {
        let names = names(true);
        let near = |name: &str| names.near(name).into_iter().collect::<Vec<_>>();
        for cut in ["1.2.840.55", "1.2.8"] {
            assert_eq!(near(cut), ["1.2.840.55.1", "1.2.840.55.2"], "{cut}");
        }
        for of_first in ["1.2.840.551", "1.2840.55.1", "1.2.840.5.5.1", "1.2.840.55.1.0"] {
            assert_eq!(near(of_first), ["1.2.840.55.1"], "{of_first}");
        }
        for other in ["1.2.840.55.3", "1.3", "2.25.78", "scan7", "scan", ""] {
            assert!(near(other).is_empty(), "{other}");
        }
    }

    #[test]
    fn a_long_number_with_another_digit_is_near_its_series() {
        let uid = "1.2.55.20261130103000123.7";
        let names = SeriesNames { names: BTreeSet::from([uid.to_owned()]), has_images: false };
        for near in [
            // Lost, doubled, exchanged with its neighbour, and zeros before a number.
            "1.2.55.2026113010300123.7",
            "1.2.55.202611301030000123.7",
            "1.2.55.20261310103000123.7",
            "1.2.055.20261130103000123.7",
        ] {
            assert_eq!(names.near(near).into_iter().collect::<Vec<_>>(), [uid], "{near}");
        }
        for other in [
            // A digit in place of another, counted ones in another order, and short numbers.
            "1.2.55.20261130103000124.7",
            "1.2.55.20261130103000132.7",
            "1.2.5.20261130103000123.7",
            "1.2.55.20261130103000123.8",
        ] {
            assert!(names.near(other).is_empty(), "{other}");
        }
    }

    #[test]
    fn other_series_and_image_files_are_not_damaged() {
        for name in ["1.2.3", "1.2.840.55.3", "1.02.3", "2.25.78"] {
            assert_eq!(names(false).unknown(name), UnknownName::Other, "{name}");
        }
        for name in ["scan8", "DOE^JOHN", "12345", "patient.1.nii", "2026.11.30_chest", "a.b1.2"] {
            assert_eq!(names(true).unknown(name), UnknownName::Other, "{name}");
            assert_eq!(names(false).unknown(name), UnknownName::Malformed, "{name}");
            assert_eq!(names(false).fitting(name).count(), 0, "{name}");
        }
        assert_eq!(names(true).unknown(""), UnknownName::Malformed);
        assert_eq!(names(true).fitting("").count(), 0);
    }
}
