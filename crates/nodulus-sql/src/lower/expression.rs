//! Typed expressions as expressions of polars.

use super::frame::{Frame, ROW, name};
use super::{Aside, column, scalar};
use crate::Error;
use crate::kind::Kind;
use crate::typed::{Comparison, Function, Node, Typed, Value, key};
use polars::prelude::{
    Column, DataType, Expr, Field, LazyFrame, LiteralValue, PlSmallStr, PolarsResult, Scalar,
    Series, col, lit, when,
};
use std::sync::Arc;

/// How deeply expressions are nested before they become a column: the stacks of polars' threads are small.
const MAX_DEPTH: usize = 24;

/// Expressions over a frame, with the columns that they share.
pub(super) struct Lowering {
    rows: LazyFrame,
    n_kept: usize,
    aside: Arc<Aside>,
}

/// An expression, and how deeply it is nested.
struct Part {
    expr: Expr,
    depth: usize,
}

impl Lowering {
    pub(super) fn new(frame: &Frame) -> Self {
        Self { rows: frame.lazy(), n_kept: 0, aside: frame.aside.clone() }
    }

    /// The frame's rows, with the columns that the expressions share.
    pub(super) fn rows(self) -> LazyFrame {
        self.rows
    }

    /// An expression with a value for each row.
    pub(super) fn column(&mut self, typed: &Typed) -> Result<Expr, Error> {
        Ok(self.part(typed, None)?.expr)
    }

    /// A column with the values of an expression.
    fn keep(&mut self, expr: Expr) -> Expr {
        let name = PlSmallStr::from(format!("kept{}", self.n_kept));
        self.n_kept += 1;
        self.rows = std::mem::take(&mut self.rows).with_column(expr.alias(name.clone()));
        col(name)
    }

    fn nested(&mut self, expr: Expr, depth: usize) -> Part {
        if depth < MAX_DEPTH {
            return Part { expr, depth };
        }
        Part { expr: self.keep(expr), depth: 0 }
    }

    /// An expression that is computed only for the rows for which the guard is true, so that an error elsewhere does not
    /// matter. What it is for other rows is left open.
    fn part(&mut self, typed: &Typed, guard: Option<&Expr>) -> Result<Part, Error> {
        match &typed.node {
            Node::Column(position) => Ok(Part { expr: col(name(*position)), depth: 0 }),
            Node::Value(value) => Ok(Part { expr: constant(value, &typed.kind), depth: 0 }),
            Node::Call(function @ (Function::And | Function::Or), parts) => {
                self.connected(*function == Function::And, parts, guard)
            }
            Node::Call(function, arguments) => self.call(function, arguments, &typed.kind, guard),
            Node::Case { branches, otherwise } => self.case(branches, otherwise, guard),
            Node::Member { items, set } => {
                let (mut values, mut depth) = (Vec::with_capacity(items.len()), 0);
                for item in items {
                    let item = self.part(&key(item.clone()), guard)?;
                    depth = depth.max(item.depth);
                    values.push(item.expr);
                }
                let set = set.clone();
                let first = values.first().cloned().unwrap_or_else(|| lit(true));
                let is_in = move |values: &[Series]| set.contains(values);
                let rest = values.get(1..).unwrap_or_default();
                Ok(self.nested(mapped(first, rest, DataType::Boolean, is_in), depth + 2))
            }
            Node::Aggregate(_) | Node::Window(_) | Node::Unnest(_) => Err(Error::Question(
                "an aggregate, a window function or unnest stands where it has no value; compute it in a subquery of FROM"
                    .to_owned(),
            )),
        }
    }

