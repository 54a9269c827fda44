//! Values of groups of rows.

use super::compare::order;
use super::evaluate::{evaluate, floats, is_true, of_another_type};
use super::frame::{Frame, indices};
use super::keys::Keys;
use crate::Error;
use crate::typed::{Aggregate, AggregateFunction, Spread, Typed};
use arrow::array::{
    Array as _, ArrayRef, AsArray as _, Float64Array, Int64Array, UInt32Array, new_null_array,
};
use arrow::compute::take;
use arrow::datatypes::{DataType, Int64Type};
use std::sync::Arc;

/// Rows in groups.
pub(crate) struct Groups {
    /// Group of each row.
    pub(crate) of_row: Vec<usize>,
    pub(crate) n_groups: usize,
}

/// The rows in groups, and a frame with the keys of each group. Without keys all rows are one group.
pub(crate) fn group(frame: &Frame, by: &[Typed]) -> Result<(Groups, Frame), Error> {
    let columns = by.iter().map(|key| evaluate(key, frame));
    let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
    if columns.is_empty() {
        let groups = Groups { of_row: vec![0; frame.n_rows], n_groups: 1 };
        return Ok((groups, Frame::one_row()));
    }
    let (of_row, first) = Keys::new(&columns, frame.n_rows)?.groups();
    let keys = Frame::new(columns, frame.n_rows).take(&indices(first.iter().copied())?)?;
    Ok((Groups { of_row, n_groups: first.len() }, keys))
}

/// The value of each group.
pub(crate) fn aggregate(
    aggregate: &Aggregate,
    frame: &Frame,
    groups: &Groups,
) -> Result<ArrayRef, Error> {
    let mut counts = match &aggregate.filter {
        Some(filter) => is_true(filter, frame)?,
        None => vec![true; frame.n_rows],
    };
    let Some(argument) = &aggregate.argument else {
        return Ok(count(&counts, groups));
    };
    let values = evaluate(argument, frame)?;
    for (row, counts) in counts.iter_mut().enumerate() {
        *counts &= values.is_valid(row) && *values.data_type() != DataType::Null;
    }
    if aggregate.distinct {
        let group: ArrayRef =
            Arc::new(groups.of_row.iter().map(|group| *group as i64).collect::<Int64Array>());
        let keys = Keys::new(&[group, values.clone()], values.len())?;
        let mut seen = std::collections::HashSet::new();
        for (row, counts) in counts.iter_mut().enumerate() {
            *counts = *counts && seen.insert(keys.of(row));
        }
    }
    match aggregate.function {
        AggregateFunction::Count => Ok(count(&counts, groups)),
        AggregateFunction::Min => extreme(&values, &counts, groups, true),
        AggregateFunction::Max => extreme(&values, &counts, groups, false),
        AggregateFunction::Sum => sum(&values, &counts, groups),
        AggregateFunction::Mean => {
            of_numbers(&values, &counts, groups, |values| Some(total(values) / values.len() as f64))
        }
        AggregateFunction::Spread(of) => {
            of_numbers(&values, &counts, groups, |values| spread(values, of))
        }
        AggregateFunction::Quantile(share) => {
            of_numbers(&values, &counts, groups, |values| quantile(values, share))
        }
    }
}

fn count(counts: &[bool], groups: &Groups) -> ArrayRef {
    let mut n = vec![0i64; groups.n_groups];
    for (_, group) in counts.iter().zip(&groups.of_row).filter(|(counts, _)| **counts) {
        n[*group] += 1;
    }
    Arc::new(Int64Array::from(n))
}

fn extreme(
    values: &ArrayRef,
    counts: &[bool],
    groups: &Groups,
    is_least: bool,
) -> Result<ArrayRef, Error> {
    let order = order(values, values)?;
    let mut best: Vec<Option<usize>> = vec![None; groups.n_groups];
    for (row, group) in groups.of_row.iter().enumerate().filter(|(row, _)| counts[*row]) {
        let is_better = match best[*group] {
            None => true,
            Some(best) if is_least => order(row, best).is_lt(),
            Some(best) => order(row, best).is_gt(),
        };
        if is_better {
            best[*group] = Some(row);
        }
    }
    let rows = best.into_iter().map(|row| row.and_then(|row| u32::try_from(row).ok()));
    Ok(take(values, &rows.collect::<UInt32Array>(), None)?)
}

