//! `reader_metrics`: one row for each nodule and metric; each reader against the others, as a model is measured.

use nodulus_store::{Row, TableSpec, columns};
use serde::{Deserialize, Serialize};

columns! {
    /// A metric of the readers of a nodule.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct ReaderMetric {
        /// nodule that two or more readers marked
        pub nodule_id: String,
        /// patient of the series
        pub patient_id: String,
        /// metric, as in `nodule_metrics`
        pub metric: String,
        /// mean over the readers, each measured against the consensus of the others; null where no reader has a value
        pub value: Option<f64>,
        /// readers with a value
        pub n_readers: i64,
    }
}

impl Row for ReaderMetric {
    const TABLE: &'static TableSpec = &TableSpec {
        id_columns: &["nodule_id", "patient_id"],
        ..TableSpec::new::<Self>(
            "reader_metrics",
            "a nodule that several readers marked × a metric",
        )
    };
}
