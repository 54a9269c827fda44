//! Text computed from text.

use super::scalar::no_value;
use crate::typed::Function;
use polars::prelude::{
    BooleanChunked, Int64Chunked, IntoSeries as _, PolarsResult, Series, StringChunked,
};

/// A value for each row; null where an argument is null.
pub(super) fn compute(
    function: &Function,
    first: &Series,
    rest: &[Series],
) -> PolarsResult<Series> {
    let first = first.str()?;
    if let [second] = rest {
        let both = first.iter().zip(second.str()?.iter()).map(|(a, b)| a.zip(b));
        return Ok(match function {
            Function::StartsWith => {
                let values = both.map(|both| both.map(|(a, b)| a.starts_with(b)));
                values.collect::<BooleanChunked>().into_series()
            }
            Function::Contains => {
                let values = both.map(|both| both.map(|(a, b)| a.contains(b)));
                values.collect::<BooleanChunked>().into_series()
            }
            _ => {
                let values = both.map(|both| both.map(|(a, b)| format!("{a}{b}")));
                values.collect::<StringChunked>().into_series()
            }
        });
    }
    let text = |of: &dyn Fn(&str) -> PolarsResult<String>| -> PolarsResult<Series> {
        let values = first.iter().map(|text| text.map(of).transpose());
        Ok(values.collect::<PolarsResult<StringChunked>>()?.into_series())
    };
    match function {
        Function::Like(pattern) => {
            let values = first.iter().map(|text| text.map(|text| is_like(text, pattern)));
            Ok(values.collect::<BooleanChunked>().into_series())
        }
        Function::Length => {
            let values = first.iter().map(|text| text.map(|text| text.chars().count() as i64));
            Ok(values.collect::<Int64Chunked>().into_series())
        }
        Function::Lower => text(&|text| in_case(text, char::to_lowercase)),
        Function::Upper => text(&|text| in_case(text, char::to_uppercase)),
        Function::Substring(start, length) => text(&|text| {
            let characters = text.chars().skip(start.saturating_sub(1));
            Ok(characters.take(length.unwrap_or(usize::MAX)).collect())
        }),
        _ => Err(no_value("a function of text has too few arguments")),
    }
}

/// Letters in another case. A letter that becomes several has no case that programs agree on.
fn in_case<I: Iterator<Item = char>>(text: &str, of: impl Fn(char) -> I) -> PolarsResult<String> {
    let one = |letter: char| {
        let mut cased = of(letter);
        match (cased.next(), cased.next()) {
            (Some(cased), None) => Ok(cased),
            _ => Err(no_value(format!(
                "lower or upper: programs do not agree on the case of `{letter}` in `{text}`"
            ))),
        }
    };
    text.chars().map(one).collect()
}

/// Whether a text is as a pattern, where `%` is any text and `_` one character.
fn is_like(text: &str, pattern: &[char]) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut t, mut p) = (0, 0);
    // The last `%`, and where the text after it starts.
    let mut any: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('%') => {
                any = Some((p, t));
                p += 1;
            }
            Some(&wanted) if wanted == '_' || wanted == text[t] => {
                t += 1;
                p += 1;
            }
            _ => match any {
                Some((percent, start)) => {
                    any = Some((percent, start + 1));
                    (p, t) = (percent + 1, start + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|rest| *rest == '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        let like = |text: &str, pattern: &str| is_like(text, &pattern.chars().collect::<Vec<_>>());
        for (text, pattern) in
            [("", ""), ("", "%"), ("aab", "%ab"), ("añb", "a_b"), ("abcabd", "a%b_"), ("a%", "a%%")]
        {
            assert!(like(text, pattern), "{text} {pattern}");
        }
        for (text, pattern) in [("a", ""), ("", "_"), ("ab", "a"), ("aab", "%aa"), ("A", "a")] {
            assert!(!like(text, pattern), "{text} {pattern}");
        }
    }
}
