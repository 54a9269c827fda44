//! Columns of the same number of rows.

use crate::Error;
use arrow::array::{Array, ArrayRef, NullArray, UInt32Array, new_empty_array};
use arrow::compute::{concat, take};
use arrow::datatypes::DataType;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Columns of the same number of rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frame {
    pub(crate) columns: Vec<ArrayRef>,
    pub(crate) n_rows: usize,
}

impl Frame {
    pub(crate) const fn new(columns: Vec<ArrayRef>, n_rows: usize) -> Self {
        Self { columns, n_rows }
    }

    /// One row without columns, from which constants are selected.
    pub(crate) const fn one_row() -> Self {
        Self::new(Vec::new(), 1)
    }

    pub(crate) fn column(&self, position: usize) -> Result<&ArrayRef, Error> {
        self.columns.get(position).ok_or_else(|| {
            Error::Question(format!("column {position} of {} is missing", self.columns.len()))
        })
    }

    /// The rows with these indices; a row of nulls for a null.
    pub(crate) fn take(&self, rows: &UInt32Array) -> Result<Self, Error> {
        let columns = self.columns.iter().map(|column| take(column, rows, None));
        Ok(Self::new(columns.collect::<Result<_, _>>()?, rows.len()))
    }

    /// As [`Self::take`], with nulls instead of the columns that are not needed.
    pub(crate) fn take_needed(
        &self,
        rows: &UInt32Array,
        needed: &BTreeSet<usize>,
    ) -> Result<Self, Error> {
        let columns = self.columns.iter().enumerate().map(|(n, column)| {
            if needed.contains(&n) { take(column, rows, None) } else { Ok(nulls(rows.len())) }
        });
        Ok(Self::new(columns.collect::<Result<_, _>>()?, rows.len()))
    }

    /// The rows for which a condition is true.
    pub(crate) fn filter(&self, is_kept: impl Fn(usize) -> bool) -> Result<Self, Error> {
        self.take(&indices((0..self.n_rows).filter(|row| is_kept(*row)))?)
    }

    /// The rows of all frames, which have columns of these types.
    pub(crate) fn concat(frames: &[Self], types: &[DataType]) -> Result<Self, Error> {
        let columns = types.iter().enumerate().map(|(n, data_type)| {
            let parts = frames.iter().filter_map(|frame| frame.columns.get(n));
            let parts: Vec<&dyn Array> = parts.map(AsRef::as_ref).collect();
            if parts.is_empty() { Ok(new_empty_array(data_type)) } else { concat(&parts) }
        });
        let n_rows = frames.iter().map(|frame| frame.n_rows).sum();
        Ok(Self::new(columns.collect::<Result<_, _>>()?, n_rows))
    }
}

/// Nulls without a type.
pub(crate) fn nulls(n: usize) -> ArrayRef {
    Arc::new(NullArray::new(n))
}

/// Indices of rows, of which a frame has fewer than 2³².
pub(crate) fn indices(rows: impl Iterator<Item = usize>) -> Result<UInt32Array, Error> {
    let narrow = rows.map(|row| u32::try_from(row).map_err(|_| too_many_rows()));
    Ok(narrow.collect::<Result<Vec<u32>, _>>()?.into())
}

pub(crate) fn too_many_rows() -> Error {
    Error::Question(
        "the question leads to more rows than are held at once; restrict it with WHERE, or compare columns of both \
         tables for equality in ON"
            .to_owned(),
    )
}
