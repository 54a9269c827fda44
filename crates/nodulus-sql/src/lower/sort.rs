//! Rows in order, and rows that are alike.

use super::frame::{Frame, name};
use crate::Error;
use crate::typed::{SortKey, Typed, key};
use polars::prelude::{PlSmallStr, SortMultipleOptions, UniqueKeepStrategy, col};

/// Name of a column with the number of each row.
pub(super) const INDEX: &str = "index";

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
    let rows = rows.collect()?;
    let rows = rows.column(INDEX)?.as_materialized_series().idx()?.iter();
    Ok(Sorted { rows: rows.flatten().map(|row| row as usize).collect(), keys })
}

/// How polars sorts by some keys.
pub(super) fn options<'a>(
    order: impl IntoIterator<Item = &'a SortKey> + Clone,
) -> SortMultipleOptions {
    let descending = order.clone().into_iter().map(|key| key.descending);
    let nulls_last = order.into_iter().map(|key| !key.nulls_first);
    SortMultipleOptions::default()
        .with_order_descending_multi(descending)
        .with_nulls_last_multi(nulls_last)
        .with_maintain_order(true)
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
