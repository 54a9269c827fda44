//! Calls of functions.

use super::expression::{Aliases, of_number};
use super::functions::{WINDOW_FUNCTIONS, all, find_aggregate};
use super::items::{check_key, sort_key};
use super::select::is_of_several_rows;
use super::{Binder, convert};
use crate::Error;
use crate::kind::Kind;
use crate::scope::Scope;
use crate::typed::{
    Aggregate, AggregateFunction, Function as Called, Node, Typed, Value, Window, WindowFunction,
};
use sqlparser::ast::{
    BinaryOperator, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgOperator, FunctionArguments, WindowType,
};

/// What stands between the parentheses of a call.
pub(super) struct Arguments {
    /// The expressions; `None` where the argument is `*`.
    pub(super) all: Option<Vec<Expr>>,
    is_distinct: bool,
}

impl Binder<'_> {
    pub(super) fn call(
        &mut self,
        function: &Function,
        scope: &Scope,
        aliases: &Aliases,
    ) -> Result<Typed, Error> {
        let Function {
            name,
            uses_odbc_syntax,
            parameters,
            args,
            filter,
            null_treatment,
            over,
            within_group,
        } = function;
        let is_plain = !uses_odbc_syntax
            && *parameters == FunctionArguments::None
            && null_treatment.is_none()
            && within_group.is_empty();
        if !is_plain {
            return Err(Error::refused(function, "call a function as name(…)"));
        }
        let arguments = arguments(args, function)?;
        let name = name.to_string().to_lowercase();
        if let Some(WindowType::NamedWindow(window)) = over {
            return Err(Error::refused(format!("OVER {window}"), "write the window after OVER"));
        }
        let text = Expr::Function(function.clone());
        if let Some(found) = find_aggregate(&name) {
            let aggregate =
                self.aggregate(found, &arguments, filter.as_deref(), scope, aliases, &text)?;
            let kind = kind_of(&aggregate);
            let node = match over {
                None => Node::Aggregate(Box::new(aggregate)),
                Some(over) => {
                    if has_order(over) {
                        let instead = "an aggregate over all rows of a PARTITION BY is answered; leave ORDER BY out";
                        return Err(Error::refused(function, instead));
                    }
                    self.window(WindowFunction::Aggregate(aggregate), over, scope, aliases, &text)?
                }
            };
            return Ok(Typed { kind, node });
        }
        if filter.is_some() || arguments.is_distinct {
            return Err(Error::refused(function, "FILTER and DISTINCT belong to aggregates"));
        }
        if let Some(over) = over {
            return self.ranked(&name, &arguments, over, scope, aliases, &text);
        }
        if WINDOW_FUNCTIONS.contains(&name.as_str()) {
            return Err(Error::refused(function, "it needs OVER (ORDER BY …)"));
        }
        let Some(expressions) = &arguments.all else {
            return Err(Error::refused(function, "`*` belongs to count(*)"));
        };
        self.scalar_call(&name, expressions, scope, aliases, &text)
    }

    fn aggregate(
        &mut self,
        function: AggregateFunction,
        arguments: &Arguments,
        filter: Option<&Expr>,
        scope: &Scope,
        aliases: &Aliases,
        text: &Expr,
    ) -> Result<Aggregate, Error> {
        let filter = match filter {
            Some(filter) => Some(self.truth(filter, scope, aliases)?),
            None => None,
        };
        let (mut function, mut argument) = (function, None);
        match arguments.all.as_deref() {
            None | Some([]) if function == AggregateFunction::Count && !arguments.is_distinct => {}
            Some([one]) if !matches!(function, AggregateFunction::Quantile(share) if share.is_nan()) =>
            {
                argument = Some(self.expression(one, scope, aliases)?);
            }
            Some([one, share]) if matches!(function, AggregateFunction::Quantile(share) if share.is_nan()) =>
            {
                argument = Some(self.expression(one, scope, aliases)?);
                let share = self.expression(share, scope, aliases)?;
                function = match share.node {
                    Node::Value(Value::Float(share)) if (0.0..=1.0).contains(&share) => {
                        AggregateFunction::Quantile(share)
                    }
                    _ => return Err(Error::refused(text, "the share is a number from 0.0 to 1.0")),
                };
            }
            _ => return Err(Error::refused(text, "an aggregate takes one argument")),
        }
        if [&argument, &filter].into_iter().flatten().any(|part| part.any(&is_of_several_rows)) {
            let instead =
                "an aggregate is of values of single rows; compute the inner one in a subquery";
            return Err(Error::refused(text, instead));
        }
        let argument = match argument {
            Some(argument) => Some(checked(function, argument, arguments.is_distinct, text)?),
            None => None,
        };
        Ok(Aggregate { function, argument, distinct: arguments.is_distinct, filter })
    }

    fn ranked(
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
            ("row_number", []) => (WindowFunction::RowNumber, Kind::Int),
            ("rank", []) => (WindowFunction::Rank, Kind::Int),
            ("dense_rank", []) => (WindowFunction::DenseRank, Kind::Int),
            ("lag" | "lead", [value, rest @ ..]) => {
                let value = self.expression(value, scope, aliases)?;
                let offset = match rest {
                    [] => 1,
                    [offset] => match self.expression(offset, scope, aliases)?.node {
                        Node::Value(Value::Int(offset)) if offset >= 0 => offset,
                        _ => {
                            return Err(Error::refused(
                                text,
                                "the number of rows is a whole number",
                            ));
                        }
                    },
                    _ => {
                        return Err(Error::refused(
                            text,
                            "use coalesce for another value than null",
                        ));
                    }
                };
                let kind = value.kind.clone();
                let before = if name == "lag" { offset } else { -offset };
                (WindowFunction::Lag(value, before), kind)
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
        if spec.window_name.is_some() || spec.window_frame.is_some() {
            return Err(Error::refused(text, "OVER takes PARTITION BY and ORDER BY"));
        }
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
            WindowFunction::Lag(value, _) => Some(value),
            _ => None,
        };
        let parts = partition.iter().chain(order.iter().map(|key| &key.by)).chain(inner);
        if parts.into_iter().any(|part| part.has_window() || part.has_unnest()) {
            return Err(Error::refused(text, "compute the inner window function in a subquery"));
        }
        let text = crate::error::shortened(&text.to_string());
        Ok(Node::Window(Box::new(Window { function, partition, order, text })))
    }

    fn scalar_call(
        &mut self,
        name: &str,
        expressions: &[Expr],
        scope: &Scope,
        aliases: &Aliases,
        text: &Expr,
    ) -> Result<Typed, Error> {
        if let ("substr" | "substring", [of, from, rest @ ..]) = (name, expressions)
            && rest.len() < 2
        {
            let of = self.text(of, scope, aliases)?;
            return super::functions::substring(of, from, rest.first(), text);
        }
        let mut arguments = Vec::new();
        for expression in expressions {
            arguments.push(self.expression(expression, scope, aliases)?);
        }
        let mut of_texts = |function, kind| {
            let mut all = Vec::new();
            for expression in expressions {
                all.push(self.text(expression, scope, aliases)?);
            }
            Ok(Typed::call(function, all, kind))
        };
        match (name, &arguments[..]) {
            ("lower", [_]) => of_texts(Called::Lower, Kind::Text),
            ("upper", [_]) => of_texts(Called::Upper, Kind::Text),
            ("length" | "len", [list]) if matches!(list.kind, Kind::Other(_)) => {
                super::functions::list_length(list.clone(), text)
            }
            ("length" | "len", [_]) => of_texts(Called::Length, Kind::Int),
            ("starts_with", [_, _]) => of_texts(Called::StartsWith, Kind::Bool),
            ("contains", [a, _]) if !matches!(a.kind, Kind::Other(_)) => {
                of_texts(Called::Contains, Kind::Bool)
            }
            ("unnest", [list]) => super::functions::unnest(list.clone(), text),
            ("abs", [value]) => {
                let value = super::expression::number(value.clone(), text)?;
                let kind = value.kind.clone();
                Ok(Typed::call(Called::Abs, vec![value], kind))
            }
            ("round", [value]) => super::functions::rounded(value, 0, text),
            ("round", [value, digits]) => match digits.node {
                Node::Value(Value::Int(digits)) if (-15..=15).contains(&digits) => {
                    let digits = i32::try_from(digits).unwrap_or(0);
                    super::functions::rounded(value, digits, text)
                }
                _ => Err(Error::refused(
                    text,
                    "the number of digits is a whole number from -15 to 15",
                )),
            },
            ("sqrt", [value]) => of_number(Called::Sqrt, value.clone(), text),
            ("ln", [value]) => of_number(Called::Ln, value.clone(), text),
            ("exp", [value]) => of_number(Called::Exp, value.clone(), text),
            ("floor", [value]) => of_number(Called::Floor, value.clone(), text),
            ("ceil" | "ceiling", [value]) => of_number(Called::Ceil, value.clone(), text),
            ("coalesce", [_, ..]) => {
                let (all, kind) = convert::common(arguments, text)?;
                Ok(Typed::call(Called::Coalesce, all, kind))
            }
            ("greatest" | "least", [_, ..]) => {
                let (all, kind) = convert::common(arguments, text)?;
                if !kind.is_key() || kind == Kind::Null {
                    return Err(Error::refused(text, format!("its values are {kind}")));
                }
                let function = if name == "greatest" { Called::Greatest } else { Called::Least };
                Ok(Typed::call(function, all, kind))
            }
            ("nullif", [value, other]) => {
                let (a, b) = convert::compared(value.clone(), other.clone(), text)?;
                let equal = Called::Compare(crate::typed::Comparison::Equal);
                let equal = Typed::call(equal, vec![a, b], Kind::Bool);
                let null = Typed::value(Value::Null, value.kind.clone());
                let node = Node::Case {
                    branches: vec![(equal, null)],
                    otherwise: Box::new(value.clone()),
                };
                Ok(Typed { kind: value.kind.clone(), node })
            }
            _ if all().contains(&name) => {
                let n = expressions.len();
                Err(Error::refused(text, format!("`{name}` does not take {n} arguments")))
            }
            _ => Err(Error::UnknownFunction { name: name.to_owned(), functions: all() }),
        }
    }
}

