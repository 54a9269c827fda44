//! Aggregates of the rows up to each row, in order.

use super::frame::Frame;
use super::sort::{Ranked, ascending, ranked};
use crate::Error;
use crate::kind::Kind;
use crate::typed::{Aggregate, AggregateFunction, Typed, Value};
use polars::prelude::{
    Column, DataType, Float64Chunked, IdxCa, IdxSize, Int64Chunked, IntoSeries as _,
};

/// What is known of the rows so far.
#[derive(Clone, Copy, Debug, Default)]
struct Sofar {
    n: i64,
    whole: i128,
    sum: f64,
    /// The row with the least or greatest value.
    best: Option<usize>,
}

/// The value of each row: of the rows of its partition that come before it or tie with it.
pub(super) fn running(
    aggregate: &Aggregate,
    frame: &Frame,
    order: &Ranked,
) -> Result<Column, Error> {
    let one = Typed::value(Value::Int(1), Kind::Int);
    let argument = aggregate.arguments.first().cloned().unwrap_or(one);
    let filter = aggregate.filter.clone();
    let filter = filter.unwrap_or_else(|| Typed::value(Value::Bool(true), Kind::Bool));
    let kind = argument.kind.clone();
    let values = frame.select(&[argument.clone(), filter])?;
    let is_null = values.column(0)?.as_materialized_series().is_null();
    let filter = values.column(1)?.as_materialized_series().bool()?.iter();
    let kept: Vec<bool> = is_null
        .iter()
        .zip(filter)
        .map(|(is_null, filter)| is_null == Some(false) && filter == Some(true))
        .collect();
    let column = values.column(0)?.as_materialized_series();
    let wholes: Vec<Option<i64>> = match (&aggregate.function, &kind) {
        (AggregateFunction::Min | AggregateFunction::Max, _) => {
            let places = ranked(frame, &[], &[ascending(argument)])?.places();
            places.into_iter().map(Some).collect()
        }
        (_, Kind::Int) => column.i64()?.iter().collect(),
        _ => Vec::new(),
    };
    let numbers: Vec<Option<f64>> = match column.dtype() {
        DataType::Float64 => column.f64()?.iter().collect(),
        _ => Vec::new(),
    };
    let is_least = aggregate.function == AggregateFunction::Min;
    let add = |state: &mut Sofar, row: usize| {
        if !kept[row] {
            return;
        }
        state.n += 1;
        let whole = |row: usize| wholes.get(row).copied().flatten();
        state.whole += i128::from(whole(row).unwrap_or(0));
        state.sum += numbers.get(row).copied().flatten().unwrap_or(0.0);
        let is_better = state.best.is_none_or(|best| {
            if is_least { whole(row) < whole(best) } else { whole(row) > whole(best) }
        });
        if is_better {
            state.best = Some(row);
        }
    };
    let is_whole = kind == Kind::Int;
    let states = states(order, add);
    let some = |state: &Sofar| state.n > 0;
    Ok(match aggregate.function {
        AggregateFunction::Count => {
            states.iter().map(|state| Some(state.n)).collect::<Int64Chunked>().into_series().into()
        }
        AggregateFunction::Sum if is_whole => {
            let sum = |state: &Sofar| some(state).then(|| super::aggregate::whole(state.whole));
            let sums = states.iter().map(|state| sum(state).transpose());
            sums.collect::<Result<Int64Chunked, Error>>()?.into_series().into()
        }
        AggregateFunction::Sum | AggregateFunction::Mean => {
            let is_mean = aggregate.function == AggregateFunction::Mean;
            let values = states.iter().map(|state| {
                let sum = if is_whole { state.whole as f64 } else { state.sum };
                some(state).then(|| if is_mean { sum / state.n as f64 } else { sum })
            });
            values.collect::<Float64Chunked>().into_series().into()
        }
        _ => {
            let best = |state: &Sofar| state.best.and_then(|row| IdxSize::try_from(row).ok());
            let rows: IdxCa = states.iter().map(best).collect();
            values.take(&rows)?.column(0)?.clone()
        }
    })
}

/// What is known at each row, in the frame's order.
fn states(order: &Ranked, add: impl Fn(&mut Sofar, usize)) -> Vec<Sofar> {
    let n_rows = order.rows.len();
    let mut found = vec![Sofar::default(); n_rows];
    let (mut state, mut first) = (Sofar::default(), 0);
    for n in 0..n_rows {
        if order.starts[n] {
            state = Sofar::default();
        }
        add(&mut state, order.rows[n]);
        if order.differs.get(n + 1) != Some(&false) {
            for row in &order.rows[first..=n] {
                found[*row] = state;
            }
            first = n + 1;
        }
    }
    found
}
