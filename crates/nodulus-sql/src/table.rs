//! A table: its name, files and columns.

use crate::Error;
use crate::part::Part;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::path::PathBuf;
use std::sync::Arc;

/// A name, and Parquet files with the same columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Name in the question.
    pub name: String,
    /// The files, in the order of their rows; at least one.
    pub files: Vec<PathBuf>,
    /// Column that is not in the files: its value is what follows `=` in the name of a file's folder, as in
    /// `scored_on=2026-01-31/part-0.parquet`. It is text.
    pub partition_column: Option<String>,
}

impl Table {
    /// Columns of the first file, then the partition column.
    ///
    /// # Errors
    ///
    /// Fails if there is no file, or the first one is not Parquet.
    pub fn schema(&self) -> Result<SchemaRef, Error> {
        let Some(first) = self.files.first() else {
            return Err(Error::NoFiles { table: self.name.clone() });
        };
        let part = Part::open(first, None)?;
        let mut fields = part.schema().fields().to_vec();
        let partition = self.partition_column.as_ref();
        fields.extend(partition.map(|name| Arc::new(Field::new(name, DataType::Utf8, true))));
        Ok(Arc::new(Schema::new(fields)))
    }
}
