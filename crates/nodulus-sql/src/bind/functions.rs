//! The functions that are answered.

use crate::Error;
use crate::kind::Kind;
use crate::typed::{AggregateFunction, Function, Node, Spread, Typed};
use arrow::datatypes::DataType;
use sqlparser::ast::Expr;

const AGGREGATES: [&str; 17] = [
    "count",
    "sum",
    "avg",
    "mean",
    "min",
    "max",
    "median",
    "quantile_cont",
    "stddev",
    "stddev_samp",
    "stddev_pop",
    "variance",
    "var_samp",
    "var_pop",
    "mode",
    "string_agg",
    "corr",
];
/// Functions that need OVER.
pub(super) const WINDOW_FUNCTIONS: [&str; 5] = ["row_number", "rank", "dense_rank", "lag", "lead"];
const OF_ROWS: [&str; 30] = [
    "abs",
    "ceil",
    "ceiling",
    "coalesce",
    "concat",
    "contains",
    "exp",
    "floor",
    "greatest",
    "least",
    "len",
    "length",
    "ln",
    "lower",
    "ltrim",
    "nullif",
    "pow",
    "power",
    "replace",
    "round",
    "rtrim",
    "split_part",
    "sqrt",
    "starts_with",
    "substr",
    "substring",
    "trim",
    "unnest",
    "upper",
    "cast",
];

/// The name of every function that is answered.
pub(crate) fn all() -> Vec<&'static str> {
    [&AGGREGATES[..], &WINDOW_FUNCTIONS, &OF_ROWS].concat()
}

/// The aggregate of a name; a quantile without its share, which is an argument, has NaN.
pub(super) fn find_aggregate(name: &str) -> Option<AggregateFunction> {
    let spread =
        |is_of_sample, is_root| AggregateFunction::Spread(Spread { is_of_sample, is_root });
    Some(match name {
        "count" => AggregateFunction::Count,
        "sum" => AggregateFunction::Sum,
        "avg" | "mean" => AggregateFunction::Mean,
        "min" => AggregateFunction::Min,
        "max" => AggregateFunction::Max,
        "median" => AggregateFunction::Quantile(0.5),
        "quantile_cont" => AggregateFunction::Quantile(f64::NAN),
        "stddev" | "stddev_samp" => spread(true, true),
        "stddev_pop" => spread(false, true),
        "variance" | "var_samp" => spread(true, false),
        "var_pop" => spread(false, false),
        "mode" => AggregateFunction::Mode,
        "string_agg" => AggregateFunction::Joined(",".to_owned()),
        "corr" => AggregateFunction::Correlation,
        _ => return None,
    })
}

/// A whole number is rounded to itself.
pub(super) fn rounded(value: &Typed, digits: i32, text: &Expr) -> Result<Typed, Error> {
    match value.kind {
        Kind::Int => Ok(Typed::call(Function::Round(digits), vec![value.clone()], Kind::Int)),
        _ => super::expression::of_number(Function::Round(digits), value.clone(), text),
    }
}

/// The kind of a list's items.
fn item(list: &Typed) -> Option<Kind> {
    match &list.kind {
        Kind::Other(DataType::List(item) | DataType::LargeList(item)) => {
            Some(Kind::of(item.data_type()))
        }
        _ => None,
    }
}

/// The number of items of a list.
pub(super) fn list_length(list: Typed, text: &Expr) -> Result<Typed, Error> {
    match item(&list) {
        Some(_) => Ok(Typed::call(Function::ListLength, vec![list], Kind::Int)),
        None => Err(Error::refused(text, format!("its argument is {}", list.kind))),
    }
}

/// A row for each item of a list.
pub(super) fn unnest(list: Typed, text: &Expr) -> Result<Typed, Error> {
    match item(&list) {
        Some(kind) => Ok(Typed { kind, node: Node::Unnest(Box::new(list)) }),
        None => {
            Err(Error::refused(text, format!("its argument is {}, expected a list", list.kind)))
        }
    }
}
