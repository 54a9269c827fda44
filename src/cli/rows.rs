//! Rows of tables for people and programs: aligned columns, CSV and JSON.

use super::error::Error;
use super::format;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time64NanosecondType, TimeUnit, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::temporal_conversions::{date32_to_datetime, time64ns_to_time};
use serde_json::{Map, Value, json};
use std::io::Write;

/// Tables with more columns than this are printed with one column below the other.
const MAX_COLUMNS_ABREAST: usize = 8;
/// Longest text of a list or record, in characters; longer ones are cut.
const MAX_LIST_CHARS: usize = 80;

/// How rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowFormat {
    /// Aligned columns, or one column below the other where there are many.
    Table,
    /// A line of names, then a line for each row; null is empty, a list or record is JSON.
    Csv,
    /// A JSON object on each line.
    Json,
}

/// Names of the columns, and the values of each row.
pub(super) struct Rows {
    names: Vec<String>,
    records: Vec<Vec<Value>>,
}

impl Rows {
    /// No rows yet, of columns with these names.
    pub(super) const fn new(names: Vec<String>) -> Self {
        Self { names, records: Vec::new() }
    }

    /// The rows of a batch.
    pub(super) fn of(batch: &RecordBatch) -> Self {
        let names = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        let mut rows = Self::new(names);
        rows.append(batch.columns(), batch.num_rows());
        rows
    }

    /// Adds rows, given as a column for each name.
    pub(super) fn append(&mut self, columns: &[ArrayRef], n_rows: usize) {
        for row in 0..n_rows {
            self.records.push(columns.iter().map(|column| json_value(column, row)).collect());
        }
    }

    /// Names of the columns.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether there is no row.
    pub(super) const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Number of rows.
    pub(super) const fn len(&self) -> usize {
        self.records.len()
    }

    /// Writes the rows.
    pub(super) fn write(&self, format: RowFormat, out: &mut dyn Write) -> Result<(), Error> {
        match format {
            RowFormat::Table => self.write_table(out),
            RowFormat::Csv => self.write_csv(out),
            RowFormat::Json => self.write_json(out),
        }
    }

    fn write_table(&self, out: &mut dyn Write) -> Result<(), Error> {
        if self.names.len() > MAX_COLUMNS_ABREAST {
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

    fn write_json(&self, out: &mut dyn Write) -> Result<(), Error> {
        for record in &self.records {
            let fields = self.names.iter().cloned().zip(record.iter().cloned());
            let object: Map<String, Value> = fields.collect();
            serde_json::to_writer(&mut *out, &object)?;
            writeln!(out)?;
        }
        Ok(())
    }

    fn write_csv(&self, out: &mut dyn Write) -> Result<(), Error> {
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

/// One value as JSON; bytes are their number, and what JSON cannot hold is text: `Infinity`, `-Infinity` and `NaN`, as
/// programs that read text as a number know them.
fn json_value(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    let list = |items: &ArrayRef| (0..items.len()).map(|n| json_value(items, n)).collect();
    let real = |value: f64, number: Value| match value {
        _ if value.is_finite() => number,
        _ if value.is_nan() => json!("NaN"),
        _ => json!(if value > 0.0 { "Infinity" } else { "-Infinity" }),
    };
    let bytes = |bytes: &[u8]| json!(format!("{} bytes", bytes.len()));
    match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => json!(array.as_boolean().value(row)),
        DataType::Int8 => json!(array.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => json!(array.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => json!(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => json!(array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => json!(array.as_primitive::<UInt8Type>().value(row)),
        DataType::UInt16 => json!(array.as_primitive::<UInt16Type>().value(row)),
        DataType::UInt32 => json!(array.as_primitive::<UInt32Type>().value(row)),
        DataType::UInt64 => json!(array.as_primitive::<UInt64Type>().value(row)),
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            real(value.into(), json!(value))
        }
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            real(value, json!(value))
        }
        DataType::Utf8 => json!(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => json!(array.as_string::<i64>().value(row)),
        DataType::Binary => bytes(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => bytes(array.as_binary::<i64>().value(row)),
        DataType::List(_) => list(&array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => list(&array.as_fixed_size_list().value(row)),
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            let values =
                columns.map(|(field, values)| (field.name().clone(), json_value(values, row)));
            Value::Object(values.collect())
        }
        DataType::Date32 => {
            let date = date32_to_datetime(array.as_primitive::<Date32Type>().value(row));
            date.map_or(Value::Null, |date| json!(date.date().to_string()))
        }
        DataType::Time64(TimeUnit::Nanosecond) => {
            let time = time64ns_to_time(array.as_primitive::<Time64NanosecondType>().value(row));
            time.map_or(Value::Null, |time| json!(time.to_string()))
        }
        other => json!(format!("a value of type {other}")),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::String(text) => text.clone(),
        other => {
            let text = other.to_string();
            if text.chars().count() > MAX_LIST_CHARS {
                text.chars().take(MAX_LIST_CHARS - 3).chain("...".chars()).collect()
            } else {
                text
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float64Array, ListArray, StringArray, StructArray, UInt32Array};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::Field;
    use std::sync::Arc;

    fn written(format: RowFormat) -> String {
        let batch = RecordBatch::try_from_iter([
            ("n", Arc::new(UInt32Array::from(vec![Some(3), None])) as _),
            ("name", Arc::new(StringArray::from(vec!["a, b", "c"])) as _),
            ("value", Arc::new(Float64Array::from(vec![Some(0.5), None])) as _),
        ])
        .unwrap();
        let mut out = Vec::new();
        Rows::of(&batch).write(format, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_stay_numbers_and_null_is_null() {
        assert_eq!(
            written(RowFormat::Json),
            "{\"n\":3,\"name\":\"a, b\",\"value\":0.5}\n{\"n\":null,\"name\":\"c\",\"value\":null}\n"
        );
        assert_eq!(written(RowFormat::Csv), "n,name,value\n3,\"a, b\",0.5\n,c,\n");
        assert_eq!(
            written(RowFormat::Table),
            "n     name  value\n3     a, b  0.5\nnull  c     null\n"
        );
    }

    #[test]
    fn numbers_that_json_lacks_are_text_and_fields_keep_their_names() {
        let numbers = Float64Array::from(vec![f64::INFINITY, f64::NEG_INFINITY, f64::NAN]);
        let field = Arc::new(Field::new("z_mm", DataType::Float64, true));
        let records = StructArray::from(vec![(field, Arc::new(numbers) as ArrayRef)]);
        let item = Arc::new(Field::new("item", records.data_type().clone(), true));
        let lists =
            ListArray::new(item, OffsetBuffer::from_lengths([2, 1]), Arc::new(records), None);
        let batch = RecordBatch::try_from_iter([("contour", Arc::new(lists) as _)]).unwrap();
        let written = |format| {
            let mut out = Vec::new();
            Rows::of(&batch).write(format, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let (first, second) =
            (r#"[{"z_mm":"Infinity"},{"z_mm":"-Infinity"}]"#, r#"[{"z_mm":"NaN"}]"#);
        assert_eq!(
            written(RowFormat::Json),
            format!("{{\"contour\":{first}}}\n{{\"contour\":{second}}}\n")
        );
        let quoted = [first, second].map(|text| text.replace('"', "\"\""));
        assert_eq!(
            written(RowFormat::Csv),
            format!("contour\n\"{}\"\n\"{}\"\n", quoted[0], quoted[1])
        );
        assert_eq!(written(RowFormat::Table), format!("contour\n{first}\n{second}\n"));
    }
}
