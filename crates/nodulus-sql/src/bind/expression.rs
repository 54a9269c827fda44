//! Expressions.

use super::{Binder, convert, literal};
use crate::Error;
use crate::kind::Kind;
use crate::lower::cast::day;
use crate::scope::Scope;
use crate::typed::{Comparison, Ends, Function, Node, Typed, Value};
use sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, CeilFloorKind, DataType, DateTimeField, Expr, Ident,
    TrimWhereField, UnaryOperator,
};
use std::iter;

/// Columns of the answer that have a name of their own, which some clauses may use.
pub(super) type Aliases = [(String, Typed)];

impl Binder<'_> {
    /// An expression over the columns of a scope.
    pub(super) fn expression(
        &mut self,
        expression: &Expr,
        scope: &Scope,
        aliases: &Aliases,
    ) -> Result<Typed, Error> {
        match expression {
            Expr::Identifier(name) => self.column(None, name, scope, aliases),
            Expr::CompoundIdentifier(parts) => match &parts[..] {
                [table, name] => self.column(Some(table), name, scope, aliases),
                _ => Err(Error::refused(expression, "write column or table.column")),
            },
            Expr::Nested(inner) => self.expression(inner, scope, aliases),
            Expr::Value(value) => literal::literal(&value.value),
            Expr::TypedString(text) => literal::typed_string(text),
            Expr::UnaryOp { op, expr } => {
                let inner = self.expression(expr, scope, aliases)?;
                match op {
                    UnaryOperator::Plus => number(inner, expression),
                    UnaryOperator::Minus => Ok(negate(number(inner, expression)?)),
                    UnaryOperator::Not => {
                        let inner = convert::truth(inner, expr)?;
                        Ok(Typed::call(Function::Not, vec![inner], Kind::Bool))
                    }
                    _ => Err(Error::refused(expression, "of signs, + and - are answered")),
                }
            }
            Expr::BinaryOp { left, op, right } => match op {
                BinaryOperator::Plus
                | BinaryOperator::Minus
                | BinaryOperator::Multiply
                | BinaryOperator::Divide
                | BinaryOperator::Modulo => {
                    let left = self.expression(left, scope, aliases)?;
                    let right = self.expression(right, scope, aliases)?;
                    arithmetic(left, op, right, expression)
                }
                BinaryOperator::StringConcat => {
                    let a = self.expression(left, scope, aliases)?;
                    let b = self.expression(right, scope, aliases)?;
                    let (left, right) = (convert::as_text(a, left)?, convert::as_text(b, right)?);
                    Ok(Typed::call(Function::Concat, vec![left, right], Kind::Text))
                }
                _ => self.condition(expression, scope, aliases),
            },
            Expr::Cast {
                kind: CastKind::Cast | CastKind::DoubleColon,
                expr,
                data_type,
                array: false,
                format: None,
            } => {
                let inner = self.expression(expr, scope, aliases)?;
                cast(inner, data_type, expression)
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                let parts = (operand.as_deref(), &conditions[..], else_result.as_deref());
                self.case(parts, scope, aliases, expression)
            }
            Expr::Floor {
                expr,
                field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime),
            } => {
                let inner = self.expression(expr, scope, aliases)?;
                of_number(Function::Floor, inner, expression)
            }
            Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                let inner = self.expression(expr, scope, aliases)?;
                of_number(Function::Ceil, inner, expression)
            }
            Expr::Substring { expr, substring_from: Some(from), substring_for, .. } => {
                let text = self.text(expr, scope, aliases)?;
                super::text::substring(text, from, substring_for.as_deref(), expression)
            }
            Expr::Trim { trim_where, trim_what, expr, trim_characters } => {
                let ends = Ends {
                    start: *trim_where != Some(TrimWhereField::Trailing),
                    end: *trim_where != Some(TrimWhereField::Leading),
                };
                let characters = trim_what.as_deref().into_iter();
                let characters = characters.chain(trim_characters.iter().flatten());
                let texts: Vec<&Expr> = iter::once(&**expr).chain(characters).collect();
                self.trim(ends, &texts, scope, aliases, expression)
            }
            Expr::Function(function) => self.call(function, scope, aliases),
            Expr::Subquery(query) => self.scalar(query, scope),
            Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_)
            | Expr::IsDistinctFrom(..)
            | Expr::IsNotDistinctFrom(..)
            | Expr::InList { .. }
            | Expr::InSubquery { .. }
            | Expr::Between { .. }
            | Expr::Like { .. }
            | Expr::Exists { .. } => self.condition(expression, scope, aliases),
            other => Err(Error::refused(other, "it is none of the parts of SQL that are answered")),
        }
    }

    /// A text without some characters at its ends, from the text and the characters, if they are given.
    fn trim(
        &mut self,
        ends: Ends,
        texts: &[&Expr],
        scope: &Scope,
        aliases: &Aliases,
        expression: &Expr,
    ) -> Result<Typed, Error> {
        if texts.len() > 2 {
            return Err(Error::refused(expression, "trim takes one text of characters"));
        }
        let texts = texts.iter().map(|text| self.text(text, scope, aliases));
        Ok(Typed::call(Function::Trim(ends), texts.collect::<Result<_, _>>()?, Kind::Text))
    }

    /// A value that depends on conditions, which compare the operand if there is one.
    fn case(
        &mut self,
        (operand, conditions, else_result): (Option<&Expr>, &[CaseWhen], Option<&Expr>),
        scope: &Scope,
        aliases: &Aliases,
        expression: &Expr,
    ) -> Result<Typed, Error> {
        let (mut whens, mut results) = (Vec::new(), Vec::new());
        for branch in conditions {
            whens.push(match operand {
                None => self.truth(&branch.condition, scope, aliases)?,
                Some(operand) => {
                    let a = self.expression(operand, scope, aliases)?;
                    let b = self.expression(&branch.condition, scope, aliases)?;
                    let (a, b) = convert::compared(a, b, expression)?;
                    let equal = Function::Compare(Comparison::Equal);
                    Typed::call(equal, vec![a, b], Kind::Bool)
                }
            });
            results.push(self.expression(&branch.result, scope, aliases)?);
        }
        results.push(match else_result {
            Some(result) => self.expression(result, scope, aliases)?,
            None => Typed::value(Value::Null, Kind::Null),
        });
        let (mut results, kind) = convert::common(results, expression)?;
        let otherwise = results.pop().unwrap_or_else(|| Typed::value(Value::Null, Kind::Null));
        let branches = whens.into_iter().zip(results).collect();
        Ok(Typed { kind, node: Node::Case { branches, otherwise: Box::new(otherwise) } })
    }

    fn column(
        &self,
        table: Option<&Ident>,
        name: &Ident,
        scope: &Scope,
        aliases: &Aliases,
    ) -> Result<Typed, Error> {
        let table = table.map(|table| table.value.as_str());
        let name = name.value.as_str();
        if let Some(found) = scope.find(table, name)? {
            return Ok(found);
        }
        if table.is_none() {
            let mut named = aliases.iter().filter(|(alias, _)| alias.eq_ignore_ascii_case(name));
            if let Some((_, by)) = named.next() {
                return match named.next() {
                    None => Ok(by.clone()),
                    Some(_) => Err(Error::Question(format!(
                        "two columns of the answer are named `{name}`"
                    ))),
                };
            }
        }
        for around in &self.around {
            if around.find(table, name)?.is_some() {
                return Err(Error::refused(
                    format!("{name} of the query around a subquery"),
                    "a subquery is computed once, not for each row; use JOIN, or IN",
                ));
            }
        }
        if let Some(table) = table.filter(|table| !scope.has_table(table)) {
            return Err(Error::Question(format!(
                "`{table}.{name}`: FROM names no table `{table}`"
            )));
        }
        Err(Error::UnknownColumn { name: name.to_owned(), tables: scope.tables.clone() })
    }

    /// An expression that must be text.
    pub(super) fn text(
        &mut self,
        expression: &Expr,
        scope: &Scope,
        aliases: &Aliases,
    ) -> Result<Typed, Error> {
        convert::text(self.expression(expression, scope, aliases)?, expression)
    }
}

