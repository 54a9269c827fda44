//! EXISTS about each row of the query around it.

use super::condition::needs_parentheses;
use super::items::named;
use super::select::{is_of_several_rows, refuse_other_clauses, restrict};
use super::{Binder, convert};
use crate::Error;
use crate::kind::Kind;
use crate::lower::set::{Asked, Set};
use crate::scope::Scope;
use crate::typed::{Node, Typed};
use sqlparser::ast::{
    BinaryOperator, Distinct, Expr, GroupByExpr, Query, Select, SelectItem, SetExpr,
};
use std::sync::Arc;

impl Binder<'_> {
    /// Whether a subquery has a row for each row of the query around it, which it names in equalities; `None` where it names
    /// no column of that query so, and is computed once.
    pub(super) fn exists_for_each_row(
        &mut self,
        query: &Query,
        around: &Scope,
    ) -> Result<Option<Typed>, Error> {
        let SetExpr::Select(select) = &*query.body else { return Ok(None) };
        let Some(condition) = select.selection.as_ref().filter(|_| query.with.is_none()) else {
            return Ok(None);
        };
        self.around.push(around.clone());
        let exists = self.exists(query, select, condition, around);
        self.around.pop();
        exists
    }

    fn exists(
        &mut self,
        query: &Query,
        select: &Select,
        condition: &Expr,
        around: &Scope,
    ) -> Result<Option<Typed>, Error> {
        let (mut source, scope) = self.from(&select.from)?;
        let (mut equalities, mut others) = (Vec::new(), Vec::new());
        for part in parts(condition) {
            match equality(part, select, &scope, around)? {
                Some((outer, inner)) => equalities.push((outer, inner, part)),
                None => others.push(part),
            }
        }
        if equalities.is_empty() {
            return Ok(None);
        }
        refuse_other_clauses(select)?;
        if !is_plain(query, select) {
            return Err(Error::refused(
                "EXISTS about the query around it, with more than WHERE",
                "leave GROUP BY, HAVING, ORDER BY and LIMIT out, or use JOIN",
            ));
        }
        let items = self.items(&select.projection, &scope)?;
        if items.iter().any(|item| item.by.any(&is_of_several_rows)) {
            let instead = "the subquery always has a row; select 1 in it";
            return Err(Error::refused("EXISTS of an aggregate", instead));
        }
        let aliases = named(&items);
        let mut conditions = Vec::new();
        for part in others {
            conditions.extend(self.conditions(part, &scope, &aliases, "WHERE")?);
        }
        let (mut outer_keys, mut inner_keys) = (Vec::new(), Vec::new());
        for (outer, inner, part) in equalities {
            let inner = self.expression(inner, &scope, &aliases)?;
            if inner.any(&is_of_several_rows) {
                return Err(Error::refused(part, "WHERE is about single rows; use HAVING"));
            }
            let (outer, inner) = convert::compared(outer, inner, part)?;
            if outer.kind == Kind::Null {
                return Err(Error::refused(part, "NULL equals nothing"));
            }
            outer_keys.push(outer);
            inner_keys.push(inner);
        }
        let rows = restrict(&mut source, conditions, None)?;
        let set = Arc::new(Set::new(Asked::Exists, inner_keys, &rows)?);
        Ok(Some(Typed { kind: Kind::Bool, node: Node::Member { items: outer_keys, set } }))
    }
}

/// Whether a query is SELECT … FROM … WHERE alone, of which the existence of rows is not changed by what is selected.
fn is_plain(query: &Query, select: &Select) -> bool {
    let is_grouped = match &select.group_by {
        GroupByExpr::Expressions(by, modifiers) => !by.is_empty() || !modifiers.is_empty(),
        GroupByExpr::All(_) => true,
    };
    query.order_by.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && query.locks.is_empty()
        && query.for_clause.is_none()
        && query.settings.is_none()
        && query.format_clause.is_none()
        && query.pipe_operators.is_empty()
        && !is_grouped
        && select.having.is_none()
        && matches!(select.distinct, None | Some(Distinct::All | Distinct::Distinct))
}

/// The conditions that must all be true.
fn parts(condition: &Expr) -> Vec<&Expr> {
    let (mut found, mut open) = (Vec::new(), vec![condition]);
    while let Some(part) = open.pop() {
        match part {
            Expr::Nested(inner) => open.push(inner),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                open.extend([&**right, &**left]);
            }
            part => found.push(part),
        }
    }
    found
}

/// A column of the query around, and what a condition says it equals.
fn equality<'a>(
    condition: &'a Expr,
    select: &Select,
    scope: &Scope,
    around: &Scope,
) -> Result<Option<(Typed, &'a Expr)>, Error> {
    let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = condition else {
        return Ok(None);
    };
    for (one, other) in [(&**left, &**right), (&**right, &**left)] {
        if let Some(outer) = outer_column(one, select, scope, around)? {
            return Ok((!needs_parentheses(other)).then_some((outer, other)));
        }
    }
    Ok(None)
}

/// The column of the query around that a name means, which is neither a column nor an alias of the subquery itself.
fn outer_column(
    expression: &Expr,
    select: &Select,
    scope: &Scope,
    around: &Scope,
) -> Result<Option<Typed>, Error> {
    let (table, name) = match expression {
        Expr::Nested(inner) => return outer_column(inner, select, scope, around),
        Expr::Identifier(name) => (None, name),
        Expr::CompoundIdentifier(parts) => match &parts[..] {
            [table, name] => (Some(table.value.as_str()), name),
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    let name = name.value.as_str();
    let is_alias = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { alias, .. } => alias.value.eq_ignore_ascii_case(name),
        _ => false,
    };
    let is_own = match table {
        None => scope.find(None, name)?.is_some() || select.projection.iter().any(is_alias),
        Some(table) => scope.has_table(table),
    };
    if is_own { Ok(None) } else { around.find(table, name) }
}
