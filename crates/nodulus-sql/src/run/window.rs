//! Values of rows among others.

use super::aggregate::{Groups, aggregate};
use super::evaluate::evaluate;
use super::frame::Frame;
use super::keys::Keys;
use super::sort::{sort_keys, sorted};
use crate::Error;
use crate::typed::{Window, WindowFunction};
use arrow::array::{ArrayRef, Int64Array, UInt32Array};
use arrow::compute::take;
use std::sync::Arc;

/// The value of each row.
pub(crate) fn window(window: &Window, frame: &Frame) -> Result<ArrayRef, Error> {
    let partition = window.partition.iter().map(|key| evaluate(key, frame));
    let partition: Vec<ArrayRef> = partition.collect::<Result<_, _>>()?;
    let (of_row, first) = Keys::new(&partition, frame.n_rows)?.groups();
    if let WindowFunction::Aggregate(function) = &window.function {
        let groups = Groups { of_row, n_groups: first.len() };
        let values = aggregate(function, frame, &groups)?;
        let rows = groups.of_row.iter().map(|group| u32::try_from(*group).ok());
        return Ok(take(&values, &rows.collect::<UInt32Array>(), None)?);
    }
    let keys = sort_keys(frame, &window.order)?;
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); first.len()];
    for row in sorted(frame, &keys) {
        members[of_row[row]].push(row);
    }
    let is_tied = |rows: &[usize], n: usize| n > 0 && keys.of(rows[n - 1]) == keys.of(rows[n]);
    if !matches!(window.function, WindowFunction::Rank | WindowFunction::DenseRank)
        && members.iter().any(|rows| (0..rows.len()).any(|n| is_tied(rows, n)))
    {
        return Err(Error::Question(format!(
            "`{}`: rows tie in the order of OVER, so that the value of each is left to chance; add a column to its ORDER BY \
             that tells them apart",
            window.text
        )));
    }
    if let WindowFunction::Lag(argument, before) = &window.function {
        let mut from = vec![None; frame.n_rows];
        for rows in &members {
            for (n, row) in rows.iter().enumerate() {
                let other = i64::try_from(n).ok().and_then(|n| n.checked_sub(*before));
                let other = other.and_then(|n| rows.get(usize::try_from(n).ok()?));
                from[*row] = other.and_then(|other| u32::try_from(*other).ok());
            }
        }
        return Ok(take(&evaluate(argument, frame)?, &UInt32Array::from(from), None)?);
    }
    let mut values = vec![0i64; frame.n_rows];
    for rows in &members {
        let (mut rank, mut dense) = (0, 0);
        for (n, row) in rows.iter().enumerate() {
            if !is_tied(rows, n) {
                rank = n as i64 + 1;
                dense += 1;
            }
            values[*row] = match window.function {
                WindowFunction::DenseRank => dense,
                WindowFunction::Rank => rank,
                _ => n as i64 + 1,
            };
        }
    }
    Ok(Arc::new(Int64Array::from(values)))
}
