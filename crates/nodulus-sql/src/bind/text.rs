//! Functions of text.

use super::convert;
use crate::Error;
use crate::kind::Kind;
use crate::typed::{self, Ends, Function, Typed};
use sqlparser::ast::{Expr, Value};

/// A call of a function of text; `None` where it is another function.
pub(super) fn call(
    name: &str,
    arguments: &[Typed],
    expressions: &[Expr],
    text: &Expr,
) -> Result<Option<Typed>, Error> {
    let of_texts = |function, kind| {
        let all = arguments.iter().zip(expressions);
        let all = all.map(|(argument, text)| convert::text(argument.clone(), text));
        Ok(Some(Typed::call(function, all.collect::<Result<_, Error>>()?, kind)))
    };
    match (name, arguments) {
        ("lower", [_]) => of_texts(Function::Lower, Kind::Text),
        ("upper", [_]) => of_texts(Function::Upper, Kind::Text),
        ("length" | "len", [value]) if !matches!(value.kind, Kind::Other(_)) => {
            of_texts(Function::Length, Kind::Int)
        }
        ("starts_with", [_, _]) => of_texts(Function::StartsWith, Kind::Bool),
        ("contains", [a, _]) if !matches!(a.kind, Kind::Other(_)) => {
            of_texts(Function::Contains, Kind::Bool)
        }
        ("replace", [_, _, _]) => of_texts(Function::Replace, Kind::Text),
        ("ltrim", [_] | [_, _]) => {
            of_texts(Function::Trim(Ends { start: true, end: false }), Kind::Text)
        }
        ("rtrim", [_] | [_, _]) => {
            of_texts(Function::Trim(Ends { start: false, end: true }), Kind::Text)
        }
        ("split_part", [of, by, number]) => {
            let of = convert::text(of.clone(), text)?;
            let by = convert::text(by.clone(), text)?;
            let number = convert::whole(number.clone(), text)?;
            Ok(Some(Typed::call(Function::SplitPart, vec![of, by, number], Kind::Text)))
        }
        ("concat", [first, rest @ ..]) => {
            let mut whole = or_empty(first, text)?;
            for next in rest {
                let both = vec![whole, or_empty(next, text)?];
                whole = Typed::call(Function::Concat, both, Kind::Text);
            }
            Ok(Some(whole))
        }
        _ => Ok(None),
    }
}

/// A part of what `concat` joins, which leaves nulls out.
fn or_empty(argument: &Typed, text: &Expr) -> Result<Typed, Error> {
    let argument = convert::as_text(argument.clone(), text)?;
    let empty = Typed::value(typed::Value::Text(String::new()), Kind::Text);
    Ok(Typed::call(Function::Coalesce, vec![argument, empty], Kind::Text))
}

/// A part of a text, from a position on.
pub(super) fn substring(
    text: Typed,
    from: &Expr,
    length: Option<&Expr>,
    whole: &Expr,
) -> Result<Typed, Error> {
    let number = |expression: &Expr, least: usize| {
        let number = match expression {
            Expr::Value(value) => match &value.value {
                Value::Number(digits, false) => digits.parse::<usize>().ok(),
                _ => None,
            },
            _ => None,
        };
        number.filter(|number| *number >= least).ok_or_else(|| {
            Error::refused(whole, "position and length are whole numbers, the first character is 1")
        })
    };
    let from = number(from, 1)?;
    let length = length.map(|length| number(length, 0)).transpose()?;
    Ok(Typed::call(Function::Substring(from, length), vec![text], Kind::Text))
}
