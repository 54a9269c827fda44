//! Values of groups of rows.

use super::column;
use super::frame::{Frame, ROW, name};
use crate::Error;
use crate::kind::Kind;
use crate::typed::{Aggregate, AggregateFunction, Spread, Typed, key};
use polars::prelude::{
    BooleanChunked, Column, DataType, Expr, Float64Chunked, Int64Chunked, IntoSeries as _, Series,
    UniqueKeepStrategy, col, lit,
};

/// Name of the column that says of which of two frames a row is.
const SIDE: &str = "side";

/// The keys of each group of rows, in the order in which they occur, and the value of each aggregate. Without keys all
/// rows are one group.
pub(crate) fn grouped(
    frame: &Frame,
    by: &[Typed],
    aggregates: &[Aggregate],
) -> Result<Frame, Error> {
    let mut columns: Vec<Typed> = by.iter().cloned().map(key).collect();
    let mut values = Vec::with_capacity(aggregates.len());
    for (n, aggregate) in aggregates.iter().enumerate() {
        let mut keep = |typed: Typed| {
            columns.push(typed);
            col(name(columns.len() - 1))
        };
        let of_kept_rows = |value: Expr, filter: Option<Expr>| match filter {
            Some(filter) => value.filter(filter),
            None => value,
        };
        let filter = aggregate.filter.clone().map(&mut keep);
        let value = match &aggregate.argument {
            None => of_kept_rows(col(ROW), filter),
            Some(argument) if aggregate.distinct => {
                of_kept_rows(keep(key(argument.clone())), filter).drop_nulls().unique_stable()
            }
            Some(argument) => of_kept_rows(keep(argument.clone()), filter).drop_nulls(),
        };
        let value = match (aggregate.function, is_of_floats(aggregate)) {
            (AggregateFunction::Count, _) => value.len().cast(DataType::Int64),
            (AggregateFunction::Min, false) => value.min(),
            (AggregateFunction::Max, false) => value.max(),
            _ => value.implode(true),
        };
        values.push(value.alias(name(by.len() + n)));
    }
    if by.is_empty() && aggregates.is_empty() {
        return Frame::one_row(&frame.aside);
    }
    let rows = frame.select(&columns)?.lazy();
    let keys: Vec<Expr> = (0..by.len()).map(|n| col(name(n))).collect();
    let rows =
        if keys.is_empty() { rows.select(values) } else { rows.group_by_stable(keys).agg(values) };
    let rows = rows.collect()?;
    let mut found: Vec<Column> = rows.columns()[..by.len()].to_vec();
    for (aggregate, column) in aggregates.iter().zip(&rows.columns()[by.len()..]) {
        found.push(match column.dtype() {
            DataType::List(_) => of_lists(aggregate, column.as_materialized_series())?.into(),
            _ => column.clone(),
        });
    }
    Frame::new(found, rows.height(), &frame.aside)
}

fn is_of_floats(aggregate: &Aggregate) -> bool {
    let kind = aggregate.argument.as_ref().map_or(Kind::Null, |argument| argument.kind.clone());
    column::data_type(&kind) == DataType::Float64
}

/// A number of each list of numbers; null of an empty one.
fn of_lists(aggregate: &Aggregate, lists: &Series) -> Result<Series, Error> {
    let lists = lists.list()?;
    let lists = (0..lists.len()).map(|n| lists.get_as_series(n).unwrap_or_default());
    if is_of_floats(aggregate) {
        let one = |list: Series| {
            let mut values: Vec<f64> = list.f64()?.iter().flatten().collect();
            Ok(number(aggregate.function, &mut values))
        };
        return Ok(lists.map(one).collect::<Result<Float64Chunked, Error>>()?.into_series());
    }
    if aggregate.function == AggregateFunction::Sum {
        return Ok(lists
            .map(|list| sum(&list))
            .collect::<Result<Int64Chunked, Error>>()?
            .into_series());
    }
    let one = |list: Series| {
        let whole = list.i64()?.iter().flatten();
        if aggregate.function == AggregateFunction::Mean && !list.is_empty() {
            return Ok(Some(whole.map(i128::from).sum::<i128>() as f64 / list.len() as f64));
        }
        Ok(number(aggregate.function, &mut whole.map(|value| value as f64).collect::<Vec<_>>()))
    };
    Ok(lists.map(one).collect::<Result<Float64Chunked, Error>>()?.into_series())
}

/// The sum of whole numbers.
fn sum(list: &Series) -> Result<Option<i64>, Error> {
    let sum: i128 = list.i64()?.iter().flatten().map(i128::from).sum();
    let what = format!("sum: `{sum}` is no whole number of 64 bits; use cast(… AS DOUBLE)");
    let sum = i64::try_from(sum).map_err(|_| Error::Question(what))?;
    Ok((!list.is_empty()).then_some(sum))
}

/// A number of some numbers; none of none.
fn number(function: AggregateFunction, values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    match function {
        AggregateFunction::Count => Some(values.len() as f64),
        AggregateFunction::Sum => Some(total(values)),
        AggregateFunction::Mean => Some(total(values) / values.len() as f64),
        AggregateFunction::Min => quantile(values, 0.0),
        AggregateFunction::Max => quantile(values, 1.0),
        AggregateFunction::Spread(of) => spread(values, of),
        AggregateFunction::Quantile(share) => quantile(values, share),
    }
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

/// The first of rows that are alike.
pub(crate) fn distinct(frame: &Frame, kinds: &[Kind]) -> Result<Frame, Error> {
    let rows =
        keys(frame, kinds)?.lazy().unique_stable(None, UniqueKeepStrategy::First).collect()?;
    Frame::new(rows.columns()[..kinds.len()].to_vec(), rows.height(), &frame.aside)
}

/// The first of rows that are alike, of those of the left frame: which are in the right one too, or which are not.
pub(crate) fn compared(
    left: &Frame,
    right: &Frame,
    kinds: &[Kind],
    is_in_both: bool,
) -> Result<Frame, Error> {
    let both = Frame::stacked(vec![keys(left, kinds)?, keys(right, kinds)?], kinds, &left.aside)?;
    let n_left = left.n_rows();
    let side: BooleanChunked = (0..both.n_rows()).map(|row| Some(row >= n_left)).collect();
    let both = both.with([Column::from(side.into_series())])?;
    let side = col(name(kinds.len()));
    let columns: Vec<Expr> = (0..kinds.len()).map(|n| col(name(n))).collect();
    let is_chosen = side.clone().any(true).eq(lit(is_in_both)).and(side.all(true).not());
    let rows = both.lazy().group_by_stable(columns).agg([is_chosen.alias(SIDE)]);
    let rows = rows.filter(col(SIDE)).collect()?;
    Frame::new(rows.columns()[..kinds.len()].to_vec(), rows.height(), &left.aside)
}

/// All columns, with one zero and one NaN.
fn keys(frame: &Frame, kinds: &[Kind]) -> Result<Frame, Error> {
    let columns = kinds.iter().enumerate();
    frame.select(&columns.map(|(n, kind)| key(Typed::column(n, kind.clone()))).collect::<Vec<_>>())
}
