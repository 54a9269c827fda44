//! Text computed from text.

use super::scalar::no_value;
use crate::typed::{Ends, Function};
use polars::prelude::{
    BooleanChunked, Int64Chunked, IntoSeries as _, PolarsResult, Series, StringChunked,
};

/// A value for each row; null where an argument is null.
pub(super) fn compute(
    function: &Function,
    first: &Series,
    rest: &[Series],
) -> PolarsResult<Series> {
    match rest {
        [] => of_one(function, first.str()?),
        [second] => Ok(of_two(function, first.str()?, second.str()?)),
        [second, third] => of_three(function, first.str()?, second.str()?, third),
        _ => Err(no_value("a function of text has too many arguments")),
    }
}

fn of_one(function: &Function, texts: &StringChunked) -> PolarsResult<Series> {
    let text = |of: &dyn Fn(&str) -> PolarsResult<String>| -> PolarsResult<Series> {
        let values = texts.iter().map(|text| text.map(of).transpose());
        Ok(values.collect::<PolarsResult<StringChunked>>()?.into_series())
    };
    match function {
        Function::Like(pattern) => {
            let values = texts.iter().map(|text| text.map(|text| is_like(text, pattern)));
            Ok(values.collect::<BooleanChunked>().into_series())
        }
        Function::Length => {
            let values = texts.iter().map(|text| text.map(|text| text.chars().count() as i64));
            Ok(values.collect::<Int64Chunked>().into_series())
        }
        Function::Lower => text(&|text| in_case(text, char::to_lowercase)),
        Function::Upper => text(&|text| in_case(text, char::to_uppercase)),
        Function::Substring(start, length) => text(&|text| {
            let characters = text.chars().skip(start.saturating_sub(1));
            Ok(characters.take(length.unwrap_or(usize::MAX)).collect())
        }),
        Function::Trim(ends) => text(&|text| Ok(trimmed(text, *ends, is_space).to_owned())),
        _ => Err(no_value("a function of text has too few arguments")),
    }
}

fn of_two(function: &Function, a: &StringChunked, b: &StringChunked) -> Series {
    let both = a.iter().zip(b.iter()).map(|(a, b)| a.zip(b));
    match function {
        Function::StartsWith => {
            let values = both.map(|both| both.map(|(a, b)| a.starts_with(b)));
            values.collect::<BooleanChunked>().into_series()
        }
        Function::Contains => {
            let values = both.map(|both| both.map(|(a, b)| a.contains(b)));
            values.collect::<BooleanChunked>().into_series()
        }
        Function::Trim(ends) => {
            let trimmed = |(text, what): (&str, &str)| {
                trimmed(text, *ends, |character| what.contains(character)).to_owned()
            };
            both.map(|both| both.map(trimmed)).collect::<StringChunked>().into_series()
        }
        _ => {
            let values = both.map(|both| both.map(|(a, b)| format!("{a}{b}")));
            values.collect::<StringChunked>().into_series()
        }
    }
}

fn of_three(
    function: &Function,
    texts: &StringChunked,
    parts: &StringChunked,
    third: &Series,
) -> PolarsResult<Series> {
    let both = texts.iter().zip(parts.iter()).map(|(text, part)| text.zip(part));
    if *function == Function::SplitPart {
        let all = both.zip(third.i64()?.iter()).map(|(both, number)| {
            both.zip(number).map(|((text, by), number)| split_part(text, by, number)).transpose()
        });
        return Ok(all.collect::<PolarsResult<StringChunked>>()?.into_series());
    }
    let replaced = |((text, part), by): ((&str, &str), &str)| match part {
        "" => text.to_owned(),
        part => text.replace(part, by),
    };
    let all = both.zip(third.str()?.iter()).map(|(both, by)| both.zip(by).map(replaced));
    Ok(all.collect::<StringChunked>().into_series())
}

/// One of the parts between separators: of 1 the first, of -1 the last, of others than there are an empty one.
fn split_part(text: &str, separator: &str, number: i64) -> PolarsResult<String> {
    if separator.is_empty() {
        return Err(no_value(
            "split_part: the separator is an empty text; take single characters by substr",
        ));
    }
    let position = usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX).wrapping_sub(1);
    let part = match number {
        0 => None,
        1.. => text.split(separator).nth(position),
        // Not by `rsplit`, which finds other separators where they overlap.
        _ => text.split(separator).collect::<Vec<_>>().into_iter().rev().nth(position),
    };
    Ok(part.unwrap_or_default().to_owned())
}

fn trimmed(text: &str, ends: Ends, is_trimmed: impl Fn(char) -> bool + Copy) -> &str {
    let text = if ends.start { text.trim_start_matches(is_trimmed) } else { text };
    if ends.end { text.trim_end_matches(is_trimmed) } else { text }
}

/// Whether a character is a space of Unicode's category Zs, as DuckDB trims: line breaks and tabs are none.
const fn is_space(character: char) -> bool {
    matches!(
        character,
        ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
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