    fn call(
        &mut self,
        function: &Function,
        arguments: &[Typed],
        kind: &Kind,
        guard: Option<&Expr>,
    ) -> Result<Part, Error> {
        let from = arguments.first().map_or(Kind::Null, |first| first.kind.clone());
        let mut values = Vec::with_capacity(arguments.len());
        let mut depth = 0;
        for argument in arguments {
            let part = self.part(argument, guard)?;
            depth = depth.max(part.depth);
            values.push(part.expr);
        }
        let is_float = *kind == Kind::Float || *kind == Kind::Computed;
        let expr = match (function, &values[..]) {
            (Function::Add, [a, b]) if is_float => a.clone() + b.clone(),
            (Function::Subtract, [a, b]) if is_float => a.clone() - b.clone(),
            (Function::Multiply, [a, b]) if is_float => a.clone() * b.clone(),
            (Function::Compare(_), _) if from == Kind::Null => null(&Kind::Bool),
            (Function::IsDistinct, _) if from == Kind::Null => lit(false),
            (Function::Compare(comparison), [a, b]) => compared(*comparison, a.clone(), b.clone()),
            (Function::IsDistinct, [a, b]) => a.clone().neq_missing(b.clone()),
            (Function::Round(0..), [a]) if from == Kind::Int => a.clone(),
            (Function::Not, [a]) => a.clone().not(),
            (Function::IsNull, [a]) => a.clone().is_null(),
            (Function::Coalesce, [first, rest @ ..]) => {
                rest.iter().fold(first.clone(), |first, next| first.fill_null(next.clone()))
            }
            (Function::Greatest | Function::Least, [first, rest @ ..]) => {
                let is_greatest = *function == Function::Greatest;
                let mut best = first.clone();
                for next in rest {
                    let own = self.keep(best);
                    let next = self.keep(next.clone());
                    let is_better = if is_greatest {
                        next.clone().gt(own.clone())
                    } else {
                        next.clone().lt(own.clone())
                    };
                    best = when(is_better.fill_null(lit(false)).or(own.clone().is_null()))
                        .then(next)
                        .otherwise(own);
                }
                best
            }
            (Function::Cast, [a])
                if matches!(from, Kind::Int | Kind::Bool) && *kind != Kind::Text =>
            {
                a.clone().strict_cast(column::data_type(kind))
            }
            (function, [first, rest @ ..]) => {
                let mut first = first.clone();
                if let Some(guard) = guard.filter(|_| can_fail(function, arguments)) {
                    first = when(guard.clone()).then(first).otherwise(null(&from));
                }
                let (function, kind) = (function.clone(), kind.clone());
                let (of, aside) = (column::data_type(&kind), self.aside.clone());
                let compute = move |arguments: &[Series]| {
                    scalar::compute(&function, arguments, &from, &kind, &aside)
                };
                mapped(first, rest, of, compute)
            }
            (_, []) => return Err(Error::Question("a function has no argument".to_owned())),
        };
        Ok(self.nested(expr, depth + arguments.len().max(1)))
    }

    /// Conditions joined by AND or OR. One that may fail is computed only for the rows that those before it leave open.
    fn connected(
        &mut self,
        is_and: bool,
        parts: &[Typed],
        guard: Option<&Expr>,
    ) -> Result<Part, Error> {
        let mut whole = Part { expr: lit(is_and), depth: 0 };
        for (n, part) in parts.iter().enumerate() {
            let mut own = guard.cloned();
            if n > 0 && may_fail(part) {
                whole = Part { expr: self.keep(whole.expr), depth: 0 };
                let open = whole.expr.clone().neq_missing(lit(!is_and));
                own = Some(self.keep(both(guard, open)));
            }
            let part = self.part(part, own.as_ref())?;
            let depth = whole.depth.max(part.depth) + 1;
            let expr = match (n, is_and) {
                (0, _) => part.expr,
                (_, true) => whole.expr.and(part.expr),
                (_, false) => whole.expr.or(part.expr),
            };
            whole = self.nested(expr, depth);
        }
        Ok(whole)
    }

