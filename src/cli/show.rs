//! `nodulus show`.

use super::arguments::ShowArguments;
use super::{Ending, Error, format};
use crate::tables::store::Store;
use crate::tables::{Output, Table};
use arrow::datatypes::DataType;
use polars::prelude::{AnyValue, Expr, LazyFrame, PlRefPath, ScanArgsParquet, Series, col, lit};
use serde_json::{Map, Value, json};
use std::io::Write;

/// More columns than these are shown one below the other.
const MOST_COLUMNS_ABREAST: usize = 8;

pub(super) fn show(arguments: &ShowArguments, out: &mut dyn Write) -> Result<Ending, Error> {
    let table = super::tables::table(&arguments.table)?;
    let columns = columns(table, &arguments.columns)?;
    let filters = arguments
        .filters
        .iter()
        .map(|filter| predicate(table, filter))
        .collect::<Result<Vec<_>, _>>()?;
    let version = Store::open(&arguments.store)?.require(Output::Table(table))?;
    let files =
        version.files().iter().map(|f| PlRefPath::try_from_path(f)).collect::<Result<_, _>>()?;
    let mut rows = LazyFrame::scan_parquet_files(files, ScanArgsParquet::default())?;
    for filter in filters {
        rows = rows.filter(filter);
    }
    let selected: Vec<Expr> = columns.iter().map(|name| col(name.as_str())).collect();
    let frame = rows.select(selected).limit(arguments.rows).collect()?;
    let mut records = Vec::with_capacity(frame.height());
    for row in 0..frame.height() {
        let mut record = Vec::with_capacity(columns.len());
        for column in frame.columns() {
            record.push(json_value(&column.get(row)?));
        }
        records.push(record);
    }
    if arguments.json {
        for record in records {
            let object: Map<String, Value> = columns.iter().cloned().zip(record).collect();
            serde_json::to_writer(&mut *out, &object)?;
            writeln!(out)?;
        }
    } else if columns.len() > MOST_COLUMNS_ABREAST {
        let all = records.iter().enumerate().flat_map(|(n, record)| {
            let head = vec![format!("row {}", n + 1), String::new()];
            let fields = columns
                .iter()
                .zip(record)
                .map(|(name, value)| vec![format!("  {name}"), text(value)]);
            std::iter::once(head).chain(fields)
        });
        writeln!(out, "{}", format::table(&["column", "value"], all))?;
    } else {
        let head: Vec<&str> = columns.iter().map(String::as_str).collect();
        let rows = records.iter().map(|record| record.iter().map(text).collect());
        writeln!(out, "{}", format::table(&head, rows))?;
    }
    Ok(Ending::Well)
}

/// The columns asked for, or all but those of pixels.
fn columns(table: Table, asked: &[String]) -> Result<Vec<String>, Error> {
    let schema = table.schema();
    if asked.is_empty() {
        let names = schema.fields().iter().map(|field| field.name().clone());
        return Ok(names.filter(|name| !table.pixel_columns().contains(&name.as_str())).collect());
    }
    for name in asked {
        if schema.field_with_name(name).is_err() {
            return Err(unknown_column(table, name));
        }
    }
    Ok(asked.to_vec())
}

fn predicate(table: Table, filter: &str) -> Result<Expr, Error> {
    let (name, value) = filter.split_once('=').ok_or_else(|| {
        Error::Usage(format!("`--where {filter}` is not of the form COLUMN=VALUE"))
    })?;
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
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    Error::Usage(format!("`{table}` has no column `{name}`; it has: {}", names.join(", ")))
}

fn json_value(value: &AnyValue<'_>) -> Value {
    let list =
        |items: &Series| items.iter().map(|item| json_value(&item)).collect::<Vec<_>>().into();
    match value {
        AnyValue::Null => Value::Null,
        AnyValue::Boolean(v) => json!(v),
        AnyValue::Int64(v) => json!(v),
        AnyValue::Float64(v) => json!(v),
        AnyValue::String(v) => json!(v),
        AnyValue::StringOwned(v) => json!(v.as_str()),
        AnyValue::List(items) | AnyValue::Array(items, _) => list(items),
        AnyValue::Binary(bytes) => json!(format!("{} bytes", bytes.len())),
        AnyValue::BinaryOwned(bytes) => json!(format!("{} bytes", bytes.len())),
        other => json!(other.to_string()),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::String(text) => text.clone(),
        other => {
            let text = other.to_string();
            if text.chars().count() > 80 {
                text.chars().take(77).chain("...".chars()).collect()
            } else {
                text
            }
        }
    }
}
