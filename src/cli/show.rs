//! `nodulus show`.

use super::error::{Error, Outcome};
use super::first_rows::{Filter, FilterValue, read};
use super::numbers;
use super::outdated;
use super::printable::printable;
use super::rows::RowFormat;
use super::unknown_name::unknown_name;
use crate::pipeline::outdated::outdated_among;
use crate::tables::{Output, Table};
use arrow::datatypes::DataType;
use clap::Args;
use nodulus_store::Store;
use std::io::{self, Write};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    /// Table
    table: String,
    /// Folder of the store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Show only rows with this value in a column; repeatable
    #[arg(long = "where", value_name = "COLUMN=VALUE")]
    filters: Vec<String>,
    /// Columns, separated by commas; default: all but those of pixels
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    columns: Vec<String>,
    /// Most rows to show
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = numbers::whole::<u32>(0, 1_000_000_000))]
    rows: u32,
    /// Print JSON, one row on each line
    #[arg(long)]
    json: bool,
}

/// Prints the first rows of a table.
pub(super) fn show(arguments: &ShowArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    let table = super::tables::table(&arguments.table)?;
    let columns = columns(table, &arguments.columns)?;
    let filters =
        arguments.filters.iter().map(|text| filter(table, text)).collect::<Result<Vec<_>, _>>()?;
    let store = Store::open(&arguments.store)?;
    let files = store.table_files(table)?.ok_or_else(|| nodulus_store::Error::NotMade {
        output: table.name(),
        store: store.root().to_owned(),
    })?;
    outdated::check_files(&store, &[Output::Table(table)])?;
    outdated::warn(outdated_among(&store, &[Output::Table(table)])?);
    let partition = table.spec().partition_column;
    let rows = read(&files.files, partition, &columns, &filters, arguments.rows as usize)?;
    if rows.is_empty() && !filters.is_empty() && arguments.rows > 0 {
        let conditions: Vec<_> =
            arguments.filters.iter().map(|filter| format!("`{filter}`")).collect();
        let conditions = conditions.join(" and ");
        // Not on standard output, which programs read.
        let text = format!("no row of `{table}` has {conditions}");
        let _ = writeln!(io::stderr(), "{}", printable(&text));
    } else {
        rows.write(if arguments.json { RowFormat::Json } else { RowFormat::Table }, out)?;
    }
    Ok(Outcome::Success)
}

/// The columns that were asked for, or all but those of pixels.
fn columns(table: Table, names: &[String]) -> Result<Vec<String>, Error> {
    if names.is_empty() {
        let pixels = table.spec().pixel_columns;
        let mut names = column_names(table);
        names.retain(|name| !pixels.contains(&name.as_str()));
        return Ok(names);
    }
    let existing = column_names(table);
    match names.iter().find(|name| !existing.contains(name)) {
        Some(name) => Err(unknown_column(table, name)),
        None => Ok(names.to_vec()),
    }
}

fn filter(table: Table, text: &str) -> Result<Filter, Error> {
    let Some((name, value)) = text.split_once('=') else {
        let message = format!(
            "`--where {text}` is not a column and a value, as in `--where patient_id=LIDC-IDRI-0001`"
        );
        return Err(Error::Usage(message));
    };
    let is_text = FilterValue::Text(value.to_owned());
    if table.spec().partition_column == Some(name) {
        return Ok(Filter { column: name.to_owned(), value: is_text });
    }
    let schema = table.schema();
    let field = schema.field_with_name(name).map_err(|_| unknown_column(table, name))?;
    let wrong = |kind: &str, example: &str| {
        let message = format!(
            "`--where {text}`: `{name}` holds {kind}, expected one as in `--where {name}={example}`"
        );
        Error::Usage(message)
    };
    let value = match field.data_type() {
        DataType::Utf8 => is_text,
        DataType::Int64 => {
            FilterValue::Whole(value.parse().map_err(|_| wrong("whole numbers", "3"))?)
        }
        DataType::Float64 => FilterValue::Real(value.parse().map_err(|_| wrong("numbers", "2.5"))?),
        DataType::Boolean => {
            FilterValue::Boolean(value.parse().map_err(|_| wrong("true or false", "true"))?)
        }
        other => {
            let kind = match other {
                DataType::Binary => "bytes",
                _ => "lists",
            };
            let message = format!(
                "`--where {text}`: `{name}` holds {kind}, expected a column of text, numbers, or true and false"
            );
            return Err(Error::Usage(message));
        }
    };
    Ok(Filter { column: name.to_owned(), value })
}

fn column_names(table: Table) -> Vec<String> {
    let schema = table.schema();
    let names = schema.fields().iter().map(|field| field.name().clone());
    names.chain(table.spec().partition_column.map(str::to_owned)).collect()
}

fn unknown_column(table: Table, name: &str) -> Error {
    let names = column_names(table);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Error::Usage(format!("`{table}`: {}", unknown_name("column", name, &names)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(filter_text: &str) -> String {
        filter(Table::Nodules, filter_text).err().unwrap().to_string()
    }

    #[test]
    fn a_wrong_value_names_the_column_its_kind_and_an_example() {
        assert_eq!(
            message("n_marks=many"),
            "`--where n_marks=many`: `n_marks` holds whole numbers, expected one as in `--where n_marks=3`"
        );
        assert!(
            message("diameter_mm=x")
                .contains("holds numbers, expected one as in `--where diameter_mm=2.5`")
        );
        assert!(message("mask_bits=1").contains("holds bytes, expected a column of text"));
        assert!(message("mark_ids=1").contains("holds lists, expected a column of text"));
        assert!(message("n_marks").contains("is not a column and a value, as in"));
    }

    #[test]
    fn a_mistyped_column_comes_with_near_ones() {
        assert_eq!(
            message("n_mark=1"),
            "`nodules`: there is no column `n_mark`: did you mean `n_marks`?"
        );
        let error = columns(Table::Scores, &["scored_in".to_owned()]).unwrap_err().to_string();
        assert_eq!(error, "`scores`: there is no column `scored_in`: did you mean `scored_on`?");
    }
}
