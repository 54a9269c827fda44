//! SELECT.

use super::expression::Aliases;
use super::from::Source;
use super::grouped::Grouped;
use super::items::{Item, named};
use super::limit::Limit;
use super::query::distinct;
use super::{Answer, Binder};
use crate::Error;
use crate::kind::Kind;
use crate::lower::frame::{Frame, indices};
use crate::lower::list::unnested;
use crate::lower::sort::sorted;
use crate::lower::window::window;
use crate::scope::Scope;
use crate::typed::{Function, Node, SortKey, Typed, Window};
use sqlparser::ast::{Distinct, GroupByExpr, OrderByExpr, Select, SelectFlavor};

impl Binder<'_> {
    /// The answer to a SELECT with the ORDER BY and LIMIT that follow it.
    pub(super) fn select(
        &mut self,
        select: &Select,
        order_by: &[OrderByExpr],
        limit: Limit,
    ) -> Result<Answer, Error> {
        refuse_other_clauses(select)?;
        let is_distinct = match &select.distinct {
            None | Some(Distinct::All) => false,
            Some(Distinct::Distinct) => true,
            Some(Distinct::On(_)) => {
                return Err(Error::refused(
                    "DISTINCT ON",
                    "number the rows by row_number() OVER (…) in a subquery",
                ));
            }
        };
        let (mut source, scope) = self.from(&select.from)?;
        let mut items = self.items(&select.projection, &scope)?;
        let conditions = match &select.selection {
            Some(condition) => self.conditions(condition, &scope, &named(&items), "WHERE")?,
            None => Vec::new(),
        };
        let by = match &select.group_by {
            GroupByExpr::Expressions(by, modifiers) if modifiers.is_empty() => {
                self.group_by(by, &items, &scope)?
            }
            other => return Err(Error::refused(other, "name the columns after GROUP BY")),
        };
        let having = match &select.having {
            Some(having) => Some(self.having(having, &items, &scope)?),
            None => None,
        };
        let mut order = self.order_by(order_by, &items, &scope)?;
        let is_plain = conditions.is_empty()
            && by.is_empty()
            && having.is_none()
            && order.is_empty()
            && !is_distinct
            && !items.iter().any(|item| item.by.any(&is_of_several_rows));
        let n_needed = limit.n_needed().filter(|_| is_plain);
        let mut frame = restrict(&mut source, conditions, n_needed)?;
        let mut grouped = Grouped::new(by, &scope);
        let has_aggregate = |by: &Typed| by.has_aggregate();
        let is_grouped = grouped.has_keys()
            || having.is_some()
            || items.iter().map(|item| &item.by).any(has_aggregate)
            || order.iter().map(|key| &key.by).any(has_aggregate);
        if is_grouped {
            for expression in expressions(&mut items, &mut order) {
                grouped.rewrite(expression)?;
            }
            let having = having.map(|mut having| grouped.rewrite(&mut having).map(|()| having));
            frame = grouped.rows(&frame)?;
            if let Some(having) = having.transpose()? {
                frame = frame.filter(&having)?;
            }
        }
        compute_windows(&mut frame, &mut items, &mut order)?;
        unnest(&mut frame, &mut items, &order, is_grouped || is_distinct)?;
        finish(&frame, &items, &order, is_distinct, limit)
    }

    /// The parts of a condition that must all be true.
    pub(super) fn conditions(
        &mut self,
        condition: &sqlparser::ast::Expr,
        scope: &Scope,
        aliases: &Aliases,
        clause: &str,
    ) -> Result<Vec<Typed>, Error> {
        let typed = self.truth(condition, scope, aliases)?;
        if typed.any(&is_of_several_rows) {
            return Err(Error::refused(
                format!("{clause} {condition}"),
                format!(
                    "{clause} is about single rows; put aggregates into HAVING, and window functions into a subquery"
                ),
            ));
        }
        Ok(match typed.node {
            Node::Call(Function::And, parts) => parts,
            _ => vec![typed],
        })
    }
}

/// Whether a part of an expression is about more than one row.
pub(super) const fn is_of_several_rows(node: &Node) -> bool {
    matches!(node, Node::Aggregate(_) | Node::Window(_) | Node::Unnest(_))
}

