//! Rows as bytes that are equal where the rows are, and sort as they do.

use crate::Error;
use arrow::array::{Array as _, ArrayRef, AsArray as _, Float64Array};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Float64Type};
use arrow::row::{Row, RowConverter, Rows, SortField};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows of some columns. Null equals null, NaN equals NaN, and 0 equals -0.
pub(crate) struct Keys {
    rows: Option<Rows>,
    n_rows: usize,
    columns: Vec<ArrayRef>,
}

impl Keys {
    pub(crate) fn new(columns: &[ArrayRef], n_rows: usize) -> Result<Self, Error> {
        Self::sorted(columns, &vec![SortOptions::default(); columns.len()], n_rows)
    }

    /// Keys that sort as the columns do.
    pub(crate) fn sorted(
        columns: &[ArrayRef],
        options: &[SortOptions],
        n_rows: usize,
    ) -> Result<Self, Error> {
        let columns: Vec<ArrayRef> = columns.iter().map(normal).collect();
        let fields = columns.iter().zip(options).map(|(column, options)| {
            SortField::new_with_options(column.data_type().clone(), *options)
        });
        let fields: Vec<SortField> = fields.collect();
        // Without columns, all rows are alike.
        let rows = if fields.is_empty() {
            None
        } else {
            Some(RowConverter::new(fields)?.convert_columns(&columns)?)
        };
        Ok(Self { rows, n_rows, columns })
    }

    pub(crate) fn of(&self, row: usize) -> Option<Row<'_>> {
        self.rows.as_ref().map(|rows| rows.row(row))
    }

    /// Whether a value of the row is null.
    pub(crate) fn has_null(&self, row: usize) -> bool {
        self.columns.iter().any(|c| c.is_null(row) || *c.data_type() == DataType::Null)
    }

    /// The group of each row, and the first row of each group, in the order in which they occur.
    pub(crate) fn groups(&self) -> (Vec<usize>, Vec<usize>) {
        let mut known: BTreeMap<Option<Row<'_>>, usize> = BTreeMap::new();
        let mut first = Vec::new();
        let groups = (0..self.n_rows).map(|row| {
            *known.entry(self.of(row)).or_insert_with(|| {
                first.push(row);
                first.len() - 1
            })
        });
        (groups.collect(), first)
    }
}

/// Numbers with one zero and one NaN.
fn normal(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Float64 => {
            let values: Float64Array = column
                .as_primitive::<Float64Type>()
                .unary(|value| if value.is_nan() { f64::NAN } else { value + 0.0 });
            Arc::new(values)
        }
        _ => column.clone(),
    }
}
