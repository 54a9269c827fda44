//! Calls of functions.

use super::aggregate::kind_of;
use super::expression::{Aliases, as_float, number, of_number};
use super::functions::{WINDOW_FUNCTIONS, all};
use super::{Binder, convert};
use crate::Error;
use crate::kind::Kind;
use crate::scope::Scope;
use crate::typed::{Function as Called, Node, Typed, Value};
use sqlparser::ast::{
    BinaryOperator, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgOperator, FunctionArgumentClause, FunctionArguments, OrderByExpr, WindowType,
};

/// What stands between the parentheses of a call.
pub(super) struct Arguments {
    /// The expressions; `None` where the argument is `*`.
    pub(super) all: Option<Vec<Expr>>,
    pub(super) is_distinct: bool,
    pub(super) order_by: Vec<OrderByExpr>,
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
        let name = name.to_string().to_lowercase();
        if ["current_date", "today", "now", "current_timestamp"].contains(&name.as_str()) {
            let instead = "an answer must not depend on when it is asked; write the day, as in DATE '2026-01-31'";
            return Err(Error::refused(function, instead));
        }
        let is_plain = !uses_odbc_syntax
            && *parameters == FunctionArguments::None
            && null_treatment.is_none()
            && within_group.is_empty();
        if !is_plain {
            return Err(Error::refused(function, "call a function as name(…)"));
        }
        let arguments = arguments(args, function)?;
        if let Some(WindowType::NamedWindow(window)) = over {
            return Err(Error::refused(format!("OVER {window}"), "write the window after OVER"));
        }
        let text = Expr::Function(function.clone());
        let about = (filter.as_deref(), over.is_some());
        if let Some(aggregate) = self.aggregate(&name, &arguments, about, scope, aliases, &text)? {
            let kind = kind_of(&aggregate);
            let node = match over {
                None => Node::Aggregate(Box::new(aggregate)),
                Some(over) => self.aggregate_over(aggregate, over, scope, aliases, &text)?,
            };
            return Ok(Typed { kind, node });
        }
        if filter.is_some() || arguments.is_distinct {
            return Err(Error::refused(function, "FILTER and DISTINCT belong to aggregates"));
        }
        if let Some(over) = over {
            return self.window_function(&name, &arguments, over, scope, aliases, &text);
        }
        if WINDOW_FUNCTIONS.contains(&name.as_str()) {
            return Err(Error::refused(function, "it needs OVER (ORDER BY …)"));
        }
        if !arguments.order_by.is_empty() {
            return Err(Error::refused(function, "ORDER BY belongs to string_agg and mode"));
        }
        let Some(expressions) = &arguments.all else {
            return Err(Error::refused(function, "`*` belongs to count(*)"));
        };
        self.scalar_call(&name, expressions, scope, aliases, &text)
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
            return super::text::substring(of, from, rest.first(), text);
        }
        let mut arguments = Vec::new();
        for expression in expressions {
            arguments.push(self.expression(expression, scope, aliases)?);
        }
        if let Some(found) = super::text::call(name, &arguments, expressions, text)? {
            return Ok(found);
        }
        let of_float = |function, value: &Typed| {
            let value = as_float(value.clone(), text)?;
            Ok(Typed::call(function, vec![value], Kind::Float))
        };
        match (name, &arguments[..]) {
            ("power" | "pow", [base, exponent]) => {
                let both = vec![as_float(base.clone(), text)?, as_float(exponent.clone(), text)?];
                Ok(Typed::call(Called::Power, both, Kind::Float))
            }
            ("length" | "len", [list]) => super::functions::list_length(list.clone(), text),
            ("unnest", [list]) => super::functions::unnest(list.clone(), text),
            ("abs", [value]) => {
                let value = number(value.clone(), text)?;
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
            ("sqrt", [value]) => of_float(Called::Sqrt, value),
            ("ln", [value]) => of_float(Called::Ln, value),
            ("exp", [value]) => of_float(Called::Exp, value),
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
    let no_call = || Err(Error::refused(function, "call a function as name(…)"));
    let FunctionArguments::List(list) = arguments else { return no_call() };
    let order_by = match &list.clauses[..] {
        [] => Vec::new(),
        [FunctionArgumentClause::OrderBy(keys)] => keys.clone(),
        _ => return no_call(),
    };
    let is_distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    let mut all = Vec::new();
    for argument in &list.args {
        all.push(match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => expression.clone(),
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard)
                if list.args.len() == 1 && !is_distinct =>
            {
                return Ok(Arguments { all: None, is_distinct, order_by });
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
    Ok(Arguments { all: Some(all), is_distinct, order_by })
}
