//! FROM: tables, subqueries and joins.

use super::query::{rename, unique_names};
use super::{Answer, Binder, convert};
use crate::Error;
use crate::kind::Kind;
use crate::lower::frame::Frame;
use crate::lower::join::{Outer, join};
use crate::scan::Scan;
use crate::scope::{Scope, ScopeColumn};
use crate::typed::{Comparison, Function, Node, Typed};
use sqlparser::ast::{
    Ident, Join, JoinConstraint, JoinOperator, ObjectName, TableAlias, TableFactor, TableWithJoins,
};

/// Where rows come from.
pub(super) enum Source {
    /// A table's rows, for which a condition is true.
    Table {
        scan: Scan,
        filter: Option<Typed>,
        most: Option<usize>,
    },
    Rows(Frame),
    Join {
        left: Box<Self>,
        right: Box<Self>,
        outer: Outer,
        conditions: Vec<Typed>,
        /// Columns of both sides in one, after all others.
        merged: Vec<Typed>,
    },
}

const INNER: Outer = Outer { left: false, right: false };

impl Source {
    /// Reads and joins the rows.
    pub(super) fn rows(&self) -> Result<Frame, Error> {
        match self {
            Self::Table { scan, filter, most } => scan.read(filter.as_ref(), *most),
            Self::Rows(frame) => Ok(frame.clone()),
            Self::Join { left, right, outer, conditions, merged } => {
                let frame = join(&left.rows()?, &right.rows()?, *outer, conditions)?;
                let merged = frame.select(merged)?;
                frame.with(merged.columns().iter().cloned())
            }
        }
    }
}

impl Binder<'_> {
    /// The rows of FROM, and the names of their columns.
    pub(super) fn from(&mut self, from: &[TableWithJoins]) -> Result<(Source, Scope), Error> {
        let mut whole = None;
        for table in from {
            let next = self.table_with_joins(table)?;
            whole = Some(match whole {
                None => next,
                Some(before) => beside(before, next, INNER, Vec::new())?,
            });
        }
        match whole {
            Some(whole) => Ok(whole),
            None => Ok((Source::Rows(Frame::one_row(&self.aside)?), Scope::default())),
        }
    }

    fn table_with_joins(&mut self, table: &TableWithJoins) -> Result<(Source, Scope), Error> {
        let mut whole = self.table(&table.relation)?;
        for join in &table.joins {
            whole = self.join(whole, join)?;
        }
        Ok(whole)
    }

    fn table(&mut self, factor: &TableFactor) -> Result<(Source, Scope), Error> {
        let refused = || {
            let instead = "FROM takes tables, subqueries in parentheses, and JOIN";
            Err(Error::refused(factor, instead))
        };
        match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                with_hints,
                version: None,
                with_ordinality: false,
                partitions,
                json_path: None,
                sample: None,
                index_hints,
            } if with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty() => {
                match simple_name(name) {
                    Some(name) => self.named(&name.value, alias.as_ref()),
                    None => refused(),
                }
            }
            TableFactor::Derived { lateral: false, subquery, alias, sample: None } => {
                let around = std::mem::take(&mut self.around);
                let mut answer = self.part(subquery)?;
                self.around = around;
                rename(&mut answer, alias.as_ref())?;
                Ok(made(alias.as_ref().map(|alias| alias.name.value.as_str()), answer)?)
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.table_with_joins(table_with_joins)
            }
            _ => refused(),
        }
    }

    /// A table of WITH or of the store.
    fn named(&self, name: &str, alias: Option<&TableAlias>) -> Result<(Source, Scope), Error> {
        let as_name = alias.map_or(name, |alias| alias.name.value.as_str());
        let is_named = |(own, _): &&(String, Answer)| own.eq_ignore_ascii_case(name);
        if let Some((_, answer)) = self.with.iter().rev().find(is_named) {
            let mut answer = answer.clone();
            rename(&mut answer, alias)?;
            return made(Some(as_name), answer);
        }
        let table = self.tables.iter().find(|table| table.name.eq_ignore_ascii_case(name));
        let table = table.ok_or_else(|| Error::UnknownTable { name: name.to_owned() })?;
        if alias.is_some_and(|alias| !alias.columns.is_empty() || alias.at.is_some()) {
            return Err(Error::refused(
                format!("{as_name} (…)"),
                "name the columns of a table in a subquery, as in (SELECT a AS b FROM t)",
            ));
        }
        let schema = table.schema()?;
        let all = schema.fields().iter().map(|field| field.name().clone()).collect();
        let scan = Scan::new(table, &schema, self.names, &self.aside);
        let mut scope = Scope::of(Some(as_name), scan.columns.clone());
        scope.tables = vec![(table.name.clone(), all)];
        Ok((Source::Table { scan, filter: None, most: None }, scope))
    }

    fn join(&mut self, before: (Source, Scope), join: &Join) -> Result<(Source, Scope), Error> {
        let after = self.table(&join.relation)?;
        let (left, right) = (true, true);
        let (outer, constraint) = match &join.join_operator {
            JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => (INNER, constraint),
            JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => {
                (Outer { left, right: false }, constraint)
            }
            JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
                (Outer { left: false, right }, constraint)
            }
            JoinOperator::FullOuter(constraint) => (Outer { left, right }, constraint),
            JoinOperator::CrossJoin(JoinConstraint::None) => {
                return beside(before, after, INNER, Vec::new());
            }
            _ => {
                return Err(Error::refused(
                    join,
                    "use JOIN, LEFT JOIN, RIGHT JOIN, FULL JOIN or CROSS JOIN; rows with or without a partner are selected \
                     by IN and NOT IN",
                ));
            }
        };
        if join.global {
            return Err(Error::refused(join, "leave GLOBAL out"));
        }
        match constraint {
            JoinConstraint::On(condition) => {
                let scope = before.1.clone().beside(after.1.clone())?;
                let conditions = self.conditions(condition, &scope, &[], "ON")?;
                beside(before, after, outer, conditions)
            }
            JoinConstraint::Using(names) => using(before, after, outer, names),
            JoinConstraint::Natural => Err(Error::refused(
                "NATURAL JOIN",
                "name the columns, as in JOIN … USING (nodule_id)",
            )),
            JoinConstraint::None => {
                Err(Error::refused(join, "add ON or USING; all pairs of rows are a CROSS JOIN"))
            }
        }
    }
}

