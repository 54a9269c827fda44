//! What is selected, and what rows are grouped and sorted by.

use super::Binder;
use super::literal::ordinal;
use super::select::is_of_several_rows;
use crate::Error;
use crate::error::shortened;
use crate::kind::Kind;
use crate::scope::Scope;
use crate::typed::{SortKey, Typed};
use sqlparser::ast::{
    Expr, OrderByExpr, SelectItem, SelectItemQualifiedWildcardKind, WildcardAdditionalOptions,
};

/// A column of the answer.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) name: String,
    /// Whether the question gives it its name.
    is_named: bool,
    pub(super) by: Typed,
    /// Whether it is computed from another column of the answer.
    is_of_answer: bool,
}

impl Binder<'_> {
    pub(super) fn items(
        &mut self,
        projection: &[SelectItem],
        scope: &Scope,
    ) -> Result<Vec<Item>, Error> {
        let mut items = Vec::new();
        for item in projection {
            match item {
                SelectItem::UnnamedExpr(expression) => {
                    let name = match expression {
                        Expr::Identifier(name) => name.value.clone(),
                        Expr::CompoundIdentifier(parts) => {
                            parts.last().map_or_else(String::new, |name| name.value.clone())
                        }
                        other => shortened(&other.to_string()),
                    };
                    let (by, is_of_answer) = self.item(expression, scope, &items)?;
                    items.push(Item { name, is_named: false, by, is_of_answer });
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let (by, is_of_answer) = self.item(expr, scope, &items)?;
                    let name = alias.value.clone();
                    items.push(Item { name, is_named: true, by, is_of_answer });
                }
                SelectItem::Wildcard(options) => {
                    plain(options)?;
                    items.extend(scope.visible.iter().map(|n| of_column(scope, *n)));
                }
                SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::ObjectName(name),
                    options,
                ) => {
                    plain(options)?;
                    let name = name.to_string();
                    if !scope.has_table(&name) {
                        return Err(Error::Question(format!(
                            "`{item}`: FROM names no table `{name}`"
                        )));
                    }
                    let is_own = |n: &usize| {
                        let table = scope.columns[*n].table.as_ref();
                        table.is_some_and(|table| table.eq_ignore_ascii_case(&name))
                    };
                    let own = (0..scope.columns.len()).filter(is_own);
                    items.extend(own.map(|n| of_column(scope, n)));
                }
                other => return Err(Error::refused(other, "select expressions, `*` or `t.*`")),
            }
        }
        if items.is_empty() {
            return Err(Error::Question("the question selects no column".to_owned()));
        }
        Ok(items)
    }

    /// A column of the answer, and whether it is computed from those before it: a name that is no column of the tables may
    /// be one of theirs.
    fn item(
        &mut self,
        expression: &Expr,
        scope: &Scope,
        before: &[Item],
    ) -> Result<(Typed, bool), Error> {
        match self.expression(expression, scope, &[]) {
            Ok(by) => Ok((by, false)),
            Err(Error::UnknownColumn { .. }) => {
                Ok((self.expression(expression, scope, &named(before))?, true))
            }
            Err(error) => Err(error),
        }
    }

    /// The keys of GROUP BY: expressions, numbers of columns, or names that are no columns.
    pub(super) fn group_by(
        &mut self,
        by: &[Expr],
        items: &[Item],
        scope: &Scope,
    ) -> Result<Vec<Typed>, Error> {
        let mut keys = Vec::new();
        for expression in by {
            let of_answer = match ordinal(expression, items.len())? {
                Some(position) => Some(&items[position]),
                None => by_name(expression, items, scope)?,
            };
            let key = match of_answer {
                Some(item) if item.is_of_answer => {
                    let instead =
                        "it is computed from another column of the answer; write that one out";
                    return Err(Error::refused(format!("GROUP BY {expression}"), instead));
                }
                Some(item) => item.by.clone(),
                None => {
                    let key = self.expression(expression, scope, &[]);
                    key.map_err(|error| written_out(error, items, "GROUP BY"))?
                }
            };
            if key.any(&is_of_several_rows) {
                let instead = "rows are grouped by values of single rows; compute it in a subquery";
                return Err(Error::refused(format!("GROUP BY {expression}"), instead));
            }
            if key.columns().is_empty() {
                let instead = "all rows have this value; name a column, or a number from 1 on";
                return Err(Error::refused(format!("GROUP BY {expression}"), instead));
            }
            check_key(&key, &format!("GROUP BY {expression}"))?;
            keys.push(key);
        }
        Ok(keys)
    }

    pub(super) fn having(
        &mut self,
        having: &Expr,
        items: &[Item],
        scope: &Scope,
    ) -> Result<Typed, Error> {
        let (later, own): (Vec<Item>, Vec<Item>) =
            items.iter().cloned().partition(|item| item.is_of_answer);
        let typed = self.truth(having, scope, &named(&own));
        let typed = typed.map_err(|error| written_out(error, &later, "HAVING"))?;
        if typed.has_window() || typed.has_unnest() {
            let instead = "compute window functions in a subquery, and use WHERE";
            return Err(Error::refused(format!("HAVING {having}"), instead));
        }
        Ok(typed)
    }

    /// The keys of ORDER BY: a name alone means first a column of the answer, in an expression a column of the tables.
    pub(super) fn order_by(
        &mut self,
        order_by: &[OrderByExpr],
        items: &[Item],
        scope: &Scope,
    ) -> Result<Vec<SortKey>, Error> {
        let mut keys = Vec::new();
        for key in order_by {
            let of_answer = match &key.expr {
                Expr::Identifier(name) => {
                    let is_named = |item: &&Item| item.name.eq_ignore_ascii_case(&name.value);
                    items.iter().find(|item| item.is_named && is_named(item))
                }
                expression => ordinal(expression, items.len())?.map(|position| &items[position]),
            };
            let by = match of_answer {
                Some(item) => item.by.clone(),
                None => self.expression(&key.expr, scope, &named(items))?,
            };
            keys.push(sort_key(key, by)?);
        }
        Ok(keys)
    }
}

