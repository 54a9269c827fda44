//! Tables for the tests of this crate.

use crate::{Row, TableSpec, columns};
use serde::{Deserialize, Serialize};

columns! {
    /// A row of a table with pixels, an id and a volatile column.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Slice {
        /// id of the slice
        pub(crate) image_id: String,
        /// index of the slice
        pub(crate) index: i64,
        /// pixels of the slice
        #[serde(with = "serde_bytes")]
        pub(crate) pixels: Vec<u8>,
        /// a note; null where the index is even
        pub(crate) note: Option<String>,
        /// seconds that the slice took
        pub(crate) seconds: f64,
    }
}

impl Slice {
    pub(crate) fn new(n: i64) -> Self {
        let note = (n % 2 == 1).then(|| "odd".to_owned());
        Self {
            image_id: format!("s{n}"),
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
        id_columns: &["image_id"],
        row_group_rows: 128,
        ..TableSpec::new::<Self>("slices", "a slice")
    };
}

columns! {
    /// A row of a table with a folder for each day.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub(crate) struct Visit {
        /// id of the visit
        pub(crate) visit_id: String,
    }
}

impl Row for Visit {
    const TABLE: &'static TableSpec =
        &TableSpec { partition_column: Some("day"), ..TableSpec::new::<Self>("visits", "a visit") };
}
