//! Expressions of one kind as another.

use crate::Error;
use crate::kind::Kind;
use crate::typed::{Function, Node, Typed, Value};

/// The same values as another kind, to which they can be converted.
pub(super) fn to_kind(expression: Typed, kind: &Kind) -> Typed {
    match (&expression.kind, kind) {
        (own, kind) if own == kind => expression,
        (Kind::Null, kind) => Typed::value(Value::Null, kind.clone()),
        (Kind::Int, Kind::Float | Kind::Decimal | Kind::Computed) => {
            if let Node::Value(Value::Int(value)) = expression.node {
                return Typed::value(Value::Float(value as f64), kind.clone());
            }
            Typed::call(Function::Cast, vec![expression], kind.clone())
        }
        (Kind::Decimal | Kind::Computed, Kind::Float | Kind::Computed) => {
            Typed { kind: kind.clone(), ..expression }
        }
        _ => Typed::call(Function::Cast, vec![expression], kind.clone()),
    }
}

/// Both sides of a comparison as the same kind.
pub(super) fn compared(
    left: Typed,
    right: Typed,
    text: &dyn std::fmt::Display,
) -> Result<(Typed, Typed), Error> {
    let (a, b) = (&left.kind, &right.kind);
    match a.compared(b) {
        Some(kind) => Ok((to_kind(left, &kind), to_kind(right, &kind))),
        None if [a, b].contains(&&Kind::Computed) => Err(Error::refused(
            text,
            "decimal numbers are computed exactly elsewhere; write cast(… AS DOUBLE) about one of them",
        )),
        None if a == b => Err(Error::refused(text, format!("{a} cannot be compared"))),
        None => Err(Error::refused(
            text,
            format!("{a} is compared with {b}; write cast(… AS …) about one of them"),
        )),
    }
}

/// Several results as one kind.
pub(super) fn common(
    mut all: Vec<Typed>,
    text: &dyn std::fmt::Display,
) -> Result<(Vec<Typed>, Kind), Error> {
    // A whole number that is written out is as good as a decimal one.
    if all.iter().any(|one| one.kind == Kind::Decimal) {
        for one in &mut all {
            if let Node::Value(Value::Int(value)) = one.node
                && value.unsigned_abs() < 1_000_000_000_000_000
            {
                *one = Typed::value(Value::Float(value as f64), Kind::Decimal);
            }
        }
    }
    let mut kind = Kind::Null;
    for one in &all {
        kind = kind.common(&one.kind).ok_or_else(|| {
            let other = &one.kind;
            let instead =
                format!("its results are {kind} and {other}; write cast(… AS …) about one");
            Error::refused(text, instead)
        })?;
    }
    let all = all.into_iter().map(|one| to_kind(one, &kind)).collect();
    Ok((all, kind))
}

/// An expression that must be text.
pub(super) fn text(expression: Typed, text: &dyn std::fmt::Display) -> Result<Typed, Error> {
    match expression.kind {
        Kind::Text | Kind::Null => Ok(to_kind(expression, &Kind::Text)),
        kind => Err(Error::refused(
            text.to_string(),
            format!("it is {kind}, where text is expected; write cast(… AS VARCHAR)"),
        )),
    }
}

/// An expression that is joined with text, as which programs write it alike.
pub(super) fn as_text(expression: Typed, text: &dyn std::fmt::Display) -> Result<Typed, Error> {
    match expression.kind {
        Kind::Text | Kind::Null | Kind::Bool | Kind::Int | Kind::Date => {
            Ok(to_kind(expression, &Kind::Text))
        }
        kind if kind.is_number() => Err(Error::refused(
            text.to_string(),
            "programs write a number with a point in several ways; select the number itself",
        )),
        kind => {
            Err(Error::refused(text.to_string(), format!("it is {kind}, where text is expected")))
        }
    }
}

/// An expression that must be a whole number.
pub(super) fn whole(expression: Typed, text: &dyn std::fmt::Display) -> Result<Typed, Error> {
    match expression.kind {
        Kind::Int | Kind::Null => Ok(to_kind(expression, &Kind::Int)),
        kind => Err(Error::refused(
            text.to_string(),
            format!("{kind} stands where a whole number is expected"),
        )),
    }
}

/// An expression that must be true or false.
pub(super) fn truth(expression: Typed, text: &dyn std::fmt::Display) -> Result<Typed, Error> {
    match expression.kind {
        Kind::Bool | Kind::Null => Ok(to_kind(expression, &Kind::Bool)),
        kind => Err(Error::Question(format!(
            "`{}` is {kind}, expected true or false, as in `{} = …`",
            crate::error::shortened(&text.to_string()),
            crate::error::shortened(&text.to_string()),
        ))),
    }
}