/// How rows are sorted by an expression. Without NULLS FIRST, nulls come last in both directions.
pub(super) fn sort_key(key: &OrderByExpr, by: Typed) -> Result<SortKey, Error> {
    if key.with_fill.is_some() {
        return Err(Error::refused("WITH FILL", "leave it out"));
    }
    check_key(&by, &format!("ORDER BY {}", key.expr))?;
    Ok(SortKey {
        by,
        descending: key.options.asc == Some(false),
        nulls_first: key.options.nulls_first == Some(true),
    })
}

/// Fails if rows cannot be grouped and sorted by a value.
pub(super) fn check_key(key: &Typed, text: &str) -> Result<(), Error> {
    match &key.kind {
        kind if kind.is_key() => Ok(()),
        Kind::Computed => Err(Error::refused(
            text,
            "decimal numbers are computed exactly elsewhere; write cast(… AS DOUBLE) about one of them",
        )),
        kind => Err(Error::refused(text, format!("it is {kind}; use a column of another kind"))),
    }
}

/// The column of the answer that a name means, which is no column of the tables.
fn by_name<'a>(
    expression: &Expr,
    items: &'a [Item],
    scope: &Scope,
) -> Result<Option<&'a Item>, Error> {
    let name = match expression {
        Expr::Nested(inner) => return by_name(inner, items, scope),
        Expr::Identifier(name) if scope.find(None, &name.value)?.is_none() => &name.value,
        _ => return Ok(None),
    };
    let mut own = items.iter().filter(|item| item.is_named && item.name.eq_ignore_ascii_case(name));
    match (own.next(), own.next()) {
        (found, None) => Ok(found),
        _ => Err(Error::Question(format!("two columns of the answer are named `{name}`"))),
    }
}

/// The error about a name that is none of the tables', where it is a name of the answer that a clause cannot use.
fn written_out(error: Error, items: &[Item], clause: &str) -> Error {
    let is_named = |name: &str| named(items).iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
    match error {
        Error::UnknownColumn { name, .. } if is_named(&name) => Error::refused(
            format!("{name} in {clause}"),
            "a column of the answer cannot be computed with here; write out what it stands for",
        ),
        error => error,
    }
}

/// The columns of the answer that have names of their own.
pub(super) fn named(items: &[Item]) -> Vec<(String, Typed)> {
    let named = items.iter().filter(|item| item.is_named);
    named.map(|item| (item.name.clone(), item.by.clone())).collect()
}

fn of_column(scope: &Scope, position: usize) -> Item {
    let name = scope.columns[position].name.clone();
    Item { name, is_named: false, by: scope.typed(position), is_of_answer: false }
}

fn plain(options: &WildcardAdditionalOptions) -> Result<(), Error> {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike,
        opt_exclude,
        opt_except,
        opt_replace,
        opt_rename,
        opt_alias,
    } = options;
    let is_plain = opt_ilike.is_none()
        && opt_exclude.is_none()
        && opt_except.is_none()
        && opt_replace.is_none()
        && opt_rename.is_none()
        && opt_alias.is_none();
    if is_plain { Ok(()) } else { Err(Error::refused(format!("*{options}"), "name the columns")) }
}
