//! `scores`: one row for each nodule of a scan that the nightly job scored, in a folder for each day.

use nodulus_store::{Row, TableSpec, columns};
use serde::{Deserialize, Serialize};

columns! {
    /// A nodule of a scored scan.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub struct Score {
        /// series of the scan; a pseudonym where outputs are de-identified
        pub series_instance_uid: String,
        /// study of the scan; null for an image file
        pub study_instance_uid: Option<String>,
        /// patient; a pseudonym where outputs are de-identified; null for an image file
        pub patient_id: Option<String>,
        /// stable id of the nodule, from its series and its candidate's position; where the scan was scored before and the
        /// nodule is the same, the id of that result. TrackingID of the DICOM objects
        pub nodule_id: String,
        /// number of the nodule in the scan, from 1: its label in the output files
        pub nodule_number: i64,
        /// position of the candidate, LPS, along x
        pub candidate_x_mm: f64,
        /// position of the candidate, LPS, along y
        pub candidate_y_mm: f64,
        /// position of the candidate, LPS, along z
        pub candidate_z_mm: f64,
        /// the detector's confidence; null where it gave none
        pub candidate_score: Option<f64>,
        /// centroid of the mask, LPS; the candidate's position where the mask is empty, along x
        pub centroid_x_mm: f64,
        /// centroid of the mask, LPS; the candidate's position where the mask is empty, along y
        pub centroid_y_mm: f64,
        /// centroid of the mask, LPS; the candidate's position where the mask is empty, along z
        pub centroid_z_mm: f64,
        /// highest probability of a nodule over its slices; null for a model without a classifier
        pub probability: Option<f64>,
        /// how far the networks and mirror images that predicted together disagree about the nodule: 1 minus the mean Dice of each one's mask with that of their mean; null where one network predicted without mirror images, and for a result of an earlier version
        pub disagreement: Option<f64>,
        /// how unusual the mask's volume and mean HU are among the masks that the weights' profile was made of, 0 to 1; null without a mask, for weights without a profile of 20 nodules, and for a result of an earlier version
        pub training_distance: Option<f64>,
        /// volume of the mask; 0 where the model marks no voxel
        pub volume_mm3: f64,
        /// diameter of the sphere of equal volume
        pub equivalent_diameter_mm: f64,
        /// longest diameter in an axial slice; null without a mask
        pub axial_diameter_mm: Option<f64>,
        /// longest diameter at right angles to axial_diameter_mm, in the same slice; null without a mask
        pub axial_short_diameter_mm: Option<f64>,
        /// mean HU of the mask's voxels; null without a mask
        pub mean_hu: Option<f64>,
        /// type of the nodule; null for a model that gives none
        pub nodule_type: Option<String>,
        /// model: architecture and start of the weights' SHA-256
        pub model_id: String,
        /// least probability of the mask's voxels; null for a result of an earlier version
        pub threshold: Option<f64>,
        /// components that the mask keeps, all or centre; null for a result of an earlier version
        pub component: Option<String>,
        /// greatest distance from the candidate to the nearest voxel of the mask; null for a result of an earlier version
        pub reach_mm: Option<f64>,
        /// reasons to doubt the nodule's numbers
        pub warnings: Vec<String>,
        /// reasons to doubt all of the scan's numbers
        pub scan_warnings: Vec<String>,
        /// whether the scan was scored again later, because its content, candidates or model changed
        pub superseded: bool,
    }
}

impl Row for Score {
    const TABLE: &'static TableSpec = &TableSpec {
        schema_version: 3,
        partition_column: Some("scored_on"),
        id_columns: &["series_instance_uid", "patient_id", "nodule_id"],
        ..TableSpec::new::<Self>("scores", "a nodule of a scan that the nightly job scored")
    };
}
