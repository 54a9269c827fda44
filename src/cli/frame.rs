//! Tables of a store as polars has them, and their rows as people and programs read them.

use super::{Error, format};
use crate::tables::Table;
use crate::tables::partitions::TableFiles;
use polars::prelude::{AnyValue, DataFrame, LazyFrame, Series};
use serde_json::{Map, Value, json};
use std::io::Write;

/// More columns than these are shown one below the other.
const MOST_COLUMNS_ABREAST: usize = 8;

/// A table's rows, not yet read.
pub(super) fn scan(table: Table, _files: &TableFiles) -> Result<LazyFrame, Error> {
    // Until `nodulus-sql` reads parts for polars.
    Err(Error::Usage(format!("`{table}` cannot be read by polars in this build")))
}

/// The columns' names, and the values of each row.
pub(super) struct Rows {
    names: Vec<String>,
    records: Vec<Vec<Value>>,
}

impl Rows {
    pub(super) fn of(frame: &DataFrame) -> Result<Self, Error> {
        let names = frame.get_column_names().iter().map(ToString::to_string).collect();
        let mut records = Vec::with_capacity(frame.height());
        for row in 0..frame.height() {
            let mut record = Vec::with_capacity(frame.width());
            for column in frame.columns() {
                record.push(json_value(&column.get(row)?));
            }
            records.push(record);
        }
        Ok(Self { names, records })
    }

    /// Aligned columns, or one below the other where they are many.
    pub(super) fn write_table(&self, out: &mut dyn Write) -> Result<(), Error> {
        if self.names.len() > MOST_COLUMNS_ABREAST {
            let all = self.records.iter().enumerate().flat_map(|(n, record)| {
                let head = vec![format!("row {}", n + 1), String::new()];
                let fields = self
                    .names
                    .iter()
                    .zip(record)
                    .map(|(name, value)| vec![format!("  {name}"), text(value)]);
                std::iter::once(head).chain(fields)
            });
            writeln!(out, "{}", format::table(&["column", "value"], all))?;
        } else {
            let head: Vec<&str> = self.names.iter().map(String::as_str).collect();
            let rows = self.records.iter().map(|record| record.iter().map(text).collect());
            writeln!(out, "{}", format::table(&head, rows))?;
        }
        Ok(())
    }

    /// A JSON object a line.
    pub(super) fn write_json(&self, out: &mut dyn Write) -> Result<(), Error> {
        for record in &self.records {
            let fields = self.names.iter().cloned().zip(record.iter().cloned());
            let object: Map<String, Value> = fields.collect();
            serde_json::to_writer(&mut *out, &object)?;
            writeln!(out)?;
        }
        Ok(())
    }

    /// A line of names, then a line a row; null is empty, a list is JSON.
    pub(super) fn write_csv(&self, out: &mut dyn Write) -> Result<(), Error> {
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(&self.names).map_err(std::io::Error::from)?;
        for record in &self.records {
            let fields = record.iter().map(|value| match value {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            csv.write_record(fields).map_err(std::io::Error::from)?;
        }
        csv.flush()?;
        Ok(())
    }
}

fn json_value(value: &AnyValue<'_>) -> Value {
    let list =
        |items: &Series| items.iter().map(|item| json_value(&item)).collect::<Vec<_>>().into();
    match value {
        AnyValue::Null => Value::Null,
        AnyValue::Boolean(v) => json!(v),
        AnyValue::UInt8(v) => json!(v),
        AnyValue::UInt16(v) => json!(v),
        AnyValue::UInt32(v) => json!(v),
        AnyValue::UInt64(v) => json!(v),
        AnyValue::Int8(v) => json!(v),
        AnyValue::Int16(v) => json!(v),
        AnyValue::Int32(v) => json!(v),
        AnyValue::Int64(v) => json!(v),
        AnyValue::Float32(v) => json!(v),
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

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::{Column, NamedFrom};

    fn written(write: impl Fn(&Rows, &mut dyn Write) -> Result<(), Error>) -> String {
        let counts = Column::from(Series::new("n".into(), [Some(3u32), None]));
        let names = Column::from(Series::new("name".into(), ["a, b", "c"]));
        let values = Column::from(Series::new("value".into(), [0.5, f64::NAN]));
        let frame = DataFrame::new(2, vec![counts, names, values]).unwrap();
        let mut out = Vec::new();
        write(&Rows::of(&frame).unwrap(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_stay_numbers_and_null_is_null() {
        assert_eq!(
            written(|rows, out| rows.write_json(out)),
            "{\"n\":3,\"name\":\"a, b\",\"value\":0.5}\n{\"n\":null,\"name\":\"c\",\"value\":null}\n"
        );
        assert_eq!(written(|rows, out| rows.write_csv(out)), "n,name,value\n3,\"a, b\",0.5\n,c,\n");
        assert_eq!(
            written(|rows, out| rows.write_table(out)),
            "n     name  value\n3     a, b  0.5\nnull  c     null\n"
        );
    }
}
