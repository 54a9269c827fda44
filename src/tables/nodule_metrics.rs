//! `nodule_metrics`: one row for each nodule and model; 3D, over the nodule's region.

use super::{ComponentColumns, MetricColumns};
use nodulus_metrics::{SizeError, SizeMeasure};
use nodulus_store::{Row, TableSpec, columns};
use serde::{Deserialize, Serialize};

columns! {
    /// A nodule × a model.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[cfg_attr(test, derive(Default))]
    pub struct NoduleMetrics {
        /// nodule at the centre
        pub nodule_id: String,
        /// patient of the series
        pub patient_id: String,
        /// model, or `region_growing` for the baseline
        pub model_id: String,
        /// slices of the region
        pub n_slices: i64,
        /// metrics of the delivered prediction
        #[serde(flatten)]
        pub metrics: MetricColumns,
        /// metrics by either rule of components
        #[serde(flatten)]
        pub components: ComponentColumns,
        /// volume of the prediction
        pub predicted_volume_mm3: f64,
        /// volume of the reference in the region
        pub reference_volume_mm3: f64,
        /// prediction minus reference; null where both are empty
        pub volume_error_mm3: Option<f64>,
        /// relative error: a share of the reference; null where the reference is empty
        pub volume_relative_error: Option<f64>,
        /// diameter of the sphere of the volume of the prediction
        pub predicted_equivalent_diameter_mm: f64,
        /// diameter of the sphere of the volume of the reference in the region
        pub reference_equivalent_diameter_mm: f64,
        /// prediction minus reference; null where both are empty
        pub equivalent_diameter_error_mm: Option<f64>,
        /// relative error: a share of the reference; null where the reference is empty
        pub equivalent_diameter_relative_error: Option<f64>,
        /// longest diameter in an axial slice of the prediction
        pub predicted_long_axis_mm: f64,
        /// longest diameter in an axial slice of the reference in the region
        pub reference_long_axis_mm: f64,
        /// prediction minus reference; null where both are empty
        pub long_axis_error_mm: Option<f64>,
        /// relative error: a share of the reference; null where the reference is empty
        pub long_axis_relative_error: Option<f64>,
        /// longest diameter at right angles to the long axis, in its slice, of the prediction
        pub predicted_short_axis_mm: f64,
        /// longest diameter at right angles to the long axis, in its slice, of the reference in the region
        pub reference_short_axis_mm: f64,
        /// prediction minus reference; null where both are empty
        pub short_axis_error_mm: Option<f64>,
        /// relative error: a share of the reference; null where the reference is empty
        pub short_axis_relative_error: Option<f64>,
        /// volume of the nodule outside the region, which no other column counts; 0 unless cropped
        pub cut_volume_mm3: f64,
        /// resampled (measured on larger pixels) or cropped (measured inside the region only) where the nodule is
        /// larger than the region; null where it fits
        pub oversize: Option<String>,
        /// pixels of the region with a probability of 0.01 or more, by tenths of it, ten numbers: [0, 0.1], (0.1, 0.2], …; null for a
        /// model without probabilities of pixels
        pub calibration_pixels: Option<Vec<i64>>,
        /// those of them that are nodule
        pub calibration_nodule_pixels: Option<Vec<i64>>,
        /// sum of their probabilities
        pub calibration_probability: Option<Vec<f64>>,
        /// scored, missed, spurious or both_empty
        pub outcome: String,
        /// reasons to doubt the prediction, as in `predictions`
        pub doubts: Vec<String>,
        /// name and version of the definitions
        pub metric_definition: String,
    }
}

impl NoduleMetrics {
    /// Error of a measure of the prediction.
    pub const fn size_error(&self, measure: SizeMeasure) -> SizeError {
        let (signed, relative) = match measure {
            SizeMeasure::Volume => (self.volume_error_mm3, self.volume_relative_error),
            SizeMeasure::EquivalentDiameter => {
                (self.equivalent_diameter_error_mm, self.equivalent_diameter_relative_error)
            }
            SizeMeasure::LongAxis => (self.long_axis_error_mm, self.long_axis_relative_error),
            SizeMeasure::ShortAxis => (self.short_axis_error_mm, self.short_axis_relative_error),
        };
        SizeError { signed, relative }
    }
}

impl Row for NoduleMetrics {
    const TABLE: &'static TableSpec = &TableSpec {
        schema_version: 6,
        id_columns: &["nodule_id"],
        ..TableSpec::new::<Self>("nodule_metrics", "a nodule × model")
    };
}
