//! How a table's columns are declared, and their description as JSON.

use crate::TableSpec;
use arrow::datatypes::{DataType, Field, Schema};
use serde_json::{Value, json};
use std::sync::Arc;

/// Key of a column's description in its Arrow metadata.
const DESCRIPTION: &str = "description";

/// A column that is never null.
pub fn column(name: &str, data_type: DataType, description: &str) -> Field {
    let mut field = Field::new(name, data_type, false);
    field.metadata_mut().insert(DESCRIPTION.to_owned(), description.to_owned());
    field
}

/// A column that is null where the value is unknown or undefined.
pub fn nullable(name: &str, data_type: DataType, description: &str) -> Field {
    column(name, data_type, description).with_nullable(true)
}

/// A list whose items are never null.
pub fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, false)))
}

/// A list of exactly `n` items, none null.
pub fn fixed_list(item: DataType, n: i32) -> DataType {
    DataType::FixedSizeList(Arc::new(Field::new("item", item, false)), n)
}

/// Two or three columns that differ in their axis: `{prefix}{axis}{suffix}`.
pub fn axes(
    prefix: &str,
    axes: &[&str],
    suffix: &str,
    data_type: &DataType,
    description: &str,
) -> Vec<Field> {
    axes.iter()
        .map(|axis| {
            let text = format!("{description}, along {axis}");
            column(&format!("{prefix}{axis}{suffix}"), data_type.clone(), &text)
        })
        .collect()
}

/// [`axes`], nullable.
pub fn nullable_axes(
    prefix: &str,
    names: &[&str],
    suffix: &str,
    data_type: &DataType,
    description: &str,
) -> Vec<Field> {
    axes(prefix, names, suffix, data_type, description)
        .into_iter()
        .map(|field| field.with_nullable(true))
        .collect()
}

/// The JSON that `schemas/<table>.json` holds.
pub fn describe(table: &TableSpec) -> Value {
    let schema = (table.schema)();
    let mut description = json!({
        "table": table.name,
        "row": table.row_description,
        "schema_version": table.schema_version,
        "columns": columns(&schema),
    });
    if let Some(column) = table.partition_column {
        description["partitioned_by"] = json!(column);
    }
    description
}

fn columns(schema: &Schema) -> Vec<Value> {
    schema
        .fields()
        .iter()
        .map(|field| {
            json!({
                "name": field.name(),
                "type": type_name(field.data_type()),
                "nullable": field.is_nullable(),
                "description": field.metadata().get(DESCRIPTION),
            })
        })
        .collect()
}

/// An Arrow type as analysts write it.
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::List(item) => format!("list<{}>", type_name(item.data_type())),
        DataType::FixedSizeList(item, n) => format!("list<{}>[{n}]", type_name(item.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|f| format!("{}: {}", f.name(), type_name(f.data_type())))
                .collect();
            format!("struct<{}>", fields.join(", "))
        }
        DataType::Utf8 => "string".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        other => other.to_string().to_lowercase(),
    }
}
