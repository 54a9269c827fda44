//! Aggregates.

use super::call::Arguments;
use super::expression::Aliases;
use super::functions::find_aggregate;
use super::items::{check_key, sort_key};
use super::select::is_of_several_rows;
use super::{Binder, convert};
use crate::Error;
use crate::kind::Kind;
use crate::scope::Scope;
use crate::typed::{Aggregate, AggregateFunction, Node, SortKey, Typed, Value};
use sqlparser::ast::Expr;

impl Binder<'_> {
    /// The aggregate of a name; `None` where no aggregate has it. The values of one before OVER may be aggregates.
    pub(super) fn aggregate(
        &mut self,
        name: &str,
        arguments: &Arguments,
        (filter, is_window): (Option<&Expr>, bool),
        scope: &Scope,
        aliases: &Aliases,
        text: &Expr,
    ) -> Result<Option<Aggregate>, Error> {
        let Some(function) = find_aggregate(name) else { return Ok(None) };
        let filter = match filter {
            Some(filter) => Some(self.truth(filter, scope, aliases)?),
            None => None,
        };
        let mut values = Vec::new();
        for argument in arguments.all.as_deref().unwrap_or_default() {
            values.push(self.expression(argument, scope, aliases)?);
        }
        let mut order = Vec::new();
        for key in &arguments.order_by {
            let by = self.expression(&key.expr, scope, aliases)?;
            if by.columns().is_empty() {
                return Err(Error::refused(text, "it is sorted by a constant; name a column"));
            }
            order.push(sort_key(key, by)?);
        }
        let is_nested = |part: &Typed| part.any(&is_of_several_rows);
        let is_wrong = |part: &Typed| {
            if is_window { part.has_window() || part.has_unnest() } else { is_nested(part) }
        };
        let others = filter.iter().chain(order.iter().map(|key| &key.by));
        if values.iter().any(is_wrong) || others.into_iter().any(is_nested) {
            let instead =
                "an aggregate is of values of single rows; compute the inner one in a subquery";
            return Err(Error::refused(text, instead));
        }
        let distinct = arguments.is_distinct;
        let function = with_constants(function, &mut values, distinct, text)?;
        check_order(&function, &values, &order, (distinct, is_window), text)?;
        let checked = values.into_iter().map(|value| checked(&function, value, distinct, text));
        let arguments = checked.collect::<Result<_, _>>()?;
        Ok(Some(Aggregate { function, arguments, distinct, filter, order }))
    }
}

/// The function with those of its arguments that are written out, which are taken from the values.
fn with_constants(
    function: AggregateFunction,
    values: &mut Vec<Typed>,
    is_distinct: bool,
    text: &Expr,
) -> Result<AggregateFunction, Error> {
    let refused = |instead: &str| Err(Error::refused(text, instead));
    let mut last =
        |n: usize| if values.len() == n { values.pop().map(|last| last.node) } else { None };
    let function = match function {
        AggregateFunction::Quantile(share) if share.is_nan() => match last(2) {
            Some(Node::Value(Value::Float(share))) if (0.0..=1.0).contains(&share) => {
                AggregateFunction::Quantile(share)
            }
            _ => return refused("it takes a value and a share, which is a number from 0.0 to 1.0"),
        },
        AggregateFunction::Joined(default) => match last(2) {
            None => AggregateFunction::Joined(default),
            Some(Node::Value(Value::Text(separator))) => AggregateFunction::Joined(separator),
            Some(_) => return refused("the separator is a text that is written out, as in ', '"),
        },
        function => function,
    };
    match (&function, values.len()) {
        (AggregateFunction::Count, 0) if !is_distinct => Ok(function),
        (AggregateFunction::Correlation, 2) => Ok(function),
        (AggregateFunction::Correlation, _) => refused("it takes two arguments"),
        (_, 1) => Ok(function),
        _ => refused("an aggregate takes one argument"),
    }
}

/// Fails if the order of the values does not say what the value is.
fn check_order(
    function: &AggregateFunction,
    values: &[Typed],
    order: &[SortKey],
    (is_distinct, is_window): (bool, bool),
    text: &Expr,
) -> Result<(), Error> {
    let refused = |instead: &str| Err(Error::refused(text, instead));
    let is_by_value = order.iter().all(|key| Some(&key.by) == values.first());
    match function {
        _ if is_window && !order.is_empty() => {
            refused("before OVER, aggregates have no order of their own; group in a subquery")
        }
        AggregateFunction::Joined(_) if order.is_empty() => refused(
            "the order of its texts is left to chance; write ORDER BY in it, as in string_agg(name, ', ' ORDER BY name)",
        ),
        AggregateFunction::Joined(_) if is_distinct && !is_by_value => {
            refused("with DISTINCT, its ORDER BY is by the same expression")
        }
        AggregateFunction::Mode | AggregateFunction::Correlation if is_distinct => {
            refused("leave DISTINCT out")
        }
        AggregateFunction::Mode if !is_by_value || order.len() > 1 => {
            refused("its ORDER BY is by the same expression, as in mode(name ORDER BY name)")
        }
        AggregateFunction::Joined(_) | AggregateFunction::Mode => Ok(()),
        _ if order.is_empty() => Ok(()),
        _ => refused("ORDER BY in an aggregate belongs to string_agg and mode; leave it out"),
    }
}

/// Fails if an aggregate is not of such values.
fn checked(
    function: &AggregateFunction,
    argument: Typed,
    is_distinct: bool,
    text: &Expr,
) -> Result<Typed, Error> {
    let kind = argument.kind.clone();
    if is_distinct {
        check_key(&argument, &text.to_string())?;
    }
    let is_answered = match function {
        AggregateFunction::Count => true,
        AggregateFunction::Joined(_) => return convert::as_text(argument, text),
        AggregateFunction::Min | AggregateFunction::Max => {
            !matches!(kind, Kind::Other(_) | Kind::Bytes)
        }
        AggregateFunction::Mode => {
            matches!(kind, Kind::Bool | Kind::Int | Kind::Float | Kind::Text | Kind::Date)
        }
        AggregateFunction::Sum | AggregateFunction::Mean => kind == Kind::Null || kind.is_number(),
        AggregateFunction::Spread(_)
        | AggregateFunction::Quantile(_)
        | AggregateFunction::Correlation => {
            matches!(kind, Kind::Null | Kind::Int | Kind::Float)
        }
    };
    match (is_answered, kind) {
        (true, Kind::Null) if *function != AggregateFunction::Count => {
            Ok(convert::to_kind(argument, &Kind::Float))
        }
        (true, _) => Ok(argument),
        (false, Kind::Bool) => {
            Err(Error::refused(text, "write count(*) FILTER (WHERE …) to count what is true"))
        }
        (false, Kind::Decimal | Kind::Computed) => Err(Error::refused(
            text,
            "decimal numbers are computed exactly elsewhere; write cast(… AS DOUBLE) about it",
        )),
        (false, kind) => Err(Error::refused(text, format!("its argument is {kind}"))),
    }
}

pub(super) fn kind_of(aggregate: &Aggregate) -> Kind {
    let argument = aggregate.arguments.first().map_or(Kind::Null, |first| first.kind.clone());
    match (&aggregate.function, argument) {
        (AggregateFunction::Count, _) | (AggregateFunction::Sum, Kind::Int) => Kind::Int,
        (AggregateFunction::Min | AggregateFunction::Max | AggregateFunction::Mode, kind) => kind,
        (AggregateFunction::Sum, Kind::Decimal | Kind::Computed) => Kind::Computed,
        (AggregateFunction::Joined(_), _) => Kind::Text,
        _ => Kind::Float,
    }
}
