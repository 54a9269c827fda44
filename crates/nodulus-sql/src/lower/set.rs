//! The rows that a subquery of IN or EXISTS answers.

use super::frame::Frame;
use super::scalar::no_value;
use crate::Error;
use crate::typed::{Typed, key};
use polars::prelude::{BooleanChunked, Column, DataType, IntoSeries as _, PolarsResult, Series};
use std::collections::HashSet;

/// A value that equals others exactly where SQL says so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Item {
    Bool(bool),
    Int(i64),
    /// The bits of a number of which there is one zero and one NaN.
    Float(u64),
    Text(String),
    Date(i32),
    Bytes(Vec<u8>),
}

/// What an expression asks about a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Whether a value is in it: null where that depends on a null.
    In,
    /// Whether there is a row whose values equal these: a null equals nothing.
    Exists,
}

/// Rows of a subquery.
#[derive(Debug)]
pub(crate) struct Set {
    asked: Asked,
    /// Those without a null.
    rows: HashSet<Vec<Item>>,
    has_null: bool,
}

impl PartialEq for Set {
    /// Two subqueries are never taken for the same.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Set {
    /// The rows of some values.
    pub(crate) fn new(asked: Asked, values: Vec<Typed>, frame: &Frame) -> Result<Self, Error> {
        let values = frame.select(&values.into_iter().map(key).collect::<Vec<_>>())?;
        let columns = values.columns().iter().map(Column::as_materialized_series);
        let columns = columns.map(items).collect::<PolarsResult<Vec<_>>>()?;
        let (mut rows, mut has_null) = (HashSet::new(), false);
        for row in 0..values.n_rows() {
            match whole(&columns, row) {
                Some(row) => {
                    rows.insert(row);
                }
                None => has_null = true,
            }
        }
        Ok(Self { asked, rows, has_null })
    }

    /// Whether each row of values, which are normal as keys, is in the set.
    pub(super) fn contains(&self, values: &[Series]) -> PolarsResult<Series> {
        let n_rows = values.first().map_or(0, |first| first.len());
        let columns = values.iter().map(items).collect::<PolarsResult<Vec<_>>>()?;
        let one = |row| match (whole(&columns, row), self.asked) {
            _ if self.rows.is_empty() && !self.has_null => Some(false),
            (Some(row), _) if self.rows.contains(&row) => Some(true),
            (Some(_), Asked::In) if self.has_null => None,
            (None, Asked::In) => None,
            _ => Some(false),
        };
        Ok((0..n_rows).map(one).collect::<BooleanChunked>().into_series())
    }
}

/// The values of a row; none where one is null.
fn whole(columns: &[Vec<Option<Item>>], row: usize) -> Option<Vec<Item>> {
    columns.iter().map(|column| column[row].clone()).collect()
}

fn items(values: &Series) -> PolarsResult<Vec<Option<Item>>> {
    Ok(match values.dtype() {
        DataType::Boolean => values.bool()?.iter().map(|v| v.map(Item::Bool)).collect(),
        DataType::Int64 => values.i64()?.iter().map(|v| v.map(Item::Int)).collect(),
        DataType::Float64 => {
            values.f64()?.iter().map(|v| v.map(|v| Item::Float(v.to_bits()))).collect()
        }
        DataType::String => {
            values.str()?.iter().map(|v| v.map(|v| Item::Text(v.to_owned()))).collect()
        }
        DataType::Int32 => values.i32()?.iter().map(|v| v.map(Item::Date)).collect(),
        DataType::Binary => {
            values.binary()?.iter().map(|v| v.map(|v| Item::Bytes(v.to_vec()))).collect()
        }
        _ => return Err(no_value("values of IN or EXISTS cannot be compared")),
    })
}