/// A function of one number, which is converted to one of 64 bits with a point.
pub(super) fn of_number(function: Function, argument: Typed, text: &Expr) -> Result<Typed, Error> {
    // Of a decimal number, these are decimal elsewhere.
    let kind = if argument.kind == Kind::Decimal { Kind::Computed } else { argument.kind };
    let argument = as_float(Typed { kind, ..argument }, text)?;
    Ok(Typed::call(function, vec![argument], Kind::Float))
}

/// An expression that must be a number, as one of 64 bits with a point.
pub(super) fn as_float(typed: Typed, text: &Expr) -> Result<Typed, Error> {
    let typed = number(typed, text)?;
    if typed.kind == Kind::Computed {
        let instead =
            "decimal numbers are computed exactly elsewhere; write cast(… AS DOUBLE) about it";
        return Err(Error::refused(text, instead));
    }
    Ok(convert::to_kind(typed, &Kind::Float))
}

/// An expression that must be a number.
pub(super) fn number(typed: Typed, text: &Expr) -> Result<Typed, Error> {
    match &typed.kind {
        Kind::Null => Ok(convert::to_kind(typed, &Kind::Int)),
        kind if kind.is_number() => Ok(typed),
        kind => {
            let instead = format!(
                "it computes with what is {kind}, expected a number; write cast(… AS DOUBLE)"
            );
            Err(Error::refused(text, instead))
        }
    }
}

fn negate(typed: Typed) -> Typed {
    // A written number with a sign is a written number.
    let value = match &typed.node {
        Node::Value(Value::Int(value)) => value.checked_neg().map(Value::Int),
        Node::Value(Value::Float(value)) => Some(Value::Float(-value)),
        _ => None,
    };
    let kind = typed.kind.clone();
    match value {
        Some(value) => Typed::value(value, kind),
        None => Typed::call(Function::Negate, vec![typed], kind),
    }
}