fn arguments(arguments: &FunctionArguments, function: &Function) -> Result<Arguments, Error> {
    let list = match arguments {
        FunctionArguments::List(list) if list.clauses.is_empty() => list,
        _ => return Err(Error::refused(function, "call a function as name(…)")),
    };
    let is_distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    let mut all = Vec::new();
    for argument in &list.args {
        all.push(match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => expression.clone(),
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard)
                if list.args.len() == 1 && !is_distinct =>
            {
                return Ok(Arguments { all: None, is_distinct });
            }
            // A comparison whose left side is a name is read as a named argument.
            FunctionArg::Named {
                name,
                arg: FunctionArgExpr::Expr(value),
                operator: FunctionArgOperator::Equals,
            } => Expr::BinaryOp {
                left: Box::new(Expr::Identifier(name.clone())),
                op: BinaryOperator::Eq,
                right: Box::new(value.clone()),
            },
            other => return Err(Error::refused(other, "an argument is an expression")),
        });
    }
    Ok(Arguments { all: Some(all), is_distinct })
}

fn has_order(over: &WindowType) -> bool {
    matches!(over, WindowType::WindowSpec(spec) if !spec.order_by.is_empty())
}

/// Fails if an aggregate is not of such values.
fn checked(
    function: AggregateFunction,
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
        AggregateFunction::Min | AggregateFunction::Max => {
            !matches!(kind, Kind::Other(_) | Kind::Bytes)
        }
        AggregateFunction::Sum | AggregateFunction::Mean => kind == Kind::Null || kind.is_number(),
        AggregateFunction::Spread(_) | AggregateFunction::Quantile(_) => {
            matches!(kind, Kind::Int | Kind::Float)
        }
    };
    match (is_answered, kind) {
        (true, Kind::Null) if function != AggregateFunction::Count => {
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

fn kind_of(aggregate: &Aggregate) -> Kind {
    let argument = aggregate.argument.as_ref().map_or(Kind::Null, |argument| argument.kind.clone());
    match (aggregate.function, argument) {
        (AggregateFunction::Count, _) | (AggregateFunction::Sum, Kind::Int) => Kind::Int,
        (AggregateFunction::Min | AggregateFunction::Max, kind) => kind,
        (AggregateFunction::Sum, Kind::Decimal | Kind::Computed) => Kind::Computed,
        _ => Kind::Float,
    }
}
