//! Tables for the tests of this crate.

use crate::schema::{column, nullable};
use crate::{Row, TableSpec};
use arrow::datatypes::{DataType, Schema};
use serde::{Deserialize, Serialize};

/// A row of a table with pixels, an id and a volatile column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Slice {
    pub(crate) slice_id: String,
    pub(crate) index: i64,
    #[serde(with = "serde_bytes")]
    pub(crate) pixels: Vec<u8>,
    pub(crate) note: Option<String>,
    pub(crate) seconds: f64,
}

impl Slice {
    pub(crate) fn new(n: i64) -> Self {
        let note = (n % 2 == 1).then(|| "odd".to_owned());
        Self {
            slice_id: format!("s{n}"),
            index: n,
            pixels: vec![1, 0, 255, 255],
            note,
            seconds: 0.5,
        }
    }
}

impl Row for Slice {
    const TABLE: &'static TableSpec = &TableSpec {
        schema_version: 2,
        volatile_columns: &["seconds"],
        pixel_columns: &["pixels"],
        uncompressed_columns: &["pixels"],
        id_columns: &["slice_id"],
        row_group_rows: 128,
        ..TableSpec::new("slices", "a slice", slices)
    };
}

fn slices() -> Schema {
    use DataType::{Binary, Float64, Int64, Utf8};
    Schema::new(vec![
        column("slice_id", Utf8, "id of the slice"),
        column("index", Int64, "index of the slice"),
        column("pixels", Binary, "pixels of the slice"),
        nullable("note", Utf8, "a note"),
        column("seconds", Float64, "seconds that the slice took"),
    ])
}

/// A row of a table with a folder for each day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Visit {
    pub(crate) visit_id: String,
}

impl Row for Visit {
    const TABLE: &'static TableSpec =
        &TableSpec { partition_column: Some("day"), ..TableSpec::new("visits", "a visit", visits) };
}

fn visits() -> Schema {
    Schema::new(vec![column("visit_id", DataType::Utf8, "id of the visit")])
}
