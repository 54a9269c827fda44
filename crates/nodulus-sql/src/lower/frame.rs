//! Columns of the same number of rows.

use super::expression::Lowering;
use super::{Aside, column};
use crate::Error;
use crate::kind::Kind;
use crate::typed::Typed;
use polars::prelude::{
    Column, DataFrame, IdxCa, IdxSize, IntoLazy as _, LazyFrame, OptFlags, PlSmallStr, Scalar, col,
};
use std::sync::Arc;

/// Name of a column without meaning that every frame has, so that its number of rows is known to expressions.
pub(super) const ROW: &str = "#";

/// Columns of the same number of rows, named by their positions.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    data: DataFrame,
    pub(crate) aside: Arc<Aside>,
}

/// Name of the column at a position.
pub(super) fn name(position: usize) -> PlSmallStr {
    position.to_string().into()
}

impl Frame {
    pub(crate) fn new(
        columns: Vec<Column>,
        n_rows: usize,
        aside: &Arc<Aside>,
    ) -> Result<Self, Error> {
        // Not as one value that stands for all rows, which polars compares with a constant to one row.
        let long =
            columns.into_iter().map(|column| Column::from(column.take_materialized_series()));
        let mut columns: Vec<Column> =
            long.enumerate().map(|(n, column)| column.with_name(name(n))).collect();
        columns.push(Column::new_scalar(ROW.into(), Scalar::from(false), n_rows));
        Ok(Self { data: DataFrame::new(n_rows, columns)?, aside: aside.clone() })
    }

    /// One row without columns, from which constants are selected.
    pub(crate) fn one_row(aside: &Arc<Aside>) -> Result<Self, Error> {
        Self::new(Vec::new(), 1, aside)
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.data.height()
    }

    pub(crate) fn columns(&self) -> &[Column] {
        let all = self.data.columns();
        &all[..all.len() - 1]
    }

    pub(crate) fn column(&self, position: usize) -> Result<&Column, Error> {
        self.columns().get(position).ok_or_else(|| {
            Error::Question(format!("column {position} of {} is missing", self.columns().len()))
        })
    }

    /// For queries, whose steps are computed as they stand: an expression that fails must not be computed for other rows.
    pub(super) fn lazy(&self) -> LazyFrame {
        let as_it_stands = OptFlags::TYPE_COERCION | OptFlags::TYPE_CHECK;
        self.data.clone().lazy().with_optimizations(as_it_stands)
    }

    /// The values of expressions as columns.
    pub(crate) fn select(&self, expressions: &[Typed]) -> Result<Self, Error> {
        let mut lowering = Lowering::new(self);
        let mut selected = Vec::with_capacity(expressions.len() + 1);
        for (n, expression) in expressions.iter().enumerate() {
            selected.push(lowering.column(expression)?.alias(name(n)));
        }
        selected.push(col(ROW));
        let data = lowering.rows().select(selected).collect()?;
        let columns = data.columns()[..expressions.len()].to_vec();
        Self::new(columns, data.height(), &self.aside)
    }

    /// Further columns after its own.
    pub(crate) fn with(self, columns: impl IntoIterator<Item = Column>) -> Result<Self, Error> {
        let n_rows = self.n_rows();
        let mut all = self.columns().to_vec();
        all.extend(columns);
        Self::new(all, n_rows, &self.aside)
    }

    /// The rows for which a condition is true.
    pub(crate) fn filter(&self, condition: &Typed) -> Result<Self, Error> {
        let is_true = self.select(std::slice::from_ref(condition))?;
        let data = self.data.filter(is_true.column(0)?.as_materialized_series().bool()?)?;
        Ok(Self { data, aside: self.aside.clone() })
    }

    /// The rows with these indices; a row of nulls for a null.
    pub(crate) fn take(&self, rows: &IdxCa) -> Result<Self, Error> {
        let taken = self.data.take(rows)?;
        let columns = taken.columns()[..self.columns().len()].to_vec();
        Self::new(columns, rows.len(), &self.aside)
    }

    /// The rows of all frames, which have columns of these kinds.
    pub(crate) fn stacked(
        frames: Vec<Self>,
        kinds: &[Kind],
        aside: &Arc<Aside>,
    ) -> Result<Self, Error> {
        let n_rows: usize = frames.iter().map(Self::n_rows).sum();
        if IdxSize::try_from(n_rows).is_err() {
            return Err(too_many_rows());
        }
        let none = kinds.iter().map(|kind| Column::new_empty("".into(), &column::data_type(kind)));
        let mut whole = Self::new(none.collect(), 0, aside)?.data;
        for frame in frames.into_iter().filter(|frame| frame.n_rows() > 0) {
            whole.vstack_mut_owned(frame.data)?;
        }
        whole.rechunk_mut();
        let columns = whole.columns()[..kinds.len()].to_vec();
        Self::new(columns, n_rows, aside)
    }
}

/// Indices of rows, of which a frame has fewer than 2³².
pub(crate) fn indices(rows: impl IntoIterator<Item = usize>) -> IdxCa {
    rows.into_iter().map(|row| IdxSize::try_from(row).ok()).collect()
}

pub(crate) fn too_many_rows() -> Error {
    Error::Question(
        "the question leads to more rows than are held at once; restrict it with WHERE, or compare columns of both \
         tables for equality in ON"
            .to_owned(),
    )
}
