//! SQL over tables of Parquet files.
//!
//! A question is either answered as DuckDB answers it, or refused: the language is small, every part of it is compared with
//! DuckDB by a test of generated questions, and what is not a part of it is refused by name. The order of work is
//! [`query`]: text, statement, names and kinds, rows.
//!
//! Only the columns that a question names are read, and, of a single table, only the row groups and pages with rows that
//! its conditions select. The answer is an Arrow batch.
//!
//! ```
//! use arrow::array::{AsArray as _, Float64Array, RecordBatch, StringArray};
//! use arrow::datatypes::Float64Type;
//! use nodulus_sql::{Table, query};
//! use parquet::arrow::ArrowWriter;
//! use std::fs::File;
//! use std::sync::Arc;
//!
//! # let folder = tempfile::tempdir()?;
//! let nodules = RecordBatch::try_from_iter([
//!     ("patient", Arc::new(StringArray::from(vec!["a", "b", "a"])) as _),
//!     ("diameter_mm", Arc::new(Float64Array::from(vec![4.0, 9.0, 6.0])) as _),
//! ])?;
//! let file = folder.path().join("nodules.parquet");
//! let mut writer = ArrowWriter::try_new(File::create(&file)?, nodules.schema(), None)?;
//! writer.write(&nodules)?;
//! writer.close()?;
//!
//! let table = Table { name: "nodules".to_owned(), files: vec![file], partition_column: None };
//! let answer = query("SELECT max(diameter_mm) AS largest FROM nodules WHERE patient = 'a'", &[table])?;
//! assert_eq!(answer["largest"].as_primitive::<Float64Type>().values(), &[6.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod table;
mod statement;
mod kind;
mod typed;
mod scope;
mod bind;
mod scan;
mod part;
mod lower;
mod query;

pub use error::{Error, ReadError};
pub use query::{query, tables_in};
pub use table::Table;

/// The name of every function that is answered.
pub fn functions() -> Vec<&'static str> {
    bind::functions::all()
}

#[cfg(test)]
mod tests;
