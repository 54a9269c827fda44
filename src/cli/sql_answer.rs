//! Answers to questions in SQL over the tables of a store.

use super::error::Error;
use super::outdated;
use super::unknown_name::unknown_name;
use crate::near_names::did_you_mean;
use crate::pipeline::outdated::unlike;
use crate::tables::{Output, Table};
use arrow::array::RecordBatch;
use nodulus_store::Store;

/// The answer to a question.
pub(super) fn answer(question: &str, store: &Store) -> Result<RecordBatch, Error> {
    let mut tables = Vec::new();
    for table in Table::ALL {
        if let Some(files) = store.table_files(table)? {
            tables.push(nodulus_sql::Table {
                name: table.name().to_owned(),
                files: files.files,
                partition_column: table.spec().partition_column.map(str::to_owned),
            });
        }
    }
    let named = nodulus_sql::tables_in(question);
    let named: Vec<Output> = named.iter().filter_map(|name| Output::from_name(name)).collect();
    outdated::check_files(store, &named)?;
    outdated::warn(unlike(store, &named)?);
    nodulus_sql::query(question, &tables).map_err(|error| explain(error, &tables, store))
}

/// The error, with near or existing names where the question has an unknown one.
fn explain(error: nodulus_sql::Error, tables: &[nodulus_sql::Table], store: &Store) -> Error {
    match error {
        nodulus_sql::Error::UnknownTable { name } => {
            if let Some(table) = Table::from_name(&name) {
                let output = table.name();
                return nodulus_store::Error::NotMade { output, store: store.root().to_owned() }
                    .into();
            }
            let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
            Error::Usage(unknown_name("table", &name, &names))
        }
        nodulus_sql::Error::UnknownColumn { name, tables } => {
            let names = tables.iter().flat_map(|(_, columns)| columns).map(String::as_str);
            let near = did_you_mean(&name, names);
            let columns = |(table, columns): &(String, Vec<String>)| {
                format!("; `{table}` has: {}", columns.join(", "))
            };
            let rest = if near.is_empty() { tables.iter().map(columns).collect() } else { near };
            Error::Usage(format!("there is no column `{name}`{rest}"))
        }
        nodulus_sql::Error::UnknownFunction { name, functions } => {
            let near = did_you_mean(&name, functions);
            let rest = if near.is_empty() { "; docs/query.md names the dialect" } else { &near };
            Error::Usage(format!("there is no function `{name}`{rest}"))
        }
        nodulus_sql::Error::Question(_)
        | nodulus_sql::Error::Write { .. }
        | nodulus_sql::Error::OneSidedJoin { .. } => Error::Usage(error.to_string()),
        error => error.into(),
    }
}
