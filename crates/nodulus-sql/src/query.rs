//! A question and its answer.

use crate::from_polars::to_batch;
use crate::join_conditions::one_sided;
use crate::scan::{FileFailure, scan};
use crate::{Error, Table};
use arrow::array::RecordBatch;
use polars::error::PolarsError;
use polars::prelude::LazyFrame;
use polars::sql::{SQLContext, extract_table_identifiers};
use std::sync::PoisonError;

/// The answer to a question in polars' dialect of SQL.
///
/// Text, bytes and lists of the answer have 64-bit offsets. A type without an Arrow counterpart here (an interval, a
/// 128-bit integer) comes as text.
///
/// # Errors
///
/// Fails if the question is not SQL, names a table or column that is not there, or a file cannot be read.
pub fn query(question: &str, tables: &[Table]) -> Result<RecordBatch, Error> {
    if let Some(condition) = one_sided(question) {
        return Err(Error::OneSidedJoin { condition });
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
        Err(error) => Err(explain(question, tables, &error)),
    }
}

/// The names of the tables that a question reads, sorted, those of its own subqueries among them; none where it is not SQL.
pub fn tables_in(question: &str) -> Vec<String> {
    let mut names = extract_table_identifiers(question, false, true).unwrap_or_default();
    names.sort();
    names
}

/// What is wrong with a question.
fn explain(question: &str, tables: &[Table], error: &PolarsError) -> Error {
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
        _ => Error::Question(text.to_owned()),
    }
}

/// The first text in quotes, which is what polars' messages name.
fn quoted(text: &str) -> Option<String> {
    let start = text.find(['"', '\''])?;
    let rest = &text[start + 1..];
    let end = rest.find(text[start..].chars().next()?)?;
    Some(rest[..end].to_owned())
}
