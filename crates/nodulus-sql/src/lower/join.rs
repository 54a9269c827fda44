//! Rows of two frames side by side.

use super::frame::{Frame, ROW, name, too_many_rows};
use super::sort::INDEX;
use crate::Error;
use crate::kind::Kind;
use crate::typed::{Comparison, Function, Node, Typed, Value, key};
use polars::prelude::{
    Column, DataFrame, DataType, Expr, IdxCa, IdxSize, IntoLazy as _, JoinType, LazyFrame, col, lit,
};
use std::collections::BTreeSet;

/// Pairs whose conditions are computed at once, on average.
const PAIRS_AT_ONCE: usize = 1 << 20;
/// Most pairs of rows whose keys are equal.
const MAX_PAIRS: f64 = 200_000_000.0;
/// Name of the column with the number of each row of the right frame.
const RIGHT_INDEX: &str = "right";

/// Which rows without a partner are kept, beside nulls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outer {
    pub(crate) left: bool,
    pub(crate) right: bool,
}

/// Each pair of rows for which all conditions are true, and the rows without a partner that are to be kept.
///
/// Columns are those of the left frame, then those of the right one, in the conditions too.
pub(crate) fn join(
    left: &Frame,
    right: &Frame,
    outer: Outer,
    conditions: &[Typed],
) -> Result<Frame, Error> {
    let n_left = left.columns().len();
    let (mut left_keys, mut right_keys, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for condition in conditions {
        match sides(condition, n_left) {
            Some((l, r)) => {
                left_keys.push(key(l));
                right_keys.push(key(r));
            }
            None => others.push(condition.clone()),
        }
    }
    if left_keys.is_empty() {
        // All rows have the same key: each pair is one.
        let constant = Typed::value(Value::Int(0), Kind::Int);
        left_keys.push(constant.clone());
        right_keys.push(constant);
    }
    let (left_keys, right_keys) = (left.select(&left_keys)?, right.select(&right_keys)?);
    let n_pairs = n_pairs(&left_keys, &right_keys)?;
    if n_pairs > MAX_PAIRS {
        return Err(too_many_rows());
    }
    let step = left.n_rows() * PAIRS_AT_ONCE / (n_pairs as usize).max(1) + 1;
    let left_rows = known(&left_keys, INDEX).collect()?;
    let right_rows = known(&right_keys, RIGHT_INDEX).collect()?;
    let keys: Vec<Expr> = (0..left_keys.columns().len()).map(|n| col(name(n))).collect();
    let mut pairs: Vec<(IdxSize, IdxSize)> = Vec::new();
    for start in (0..left_rows.height()).step_by(step) {
        let some = left_rows.slice(start as i64, step).lazy();
        let joined = some.join_builder().with(right_rows.clone().lazy()).on(keys.clone());
        let found = joined
            .how(JoinType::Inner)
            .finish()
            .select([col(INDEX), col(RIGHT_INDEX)])
            .collect()?;
        settle(&found, left, right, &others, &mut pairs)?;
    }
    pairs.sort_unstable();
    rows(pairs, left, right, outer)
}

/// The rows without a null in their keys, with their numbers.
fn known(keys: &Frame, index: &str) -> LazyFrame {
    let columns = 0..keys.columns().len();
    let is_known = columns.map(|n| col(name(n)).is_not_null()).fold(lit(true), Expr::and);
    keys.lazy().with_row_index(index, None).filter(is_known)
}

/// The number of pairs of rows whose keys are equal.
fn n_pairs(left: &Frame, right: &Frame) -> Result<f64, Error> {
    let keys: Vec<Expr> = (0..left.columns().len()).map(|n| col(name(n))).collect();
    let counts = |frame: &Frame, count: &str| {
        let rows = known(frame, INDEX).group_by_stable(keys.clone());
        rows.agg([col(ROW).len().cast(DataType::Float64).alias(count)])
    };
    let both = counts(left, "l").join_builder().with(counts(right, "r")).on(keys.clone());
    let both =
        both.how(JoinType::Inner).finish().select([(col("l") * col("r")).sum()]).collect()?;
    let sum = both.columns()[0].as_materialized_series().f64()?.iter().flatten().next();
    Ok(sum.unwrap_or(0.0))
}

/// The sides of an equality between an expression of the left frame and one of the right.
fn sides(condition: &Typed, n_left: usize) -> Option<(Typed, Typed)> {
    let Node::Call(Function::Compare(Comparison::Equal), arguments) = &condition.node else {
        return None;
    };
    let [a, b] = &arguments[..] else { return None };
    let is_left = |side: &Typed| side.columns().iter().all(|column| *column < n_left);
    let is_right = |side: &Typed| side.columns().iter().all(|column| *column >= n_left);
    let has_columns = |side: &Typed| !side.columns().is_empty();
    if !has_columns(a) || !has_columns(b) {
        return None;
    }
    let (l, mut r) = match () {
        () if is_left(a) && is_right(b) => (a.clone(), b.clone()),
        () if is_left(b) && is_right(a) => (b.clone(), a.clone()),
        () => return None,
    };
    let shifted: Result<(), ()> = r.replace(&mut |part| {
        Ok(match part.node {
            Node::Column(n) => Some(Typed::column(n - n_left, part.kind.clone())),
            _ => None,
        })
    });
    shifted.ok()?;
    Some((l, r))
}

/// Keeps those pairs for which all conditions are true.
fn settle(
    found: &DataFrame,
    left: &Frame,
    right: &Frame,
    conditions: &[Typed],
    kept: &mut Vec<(IdxSize, IdxSize)>,
) -> Result<(), Error> {
    let index = |name: &str| -> Result<IdxCa, Error> {
        Ok(found.column(name)?.as_materialized_series().idx()?.clone())
    };
    let (l, r) = (index(INDEX)?, index(RIGHT_INDEX)?);
    let pairs = l.iter().flatten().zip(r.iter().flatten());
    if conditions.is_empty() {
        kept.extend(pairs);
        return Ok(());
    }
    let needed: BTreeSet<usize> = conditions.iter().flat_map(Typed::columns).collect();
    let n_left = left.columns().len();
    let of = |frame: &Frame, rows: &IdxCa, first: usize| -> Result<Vec<Column>, Error> {
        let columns = frame.columns().iter().enumerate().map(|(n, column)| {
            // What no condition needs is not copied.
            if needed.contains(&(n + first)) {
                column.take(rows)
            } else {
                Ok(Column::full_null("".into(), rows.len(), column.dtype()))
            }
        });
        Ok(columns.collect::<Result<_, _>>()?)
    };
    let columns = [of(left, &l, 0)?, of(right, &r, n_left)?].concat();
    let all = Typed::call(Function::And, conditions.to_vec(), Kind::Bool);
    let is_kept = Frame::new(columns, l.len(), &left.aside)?.select(&[all])?;
    let is_kept = is_kept.column(0)?.as_materialized_series().bool()?.clone();
    let chosen = pairs.zip(is_kept.iter()).filter(|(_, is_kept)| *is_kept == Some(true));
    kept.extend(chosen.map(|(pair, _)| pair));
    Ok(())
}

/// The pairs' rows, and those without a partner that are to be kept: a left one in its turn, right ones at the end.
fn rows(
    pairs: Vec<(IdxSize, IdxSize)>,
    left: &Frame,
    right: &Frame,
    outer: Outer,
) -> Result<Frame, Error> {
    let mut has_partner = [vec![false; left.n_rows()], vec![false; right.n_rows()]];
    for (l, r) in &pairs {
        has_partner[0][*l as usize] = true;
        has_partner[1][*r as usize] = true;
    }
    let alone = |side: usize| {
        let rows = has_partner[side].iter().enumerate().filter(|(_, has)| !**has);
        rows.map(|(row, _)| row as IdxSize).collect::<Vec<_>>()
    };
    let mut rows: Vec<(Option<IdxSize>, Option<IdxSize>)> =
        pairs.into_iter().map(|(l, r)| (Some(l), Some(r))).collect();
    if outer.left {
        rows.extend(alone(0).into_iter().map(|l| (Some(l), None)));
        rows.sort_by_key(|(l, _)| *l);
    }
    if outer.right {
        rows.extend(alone(1).into_iter().map(|r| (None, Some(r))));
    }
    let l: IdxCa = rows.iter().map(|(l, _)| *l).collect();
    let r: IdxCa = rows.iter().map(|(_, r)| *r).collect();
    left.take(&l)?.with(right.take(&r)?.columns().iter().cloned())
}
