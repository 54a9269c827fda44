//! Values of rows among others.

use super::frame::{Frame, name};
use super::group::grouped;
use super::running::running;
use super::sort::{INDEX, Ranked, ranked};
use crate::Error;
use crate::kind::Kind;
use crate::typed::{Aggregate, Node, Typed, Window, WindowFunction, key};
use polars::prelude::{
    BooleanChunked, Column, Expr, IdxCa, IdxSize, Int64Chunked, IntoSeries as _, JoinType,
    SortMultipleOptions, col,
};

/// The value of each row.
pub(crate) fn window(window: &Window, frame: &Frame) -> Result<Column, Error> {
    if let (WindowFunction::Aggregate(function), []) = (&window.function, &window.order[..]) {
        return of_partition(function, &window.partition, frame);
    }
    let ranked = ranked(frame, &window.partition, &window.order)?;
    if window.is_of_single_rows && ranked.differs.contains(&false) {
        return Err(Error::Question(format!(
            "`{}`: rows tie in the order of OVER, so that the value of each is left to chance; add a column to its ORDER BY \
             that tells them apart",
            window.text
        )));
    }
    match &window.function {
        WindowFunction::Aggregate(function) => running(function, frame, &ranked),
        WindowFunction::Lag { value, before, otherwise } => {
            lag(value, *before, otherwise, frame, &ranked)
        }
        function => Ok(ranks(function, &ranked)),
    }
}

/// An aggregate of all rows of each row's partition.
fn of_partition(function: &Aggregate, partition: &[Typed], frame: &Frame) -> Result<Column, Error> {
    let groups = grouped(frame, partition, std::slice::from_ref(function))?;
    let n_keys = partition.len();
    if n_keys == 0 {
        return Ok(groups.column(0)?.new_from_index(0, frame.n_rows()));
    }
    let by: Vec<Typed> = partition.iter().cloned().map(key).collect();
    let keys: Vec<Expr> = (0..n_keys).map(|n| col(name(n))).collect();
    let rows = frame.select(&by)?.lazy().with_row_index(INDEX, None);
    let joined = rows.join_builder().with(groups.lazy()).on(keys).join_nulls(true);
    let joined = joined.how(JoinType::Left).finish().sort([INDEX], SortMultipleOptions::default());
    let rows = joined.select([col(name(n_keys))]).collect()?;
    Ok(rows.columns()[0].clone())
}

/// The value of the row so many rows before in the same partition.
fn lag(
    value: &Typed,
    before: i64,
    otherwise: &Typed,
    frame: &Frame,
    ranked: &Ranked,
) -> Result<Column, Error> {
    let mut from: Vec<Option<usize>> = vec![None; frame.n_rows()];
    // The number of the partition of each row, in order.
    let number: Vec<usize> = ranked
        .starts
        .iter()
        .scan(0, |n, starts| {
            *n += usize::from(*starts);
            Some(*n)
        })
        .collect();
    for (n, row) in ranked.rows.iter().enumerate() {
        let other = i64::try_from(n).ok().and_then(|n| n.checked_sub(before));
        let other = other.and_then(|other| usize::try_from(other).ok());
        let other = other.filter(|other| number.get(*other) == Some(&number[n]));
        from[*row] = other.map(|other| ranked.rows[other]);
    }
    let has_row: BooleanChunked = from.iter().map(|row| Some(row.is_some())).collect();
    let rows: IdxCa =
        from.into_iter().map(|row| row.and_then(|row| IdxSize::try_from(row).ok())).collect();
    let found = frame.select(std::slice::from_ref(value))?.take(&rows)?;
    let other = frame.select(std::slice::from_ref(otherwise))?.column(0)?.clone();
    let kind = &value.kind;
    let both = found.with([other, has_row.into_series().into()])?.select(&[Typed {
        kind: kind.clone(),
        node: Node::Case {
            branches: vec![(Typed::column(2, Kind::Bool), Typed::column(0, kind.clone()))],
            otherwise: Box::new(Typed::column(1, kind.clone())),
        },
    }])?;
    Ok(both.column(0)?.clone())
}

fn ranks(function: &WindowFunction, ranked: &Ranked) -> Column {
    let mut values = vec![0i64; ranked.rows.len()];
    let (mut row_number, mut rank, mut dense_rank) = (0, 0, 0);
    for (n, row) in ranked.rows.iter().enumerate() {
        if ranked.starts[n] {
            (row_number, dense_rank) = (0, 0);
        }
        row_number += 1;
        if ranked.differs[n] {
            rank = row_number;
            dense_rank += 1;
        }
        values[*row] = match function {
            WindowFunction::DenseRank => dense_rank,
            WindowFunction::Rank => rank,
            _ => row_number,
        };
    }
    values.into_iter().map(Some).collect::<Int64Chunked>().into_series().into()
}