    /// The result of the first condition that is true. What may fail is computed only for its own rows.
    fn case(
        &mut self,
        branches: &[(Typed, Typed)],
        otherwise: &Typed,
        guard: Option<&Expr>,
    ) -> Result<Part, Error> {
        let needs_guards = may_fail(otherwise)
            || branches.iter().any(|(condition, result)| may_fail(condition) || may_fail(result));
        let mut open = guard.cloned();
        let mut found = Vec::with_capacity(branches.len());
        for (condition, result) in branches {
            let condition = self.part(condition, open.as_ref())?;
            let is_true = condition.expr.fill_null(lit(false));
            let is_true = if needs_guards { self.keep(is_true) } else { is_true };
            let own = needs_guards.then(|| both(open.as_ref(), is_true.clone()));
            let own = own.map(|own| self.keep(own));
            let result = self.part(result, own.as_ref())?;
            if needs_guards {
                open = Some(self.keep(both(open.as_ref(), is_true.clone().not())));
            }
            let depth = result.depth.max(condition.depth);
            found.push((is_true, Part { expr: result.expr, depth }));
        }
        let mut whole = self.part(otherwise, open.as_ref())?;
        for (is_true, result) in found.into_iter().rev() {
            let depth = whole.depth.max(result.depth) + 2;
            let expr = when(is_true).then(result.expr).otherwise(whole.expr);
            whole = self.nested(expr, depth);
        }
        Ok(whole)
    }
}

fn both(guard: Option<&Expr>, condition: Expr) -> Expr {
    match guard {
        Some(guard) => guard.clone().and(condition),
        None => condition,
    }
}

fn compared(comparison: Comparison, a: Expr, b: Expr) -> Expr {
    match comparison {
        Comparison::Equal => a.eq(b),
        Comparison::NotEqual => a.neq(b),
        Comparison::Less => a.lt(b),
        Comparison::LessOrEqual => a.lt_eq(b),
        Comparison::Greater => a.gt(b),
        Comparison::GreaterOrEqual => a.gt_eq(b),
    }
}

fn constant(value: &Value, kind: &Kind) -> Expr {
    match value {
        Value::Null => null(kind),
        Value::Bool(value) => lit(*value),
        // Of 64 bits, and not of as many as the value needs.
        Value::Int(value) => lit(LiteralValue::Scalar(Scalar::from(*value))),
        Value::Float(value) => lit(LiteralValue::Scalar(Scalar::from(*value))),
        Value::Text(value) => lit(value.clone()),
        Value::Date(value) => lit(LiteralValue::Scalar(Scalar::from(*value))),
    }
}

/// Null as a value of a kind.
pub(super) fn null(kind: &Kind) -> Expr {
    lit(LiteralValue::Scalar(Scalar::null(column::data_type(kind))))
}

/// A function of whole columns, each of which has a value for every row.
fn mapped<F>(first: Expr, rest: &[Expr], of: DataType, compute: F) -> Expr
where
    F: Fn(&[Series]) -> PolarsResult<Series> + Send + Sync + 'static,
{
    let arguments: Vec<Expr> = rest.iter().cloned().chain([col(ROW)]).collect();
    let function = move |columns: &mut [Column]| {
        let n_rows = columns.last().map_or(0, Column::len);
        let arguments = columns[..columns.len() - 1].iter().map(|column| {
            let long = if column.len() == n_rows {
                column.clone()
            } else {
                column.new_from_index(0, n_rows)
            };
            long.take_materialized_series()
        });
        compute(&arguments.collect::<Vec<Series>>()).map(Column::from)
    };
    first.map_many(function, &arguments, move |_, fields| {
        Ok(Field::new(fields[0].name().clone(), of.clone()))
    })
}

/// Whether some values of the arguments have no result.
fn can_fail(function: &Function, arguments: &[Typed]) -> bool {
    let from = arguments.first().map(|first| &first.kind);
    match function {
        Function::Add
        | Function::Subtract
        | Function::Multiply
        | Function::Negate
        | Function::Abs => from == Some(&Kind::Int),
        Function::Round(digits) => *digits < 0 && from == Some(&Kind::Int),
        Function::Divide
        | Function::Modulo
        | Function::Power
        | Function::Day
        | Function::SplitPart
        | Function::Sqrt
        | Function::Ln
        | Function::Lower
        | Function::Upper
        | Function::Within(..) => true,
        Function::Cast => matches!(from, Some(Kind::Float | Kind::Text)),
        _ => false,
    }
}

fn may_fail(typed: &Typed) -> bool {
    typed.any(
        &|node| matches!(node, Node::Call(function, arguments) if can_fail(function, arguments)),
    )
}
