//! Queries: WITH, set operations, and the order and number of rows.

use super::limit::Limit;
use super::{Answer, Binder};
use crate::Error;
use crate::kind::Kind;
use crate::lower::frame::{Frame, indices};
use crate::lower::group;
use crate::lower::sort::sorted;
use crate::scope::Scope;
use crate::typed::{SortKey, Typed};
use sqlparser::ast::{
    Expr, OrderBy, OrderByKind, Query, SetExpr, SetOperator, SetQuantifier, TableAlias, With,
};

/// Where a query stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// It is the question.
    Whole,
    /// It is a part of the question, whose rows others are computed from.
    Part,
}

impl Binder<'_> {
    /// The answer to the whole question.
    pub(crate) fn answer(&mut self, query: &Query) -> Result<Answer, Error> {
        let answer = self.query(query, Position::Whole)?;
        unique_names(&answer.columns)?;
        Ok(answer)
    }

    /// The answer to a part of the question, computed at once.
    pub(super) fn part(&mut self, query: &Query) -> Result<Answer, Error> {
        self.query(query, Position::Part)
    }

    fn query(&mut self, query: &Query, position: Position) -> Result<Answer, Error> {
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        if fetch.is_some() {
            return Err(Error::refused("FETCH", "use LIMIT"));
        }
        let others =
            [for_clause.is_some(), settings.is_some(), format_clause.is_some(), !locks.is_empty()];
        if others.contains(&true) || !pipe_operators.is_empty() {
            return Err(Error::refused(query, "end the question after LIMIT"));
        }
        let known = self.with.len();
        if let Some(with) = with {
            self.with(with)?;
        }
        let order_by = order_expressions(order_by.as_ref())?;
        let limit = Limit::of(limit_clause.as_ref(), position == Position::Part)?;
        let answer = match &**body {
            SetExpr::Select(select) => self.select(select, order_by, limit)?,
            body => {
                let answer = self.body(body)?;
                let scope = Scope::of(None, answer.columns.clone());
                let keys = order_by.iter().map(|key| by_name_or_number(key, &scope));
                let keys: Vec<SortKey> = keys.collect::<Result<_, _>>()?;
                let rows = sorted(&answer.frame, &keys)?;
                let rows = limit.cut(rows, &keys, &answer.frame, &answer.kinds())?;
                let frame = answer.frame.take(&indices(rows))?;
                Answer { columns: answer.columns, frame }
            }
        };
        self.with.truncate(known);
        Ok(answer)
    }

    fn with(&mut self, with: &With) -> Result<(), Error> {
        if with.recursive {
            return Err(Error::refused("WITH RECURSIVE", "use WITH"));
        }
        for table in &with.cte_tables {
            // Names of a query around it are none of its own.
            let around = std::mem::take(&mut self.around);
            let mut answer = self.part(&table.query)?;
            self.around = around;
            rename(&mut answer, Some(&table.alias))?;
            unique_names(&answer.columns)?;
            self.with.push((table.alias.name.value.clone(), answer));
        }
        Ok(())
    }

    fn body(&mut self, body: &SetExpr) -> Result<Answer, Error> {
        match body {
            SetExpr::Select(select) => self.select(select, &[], Limit::default()),
            SetExpr::Query(query) => self.part(query),
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                let (left, right) = (self.body(left)?, self.body(right)?);
                let is_all = match (op, set_quantifier) {
                    (SetOperator::Union, SetQuantifier::All) => true,
                    (
                        SetOperator::Union | SetOperator::Except | SetOperator::Intersect,
                        SetQuantifier::None | SetQuantifier::Distinct,
                    ) => false,
                    _ => {
                        return Err(Error::refused(
                            format!("{op} {set_quantifier}"),
                            "use UNION, UNION ALL, EXCEPT or INTERSECT",
                        ));
                    }
                };
                let (left, right) = alike(left, right)?;
                if is_all {
                    return united(&left, &right);
                }
                match op {
                    SetOperator::Union => distinct(united(&left, &right)?),
                    op => {
                        check_keys(&left)?;
                        let is_in_both = *op == SetOperator::Intersect;
                        let kinds = left.kinds();
                        let frame = group::compared(&left.frame, &right.frame, &kinds, is_in_both)?;
                        Ok(Answer { columns: left.columns, frame })
                    }
                }
            }
            other => Err(Error::refused(other, "ask with SELECT … FROM")),
        }
    }
}

/// Fails if whole rows cannot be compared.
fn check_keys(answer: &Answer) -> Result<(), Error> {
    match answer.columns.iter().find(|(_, kind)| !kind.is_key()) {
        Some((name, kind)) => Err(not_compared(name, kind)),
        None => Ok(()),
    }
}