/// The single part of a name.
fn simple_name(name: &ObjectName) -> Option<&Ident> {
    match &name.0[..] {
        [part] => part.as_ident(),
        _ => None,
    }
}

/// Rows that have been computed.
fn made(name: Option<&str>, answer: Answer) -> Result<(Source, Scope), Error> {
    unique_names(&answer.columns)?;
    let scope = Scope::of(name, answer.columns);
    Ok((Source::Rows(answer.frame), scope))
}

fn beside(
    (left, of_left): (Source, Scope),
    (right, of_right): (Source, Scope),
    outer: Outer,
    conditions: Vec<Typed>,
) -> Result<(Source, Scope), Error> {
    let (left, right) = (Box::new(left), Box::new(right));
    let source = Source::Join { left, right, outer, conditions, merged: Vec::new() };
    Ok((source, of_left.beside(of_right)?))
}

/// A join on columns that both sides have; each pair of them is one column of the answer.
fn using(
    (left, of_left): (Source, Scope),
    (right, of_right): (Source, Scope),
    outer: Outer,
    names: &[ObjectName],
) -> Result<(Source, Scope), Error> {
    let n_left = of_left.columns.len();
    let mut scope = of_left.clone().beside(of_right.clone())?;
    let (mut conditions, mut merged) = (Vec::new(), Vec::new());
    for name in names {
        let name = simple_name(name)
            .ok_or_else(|| Error::refused(name, "USING takes names of columns"))?;
        let name = name.value.as_str();
        let unknown = |scope: &Scope| Error::UnknownColumn {
            name: name.to_owned(),
            tables: scope.tables.clone(),
        };
        let a = of_left.find(None, name)?.ok_or_else(|| unknown(&of_left))?;
        let b = of_right.find(None, name)?.ok_or_else(|| unknown(&of_right))?;
        let (Node::Column(l), Node::Column(r)) = (a.node, b.node) else { continue };
        let text = format!("USING ({name})");
        if a.kind != b.kind || a.kind == Kind::Null || !a.kind.is_key() {
            let (a, b) = (a.kind, b.kind);
            let instead = format!("it is {a} in one table and {b} in the other; compare in ON");
            return Err(Error::refused(text, instead));
        }
        let (a, b) = (Typed::column(l, a.kind), Typed::column(n_left + r, b.kind));
        let (a, b) = convert::compared(a, b, &text)?;
        let kind = a.kind.clone();
        let one = match outer {
            Outer { left: true, right: true } => {
                let both = vec![a.clone(), b.clone()];
                merged.push(Typed::call(Function::Coalesce, both, kind.clone()));
                scope.columns.push(ScopeColumn { table: None, name: name.to_owned(), kind });
                scope.columns.len() - 1
            }
            Outer { right: true, .. } => n_left + r,
            Outer { .. } => l,
        };
        scope.visible.retain(|position| *position != n_left + r);
        for position in &mut scope.visible {
            if *position == l {
                *position = one;
            }
        }
        let equal = Function::Compare(Comparison::Equal);
        conditions.push(Typed::call(equal, vec![a, b], Kind::Bool));
    }
    let (left, right) = (Box::new(left), Box::new(right));
    Ok((Source::Join { left, right, outer, conditions, merged }, scope))
}