fn arithmetic(
    left: Typed,
    operator: &BinaryOperator,
    right: Typed,
    text: &Expr,
) -> Result<Typed, Error> {
    if [&left.kind, &right.kind].contains(&&Kind::Date) {
        return of_days(left, operator, right, text);
    }
    let (left, right) = (number(left, text)?, number(right, text)?);
    let function = match operator {
        BinaryOperator::Plus => Function::Add,
        BinaryOperator::Minus => Function::Subtract,
        BinaryOperator::Multiply => Function::Multiply,
        BinaryOperator::Divide => Function::Divide,
        _ => Function::Modulo,
    };
    let kinds = [&left.kind, &right.kind];
    let kind = match function {
        Function::Modulo if kinds != [&Kind::Int, &Kind::Int] => {
            return Err(Error::refused(text, "% takes whole numbers; write x - y * floor(x / y)"));
        }
        Function::Divide => Kind::Float,
        _ if kinds.contains(&&Kind::Float) => Kind::Float,
        _ if kinds == [&Kind::Int, &Kind::Int] => Kind::Int,
        _ => Kind::Computed,
    };
    let (left, right) = (convert::to_kind(left, &kind), convert::to_kind(right, &kind));
    Ok(Typed::call(function, vec![left, right], kind))
}

/// The days between two, or a day so many days before or after another.
fn of_days(
    left: Typed,
    operator: &BinaryOperator,
    right: Typed,
    text: &Expr,
) -> Result<Typed, Error> {
    let number = |typed: Typed| match typed.kind {
        Kind::Date => Typed::call(Function::NumberOfDay, vec![typed], Kind::Int),
        _ => typed,
    };
    let is_written = |typed: &Typed| matches!(typed.node, Node::Value(Value::Int(_)));
    let (function, is_day) = match (operator, &left.kind, &right.kind) {
        (BinaryOperator::Minus, Kind::Date, Kind::Date) => (Function::Subtract, false),
        (BinaryOperator::Minus, Kind::Date, _) if is_written(&right) => (Function::Subtract, true),
        (BinaryOperator::Plus, Kind::Date, _) if is_written(&right) => (Function::Add, true),
        (BinaryOperator::Plus, _, Kind::Date) if is_written(&left) => (Function::Add, true),
        _ => {
            let instead = "of dates, their difference is answered, and a date + or - a whole number that is written out";
            return Err(Error::refused(text, instead));
        }
    };
    let number = Typed::call(function, vec![number(left), number(right)], Kind::Int);
    Ok(if is_day { Typed::call(Function::Day, vec![number], Kind::Date) } else { number })
}

fn cast(inner: Typed, to: &DataType, text: &Expr) -> Result<Typed, Error> {
    let (kind, range) = match to {
        DataType::BigInt(None) | DataType::Int8(None) | DataType::Int64 => (Kind::Int, None),
        DataType::Integer(None) | DataType::Int(None) | DataType::Int4(None) => {
            (Kind::Int, Some((i32::MIN.into(), i32::MAX.into())))
        }
        DataType::SmallInt(None) => (Kind::Int, Some((i16::MIN.into(), i16::MAX.into()))),
        DataType::Double(sqlparser::ast::ExactNumberInfo::None)
        | DataType::DoublePrecision
        | DataType::Float8 => (Kind::Float, None),
        DataType::Varchar(None) | DataType::Text | DataType::String(None) => (Kind::Text, None),
        DataType::Date => (Kind::Date, None),
        _ => {
            return Err(Error::refused(
                text,
                "a value can be cast to BIGINT, INTEGER, SMALLINT, DOUBLE, VARCHAR and DATE",
            ));
        }
    };
    let from: &[Kind] = match kind {
        Kind::Int => &[Kind::Bool, Kind::Float, Kind::Text],
        Kind::Float => &[Kind::Int, Kind::Decimal, Kind::Computed, Kind::Text],
        Kind::Text => &[Kind::Bool, Kind::Int, Kind::Date],
        _ => &[Kind::Text],
    };
    let is_answered = inner.kind == kind || inner.kind == Kind::Null || from.contains(&inner.kind);
    if !is_answered {
        let own = &inner.kind;
        let instead = match (own, &kind) {
            (Kind::Decimal | Kind::Computed, Kind::Int) => "cast it to DOUBLE first".to_owned(),
            (own, Kind::Text) if own.is_number() => {
                "programs write such a number in several ways; select the number itself".to_owned()
            }
            _ => format!("it is {own}, which is not cast to {kind}"),
        };
        return Err(Error::refused(text, instead));
    }
    if let (Node::Value(Value::Text(written)), Kind::Date) = (&inner.node, &kind)
        && let Some(day) = day(written)
    {
        return Ok(Typed::value(Value::Date(day), Kind::Date));
    }
    let whole = convert::to_kind(inner, &kind);
    Ok(match range {
        Some((low, high)) => Typed::call(Function::Within(low, high), vec![whole], Kind::Int),
        None => whole,
    })
}
