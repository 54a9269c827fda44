//! Constants.

use crate::Error;
use crate::kind::Kind;
use crate::lower::cast::day;
use crate::typed::{self, Typed};
use sqlparser::ast::{DataType, Expr, TypedString, Value};

/// Most digits of a number with a point: up to here the nearest number of 64 bits compares as the decimal number does.
const MAX_DIGITS: usize = 15;

/// A constant as it is written.
pub(super) fn literal(value: &Value) -> Result<Typed, Error> {
    Ok(match value {
        Value::Null => Typed::value(typed::Value::Null, Kind::Null),
        Value::Boolean(value) => Typed::value(typed::Value::Bool(*value), Kind::Bool),
        Value::SingleQuotedString(text) => {
            Typed::value(typed::Value::Text(text.clone()), Kind::Text)
        }
        Value::Number(digits, false) => number(digits)?,
        other => {
            return Err(Error::refused(
                other,
                "write numbers, 'text', DATE '2026-01-31', TRUE, FALSE or NULL",
            ));
        }
    })
}

fn number(digits: &str) -> Result<Typed, Error> {
    let refused = |instead: &str| Err(Error::refused(digits, instead));
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return match digits.parse() {
            Ok(value) => Ok(Typed::value(typed::Value::Int(value), Kind::Int)),
            Err(_) => refused("whole numbers have 64 bits; write an exponent, as in 1e20"),
        };
    }
    let (Ok(value), true) = (digits.parse::<f64>(), digits.is_ascii()) else {
        return refused("write a number of digits, a point and an exponent");
    };
    if digits.contains(['e', 'E']) {
        if !value.is_finite() {
            return refused("it is above all numbers of 64 bits");
        }
        return Ok(Typed::value(typed::Value::Float(value), Kind::Float));
    }
    if digits.bytes().filter(u8::is_ascii_digit).count() > MAX_DIGITS {
        return refused(
            "it has more digits than a number of 64 bits holds; write an exponent, as in 0.1e0",
        );
    }
    Ok(Typed::value(typed::Value::Float(value), Kind::Decimal))
}

/// `DATE '2026-01-31'`.
pub(super) fn typed_string(text: &TypedString) -> Result<Typed, Error> {
    match (&text.data_type, &text.value.value) {
        (DataType::Date, Value::SingleQuotedString(written)) if !text.uses_odbc_syntax => {
            match day(written) {
                Some(day) => Ok(Typed::value(typed::Value::Date(day), Kind::Date)),
                None => Err(Error::Question(format!(
                    "`{text}`: there is no such day, expected one as DATE '2026-01-31'"
                ))),
            }
        }
        _ => Err(Error::refused(text, "of times, only DATE '2026-01-31' is answered")),
    }
}

/// The position that a whole number after GROUP BY or ORDER BY stands for; `None` for other expressions.
pub(super) fn ordinal(expression: &Expr, n_columns: usize) -> Result<Option<usize>, Error> {
    let Expr::Value(value) = expression else { return Ok(None) };
    let number = match &value.value {
        Value::Number(digits, false) => digits.parse::<usize>().ok(),
        _ => None,
    };
    match number.and_then(|number| number.checked_sub(1)).filter(|n| *n < n_columns) {
        Some(position) => Ok(Some(position)),
        None => Err(Error::Question(format!(
            "`{expression}` is no column of the answer, expected a number from 1 to {n_columns}"
        ))),
    }
}
