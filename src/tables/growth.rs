//! `growth`: one row for each nodule of two visits of a patient, matched or not, in a folder for each day.

use nodulus_store::{Row, TableSpec, columns};
use serde::{Deserialize, Serialize};

columns! {
    /// A nodule of two visits.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub struct Growth {
        /// patient of both scans
        pub patient_id: String,
        /// the later series: of all pairs of series of the two visits, the most alike is compared
        pub series_instance_uid: String,
        /// the earlier series
        pub earlier_series_instance_uid: String,
        /// day of the later scan, YYYY-MM-DD; null where it is unknown
        pub acquired_on: Option<String>,
        /// day of the earlier scan; null where it is unknown
        pub earlier_acquired_on: Option<String>,
        /// days between the scans; null where a day is unknown
        pub days: Option<i64>,
        /// model that scored the later scan
        pub model_id: String,
        /// model that scored the earlier scan
        pub earlier_model_id: String,
        /// SliceThickness of the later scan; null where it is unknown
        pub slice_thickness_mm: Option<f64>,
        /// SliceThickness of the earlier scan; null where it is unknown
        pub earlier_slice_thickness_mm: Option<f64>,
        /// ConvolutionKernel of the later scan; null where it is unknown
        pub kernel: Option<String>,
        /// ConvolutionKernel of the earlier scan; null where it is unknown
        pub earlier_kernel: Option<String>,
        /// whether model, slice thickness (within 10%) and kernel of the two scans are the same; otherwise part of a
        /// change, or all of it, may come from them
        pub alike: bool,
        /// by what the two scans differ; empty where they are alike
        pub differences: Vec<String>,
        /// further series of the two visits that are not compared
        pub other_series_instance_uids: Vec<String>,
        /// nodule of the later scan; null where it has none
        pub nodule_id: Option<String>,
        /// nodule of the earlier scan; null where it has none
        pub earlier_nodule_id: Option<String>,
        /// whether the nodules of both scans are the same nodule
        pub matched: bool,
        /// why the nodule has no match; null where it has one
        pub reason: Option<String>,
        /// shift that aligns the earlier scan with the later one, LPS; null where the lungs cannot be aligned,
        /// along x
        pub shift_x_mm: Option<f64>,
        /// shift that aligns the earlier scan with the later one, LPS; null where the lungs cannot be aligned,
        /// along y
        pub shift_y_mm: Option<f64>,
        /// shift that aligns the earlier scan with the later one, LPS; null where the lungs cannot be aligned,
        /// along z
        pub shift_z_mm: Option<f64>,
        /// centroid in the later scan, LPS; in the earlier one where it has no nodule, along x
        pub x_mm: f64,
        /// centroid in the later scan, LPS; in the earlier one where it has no nodule, along y
        pub y_mm: f64,
        /// centroid in the later scan, LPS; in the earlier one where it has no nodule, along z
        pub z_mm: f64,
        /// distance of the two centroids after alignment; null unless matched
        pub distance_mm: Option<f64>,
        /// volume in the later scan; null where it has no nodule
        pub volume_mm3: Option<f64>,
        /// volume in the earlier scan; null where it has no nodule
        pub earlier_volume_mm3: Option<f64>,
        /// later minus earlier volume; null unless matched
        pub change_mm3: Option<f64>,
        /// change_mm3 in % of the earlier volume; null unless matched, or where the earlier volume was 0
        pub change_percent: Option<f64>,
        /// volume doubling time in days; null unless the scans are alike and the volume grew over a day or more
        pub doubling_days: Option<f64>,
        /// whether the volume fell; null unless matched
        pub shrunk: Option<bool>,
        /// whether the volume changed by 25% or more; null where change_percent is null, and unless the scans are alike
        pub significant: Option<bool>,
        /// reasons to doubt all numbers of the later or the earlier scan: their scan_warnings in `scores`
        pub scan_warnings: Vec<String>,
    }
}

impl Row for Growth {
    const TABLE: &'static TableSpec = &TableSpec {
        schema_version: 3,
        partition_column: Some("scored_on"),
        id_columns: &["series_instance_uid", "patient_id", "nodule_id"],
        ..TableSpec::new::<Self>("growth", "a nodule of two visits of a patient")
    };
}