fn sum(values: &ArrayRef, counts: &[bool], groups: &Groups) -> Result<ArrayRef, Error> {
    match values.data_type() {
        DataType::Null => Ok(new_null_array(&DataType::Null, groups.n_groups)),
        DataType::Int64 => {
            let values = values.as_primitive::<Int64Type>();
            let mut sums: Vec<Option<i128>> = vec![None; groups.n_groups];
            for (row, group) in groups.of_row.iter().enumerate().filter(|(row, _)| counts[*row]) {
                *sums[*group].get_or_insert(0) += i128::from(values.value(row));
            }
            let narrow = |sum: i128| {
                let text =
                    format!("sum: `{sum}` is no whole number of 64 bits; use cast(… AS DOUBLE)");
                i64::try_from(sum).map_err(|_| Error::Question(text))
            };
            let sums = sums.into_iter().map(|sum| sum.map(narrow).transpose());
            Ok(Arc::new(sums.collect::<Result<Int64Array, _>>()?))
        }
        _ => of_numbers(values, counts, groups, |values| Some(total(values))),
    }
}

/// A number of the numbers of each group that has one.
fn of_numbers(
    values: &ArrayRef,
    counts: &[bool],
    groups: &Groups,
    of: impl Fn(&mut [f64]) -> Option<f64>,
) -> Result<ArrayRef, Error> {
    let mut members: Vec<Vec<f64>> = vec![Vec::new(); groups.n_groups];
    let number: Box<dyn Fn(usize) -> f64> = match values.data_type() {
        DataType::Null => Box::new(|_| f64::NAN),
        DataType::Int64 => Box::new(|row| values.as_primitive::<Int64Type>().value(row) as f64),
        DataType::Float64 => {
            let values = floats(values)?;
            Box::new(|row| values.value(row))
        }
        other => return Err(of_another_type(other)),
    };
    for (row, group) in groups.of_row.iter().enumerate().filter(|(row, _)| counts[*row]) {
        members[*group].push(number(row));
    }
    let value = |mut values: Vec<f64>| if values.is_empty() { None } else { of(&mut values) };
    Ok(Arc::new(members.into_iter().map(value).collect::<Float64Array>()))
}

/// The sum, which of zeros is 0 and not -0.
fn total(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |sum, value| sum + value)
}

/// Variance or standard deviation; none of a sample of one.
fn spread(values: &[f64], of: Spread) -> Option<f64> {
    let n = values.len() - usize::from(of.is_of_sample);
    match (n, values.len()) {
        (0, _) => return None,
        // A single value does not spread, whatever it is.
        (_, 1) => return Some(0.0),
        _ => {}
    }
    // METHOD: Welford's updates, as DuckDB: equal values have exactly no spread.
    let (mut mean, mut squares) = (0.0, 0.0);
    for (n, value) in values.iter().enumerate() {
        let before = value - mean;
        mean += before / (n + 1) as f64;
        squares += before * (value - mean);
    }
    let variance = squares / n as f64;
    Some(if of.is_root { variance.sqrt() } else { variance })
}

/// The value at a share of the sorted values, between two of them on the line that joins them.
fn quantile(values: &mut [f64], share: f64) -> Option<f64> {
    // Positive NaN is above all numbers, and -0 beside 0.
    for value in values.iter_mut().filter(|value| value.is_nan()) {
        *value = f64::NAN;
    }
    values.sort_unstable_by(f64::total_cmp);
    let position = share * (values.len() - 1) as f64;
    let (low, part) = (position.floor(), position.fract());
    let a = values.get(low as usize)?;
    Some(if part > 0.0 { a + (values.get(low as usize + 1)? - a) * part } else { *a })
}
