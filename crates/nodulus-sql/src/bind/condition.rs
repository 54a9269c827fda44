//! Expressions that are true, false or null.

use super::expression::Aliases;
use super::{Binder, convert};
use crate::Error;
use crate::kind::Kind;
use crate::lower::frame::Frame;
use crate::lower::set::{Asked, Set};
use crate::scope::Scope;
use crate::typed::{Comparison, Function, Node, Typed, Value};
use polars::prelude::AnyValue;
use sqlparser::ast::{BinaryOperator, Expr, Query, UnaryOperator, Value as SqlValue};
use std::sync::Arc;

impl Binder<'_> {
    /// An expression that must be true, false or null.
    pub(super) fn truth(
        &mut self,
        expression: &Expr,
        scope: &Scope,
        aliases: &Aliases,
    ) -> Result<Typed, Error> {
        convert::truth(self.expression(expression, scope, aliases)?, expression)
    }

    pub(super) fn condition(
        &mut self,
        expression: &Expr,
        scope: &Scope,
        aliases: &Aliases,
    ) -> Result<Typed, Error> {
        for operand in operands(expression) {
            if needs_parentheses(operand) {
                return Err(Error::refused(
                    expression,
                    format!("programs read it in several ways; put parentheses about `{operand}`"),
                ));
            }
        }
        let is_distinct = |binder: &mut Self, a: &Expr, b: &Expr| {
            let (a, b) = binder.both(a, b, scope, aliases, expression)?;
            Ok(Typed::call(Function::IsDistinct, vec![a, b], Kind::Bool))
        };
        let is = |binder: &mut Self, inner: &Expr, value: bool| {
            let inner = binder.truth(inner, scope, aliases)?;
            let value = Typed::value(Value::Bool(value), Kind::Bool);
            Ok::<_, Error>(Typed::call(Function::IsDistinct, vec![inner, value], Kind::Bool))
        };
        match expression {
            Expr::BinaryOp { op: op @ (BinaryOperator::And | BinaryOperator::Or), .. } => {
                self.connected(op, expression, scope, aliases)
            }
            Expr::BinaryOp { left, op, right } => {
                let comparison = comparison(op).ok_or_else(|| {
                    let instead = "of operators, + - * / % || = <> < <= > >= AND OR are answered; write power(x, y) for ^";
                    Error::refused(expression, instead)
                })?;
                let (a, b) = self.both(left, right, scope, aliases, expression)?;
                Ok(Typed::call(Function::Compare(comparison), vec![a, b], Kind::Bool))
            }
            Expr::IsDistinctFrom(a, b) => is_distinct(self, a, b),
            Expr::IsNotDistinctFrom(a, b) => Ok(not(is_distinct(self, a, b)?)),
            Expr::IsTrue(inner) => Ok(not(is(self, inner, true)?)),
            Expr::IsNotTrue(inner) => is(self, inner, true),
            Expr::IsFalse(inner) => Ok(not(is(self, inner, false)?)),
            Expr::IsNotFalse(inner) => is(self, inner, false),
            Expr::IsNull(inner) => {
                let inner = self.expression(inner, scope, aliases)?;
                Ok(is_null(inner))
            }
            Expr::IsNotNull(inner) => {
                let inner = self.expression(inner, scope, aliases)?;
                Ok(not(is_null(inner)))
            }
            Expr::IsUnknown(inner) => Ok(is_null(self.truth(inner, scope, aliases)?)),
            Expr::IsNotUnknown(inner) => Ok(not(is_null(self.truth(inner, scope, aliases)?))),
            Expr::Between { expr, negated, low, high } => {
                let mut side = |bound: &Expr, comparison| {
                    let (a, b) = self.both(expr, bound, scope, aliases, expression)?;
                    let compare = Function::Compare(comparison);
                    Ok::<_, Error>(Typed::call(compare, vec![a, b], Kind::Bool))
                };
                let sides = vec![
                    side(low, Comparison::GreaterOrEqual)?,
                    side(high, Comparison::LessOrEqual)?,
                ];
                Ok(not_if(*negated, Typed::call(Function::And, sides, Kind::Bool)))
            }
            Expr::InList { expr, list, negated } => {
                let mut equal = Vec::new();
                for item in list {
                    let (a, b) = self.both(expr, item, scope, aliases, expression)?;
                    let compare = Function::Compare(Comparison::Equal);
                    equal.push(Typed::call(compare, vec![a, b], Kind::Bool));
                }
                if equal.is_empty() {
                    return Err(Error::refused(expression, "IN takes at least one value"));
                }
                Ok(not_if(*negated, Typed::call(Function::Or, equal, Kind::Bool)))
            }
            Expr::InSubquery { expr, subquery, negated } => {
                let member = self.member(expr, subquery, scope, aliases, expression)?;
                Ok(not_if(*negated, member))
            }
            Expr::Exists { subquery, negated } => {
                if let Some(exists) = self.exists_for_each_row(subquery, scope)? {
                    return Ok(not_if(*negated, exists));
                }
                let answer = self.subquery(subquery, scope)?;
                let exists = (answer.frame.n_rows() > 0) != *negated;
                Ok(Typed::value(Value::Bool(exists), Kind::Bool))
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char: None } => {
                let text = self.text(expr, scope, aliases)?;
                let pattern = match &**pattern {
                    Expr::Value(value) => match &value.value {
                        SqlValue::SingleQuotedString(pattern) => pattern,
                        _ => return Err(like(expression)),
                    },
                    _ => return Err(like(expression)),
                };
                let like = Function::Like(pattern.chars().collect());
                Ok(not_if(*negated, Typed::call(like, vec![text], Kind::Bool)))
            }
            other => Err(Error::refused(other, "use another comparison")),
        }
    }

    /// Conditions joined by AND, or by OR: as one list, however many they are.
    fn connected(
        &mut self,
        operator: &BinaryOperator,
        expression: &Expr,
        scope: &Scope,
        aliases: &Aliases,
    ) -> Result<Typed, Error> {
        let mut parts = Vec::new();
        let mut sides = vec![expression];
        while let Some(side) = sides.pop() {
            match side {
                Expr::BinaryOp { left, op, right } if op == operator => {
                    sides.extend([&**right, &**left]);
                }
                other => parts.push(self.truth(other, scope, aliases)?),
            }
        }
        let is_and = *operator == BinaryOperator::And;
        let function = if is_and { Function::And } else { Function::Or };
        Ok(Typed::call(function, parts, Kind::Bool))
    }

    /// Whether a value is in the answer to a subquery.
    fn member(
        &mut self,
        item: &Expr,
        subquery: &Query,
        scope: &Scope,
        aliases: &Aliases,
        whole: &Expr,
    ) -> Result<Typed, Error> {
        let item = self.expression(item, scope, aliases)?;
        let (column, frame) = self.column_of(subquery, scope)?;
        let (item, column) = convert::compared(item, column, whole)?;
        let set = Arc::new(Set::new(Asked::In, vec![column], &frame)?);
        Ok(Typed { kind: Kind::Bool, node: Node::Member { items: vec![item], set } })
    }

    /// Both sides of a comparison as the same kind.
    fn both(
        &mut self,
        left: &Expr,
        right: &Expr,
        scope: &Scope,
        aliases: &Aliases,
        whole: &Expr,
    ) -> Result<(Typed, Typed), Error> {
        let left = self.expression(left, scope, aliases)?;
        let right = self.expression(right, scope, aliases)?;
        convert::compared(left, right, whole)
    }

    /// The answer to a subquery, which may not name columns of the query around it.
    fn subquery(&mut self, query: &Query, scope: &Scope) -> Result<super::Answer, Error> {
        self.around.push(scope.clone());
        let answer = self.part(query);
        self.around.pop();
        answer
    }

    /// The only column of a subquery, as an expression over its frame.
    fn column_of(&mut self, query: &Query, scope: &Scope) -> Result<(Typed, Frame), Error> {
        let answer = self.subquery(query, scope)?;
        match &answer.columns[..] {
            [(_, kind)] => Ok((Typed::column(0, kind.clone()), answer.frame)),
            columns => Err(Error::Question(format!(
                "a subquery in an expression has {} columns, expected one",
                columns.len()
            ))),
        }
    }

    /// The only value of a subquery; null where it has no row.
    pub(super) fn scalar(&mut self, query: &Query, scope: &Scope) -> Result<Typed, Error> {
        let (column, frame) = self.column_of(query, scope)?;
        let kind = column.kind.clone();
        if frame.n_rows() > 1 {
            return Err(Error::Question(format!(
                "a subquery that stands for one value has {} rows; use an aggregate, or IN",
                frame.n_rows()
            )));
        }
        if !kind.is_key() {
            return Err(Error::refused(query, format!("its value is {kind}; join it in FROM")));
        }
        let values = frame.select(&[column])?;
        let values = values.column(0)?.as_materialized_series();
        let value = if values.is_empty() { AnyValue::Null } else { values.get(0)? };
        let value = match value {
            AnyValue::Null => Value::Null,
            AnyValue::Boolean(value) => Value::Bool(value),
            AnyValue::Int64(value) => Value::Int(value),
            AnyValue::Float64(value) => Value::Float(value),
            AnyValue::Int32(value) => Value::Date(value),
            AnyValue::String(value) => Value::Text(value.to_owned()),
            _ => {
                return Err(Error::refused(query, format!("its value is {kind}; join it in FROM")));
            }
        };
        Ok(Typed::value(value, kind))
    }
}