pub(super) fn refuse_other_clauses(select: &Select) -> Result<(), Error> {
    let Select {
        select_token: _,
        optimizer_hints,
        distinct: _,
        select_modifiers,
        top,
        top_before_distinct: _,
        projection: _,
        exclude,
        into: _,
        from: _,
        lateral_views,
        prewhere,
        selection: _,
        connect_by,
        group_by: _,
        cluster_by,
        distribute_by,
        sort_by,
        having: _,
        named_window,
        qualify,
        window_before_qualify: _,
        value_table_mode,
        flavor,
    } = select;
    for (is_there, part, instead) in [
        (qualify.is_some(), "QUALIFY", "compute the window function in a subquery, and use WHERE"),
        (!named_window.is_empty(), "WINDOW", "write the window after OVER"),
        (top.is_some(), "TOP", "use LIMIT"),
        (exclude.is_some(), "EXCLUDE", "name the columns"),
        (*flavor != SelectFlavor::Standard, "FROM before SELECT", "write SELECT … FROM …"),
        (prewhere.is_some(), "PREWHERE", "use WHERE"),
        (!connect_by.is_empty(), "CONNECT BY", "use JOIN"),
        (!sort_by.is_empty(), "SORT BY", "use ORDER BY"),
        (!lateral_views.is_empty(), "LATERAL VIEW", "use unnest in SELECT"),
        (!cluster_by.is_empty(), "CLUSTER BY", "use ORDER BY"),
        (!distribute_by.is_empty(), "DISTRIBUTE BY", "leave it out"),
        (!optimizer_hints.is_empty(), "a hint", "leave it out"),
        (select_modifiers.is_some(), "a modifier of SELECT", "leave it out"),
        (value_table_mode.is_some(), "SELECT AS", "name the columns"),
    ] {
        if is_there {
            return Err(Error::refused(part, instead));
        }
    }
    Ok(())
}

/// The source's rows for which all conditions are true.
pub(super) fn restrict(
    source: &mut Source,
    conditions: Vec<Typed>,
    n_needed: Option<usize>,
) -> Result<Frame, Error> {
    let all = (!conditions.is_empty()).then(|| Typed::call(Function::And, conditions, Kind::Bool));
    if let Source::Table { filter, most, .. } = source {
        *filter = all;
        *most = n_needed;
        return source.rows();
    }
    let frame = source.rows()?;
    let Some(condition) = all else { return Ok(frame) };
    frame.filter(&condition)
}

fn expressions<'a>(
    items: &'a mut [Item],
    order: &'a mut [SortKey],
) -> impl Iterator<Item = &'a mut Typed> {
    items.iter_mut().map(|item| &mut item.by).chain(order.iter_mut().map(|key| &mut key.by))
}

/// Computes each window function as a column of the frame, and names the column instead.
fn compute_windows(
    frame: &mut Frame,
    items: &mut [Item],
    order: &mut [SortKey],
) -> Result<(), Error> {
    let mut known: Vec<(Window, usize)> = Vec::new();
    for expression in expressions(items, order) {
        expression.replace(&mut |part| {
            let Node::Window(own) = &part.node else { return Ok(None) };
            let known_column = known.iter().find(|(other, _)| *other == **own);
            let column = if let Some((_, column)) = known_column {
                *column
            } else {
                let column = frame.columns().len();
                *frame = frame.clone().with([window(own, frame)?])?;
                known.push(((**own).clone(), column));
                column
            };
            Ok::<_, Error>(Some(Typed::column(column, part.kind.clone())))
        })?;
    }
    Ok(())
}

/// Repeats each row for each item of a list; a row whose list is empty or null is not in the answer.
fn unnest(
    frame: &mut Frame,
    items: &mut [Item],
    order: &[SortKey],
    is_refused: bool,
) -> Result<(), Error> {
    let n = items.iter().filter(|item| item.by.has_unnest()).count();
    if n == 0 && !order.iter().any(|key| key.by.has_unnest()) {
        return Ok(());
    }
    let only = || {
        let instead =
            "it may be one column of a SELECT without GROUP BY and DISTINCT; unnest in a subquery";
        Error::refused("unnest", instead)
    };
    if n != 1 || is_refused || order.iter().any(|key| key.by.has_unnest()) {
        return Err(only());
    }
    for item in items.iter_mut().filter(|item| item.by.has_unnest()) {
        let Node::Unnest(list) = &item.by.node else { return Err(only()) };
        *frame = unnested(frame, list, &item.by.kind)?;
        item.by = Typed::column(frame.columns().len() - 1, item.by.kind.clone());
    }
    Ok(())
}

/// Selects, sorts and cuts.
fn finish(
    frame: &Frame,
    items: &[Item],
    order: &[SortKey],
    is_distinct: bool,
    limit: Limit,
) -> Result<Answer, Error> {
    let selected: Vec<Typed> = items.iter().map(|item| item.by.clone()).collect();
    let columns = items.iter().map(|item| (item.name.clone(), item.by.kind.clone())).collect();
    let mut answer = Answer { columns, frame: frame.select(&selected)? };
    let mut order = order.to_vec();
    let rows = if is_distinct {
        answer = distinct(answer)?;
        for key in &mut order {
            let position = items.iter().position(|item| item.by == key.by);
            let position = position.ok_or_else(|| {
                Error::refused(
                    "ORDER BY of what DISTINCT does not select",
                    "a row of the answer has no single value of it; select it, or use GROUP BY",
                )
            })?;
            key.by = Typed::column(position, key.by.kind.clone());
        }
        sorted(&answer.frame, &order)?
    } else {
        sorted(frame, &order)?
    };
    let rows = limit.cut(rows, &order, &answer.frame, &answer.kinds())?;
    answer.frame = answer.frame.take(&indices(rows))?;
    Ok(answer)
}
