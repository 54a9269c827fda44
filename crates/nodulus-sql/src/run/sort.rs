//! Rows in order.

use super::evaluate::evaluate;
use super::frame::Frame;
use super::keys::Keys;
use crate::Error;
use crate::typed::SortKey;
use arrow::array::ArrayRef;
use arrow::compute::SortOptions;

/// The keys by which rows are sorted.
pub(crate) fn sort_keys(frame: &Frame, order: &[SortKey]) -> Result<Keys, Error> {
    let columns = order.iter().map(|key| evaluate(&key.by, frame));
    let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
    let options = order
        .iter()
        .map(|key| SortOptions { descending: key.descending, nulls_first: key.nulls_first });
    Keys::sorted(&columns, &options.collect::<Vec<_>>(), frame.n_rows)
}

/// Indices of the rows in order; rows with the same keys keep theirs.
pub(crate) fn sorted(frame: &Frame, keys: &Keys) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..frame.n_rows).collect();
    rows.sort_by(|a, b| keys.of(*a).cmp(&keys.of(*b)));
    rows
}
