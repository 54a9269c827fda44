//! A question and its answer.

use crate::from_polars::to_batch;
use crate::question;
use crate::scan::{FileFailure, scan};
use crate::{Error, Table};
use arrow::array::RecordBatch;
use polars::error::PolarsError;
use polars::prelude::LazyFrame;
use polars::sql::{SQLContext, extract_table_identifiers, keywords};
use sqlparser::ast::Statement;
use std::sync::PoisonError;

/// The answer to a question in polars' dialect of SQL.
///
/// Text, bytes and lists of the answer have 64-bit offsets. A type without an Arrow counterpart here (an interval, a
/// 128-bit integer) comes as text.
///
/// # Errors
///
/// Fails if the question is not SQL, would change tables, names a table, column or function that is not there, or a file
/// cannot be read.
pub fn query(question: &str, tables: &[Table]) -> Result<RecordBatch, Error> {
    let statements = question::statements(question);
    if let Some(statements) = &statements {
        question::check(statements)?;
    }
    let failure = FileFailure::default();
    let mut context = SQLContext::new();
    for table in tables {
        // A table whose name does not occur is not opened; SHOW TABLES lists it all the same.
        let frame = if question.contains(&table.name) {
            scan(table, &failure)?
        } else {
            LazyFrame::default()
        };
        context.register(&table.name, frame);
    }
    let answer = context.execute(question).and_then(LazyFrame::collect);
    if let Some(error) = failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(error);
    }
    match answer {
        Ok(answer) => Ok(to_batch(&answer)?),
        Err(error) => Err(explain(question, &statements.unwrap_or_default(), tables, &error)),
    }
}

/// The names of the tables that a question reads, sorted, those of its own subqueries among them; none where it is not SQL.
pub fn tables_in(question: &str) -> Vec<String> {
    let mut names = extract_table_identifiers(question, false, true).unwrap_or_default();
    names.sort();
    names
}

/// What is wrong with a question.
fn explain(
    question: &str,
    statements: &[Statement],
    tables: &[Table],
    error: &PolarsError,
) -> Error {
    let mut problem = error;
    while let PolarsError::Context { error, .. } | PolarsError::ExprContext { error, .. } = problem
    {
        problem = error;
    }
    let text = problem.to_string();
    let text = text.lines().next().unwrap_or_default();
    let is_table = text.contains("relation") && text.contains("not found");
    let is_column =
        matches!(problem, PolarsError::ColumnNotFound(_) | PolarsError::SchemaFieldNotFound(_))
            || text.contains("no column named");
    match quoted(text) {
        Some(name) if is_table => Error::UnknownTable { name },
        Some(name) if is_column => {
            let named = extract_table_identifiers(question, false, true).unwrap_or_default();
            let tables = tables.iter().filter(|table| named.contains(&table.name));
            let columns = |table: &Table| {
                let schema = table.schema()?;
                let names = schema.fields().iter().map(|field| field.name().clone());
                Ok::<_, Error>((table.name.clone(), names.collect()))
            };
            Error::UnknownColumn {
                name,
                tables: tables.map(columns).filter_map(Result::ok).collect(),
            }
        }
        Some(name) if text.contains("unsupported function") => {
            Error::UnknownFunction { name, functions: keywords::all_functions() }
        }
        Some(name) if matches!(problem, PolarsError::Duplicate(_)) => Error::Question(format!(
            "two columns of the answer are named `{name}`; name one of them otherwise, as in `{name} AS other`"
        )),
        _ => Error::Question(match question::dumped(statements, text) {
            Some(part) if part.contains("EXISTS") => {
                format!("`{part}` is not supported by polars' SQL; use IN (SELECT …) or a JOIN")
            }
            Some(part) => format!("`{part}` is not supported by polars' SQL (docs/query.md)"),
            None => plain(text),
        }),
    }
}

/// A message of polars in the words of a question: without syntax trees, and types by their plain names.
fn plain(text: &str) -> String {
    if let Some(syntax) = text.strip_prefix("sql parser error: ") {
        return format!("the question is not SQL: {syntax}");
    }
    if text == "unexpected subquery" {
        return "a subquery may stand in FROM, WITH and IN only; compute its value in WITH"
            .to_owned();
    }
    // A syntax tree starts with a name and a brace, and ends the message.
    let text = text.split(" {").next().unwrap_or_default();
    let text = text.split("; found:").next().unwrap_or_default().trim_end_matches([':', ' ']);
    let text = text.replace("dyn int", "i64").replace("dyn float", "f64");
    let mut plain = String::new();
    for word in text.split_inclusive(|c: char| !c.is_alphanumeric() && c != '_') {
        let name = word.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '_');
        plain.push_str(match name {
            "i8" | "i16" | "i32" | "i64" | "i128" | "u8" | "u16" | "u32" | "u64" | "Int8"
            | "Int16" | "Int32" | "Int64" | "UInt8" | "UInt16" | "UInt32" | "UInt64" => {
                "whole number"
            }
            "f32" | "f64" | "Float32" | "Float64" => "number",
            "str" | "String" | "string" => "text",
            "bool" | "Boolean" => "true or false",
            "dtype" => "type",
            "dtypes" => "types",
            "series" => "column",
            "DataFrame" => "table",
            "lhs" => "left",
            "rhs" => "right",
            name => name,
        });
        plain.push_str(&word[name.len()..]);
    }
    plain
}

/// The first text in quotes, which is what polars' messages name.
fn quoted(text: &str) -> Option<String> {
    let start = text.find(['"', '\''])?;
    let rest = &text[start + 1..];
    let end = rest.find(text[start..].chars().next()?)?;
    Some(rest[..end].to_owned())
}