/// The first of rows that are alike.
pub(super) fn distinct(answer: Answer) -> Result<Answer, Error> {
    check_keys(&answer)?;
    let frame = group::distinct(&answer.frame, &answer.kinds())?;
    Ok(Answer { columns: answer.columns, frame })
}

fn not_compared(name: &str, kind: &Kind) -> Error {
    let instead = match kind {
        Kind::Computed => "it is computed exactly elsewhere; write cast(… AS DOUBLE) about it",
        _ => "only whole values can be selected; leave the column out",
    };
    Error::refused(format!("comparing `{name}`, which is {kind}"), instead)
}

fn united(left: &Answer, right: &Answer) -> Result<Answer, Error> {
    let both = vec![left.frame.clone(), right.frame.clone()];
    let frame = Frame::stacked(both, &left.kinds(), &left.frame.aside)?;
    Ok(Answer { columns: left.columns.clone(), frame })
}

/// Both answers with columns of the same kinds, and the names of the first.
fn alike(mut left: Answer, mut right: Answer) -> Result<(Answer, Answer), Error> {
    let (n, m) = (left.columns.len(), right.columns.len());
    if n != m {
        return Err(Error::Question(format!(
            "the two queries have {n} and {m} columns, expected the same number"
        )));
    }
    let mut kinds = Vec::with_capacity(n);
    for ((name, a), (_, b)) in left.columns.iter().zip(&right.columns) {
        kinds.push(a.common(b).ok_or_else(|| {
            Error::refused(
                name,
                format!("it is {a} in one query and {b} in the other; write cast(… AS …) in one"),
            )
        })?);
    }
    left.convert(&kinds)?;
    right.convert(&kinds)?;
    Ok((left, right))
}

impl Answer {
    pub(super) fn kinds(&self) -> Vec<Kind> {
        self.columns.iter().map(|(_, kind)| kind.clone()).collect()
    }

    fn convert(&mut self, kinds: &[Kind]) -> Result<(), Error> {
        let converted =
            self.columns.iter_mut().zip(kinds).enumerate().map(|(n, (column, kind))| {
                let own = Typed::column(n, std::mem::replace(&mut column.1, kind.clone()));
                super::convert::to_kind(own, kind)
            });
        self.frame = self.frame.select(&converted.collect::<Vec<_>>())?;
        Ok(())
    }
}

/// Gives the columns the names of an alias, if it has any.
pub(super) fn rename(answer: &mut Answer, alias: Option<&TableAlias>) -> Result<(), Error> {
    let Some(alias) = alias else { return Ok(()) };
    if alias.at.is_some() || alias.columns.iter().any(|column| column.data_type.is_some()) {
        return Err(Error::refused(alias, "give names only, as in `t (a, b)`"));
    }
    let (n, m) = (alias.columns.len(), answer.columns.len());
    if n != 0 && n != m {
        return Err(Error::Question(format!("`{alias}` names {n} columns, expected {m}")));
    }
    for (column, named) in answer.columns.iter_mut().zip(&alias.columns) {
        column.0.clone_from(&named.name.value);
    }
    Ok(())
}

/// Fails if two columns have the same name.
pub(super) fn unique_names(columns: &[(String, Kind)]) -> Result<(), Error> {
    for (n, (name, _)) in columns.iter().enumerate() {
        if columns[..n].iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            return Err(Error::Question(format!(
                "two columns of the answer are named `{name}`; name one of them otherwise, as in `{name} AS other`, or \
                 join with USING"
            )));
        }
    }
    Ok(())
}

fn order_expressions(order_by: Option<&OrderBy>) -> Result<&[sqlparser::ast::OrderByExpr], Error> {
    match order_by {
        None => Ok(&[]),
        Some(OrderBy { kind: OrderByKind::Expressions(keys), interpolate: None }) => Ok(keys),
        Some(other) => Err(Error::refused(other, "name the columns")),
    }
}

/// A key that is the name or the number of a column of the answer.
fn by_name_or_number(key: &sqlparser::ast::OrderByExpr, scope: &Scope) -> Result<SortKey, Error> {
    let found = match &key.expr {
        Expr::Identifier(name) => scope.find(None, &name.value)?,
        expression => {
            let position = super::literal::ordinal(expression, scope.columns.len())?;
            position.map(|position| scope.typed(position))
        }
    };
    let by = found.ok_or_else(|| {
        Error::refused(
            format!("ORDER BY {}", key.expr),
            "after UNION, EXCEPT and INTERSECT, name a column of the answer or its number",
        )
    })?;
    super::items::sort_key(key, by)
}
