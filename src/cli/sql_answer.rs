//! Answers to questions in SQL over the tables of a store.

use super::error::Error;
use super::outdated;
use super::tables::view;
use super::unknown_name::unknown_name;
use crate::near_names::did_you_mean;
use crate::pipeline::outdated::unlike;
use crate::tables::{Output, Table};
use arrow::array::RecordBatch;
use nodulus_store::Store;

/// The answer to a question.
pub(super) fn answer(question: &str, store: &Store) -> Result<RecordBatch, Error> {
    let named = nodulus_sql::tables_in(question);
    // The records of other tables do not matter; a question that names none may ask for the list.
    let is_needed = |table: &Table| named.is_empty() || named.iter().any(|n| n == table.name());
    let mut tables = Vec::new();
    for table in Table::ALL.into_iter().filter(is_needed) {
        if let Some(files) = store.table_files(table)? {
            tables.push(nodulus_sql::Table {
                name: table.name().to_owned(),
                files: files.files,
                partition_column: table.spec().partition_column.map(str::to_owned),
            });
        }
    }
    let named: Vec<Output> = named.iter().filter_map(|name| Output::from_name(name)).collect();
    outdated::check_files(store, &named)?;
    outdated::warn(unlike(store, &named)?);
    match nodulus_sql::query(question, &tables) {
        Ok(answer) => Ok(answer),
        Err(error) => Err(explain(error, question, store)?),
    }
}

/// The error, with near or existing names where the question has an unknown one, and with the way to ask DuckDB where it is
/// refused.
fn explain(error: nodulus_sql::Error, question: &str, store: &Store) -> Result<Error, Error> {
    Ok(match error {
        nodulus_sql::Error::Refused { .. } => Error::Usage(format!(
            "{error}; docs/query.md lists what is answered; DuckDB answers more:\n{}",
            in_duckdb(question, store)?
        )),
        nodulus_sql::Error::UnknownTable { name } => {
            if let Some(table) = Table::from_name(&name.to_lowercase()) {
                let (output, store) = (table.name(), store.root().to_owned());
                return Ok(nodulus_store::Error::NotMade { output, store }.into());
            }
            let is_there = |table: &Table| store.table_files(*table).is_ok_and(|f| f.is_some());
            let names: Vec<&str> =
                Table::ALL.iter().filter(|t| is_there(t)).map(|t| t.name()).collect();
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
            let rest =
                if near.is_empty() { "; docs/query.md lists those there are" } else { &near };
            Error::Usage(format!(
                "there is no function `{name}`{rest}; DuckDB has more:\n{}",
                in_duckdb(question, store)?
            ))
        }
        nodulus_sql::Error::Question(_) | nodulus_sql::Error::Write { .. } => {
            Error::Usage(error.to_string())
        }
        error => error.into(),
    })
}

/// The line that asks DuckDB the same question.
fn in_duckdb(question: &str, store: &Store) -> Result<String, Error> {
    let mut sql = String::new();
    for name in nodulus_sql::tables_in(question) {
        let Some(table) = Table::from_name(&name) else { continue };
        if let Some(files) = store.table_files(table)? {
            sql += &view(store.root(), table, &files.glob);
            sql.push(' ');
        }
    }
    sql += question.trim();
    // In double quotes, a shell leaves all other signs as they are.
    for sign in ['\\', '"', '$', '`'] {
        sql = sql.replace(sign, &format!("\\{sign}"));
    }
    Ok(format!("duckdb -c \"{sql}\""))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_on_sql_names_every_function() {
        let page = include_str!("../../docs/query.md");
        for name in nodulus_sql::functions() {
            assert!(page.contains(&format!("`{name}`")), "docs/query.md lacks `{name}`");
        }
    }
}
