//! Values of groups of rows.

use super::aggregate::of_lists;
use super::column;
use super::frame::{Frame, ROW, name};
use super::sort::{ascending, ranked};
use crate::Error;
use crate::kind::Kind;
use crate::typed::{Aggregate, AggregateFunction, Typed, key};
use polars::prelude::{
    BooleanChunked, Column, DataType, Expr, IdxCa, IdxSize, Int64Chunked, IntoSeries as _, Series,
    UniqueKeepStrategy, col, lit,
};
use std::collections::BTreeMap;

/// Name of the column that says of which of two frames a row is.
const SIDE: &str = "side";

/// The keys of each group of rows, in the order in which they occur, and the value of each aggregate. Without keys all
/// rows are one group.
pub(crate) fn grouped(
    frame: &Frame,
    by: &[Typed],
    aggregates: &[Aggregate],
) -> Result<Frame, Error> {
    if by.is_empty() && aggregates.is_empty() {
        return Frame::one_row(&frame.aside);
    }
    let aggregates = aggregates.iter().map(|aggregate| Prepared::new(aggregate, frame));
    let aggregates = aggregates.collect::<Result<Vec<_>, _>>()?;
    let places: Vec<Column> = aggregates.iter().filter_map(|one| one.places.clone()).collect();
    let mut n_placed = frame.columns().len();
    let frame = frame.clone().with(places)?;
    let mut columns: Vec<Typed> = by.iter().cloned().map(key).collect();
    let mut values = Vec::with_capacity(aggregates.len());
    for Prepared { aggregate, places } in &aggregates {
        let mut keep = |typed: Typed| {
            columns.push(typed);
            col(name(columns.len() - 1))
        };
        let filter = aggregate.filter.clone().map(&mut keep);
        let is_key = |argument: &Typed| {
            let argument = argument.clone();
            if aggregate.distinct { key(argument) } else { argument }
        };
        let arguments: Vec<Expr> = aggregate.arguments.iter().map(|a| keep(is_key(a))).collect();
        // A null takes no part, and no pair with one.
        let known = arguments.iter().map(|argument| argument.clone().is_not_null());
        let taking_part = filter.into_iter().chain(known).reduce(Expr::and);
        let of_kept_rows = |value: Expr| match &taking_part {
            Some(kept) => value.filter(kept.clone()),
            None => value,
        };
        let place = places.is_some().then(|| {
            n_placed += 1;
            of_kept_rows(keep(Typed::column(n_placed - 1, Kind::Int))).implode(true)
        });
        let first = of_kept_rows(arguments.first().cloned().unwrap_or_else(|| col(ROW)));
        let first =
            if aggregate.distinct && place.is_none() { first.unique_stable() } else { first };
        let second = arguments.get(1).map(|second| of_kept_rows(second.clone()).implode(true));
        let of_value = match (&aggregate.function, is_of_floats(aggregate)) {
            (AggregateFunction::Count, _) => vec![first.len().cast(DataType::Int64)],
            (AggregateFunction::Min, false) => vec![first.min()],
            (AggregateFunction::Max, false) => vec![first.max()],
            (AggregateFunction::Mode, _) => place.into_iter().collect(),
            _ => [first.implode(true)].into_iter().chain(second).chain(place).collect(),
        };
        values.push(of_value);
    }
    let named = values.iter().flatten().enumerate();
    let named: Vec<Expr> =
        named.map(|(n, value)| value.clone().alias(name(by.len() + n))).collect();
    let rows = frame.select(&columns)?.lazy();
    let keys: Vec<Expr> = (0..by.len()).map(|n| col(name(n))).collect();
    let rows =
        if keys.is_empty() { rows.select(named) } else { rows.group_by_stable(keys).agg(named) };
    let rows = rows.collect()?;
    let (keys, mut rest) = rows.columns().split_at(by.len());
    let mut found = keys.to_vec();
    for (one, values) in aggregates.iter().zip(&values) {
        let (own, others) = rest.split_at(values.len());
        found.push(one.value(own, &frame)?);
        rest = others;
    }
    Frame::new(found, rows.height(), &frame.aside)
}

/// An aggregate, with each row's place in the order in which it takes values.
struct Prepared<'a> {
    aggregate: &'a Aggregate,
    places: Option<Column>,
}

impl<'a> Prepared<'a> {
    fn new(aggregate: &'a Aggregate, frame: &Frame) -> Result<Self, Error> {
        let order = match (&aggregate.function, &aggregate.arguments[..]) {
            (AggregateFunction::Joined(_), _) => aggregate.order.clone(),
            (AggregateFunction::Mode, [value]) => vec![ascending(value.clone())],
            _ => return Ok(Self { aggregate, places: None }),
        };
        let places = ranked(frame, &[], &order)?.places();
        let places: Int64Chunked = places.into_iter().map(Some).collect();
        Ok(Self { aggregate, places: Some(places.into_series().into()) })
    }

    /// The value of each group.
    fn value(&self, columns: &[Column], frame: &Frame) -> Result<Column, Error> {
        let lists: Vec<Series> =
            columns.iter().map(|column| column.as_materialized_series().clone()).collect();
        if !matches!(lists.first().map(|list| list.dtype()), Some(DataType::List(_))) {
            return columns.first().cloned().ok_or_else(too_few);
        }
        let values = of_lists(self.aggregate, &lists)?;
        let (AggregateFunction::Mode, Some(places)) = (&self.aggregate.function, &self.places)
        else {
            return Ok(values.into());
        };
        // A place stands for the value of any row that has it.
        let places = places.as_materialized_series().i64()?.iter().enumerate();
        let rows: BTreeMap<Option<i64>, usize> = places.map(|(row, place)| (place, row)).collect();
        let row =
            |place: Option<i64>| rows.get(&place).and_then(|row| IdxSize::try_from(*row).ok());
        let rows: IdxCa = values.i64()?.iter().map(row).collect();
        let values = frame.select(&self.aggregate.arguments)?.take(&rows)?;
        Ok(values.column(0)?.clone())
    }
}

fn too_few() -> Error {
    Error::Question("an aggregate has no value".to_owned())
}

fn is_of_floats(aggregate: &Aggregate) -> bool {
    let first = aggregate.arguments.first();
    first.is_some_and(|first| column::data_type(&first.kind) == DataType::Float64)
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
