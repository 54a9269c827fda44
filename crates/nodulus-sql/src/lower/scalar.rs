//! Functions of each row that polars does not compute.

use super::{Aside, cast, list, number, text};
use crate::kind::Kind;
use crate::typed::Function;
use polars::prelude::{PolarsError, PolarsResult, Series};

/// An error about a value, which [`crate::Error`] tells from polars' own: those of SQL are never polars' here.
pub(super) fn no_value(text: impl Into<String>) -> PolarsError {
    PolarsError::SQLInterface(text.into().into())
}

/// A value for each row; the arguments have the same number of rows.
pub(super) fn compute(
    function: &Function,
    arguments: &[Series],
    from: &Kind,
    to: &Kind,
    aside: &Aside,
) -> PolarsResult<Series> {
    match (function, arguments) {
        (
            Function::Add | Function::Subtract | Function::Multiply | Function::Modulo,
            [first, second],
        ) => number::of_ints(function, first, second),
        (Function::Divide, [first, second]) => number::quotients(first, second),
        (Function::Power, [base, exponent]) => number::powers(base, exponent),
        (Function::NumberOfDay | Function::Day, [value]) => cast::days(function, value),
        (Function::Negate | Function::Abs | Function::Round(_) | Function::Within(..), [value])
            if *from == Kind::Int =>
        {
            number::of_int(function, value)
        }
        (
            Function::Normal
            | Function::Negate
            | Function::Abs
            | Function::Round(_)
            | Function::Floor
            | Function::Ceil
            | Function::Sqrt
            | Function::Ln
            | Function::Exp,
            [value],
        ) => number::of_float(function, value),
        (Function::Cast, [value]) => cast::compute(value, from, to),
        (Function::ListLength, [lists]) => list::lengths(lists, from, aside),
        (
            Function::Concat
            | Function::Like(_)
            | Function::Lower
            | Function::Upper
            | Function::Length
            | Function::Substring(..)
            | Function::StartsWith
            | Function::Contains
            | Function::Replace
            | Function::Trim(_)
            | Function::SplitPart,
            [first, rest @ ..],
        ) => text::compute(function, first, rest),
        _ => Err(no_value("a function stands where it has no value")),
    }
}
