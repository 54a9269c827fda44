//! Window functions.

use super::call::Arguments;
use super::expression::Aliases;
use super::functions::WINDOW_FUNCTIONS;
use super::items::{check_key, sort_key};
use super::{Binder, convert};
use crate::Error;
use crate::kind::Kind;
use crate::scope::Scope;
use crate::typed::{Aggregate, AggregateFunction, Node, Typed, Value, Window, WindowFunction};
use sqlparser::ast::{
    Expr, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType,
};

impl Binder<'_> {
    /// An aggregate before OVER.
    pub(super) fn aggregate_over(
        &mut self,
        aggregate: Aggregate,
        over: &WindowType,
        scope: &Scope,
        aliases: &Aliases,
        text: &Expr,
    ) -> Result<Node, Error> {
        let is_running = matches!(
            aggregate.function,
            AggregateFunction::Count
                | AggregateFunction::Sum
                | AggregateFunction::Mean
                | AggregateFunction::Min
                | AggregateFunction::Max
        );
        if has_order(over) && (!is_running || aggregate.distinct) {
            let instead = "of running rows, count, sum, avg, min and max without DISTINCT are answered; leave ORDER BY out, \
                           or use DuckDB";
            return Err(Error::refused(text, instead));
        }
        self.window(WindowFunction::Aggregate(aggregate), over, scope, aliases, text)
    }

    /// A function that needs OVER.
    pub(super) fn window_function(
        &mut self,
        name: &str,
        arguments: &Arguments,
        over: &WindowType,
        scope: &Scope,
        aliases: &Aliases,
        text: &Expr,
    ) -> Result<Typed, Error> {
        let expressions = arguments.all.as_deref().unwrap_or_default();
        let (function, kind) = match (name, expressions) {
            _ if !arguments.order_by.is_empty() => {
                return Err(Error::refused(text, "write ORDER BY after OVER alone"));
            }
            ("row_number", []) => (WindowFunction::RowNumber, Kind::Int),
            ("rank", []) => (WindowFunction::Rank, Kind::Int),
            ("dense_rank", []) => (WindowFunction::DenseRank, Kind::Int),
            ("lag" | "lead", [value, rest @ ..]) if rest.len() < 3 => {
                let value = self.expression(value, scope, aliases)?;
                let offset = match rest.first() {
                    None => 1,
                    Some(offset) => match self.expression(offset, scope, aliases)?.node {
                        Node::Value(Value::Int(offset)) if offset >= 0 => offset,
                        _ => {
                            return Err(Error::refused(
                                text,
                                "the number of rows is a whole number",
                            ));
                        }
                    },
                };
                let otherwise = match rest.get(1) {
                    None => Typed::value(Value::Null, Kind::Null),
                    Some(otherwise) => self.expression(otherwise, scope, aliases)?,
                };
                let otherwise = as_value(otherwise, &value.kind, text)?;
                let kind = value.kind.clone();
                let before = if name == "lag" { offset } else { -offset };
                (WindowFunction::Lag { value, before, otherwise }, kind)
            }
            _ => {
                let instead = format!(
                    "before OVER, aggregates and {} are answered",
                    WINDOW_FUNCTIONS.join(", ")
                );
                return Err(Error::refused(text, instead));
            }
        };
        if !has_order(over) {
            return Err(Error::refused(text, "it needs OVER (ORDER BY …)"));
        }
        let node = self.window(function, over, scope, aliases, text)?;
        Ok(Typed { kind, node })
    }

    fn window(
        &mut self,
        function: WindowFunction,
        over: &WindowType,
        scope: &Scope,
        aliases: &Aliases,
        text: &Expr,
    ) -> Result<Node, Error> {
        let WindowType::WindowSpec(spec) = over else {
            return Err(Error::refused(text, "write the window after OVER"));
        };
        if spec.window_name.is_some() {
            return Err(Error::refused(text, "write the window after OVER"));
        }
        let is_of_single_rows = is_of_single_rows(&function, spec, text)?;
        let (mut partition, mut order) = (Vec::new(), Vec::new());
        for key in &spec.partition_by {
            let by = self.expression(key, scope, aliases)?;
            check_key(&by, &format!("PARTITION BY {key}"))?;
            partition.push(by);
        }
        for key in &spec.order_by {
            let by = self.expression(&key.expr, scope, aliases)?;
            order.push(sort_key(key, by)?);
        }
        let inner = match &function {
            WindowFunction::Lag { value, otherwise, .. } => vec![value, otherwise],
            _ => Vec::new(),
        };
        let parts = partition.iter().chain(order.iter().map(|key| &key.by)).chain(inner);
        if parts.into_iter().any(|part| part.has_window() || part.has_unnest()) {
            return Err(Error::refused(text, "compute the inner window function in a subquery"));
        }
        let text = crate::error::shortened(&text.to_string());
        Ok(Node::Window(Box::new(Window { function, partition, order, is_of_single_rows, text })))
    }
}

fn has_order(over: &WindowType) -> bool {
    matches!(over, WindowType::WindowSpec(spec) if !spec.order_by.is_empty())
}

/// Whether rows that tie in the order of a window have values of their own.
fn is_of_single_rows(
    function: &WindowFunction,
    spec: &WindowSpec,
    text: &Expr,
) -> Result<bool, Error> {
    let is_ranked = matches!(function, WindowFunction::RowNumber | WindowFunction::Lag { .. });
    let Some(frame) = &spec.window_frame else { return Ok(is_ranked) };
    let is_up_to_row = matches!(
        frame,
        WindowFrame {
            start_bound: WindowFrameBound::Preceding(None),
            end_bound: None | Some(WindowFrameBound::CurrentRow),
            ..
        }
    );
    let is_aggregate = matches!(function, WindowFunction::Aggregate(_));
    match frame.units {
        _ if !is_up_to_row || !is_aggregate || spec.order_by.is_empty() => {}
        WindowFrameUnits::Rows => return Ok(true),
        WindowFrameUnits::Range => return Ok(false),
        WindowFrameUnits::Groups => {}
    }
    Err(Error::refused(
        text,
        "of frames, those of an aggregate with ORDER BY from UNBOUNDED PRECEDING to CURRENT ROW are answered; use DuckDB",
    ))
}

/// What stands for a row that is not there, as the kind of those that are.
fn as_value(otherwise: Typed, kind: &Kind, text: &Expr) -> Result<Typed, Error> {
    match (&otherwise.kind, kind) {
        (own, kind) if own == kind => Ok(otherwise),
        (Kind::Null, _) | (Kind::Int | Kind::Decimal, Kind::Float) => {
            Ok(convert::to_kind(otherwise, kind))
        }
        (own, kind) => {
            let instead =
                format!("its values are {kind} and {own}; write cast(… AS …) about the last");
            Err(Error::refused(text, instead))
        }
    }
}
