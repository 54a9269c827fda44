//! Texts that count slices, and may name an image beside the count: `phase A, slice 12`.

use super::classes::Value;

/// Most words of a text that are looked at.
pub(super) const MOST_WORDS: usize = 12;

/// Words before a number that names an image. Other numbers count slices, rotations or rows.
const BEFORE_NAMES: [&str; 4] = ["PHASE", "RR", "TIMEPOINT", "ACQUISITION"];

/// The n-th word of a text, where it can name an image.
///
/// METHOD: a number alone may count, and counters recur too, such as the rows of a detector. It names a phase after such a
/// word or before a percent sign. Any other word may name an image.
pub(super) fn naming_word(text: &str, n: usize) -> Value<'_> {
    let Some(found) = word(text, n) else { return Value::Missing };
    let is_number = !found.contains(|c: char| c.is_alphabetic() || c == '%');
    let is_name = |word: &str| BEFORE_NAMES.iter().any(|name| word.eq_ignore_ascii_case(name));
    let before = n.checked_sub(1).and_then(|before| word(text, before));
    let is_named = before.is_some_and(is_name) || word(text, n + 1) == Some("%");
    if !is_number || is_named { Value::Text(found) } else { Value::Missing }
}

fn word(text: &str, n: usize) -> Option<&str> {
    let is_between = |c: char| {
        c.is_whitespace() || matches!(c, ',' | ';' | '=' | '(' | ')' | '[' | ']' | '#' | '_')
    };
    text.split(is_between).filter(|word| !word.is_empty()).nth(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_unless_a_word_says_what_they_name() {
        let named = |text: &str| -> Vec<Option<String>> {
            let value = |n| match naming_word(text, n) {
                Value::Text(text) => Some(text.to_owned()),
                _ => None,
            };
            (0..4).map(value).collect()
        };
        let some = |words: [&str; 4]| words.map(|word| (!word.is_empty()).then(|| word.to_owned()));
        assert_eq!(named("slice 12"), some(["slice", "", "", ""]));
        assert_eq!(named("Phase 1, slice 12"), some(["Phase", "1", "slice", ""]));
        assert_eq!(named("70 % img_-97.5"), some(["70", "%", "img", ""]));
        assert_eq!(named("70% 12/24 A"), some(["70%", "", "A", ""]));
        assert_eq!(named(""), some([""; 4]));
    }
}
