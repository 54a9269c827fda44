//! The values that a subquery of IN answers.

use super::expression::null;
use super::frame::Frame;
use crate::Error;
use crate::kind::Kind;
use crate::typed::{Typed, key};
use polars::prelude::{Expr, Series, lit, when};

/// Values of one column.
#[derive(Debug)]
pub(crate) struct Set {
    values: Series,
}

impl PartialEq for Set {
    /// Two subqueries are never taken for the same.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Set {
    pub(crate) fn new(values: Typed, frame: &Frame) -> Result<Self, Error> {
        let values = frame.select(&[key(values)])?;
        Ok(Self { values: values.column(0)?.as_materialized_series().clone() })
    }

    /// Whether a value, normal as a key, is in the set: null where that depends on a null.
    pub(super) fn contains(&self, item: Expr, is_null_kind: bool) -> Expr {
        if self.values.is_empty() {
            return lit(false);
        }
        if is_null_kind {
            return null(&Kind::Bool);
        }
        let known = lit(self.values.drop_nulls()).implode(true);
        let is_in = item.clone().is_in(known, false);
        let otherwise = if self.values.null_count() > 0 { null(&Kind::Bool) } else { lit(false) };
        when(item.is_null())
            .then(null(&Kind::Bool))
            .otherwise(when(is_in.fill_null(lit(false))).then(lit(true)).otherwise(otherwise))
    }
}
