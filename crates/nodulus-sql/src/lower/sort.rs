//! Rows in order, and rows that are alike.

use super::frame::{Frame, name};
use crate::Error;
use crate::typed::{SortKey, Typed, key};
use polars::prelude::{
    DataFrame, Expr, PlSmallStr, SortMultipleOptions, UniqueKeepStrategy, col, lit,
};

/// Name of a column with the number of each row.
pub(super) const INDEX: &str = "index";
/// Names of the columns that say whether a row is the first of its partition, and of those that tie.
const STARTS: &str = "starts";
const DIFFERS: &str = "differs";

/// Rows in order.
pub(crate) struct Sorted {
    /// Indices of the rows; rows with the same keys keep their order.
    pub(crate) rows: Vec<usize>,
    /// Keys of the rows, in the frame's order.
    keys: Frame,
}

/// The rows of a frame in order.
pub(crate) fn sorted(frame: &Frame, order: &[SortKey]) -> Result<Sorted, Error> {
    let keys: Vec<Typed> = order.iter().map(|one| key(one.by.clone())).collect();
    let keys = frame.select(&keys)?;
    if order.is_empty() {
        return Ok(Sorted { rows: (0..frame.n_rows()).collect(), keys });
    }
    let names: Vec<PlSmallStr> = (0..order.len()).map(name).collect();
    let rows =
        keys.lazy().with_row_index(INDEX, None).sort(names, options(order)).select([col(INDEX)]);
    Ok(Sorted { rows: row_numbers(&rows.collect()?)?, keys })
}

/// How polars sorts by some keys.
fn options<'a>(order: impl IntoIterator<Item = &'a SortKey> + Clone) -> SortMultipleOptions {
    let descending = order.clone().into_iter().map(|key| key.descending);
    let nulls_last = order.into_iter().map(|key| !key.nulls_first);
    SortMultipleOptions::default()
        .with_order_descending_multi(descending)
        .with_nulls_last_multi(nulls_last)
        .with_maintain_order(true)
}

fn row_numbers(rows: &DataFrame) -> Result<Vec<usize>, Error> {
    let rows = rows.column(INDEX)?.as_materialized_series().idx()?.iter();
    Ok(rows.flatten().map(|row| row as usize).collect())
}

impl Sorted {
    /// Whether two rows are alike in their keys.
    pub(crate) fn ties(&self, a: usize, b: usize) -> Result<bool, Error> {
        are_alike(&self.keys, a, b)
    }
}

/// Whether two rows of a frame without lists and records are alike.
pub(crate) fn are_alike(frame: &Frame, a: usize, b: usize) -> Result<bool, Error> {
    let both = frame.take(&super::frame::indices([a, b]))?;
    Ok(both.lazy().unique_stable(None, UniqueKeepStrategy::First).collect()?.height() == 1)
}

/// Rows in order within their partitions, which follow one another.
pub(super) struct Ranked {
    /// Indices of the rows.
    pub(super) rows: Vec<usize>,
    /// Whether each row, in order, is the first of its partition.
    pub(super) starts: Vec<bool>,
    /// Whether each row, in order, does not tie with the one before.
    pub(super) differs: Vec<bool>,
}

/// The rows of a frame in order within partitions.
pub(super) fn ranked(
    frame: &Frame,
    partition: &[Typed],
    order: &[SortKey],
) -> Result<Ranked, Error> {
    let keys = partition.iter().map(|by| ascending(by.clone()));
    let order: Vec<SortKey> = keys.chain(order.iter().cloned()).collect();
    let by: Vec<Typed> = order.iter().map(|one| key(one.by.clone())).collect();
    let differs = |columns: std::ops::Range<usize>| {
        let one = |n| col(name(n)).neq_missing(col(name(n)).shift(lit(1)));
        columns.map(one).fold(lit(false), Expr::or)
    };
    let names: Vec<PlSmallStr> = (0..order.len()).map(name).collect();
    let mut rows = frame.select(&by)?.lazy().with_row_index(INDEX, None);
    if !order.is_empty() {
        rows = rows.sort(names, options(&order));
    }
    let n_keys = partition.len();
    let rows = rows
        .with_columns([differs(0..n_keys).alias(STARTS), differs(0..order.len()).alias(DIFFERS)])
        .collect()?;
    let flag = |name: &str| -> Result<Vec<bool>, Error> {
        let flags = rows.column(name)?.as_materialized_series();
        Ok(flags.bool()?.iter().enumerate().map(|(n, is)| n == 0 || is == Some(true)).collect())
    };
    Ok(Ranked { rows: row_numbers(&rows)?, starts: flag(STARTS)?, differs: flag(DIFFERS)? })
}

/// A key by which nulls come last.
pub(super) const fn ascending(by: Typed) -> SortKey {
    SortKey { by, descending: false, nulls_first: false }
}

impl Ranked {
    /// The place of each row, from 1 on, in the frame's order: the same for rows that tie.
    pub(super) fn places(&self) -> Vec<i64> {
        let mut places = vec![0; self.rows.len()];
        let mut place = 0;
        for (row, differs) in self.rows.iter().zip(&self.differs) {
            place += i64::from(*differs);
            places[*row] = place;
        }
        places
    }
}
