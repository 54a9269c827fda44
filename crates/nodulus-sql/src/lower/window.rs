//! Values of rows among others.

use super::frame::{Frame, name};
use super::group::grouped;
use super::sort::{INDEX, options};
use crate::Error;
use crate::typed::{SortKey, Typed, Window, WindowFunction, key};
use polars::prelude::{
    Column, Expr, IdxCa, IdxSize, Int64Chunked, IntoSeries as _, JoinType, PlSmallStr,
    SortMultipleOptions, col, lit,
};

/// Names of the columns that say whether a row is the first of its partition, and of those that tie.
const STARTS: &str = "starts";
const DIFFERS: &str = "differs";

/// The value of each row.
pub(crate) fn window(window: &Window, frame: &Frame) -> Result<Column, Error> {
    let n_rows = frame.n_rows();
    if let WindowFunction::Aggregate(function) = &window.function {
        let groups = grouped(frame, &window.partition, std::slice::from_ref(function))?;
        let n_keys = window.partition.len();
        if n_keys == 0 {
            return Ok(groups.column(0)?.new_from_index(0, n_rows));
        }
        let by: Vec<Typed> = window.partition.iter().cloned().map(key).collect();
        let keys: Vec<Expr> = (0..n_keys).map(|n| col(name(n))).collect();
        let rows = frame.select(&by)?.lazy().with_row_index(INDEX, None);
        let joined = rows.join_builder().with(groups.lazy()).on(keys).join_nulls(true);
        let joined =
            joined.how(JoinType::Left).finish().sort([INDEX], SortMultipleOptions::default());
        let rows = joined.select([col(name(n_keys))]).collect()?;
        return Ok(rows.columns()[0].clone());
    }
    let partition = window.partition.iter().map(|by| SortKey {
        by: by.clone(),
        descending: false,
        nulls_first: false,
    });
    let order: Vec<SortKey> = partition.chain(window.order.iter().cloned()).collect();
    let by: Vec<Typed> = order.iter().map(|one| key(one.by.clone())).collect();
    let differs = |columns: std::ops::Range<usize>| {
        let one = |n| col(name(n)).neq_missing(col(name(n)).shift(lit(1)));
        columns.map(one).fold(lit(false), Expr::or)
    };
    let n_keys = window.partition.len();
    let names: Vec<PlSmallStr> = (0..order.len()).map(name).collect();
    let rows = frame.select(&by)?.lazy().with_row_index(INDEX, None).sort(names, options(&order));
    let rows = rows
        .with_columns([differs(0..n_keys).alias(STARTS), differs(0..order.len()).alias(DIFFERS)]);
    let rows = rows.collect()?;
    let flag = |name: &str| -> Result<Vec<bool>, Error> {
        let flags = rows.column(name)?.as_materialized_series();
        Ok(flags.bool()?.iter().enumerate().map(|(n, is)| n == 0 || is == Some(true)).collect())
    };
    let (starts, differs) = (flag(STARTS)?, flag(DIFFERS)?);
    if !matches!(window.function, WindowFunction::Rank | WindowFunction::DenseRank)
        && differs.contains(&false)
    {
        return Err(Error::Question(format!(
            "`{}`: rows tie in the order of OVER, so that the value of each is left to chance; add a column to its ORDER BY \
             that tells them apart",
            window.text
        )));
    }
    let places = rows.column(INDEX)?.as_materialized_series();
    let places: Vec<usize> = places.idx()?.iter().flatten().map(|row| row as usize).collect();
    if let WindowFunction::Lag(argument, before) = &window.function {
        let mut from: Vec<Option<IdxSize>> = vec![None; n_rows];
        // The number of the partition of each row, in order.
        let number: Vec<usize> = starts
            .iter()
            .scan(0, |n, starts| {
                *n += usize::from(*starts);
                Some(*n)
            })
            .collect();
        for (n, place) in places.iter().enumerate() {
            let other = i64::try_from(n).ok().and_then(|n| n.checked_sub(*before));
            let other = other.and_then(|other| usize::try_from(other).ok());
            let other = other.filter(|other| number.get(*other) == Some(&number[n]));
            from[*place] = other.and_then(|other| IdxSize::try_from(places[other]).ok());
        }
        let values = frame.select(std::slice::from_ref(argument))?;
        let rows: IdxCa = from.into_iter().collect();
        return Ok(values.take(&rows)?.column(0)?.clone());
    }
    let mut values = vec![0i64; n_rows];
    let (mut row_number, mut rank, mut dense_rank) = (0, 0, 0);
    for (n, place) in places.iter().enumerate() {
        if starts[n] {
            (row_number, dense_rank) = (0, 0);
        }
        row_number += 1;
        if differs[n] {
            rank = row_number;
            dense_rank += 1;
        }
        values[*place] = match window.function {
            WindowFunction::DenseRank => dense_rank,
            WindowFunction::Rank => rank,
            _ => row_number,
        };
    }
    Ok(values.into_iter().map(Some).collect::<Int64Chunked>().into_series().into())
}
