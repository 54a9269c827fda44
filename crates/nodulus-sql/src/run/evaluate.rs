//! The value of an expression for each row of a frame.

use super::frame::{Frame, indices};
use super::{arithmetic, cast, compare, text};
use crate::Error;
use crate::typed::{Function, Node, Typed, Value};
use arrow::array::{
    Array, ArrayRef, AsArray as _, BooleanArray, Date32Array, Float64Array, GenericBinaryArray,
    Int64Array, LargeStringArray, PrimitiveArray, new_null_array,
};
use arrow::compute::{interleave, is_null, not};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Date32Type, Float64Type, Int64Type};
use std::sync::Arc;

/// The value of an expression for each row.
pub(crate) fn evaluate(expression: &Typed, frame: &Frame) -> Result<ArrayRef, Error> {
    match &expression.node {
        Node::Column(position) => Ok(frame.column(*position)?.clone()),
        Node::Value(value) => Ok(constant(value, &expression.kind.data_type(), frame.n_rows)),
        Node::Call(function @ (Function::And | Function::Or), parts) => {
            connected(*function == Function::And, parts, frame)
        }
        Node::Call(function, arguments) => {
            let arrays = arguments.iter().map(|argument| evaluate(argument, frame));
            let arrays: Vec<ArrayRef> = arrays.collect::<Result<_, _>>()?;
            call(function, &arrays, &expression.kind.data_type())
        }
        Node::Case { branches, otherwise } => case(expression, branches, otherwise, frame),
        Node::Member { item, set } => Ok(Arc::new(set.contains(&evaluate(item, frame)?)?)),
        Node::Aggregate(_) | Node::Window(_) | Node::Unnest(_) => Err(Error::Question(
            "an aggregate, a window function or unnest stands where it has no value; compute it in a subquery of FROM"
                .to_owned(),
        )),
    }
}

/// For each row whether a condition is true; null is not true.
pub(crate) fn is_true(condition: &Typed, frame: &Frame) -> Result<Vec<bool>, Error> {
    let values = evaluate(condition, frame)?;
    let values = booleans(&values)?;
    Ok(values.iter().map(|value| value == Some(true)).collect())
}

fn constant(value: &Value, data_type: &DataType, n: usize) -> ArrayRef {
    match value {
        Value::Null => new_null_array(data_type, n),
        Value::Bool(value) => Arc::new(BooleanArray::from(vec![*value; n])),
        Value::Int(value) => Arc::new(Int64Array::from(vec![*value; n])),
        Value::Float(value) => Arc::new(Float64Array::from(vec![*value; n])),
        Value::Date(value) => Arc::new(Date32Array::from(vec![*value; n])),
        Value::Text(value) => {
            Arc::new(LargeStringArray::from_iter_values(std::iter::repeat_n(value, n)))
        }
    }
}

fn call(function: &Function, arguments: &[ArrayRef], to: &DataType) -> Result<ArrayRef, Error> {
    let [first, rest @ ..] = arguments else {
        return Err(Error::Question("a function has no argument".to_owned()));
    };
    match function {
        Function::Add
        | Function::Subtract
        | Function::Multiply
        | Function::Divide
        | Function::Modulo
        | Function::Negate
        | Function::Abs
        | Function::Round(_)
        | Function::Floor
        | Function::Ceil
        | Function::Sqrt
        | Function::Ln
        | Function::Exp => arithmetic::compute(function, first, rest),
        Function::Compare(_) | Function::IsDistinct | Function::Greatest | Function::Least => {
            compare::compute(function, arguments)
        }
        Function::Concat
        | Function::Like(_)
        | Function::Lower
        | Function::Upper
        | Function::Length
        | Function::Substring(..)
        | Function::StartsWith
        | Function::Contains => text::compute(function, first, rest),
        Function::Cast | Function::Within(..) => cast::compute(function, first, to),
        Function::And | Function::Or => {
            Err(Error::Question("a condition stands where it has no value".to_owned()))
        }
        Function::Not => Ok(Arc::new(not(booleans(first)?)?)),
        Function::IsNull => Ok(Arc::new(is_null(first)?)),
        Function::Coalesce => {
            let first_known = |row: &usize| arguments.iter().position(|a| a.is_valid(*row));
            let rows = (0..first.len()).map(|row| (first_known(&row).unwrap_or(0), row));
            let arrays: Vec<&dyn Array> = arguments.iter().map(AsRef::as_ref).collect();
            Ok(interleave(&arrays, &rows.collect::<Vec<_>>())?)
        }
        Function::ListLength => list_lengths(first),
    }
}

