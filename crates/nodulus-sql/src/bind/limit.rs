//! LIMIT and OFFSET.

use crate::Error;
use crate::kind::Kind;
use crate::lower::frame::Frame;
use crate::lower::sort::{Sorted, are_alike};
use crate::typed::SortKey;
use sqlparser::ast::{Expr, LimitClause, Offset, Value};

/// Which rows of an answer are kept.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limit {
    skipped: usize,
    /// Most rows after the skipped ones.
    most: Option<usize>,
    /// Whether other rows are computed from those that are kept, so that these must be determined.
    is_of_part: bool,
}

impl Limit {
    pub(super) fn of(clause: Option<&LimitClause>, is_of_part: bool) -> Result<Self, Error> {
        let (limit, offset) = match clause {
            None => (None, None),
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
                (limit.as_ref(), offset.as_ref().map(|Offset { value, .. }| value))
            }
            Some(other) => return Err(Error::refused(other, "use LIMIT number OFFSET number")),
        };
        Ok(Self {
            skipped: offset.map(number).transpose()?.unwrap_or(0),
            most: limit.map(number).transpose()?,
            is_of_part,
        })
    }

    /// The number of rows that are needed, if not all are. Of a part, all are, to see what is cut.
    pub(super) fn n_needed(&self) -> Option<usize> {
        let most = self.most.filter(|_| !self.is_of_part);
        most.map(|most| most.saturating_add(self.skipped))
    }

    /// The kept ones of sorted rows.
    ///
    /// # Errors
    ///
    /// Fails if others are computed from them, and the order does not say which rows are kept.
    pub(super) fn cut(
        &self,
        sorted: Sorted,
        order: &[SortKey],
        frame: &Frame,
        kinds: &[Kind],
    ) -> Result<Vec<usize>, Error> {
        let rows = &sorted.rows;
        let end = self.most.map_or(rows.len(), |most| most.saturating_add(self.skipped));
        for cut in [self.skipped, end] {
            if !self.is_of_part || cut == 0 || cut >= rows.len() {
                continue;
            }
            if order.is_empty() {
                return Err(Error::refused(
                    "LIMIT without ORDER BY in a subquery",
                    "which rows it takes is left to chance; add ORDER BY",
                ));
            }
            let (last, next) = (rows[cut - 1], rows[cut]);
            let can_be_alike = !kinds.iter().any(|kind| matches!(kind, Kind::Other(_)));
            if sorted.ties(last, next)? && !(can_be_alike && are_alike(frame, last, next)?) {
                return Err(Error::Question(
                    "rows tie where LIMIT cuts a subquery, so that which of them it takes is left to chance; add a column to \
                     its ORDER BY that tells them apart"
                        .to_owned(),
                ));
            }
        }
        Ok(sorted.rows.into_iter().take(end).skip(self.skipped).collect())
    }
}

fn number(expression: &Expr) -> Result<usize, Error> {
    let number = match expression {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, false) => digits.parse().ok(),
            _ => None,
        },
        _ => None,
    };
    number.ok_or_else(|| Error::refused(expression, "LIMIT and OFFSET take a whole number"))
}
