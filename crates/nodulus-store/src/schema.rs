//! A table's columns described as JSON.

use crate::TableSpec;
use crate::columns::DESCRIPTION;
use arrow::datatypes::{DataType, Schema};
use serde_json::{Value, json};

/// Name, row, version and columns of a table as JSON: the content of `schemas/TABLE.json`.
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

/// The name of an Arrow type for analysts.
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