/// Conditions joined by AND or OR. Each is computed only for the rows that those before it leave open, so that an error
/// elsewhere does not matter.
fn connected(is_and: bool, parts: &[Typed], frame: &Frame) -> Result<ArrayRef, Error> {
    let mut whole: Vec<Option<bool>> = vec![Some(is_and); frame.n_rows];
    let mut open: Vec<usize> = (0..frame.n_rows).collect();
    for part in parts {
        let values = if open.len() == frame.n_rows {
            evaluate(part, frame)?
        } else {
            let rows = indices(open.iter().copied())?;
            evaluate(part, &frame.take_needed(&rows, &part.columns())?)?
        };
        let values = booleans(&values)?;
        for (row, value) in open.iter().zip(values) {
            whole[*row] = match value {
                Some(value) if value != is_and => Some(value),
                Some(_) => whole[*row],
                None => None,
            };
        }
        open.retain(|row| whole[*row] != Some(!is_and));
    }
    Ok(Arc::new(BooleanArray::from(whole)))
}

/// The number of items of each list.
fn list_lengths(lists: &ArrayRef) -> Result<ArrayRef, Error> {
    let lengths: Int64Array = match lists.data_type() {
        DataType::List(_) => {
            let lists = lists.as_list::<i32>();
            lists.iter().map(|list| list.map(|list| list.len() as i64)).collect()
        }
        DataType::LargeList(_) => {
            let lists = lists.as_list::<i64>();
            lists.iter().map(|list| list.map(|list| list.len() as i64)).collect()
        }
        other => return Err(of_another_type(other)),
    };
    Ok(Arc::new(lengths))
}

/// The result of the first condition that is true. A result is computed only for its own rows, so that an error elsewhere
/// does not matter.
fn case(
    whole: &Typed,
    branches: &[(Typed, Typed)],
    otherwise: &Typed,
    frame: &Frame,
) -> Result<ArrayRef, Error> {
    let mut left: Vec<usize> = (0..frame.n_rows).collect();
    let mut results = Vec::with_capacity(branches.len() + 1);
    let mut origin = vec![(0, 0); frame.n_rows];
    let mut keep = |rows: &[usize], result: &Typed| -> Result<(), Error> {
        let own = frame.take_needed(&indices(rows.iter().copied())?, &result.columns())?;
        for (n, row) in rows.iter().enumerate() {
            origin[*row] = (results.len(), n);
        }
        results.push(evaluate(result, &own)?);
        Ok(())
    };
    for (condition, result) in branches {
        let own = frame.take_needed(&indices(left.iter().copied())?, &condition.columns())?;
        let is_true = is_true(condition, &own)?;
        let (yes, no): (Vec<_>, Vec<_>) = left.iter().zip(is_true).partition(|(_, yes)| *yes);
        let rows = |chosen: Vec<(&usize, bool)>| chosen.into_iter().map(|(row, _)| *row).collect();
        let yes: Vec<usize> = rows(yes);
        let no: Vec<usize> = rows(no);
        keep(&yes, result)?;
        left = no;
    }
    keep(&left, otherwise)?;
    if frame.n_rows == 0 {
        return Ok(new_null_array(&whole.kind.data_type(), 0));
    }
    let arrays: Vec<&dyn Array> = results.iter().map(AsRef::as_ref).collect();
    Ok(interleave(&arrays, &origin)?)
}

pub(crate) fn booleans(array: &ArrayRef) -> Result<&BooleanArray, Error> {
    array.as_boolean_opt().ok_or_else(|| of_another_type(array.data_type()))
}

pub(crate) fn ints(array: &ArrayRef) -> Result<&Int64Array, Error> {
    primitives::<Int64Type>(array)
}

pub(crate) fn floats(array: &ArrayRef) -> Result<&Float64Array, Error> {
    primitives::<Float64Type>(array)
}

pub(crate) fn dates(array: &ArrayRef) -> Result<&Date32Array, Error> {
    primitives::<Date32Type>(array)
}

pub(crate) fn texts(array: &ArrayRef) -> Result<&LargeStringArray, Error> {
    array.as_string_opt().ok_or_else(|| of_another_type(array.data_type()))
}

pub(super) fn bytes(array: &ArrayRef) -> Result<&GenericBinaryArray<i64>, Error> {
    array.as_binary_opt().ok_or_else(|| of_another_type(array.data_type()))
}

fn primitives<T: ArrowPrimitiveType>(array: &ArrayRef) -> Result<&PrimitiveArray<T>, Error> {
    array.as_primitive_opt().ok_or_else(|| of_another_type(array.data_type()))
}

pub(super) fn of_another_type(data_type: &DataType) -> Error {
    Error::refused(
        format!("values of type {data_type}"),
        "only their rows can be selected; compute with them in another program",
    )
}
