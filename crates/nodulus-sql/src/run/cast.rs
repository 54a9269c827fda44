//! Values converted from one kind to another.

use super::evaluate::{booleans, dates, floats, ints, of_another_type, texts};
use crate::Error;
use crate::typed::Function;
use arrow::array::{
    Array as _, ArrayRef, Date32Array, Float64Array, Int64Array, LargeStringArray, new_null_array,
};
use arrow::compute::kernels::cast_utils::Parser;
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type};
use arrow::temporal_conversions::date32_to_datetime;
use std::sync::Arc;

/// Two to the power of 63, one more than the largest whole number.
const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;

/// Values of another type, or of a narrower range.
pub(super) fn compute(
    function: &Function,
    from: &ArrayRef,
    to: &DataType,
) -> Result<ArrayRef, Error> {
    if let Function::Within(low, high) = function {
        let within = |value: i64| {
            if (*low..=*high).contains(&value) {
                return Ok(value);
            }
            Err(Error::Question(format!("`{value}` is not in the range from {low} to {high}")))
        };
        return Ok(Arc::new(ints(from)?.try_unary::<_, Int64Type, Error>(within)?));
    }
    Ok(match (from.data_type(), to) {
        (own, to) if own == to => from.clone(),
        (DataType::Null, to) => new_null_array(to, from.len()),
        (DataType::Int64, DataType::Float64) => {
            Arc::new(ints(from)?.unary::<_, Float64Type>(|value| value as f64))
        }
        (DataType::Int64, DataType::LargeUtf8) => {
            let values = ints(from)?.iter().map(|value| value.map(|value| value.to_string()));
            Arc::new(values.collect::<LargeStringArray>())
        }
        (DataType::Boolean, DataType::Int64) => {
            Arc::new(booleans(from)?.iter().map(|b| b.map(i64::from)).collect::<Int64Array>())
        }
        (DataType::Boolean, DataType::LargeUtf8) => {
            let values = booleans(from)?.iter().map(|value| value.map(|value| value.to_string()));
            Arc::new(values.collect::<LargeStringArray>())
        }
        (DataType::Float64, DataType::Int64) => {
            // METHOD: A half goes to the even number, as DuckDB casts.
            let whole = |value: f64| match value.round_ties_even() {
                rounded if (-TOO_LARGE..TOO_LARGE).contains(&rounded) => Ok(rounded as i64),
                _ => Err(Error::Question(format!("`{value}` is no whole number of 64 bits"))),
            };
            Arc::new(floats(from)?.try_unary::<_, Int64Type, Error>(whole)?)
        }
        (DataType::Date32, DataType::LargeUtf8) => {
            let text = |day| date32_to_datetime(day).map(|time| time.date().to_string());
            Arc::new(dates(from)?.iter().map(|d| d.and_then(text)).collect::<LargeStringArray>())
        }
        (DataType::LargeUtf8, DataType::Int64) => {
            let values = parsed(from, "a whole number", whole_number)?;
            Arc::new(values.into_iter().collect::<Int64Array>())
        }
        (DataType::LargeUtf8, DataType::Float64) => {
            let values = parsed(from, "a number", number)?;
            Arc::new(values.into_iter().collect::<Float64Array>())
        }
        (DataType::LargeUtf8, DataType::Date32) => {
            let values = parsed(from, "a day as 2026-01-31", day)?;
            Arc::new(values.into_iter().collect::<Date32Array>())
        }
        (own, _) => return Err(of_another_type(own)),
    })
}

fn parsed<T>(
    from: &ArrayRef,
    expected: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<Option<T>>, Error> {
    let one = |text: &str| {
        parse(text).ok_or_else(|| {
            Error::Question(format!(
                "cast: the text `{text}` is not {expected}; leave such rows out with CASE"
            ))
        })
    };
    texts(from)?.iter().map(|text| text.map(one).transpose()).collect()
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