fn comparison(operator: &BinaryOperator) -> Option<Comparison> {
    Some(match operator {
        BinaryOperator::Eq => Comparison::Equal,
        BinaryOperator::NotEq => Comparison::NotEqual,
        BinaryOperator::Lt => Comparison::Less,
        BinaryOperator::LtEq => Comparison::LessOrEqual,
        BinaryOperator::Gt => Comparison::Greater,
        BinaryOperator::GtEq => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

fn like(expression: &Expr) -> Error {
    Error::refused(expression, "LIKE takes a pattern that is written out, as in LIKE 'a%'")
}

fn not(condition: Typed) -> Typed {
    Typed::call(Function::Not, vec![condition], Kind::Bool)
}

fn not_if(is_negated: bool, condition: Typed) -> Typed {
    if is_negated { not(condition) } else { condition }
}

fn is_null(inner: Typed) -> Typed {
    match inner.kind {
        Kind::Null => Typed::value(Value::Bool(true), Kind::Bool),
        _ => Typed::call(Function::IsNull, vec![inner], Kind::Bool),
    }
}

/// What a comparison compares.
fn operands(expression: &Expr) -> Vec<&Expr> {
    match expression {
        Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. }
        | Expr::Exists { .. } => Vec::new(),
        Expr::BinaryOp { left, right, .. }
        | Expr::IsDistinctFrom(left, right)
        | Expr::IsNotDistinctFrom(left, right) => vec![left, right],
        Expr::IsFalse(inner)
        | Expr::IsNotFalse(inner)
        | Expr::IsTrue(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsNull(inner)
        | Expr::IsNotNull(inner)
        | Expr::IsUnknown(inner)
        | Expr::IsNotUnknown(inner) => vec![inner],
        Expr::InList { expr, .. } | Expr::InSubquery { expr, .. } | Expr::Like { expr, .. } => {
            vec![expr]
        }
        Expr::Between { expr, low, high, .. } => vec![expr, low, high],
        _ => Vec::new(),
    }
}

/// Whether an operand is itself a condition, whose extent programs see differently.
pub(super) fn needs_parentheses(operand: &Expr) -> bool {
    match operand {
        Expr::UnaryOp { op: UnaryOperator::Not, .. }
        | Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. } => true,
        operand => !operands(operand).is_empty() && !is_computed(operand),
    }
}

/// Whether an operand is computed by an operator that binds more closely than comparisons.
fn is_computed(operand: &Expr) -> bool {
    matches!(
        operand,
        Expr::BinaryOp {
            op: BinaryOperator::Plus
                | BinaryOperator::Minus
                | BinaryOperator::Multiply
                | BinaryOperator::Divide
                | BinaryOperator::Modulo
                | BinaryOperator::StringConcat,
            ..
        }
    )
}
