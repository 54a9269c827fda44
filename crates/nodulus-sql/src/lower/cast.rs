//! Values converted from one kind to another.

use super::scalar::no_value;
use crate::kind::Kind;
use crate::typed::Function;
use arrow::compute::kernels::cast_utils::Parser;
use arrow::datatypes::Date32Type;
use arrow::temporal_conversions::date32_to_datetime;
use polars::prelude::{
    Float64Chunked, Int32Chunked, Int64Chunked, IntoSeries as _, PolarsResult, Series,
    StringChunked,
};

/// Two to the power of 63, one more than the largest whole number.
const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;

/// Values as another kind, where polars converts otherwise than DuckDB.
pub(super) fn compute(values: &Series, from: &Kind, to: &Kind) -> PolarsResult<Series> {
    Ok(match (from, to) {
        (Kind::Int, Kind::Text) => {
            let texts = values.i64()?.iter().map(|value| value.map(|value| value.to_string()));
            texts.collect::<StringChunked>().into_series()
        }
        (Kind::Bool, Kind::Text) => {
            let texts = values.bool()?.iter().map(|value| value.map(|value| value.to_string()));
            texts.collect::<StringChunked>().into_series()
        }
        (Kind::Date, Kind::Text) => {
            let text = |day| date32_to_datetime(day).map(|time| time.date().to_string());
            let texts = values.i32()?.iter().map(|day| day.and_then(text));
            texts.collect::<StringChunked>().into_series()
        }
        (Kind::Float, Kind::Int) => {
            // METHOD: A half goes to the even number, as DuckDB casts.
            let whole = |value: f64| match value.round_ties_even() {
                rounded if (-TOO_LARGE..TOO_LARGE).contains(&rounded) => Ok(rounded as i64),
                _ => Err(no_value(format!("`{value}` is no whole number of 64 bits"))),
            };
            let wholes = values.f64()?.iter().map(|value| value.map(whole).transpose());
            wholes.collect::<PolarsResult<Int64Chunked>>()?.into_series()
        }
        (Kind::Text, Kind::Int) => {
            parsed(values, "a whole number", whole_number)?.collect::<Int64Chunked>().into_series()
        }
        (Kind::Text, Kind::Float) => {
            parsed(values, "a number", number)?.collect::<Float64Chunked>().into_series()
        }
        (Kind::Text, Kind::Date) => {
            let days = parsed(values, "a day as 2026-01-31", day)?;
            days.collect::<Int32Chunked>().into_series()
        }
        _ => return Err(no_value(format!("{from} is not cast to {to}"))),
    })
}

/// Days as numbers, or numbers as days.
pub(super) fn days(function: &Function, values: &Series) -> PolarsResult<Series> {
    if *function == Function::NumberOfDay {
        let numbers = values.i32()?.iter().map(|day| day.map(i64::from));
        return Ok(numbers.collect::<Int64Chunked>().into_series());
    }
    let one = |number: i64| {
        let day = i32::try_from(number).ok();
        let day = day.filter(|day| date32_to_datetime(*day).is_some());
        day.ok_or_else(|| no_value(format!("day {number} from 1970-01-01 on is no date")))
    };
    let days = values.i64()?.iter().map(|number| number.map(one).transpose());
    Ok(days.collect::<PolarsResult<Int32Chunked>>()?.into_series())
}

fn parsed<T>(
    values: &Series,
    expected: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> PolarsResult<impl Iterator<Item = Option<T>>> {
    let one = |text: &str| {
        parse(text).ok_or_else(|| {
            no_value(format!(
                "cast: the text `{text}` is not {expected}; leave such rows out with CASE"
            ))
        })
    };
    let all = values.str()?.iter().map(|text| text.map(one).transpose());
    Ok(all.collect::<PolarsResult<Vec<_>>>()?.into_iter())
}

/// A whole number without spaces, point and exponent, which programs read alike.
fn whole_number(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain { text.parse().ok() } else { None }
}

/// A number of digits with or without a point and an exponent.
fn number(text: &str) -> Option<f64> {
    let starts = text.strip_prefix('-').unwrap_or(text).starts_with(|c: char| c.is_ascii_digit());
    let is_plain = text.bytes().all(|b| b.is_ascii_digit() || b"-.eE".contains(&b));
    if starts && is_plain {
        text.parse().ok().filter(|value: &f64| value.is_finite())
    } else {
        None
    }
}

/// Days since 1970-01-01 of a day as `2026-01-31`.
pub(crate) fn day(text: &str) -> Option<i32> {
    let is_plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    if !is_plain {
        return None;
    }
    // A day that does not exist is none.
    let is_written =
        |day: &i32| date32_to_datetime(*day).is_some_and(|t| t.date().to_string() == text);
    <Date32Type as Parser>::parse(text).filter(is_written)
}
