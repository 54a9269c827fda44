//! `slice_metrics`: one row for each slice and model; 2D, on the slice.

use super::{ComponentColumns, MetricColumns};
use nodulus_store::{Row, TableSpec, columns};
use serde::{Deserialize, Serialize};

columns! {
    /// A slice × a model.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct SliceMetrics {
        /// slice of `rois`
        pub roi_id: String,
        /// nodule at the centre
        pub nodule_id: String,
        /// patient of the series
        pub patient_id: String,
        /// model, or `region_growing` for the baseline
        pub model_id: String,
        /// metrics of the delivered prediction
        #[serde(flatten)]
        pub metrics: MetricColumns,
        /// metrics by either rule of components
        #[serde(flatten)]
        pub components: ComponentColumns,
        /// volume of the prediction
        pub predicted_volume_mm3: f64,
        /// volume of the reference
        pub reference_volume_mm3: f64,
        /// longest diameter of the prediction
        pub predicted_long_axis_mm: f64,
        /// longest diameter of the reference
        pub reference_long_axis_mm: f64,
        /// longest diameter at right angles to the long axis
        pub predicted_short_axis_mm: f64,
        /// longest diameter at right angles to the long axis
        pub reference_short_axis_mm: f64,
        /// scored, missed, spurious or both_empty
        pub outcome: String,
        /// name and version of the definitions
        pub metric_definition: String,
    }
}

impl Row for SliceMetrics {
    const TABLE: &'static TableSpec = &TableSpec {
        schema_version: 3,
        id_columns: &["roi_id", "nodule_id"],
        ..TableSpec::new::<Self>("slice_metrics", "a slice × model")
    };
}
