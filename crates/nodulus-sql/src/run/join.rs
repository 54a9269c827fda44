//! Rows of two frames side by side.

use super::evaluate::{evaluate, is_true};
use super::frame::{Frame, too_many_rows};
use super::keys::Keys;
use crate::Error;
use crate::kind::Kind;
use crate::typed::{Comparison, Function, Node, Typed};
use arrow::array::{ArrayRef, UInt32Array};
use arrow::row::Row;
use std::collections::{BTreeMap, BTreeSet};

/// Pairs whose conditions are computed at once.
const PAIRS_AT_ONCE: usize = 1 << 18;
/// Most rows of a join.
const MAX_ROWS: usize = 200_000_000;

/// Which rows without a partner are kept, beside nulls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outer {
    pub(crate) left: bool,
    pub(crate) right: bool,
}

/// Pairs of rows.
#[derive(Default)]
struct Pairs {
    left: Vec<u32>,
    right: Vec<u32>,
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
    let n_left = left.columns.len();
    let (mut keys, mut others) = (Vec::new(), Vec::new());
    for condition in conditions {
        match sides(condition, n_left) {
            Some(sides) => keys.push(sides),
            None => others.push(condition.clone()),
        }
    }
    let mut kept = Pairs::default();
    let mut waiting = Pairs::default();
    let mut pair = |l: u32, r: u32| -> Result<(), Error> {
        waiting.left.push(l);
        waiting.right.push(r);
        if waiting.left.len() < PAIRS_AT_ONCE {
            Ok(())
        } else {
            kept.settle(&mut waiting, left, right, &others)
        }
    };
    let [n_rows_left, n_rows_right] =
        [left, right].map(|frame| u32::try_from(frame.n_rows).map_err(|_| too_many_rows()));
    let (n_rows_left, n_rows_right) = (n_rows_left?, n_rows_right?);
    if keys.is_empty() {
        for l in 0..n_rows_left {
            (0..n_rows_right).try_for_each(|r| pair(l, r))?;
        }
    } else {
        let (left_keys, right_keys): (Vec<Typed>, Vec<Typed>) = keys.into_iter().unzip();
        let (left_keys, right_keys) = (values(left, &left_keys)?, values(right, &right_keys)?);
        let mut rows_of: BTreeMap<Option<Row<'_>>, Vec<u32>> = BTreeMap::new();
        for r in (0..n_rows_right).filter(|r| !right_keys.has_null(*r as usize)) {
            rows_of.entry(right_keys.of(r as usize)).or_default().push(r);
        }
        for l in (0..n_rows_left).filter(|l| !left_keys.has_null(*l as usize)) {
            let partners = rows_of.get(&left_keys.of(l as usize)).into_iter().flatten();
            partners.into_iter().try_for_each(|r| pair(l, *r))?;
        }
    }
    kept.settle(&mut waiting, left, right, &others)?;
    kept.rows(left, right, outer)
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

fn values(frame: &Frame, keys: &[Typed]) -> Result<Keys, Error> {
    let columns = keys.iter().map(|key| evaluate(key, frame));
    Keys::new(&columns.collect::<Result<Vec<ArrayRef>, _>>()?, frame.n_rows)
}

impl Pairs {
    /// Keeps those of the waiting pairs for which all conditions are true.
    fn settle(
        &mut self,
        waiting: &mut Self,
        left: &Frame,
        right: &Frame,
        conditions: &[Typed],
    ) -> Result<(), Error> {
        let waiting = std::mem::take(waiting);
        let mut is_kept = vec![true; waiting.left.len()];
        if !conditions.is_empty() {
            let needed: BTreeSet<usize> = conditions.iter().flat_map(Typed::columns).collect();
            let pairs = waiting.frame(left, right, &needed)?;
            let all = Typed::call(Function::And, conditions.to_vec(), Kind::Bool);
            is_kept = is_true(&all, &pairs)?;
        }
        let both = waiting.left.into_iter().zip(waiting.right);
        for ((l, r), _) in both.zip(is_kept).filter(|(_, kept)| *kept) {
            self.left.push(l);
            self.right.push(r);
        }
        if self.left.len() > MAX_ROWS { Err(too_many_rows()) } else { Ok(()) }
    }

    fn frame(&self, left: &Frame, right: &Frame, needed: &BTreeSet<usize>) -> Result<Frame, Error> {
        let of_right = |column: &usize| column.checked_sub(left.columns.len());
        let needed_right: BTreeSet<usize> = needed.iter().filter_map(of_right).collect();
        let l = left.take_needed(&UInt32Array::from(self.left.clone()), needed)?;
        let r = right.take_needed(&UInt32Array::from(self.right.clone()), &needed_right)?;
        let n_rows = self.left.len();
        Ok(Frame::new([l.columns, r.columns].concat(), n_rows))
    }

    /// The pairs' rows, and those without a partner that are to be kept: a left one in its turn, right ones at the end.
    fn rows(self, left: &Frame, right: &Frame, outer: Outer) -> Result<Frame, Error> {
        let mut has_partner = [vec![false; left.n_rows], vec![false; right.n_rows]];
        for (l, r) in self.left.iter().zip(&self.right) {
            has_partner[0][*l as usize] = true;
            has_partner[1][*r as usize] = true;
        }
        let alone = |side: usize| {
            let rows = has_partner[side].iter().enumerate().filter(|(_, has)| !**has);
            rows.map(|(row, _)| row as u32).collect::<Vec<u32>>()
        };
        let pairs = self.left.into_iter().zip(self.right);
        let mut rows: Vec<(Option<u32>, Option<u32>)> =
            pairs.map(|(l, r)| (Some(l), Some(r))).collect();
        if outer.left {
            rows.extend(alone(0).into_iter().map(|l| (Some(l), None)));
            rows.sort_by_key(|(l, _)| *l);
        }
        if outer.right {
            rows.extend(alone(1).into_iter().map(|r| (None, Some(r))));
        }
        let (l, r): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let n_rows = l.len();
        let (l, r) = (left.take(&UInt32Array::from(l))?, right.take(&UInt32Array::from(r))?);
        Ok(Frame::new([l.columns, r.columns].concat(), n_rows))
    }
}
