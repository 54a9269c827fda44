//! `nodulus show`.

use super::arguments::ShowArguments;
use super::frame::{self, Rows};
use super::{Ending, Error};
use crate::tables::store::{self, Store};
use crate::tables::{Output, Table};
use arrow::datatypes::DataType;
use polars::prelude::{Expr, col, lit};
use std::io::Write;

pub(super) fn show(arguments: &ShowArguments, out: &mut dyn Write) -> Result<Ending, Error> {
    let table = super::tables::table(&arguments.table)?;
    let columns = columns(table, &arguments.columns)?;
    let filters = arguments
        .filters
        .iter()
        .map(|filter| predicate(table, filter))
        .collect::<Result<Vec<_>, _>>()?;
    let store = Store::open(&arguments.store)?;
    let files = store.table_files(table)?.ok_or_else(|| store::Error::NotMade {
        output: Output::Table(table),
        store: store.root().to_owned(),
    })?;
    let mut rows = frame::scan(table, &files)?;
    for filter in filters {
        rows = rows.filter(filter);
    }
    let selected: Vec<Expr> = columns.iter().map(|name| col(name.as_str())).collect();
    let frame = rows.select(selected).limit(arguments.rows).collect()?;
    let rows = Rows::of(&frame)?;
    if arguments.json {
        rows.write_json(out)?;
    } else {
        rows.write_table(out)?;
    }
    Ok(Ending::Well)
}

/// The columns asked for, or all but those of pixels.
fn columns(table: Table, asked: &[String]) -> Result<Vec<String>, Error> {
    let schema = table.schema();
    if asked.is_empty() {
        let names = schema.fields().iter().map(|field| field.name().clone());
        let names = names.chain(table.partition_column().map(str::to_owned));
        return Ok(names.filter(|name| !table.pixel_columns().contains(&name.as_str())).collect());
    }
    for name in asked {
        let is_partition = table.partition_column() == Some(name.as_str());
        if schema.field_with_name(name).is_err() && !is_partition {
            return Err(unknown_column(table, name));
        }
    }
    Ok(asked.to_vec())
}

fn predicate(table: Table, filter: &str) -> Result<Expr, Error> {
    let (name, value) = filter.split_once('=').ok_or_else(|| {
        Error::Usage(format!("`--where {filter}` is not of the form COLUMN=VALUE"))
    })?;
    if table.partition_column() == Some(name) {
        return Ok(col(name).cast(polars::prelude::DataType::String).eq(lit(value)));
    }
    let schema = table.schema();
    let field = schema.field_with_name(name).map_err(|_| unknown_column(table, name))?;
    let wrong = |kind| Error::Usage(format!("`--where {filter}`: `{name}` is {kind}"));
    Ok(col(name).eq(match field.data_type() {
        DataType::Utf8 => lit(value),
        DataType::Int64 => lit(value.parse::<i64>().map_err(|_| wrong("an integer"))?),
        DataType::Float64 => lit(value.parse::<f64>().map_err(|_| wrong("a number"))?),
        DataType::Boolean => lit(value.parse::<bool>().map_err(|_| wrong("true or false"))?),
        _ => return Err(wrong("no plain value")),
    }))
}

fn unknown_column(table: Table, name: &str) -> Error {
    let schema = table.schema();
    let names = schema.fields().iter().map(|field| field.name().as_str());
    let names: Vec<&str> = names.chain(table.partition_column()).collect();
    Error::Usage(format!("`{table}` has no column `{name}`; it has: {}", names.join(", ")))
}
