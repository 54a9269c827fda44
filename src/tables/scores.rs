//! `scores`: one row for each nodule of a scan that the nightly job scored, in a folder for each day.

use nodulus_store::{Row, TableSpec, columns};
use serde::{Deserialize, Serialize};

columns! {
    /// A nodule of a scored scan.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Score {
        /// series of the scan; replaced where outputs are de-identified
        pub series_instance_uid: String,
        /// study of the scan; null for an image file
        pub study_instance_uid: Option<String>,
        /// patient, or what replaces them; null for an image file
        pub patient_id: Option<String>,
        /// stable id of the nodule: of its series and its candidate's place
        pub nodule_id: String,
        /// number in the scan, from 1: its segment in the SEG
        pub nodule_number: i64,
        /// the candidate's place, LPS, along x
        pub candidate_x_mm: f64,
        /// the candidate's place, LPS, along y
        pub candidate_y_mm: f64,
        /// the candidate's place, LPS, along z
        pub candidate_z_mm: f64,
        /// the detector's score; null where it gave none
        pub candidate_score: Option<f64>,
        /// mean place of the mask's voxels, LPS; the candidate's where there is none, along x
        pub centroid_x_mm: f64,
        /// mean place of the mask's voxels, LPS; the candidate's where there is none, along y
        pub centroid_y_mm: f64,
        /// mean place of the mask's voxels, LPS; the candidate's where there is none, along z
        pub centroid_z_mm: f64,
        /// greatest probability of nodule of its slices; null for a model without a classifier
        pub probability: Option<f64>,
        /// volume of the mask; 0 where the model marks no voxel
        pub volume_mm3: f64,
        /// diameter of the sphere of that volume
        pub equivalent_diameter_mm: f64,
        /// longest diameter in an axial slice; null without a mask
        pub axial_diameter_mm: Option<f64>,
        /// longest diameter at right angles to it, in the same slice; null without a mask
        pub axial_short_diameter_mm: Option<f64>,
        /// mean of the mask's voxels; null without a mask
        pub mean_hu: Option<f64>,
        /// type of the nodule; null for a model that gives none
        pub nodule_type: Option<String>,
        /// what scored it: architecture and start of the weights' SHA-256
        pub model_id: String,
        /// what makes the nodule's numbers doubtful
        pub warnings: Vec<String>,
        /// what makes all of the scan's numbers doubtful
        pub scan_warnings: Vec<String>,
        /// whether the scan was scored again since, as its content, candidates or model changed
        pub superseded: bool,
    }
}

impl Row for Score {
    const TABLE: &'static TableSpec = &TableSpec {
        partition_column: Some("scored_on"),
        id_columns: &["series_instance_uid", "patient_id", "nodule_id"],
        ..TableSpec::new::<Self>("scores", "a nodule of a scan that the nightly job scored")
    };
}
