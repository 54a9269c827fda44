//! What a table is: its name, its columns, and how its files are laid out.

use crate::Columns;
use arrow::datatypes::Schema;
use serde::{Serialize, de::DeserializeOwned};

/// Rows of a row group unless the table says otherwise.
const ROW_GROUP_ROWS: usize = 65_536;

/// A table, declared once as a constant; the store works from this value alone.
#[derive(Debug)]
pub struct TableSpec {
    /// Name of the table and of its folder.
    pub name: &'static str,
    /// What one row stands for.
    pub row_description: &'static str,
    /// Raised when a column is added, removed or changes meaning.
    pub schema_version: u32,
    /// The columns, with their descriptions.
    pub schema: fn() -> Schema,
    /// The column that folders stand for, `STORE/TABLE/COLUMN=VALUE/`. Readers of Hive's layout add it;
    /// the files do not have it.
    pub partition_column: Option<&'static str>,
    /// Columns that tell of the run rather than of the data: seconds, and where files lay. Content hashes ignore
    /// them, so that a key depends neither on the speed of the machine nor on the names of folders.
    pub volatile_columns: &'static [&'static str],
    /// Columns of pixels, which are compressed by zstd and have no statistics and no dictionary; other columns are
    /// compressed by Snappy.
    pub pixel_columns: &'static [&'static str],
    /// Columns that are stored uncompressed.
    pub uncompressed_columns: &'static [&'static str],
    /// Columns that people look rows up by; they have bloom filters.
    pub id_columns: &'static [&'static str],
    /// Most rows of a row group.
    pub row_group_rows: usize,
}

impl TableSpec {
    /// A table of version 1 without special columns, with the columns of `R`; other fields are set by struct
    /// update.
    pub const fn new<R: Columns>(name: &'static str, row_description: &'static str) -> Self {
        Self {
            name,
            row_description,
            schema_version: 1,
            schema: || Schema::new(R::columns()),
            partition_column: None,
            volatile_columns: &[],
            pixel_columns: &[],
            uncompressed_columns: &[],
            id_columns: &[],
            row_group_rows: ROW_GROUP_ROWS,
        }
    }
}

/// The row type of a table; its field names are the table's column names.
pub trait Row: Columns + Serialize + DeserializeOwned + 'static {
    /// The table that these rows make up.
    const TABLE: &'static TableSpec;
}
