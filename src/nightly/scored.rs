//! What is known of a scan once its nodules are scored.

use nodulus_formats::dicom::SeriesInfo;
use nodulus_formats::volume::{Geometry, PlacedMask};
use std::path::PathBuf;

/// A scan whose nodules are scored.
#[derive(Clone, Debug)]
pub struct ScoredScan {
    /// The series: from the header, from the file's name, or made from its voxels.
    pub series_instance_uid: String,
    /// Its DICOM header; `None` of an image file.
    pub info: Option<SeriesInfo>,
    /// Its DICOM files, in the order of k; empty of an image file.
    pub files: Vec<PathBuf>,
    /// DICOM `SOPInstanceUID` of each slice, in the order of k; empty of an image file.
    pub sop_instance_uids: Vec<String>,
    /// The grid of its voxels.
    pub geometry: Geometry,
    /// What scored it.
    pub model: ScoringModel,
    /// When it was scored, in UTC: `2026-11-24T12:52:27Z`.
    pub scored_at: String,
    /// Its nodules, by number; empty where no candidate came to one.
    pub nodules: Vec<ScoredNodule>,
    /// What makes the whole scan doubtful: it is outside what the model knows.
    pub warnings: Vec<String>,
}

/// A model as results name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoringModel {
    /// Its architecture and the first 12 digits of its weights' SHA-256, say `proposed-0123456789ab`.
    pub id: String,
    /// Its architecture.
    pub name: String,
    /// Version of the program that ran it.
    pub version: String,
}

/// A nodule of a scan.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredNodule {
    /// From 1, in the order of the scan's candidates.
    pub number: u16,
    /// Stable id.
    pub nodule_id: String,
    /// The candidate's place, LPS.
    pub candidate_mm: [f64; 3],
    /// The detector's score, where it gave one.
    pub candidate_score: Option<f64>,
    /// Greatest probability of nodule of its slices; `None` where the network has no classifier.
    pub probability: Option<f64>,
    /// Its voxels in the scan; `None` where the model marks none.
    pub mask: Option<PlacedMask>,
    /// Mean place of the mask's voxels, LPS; the candidate's place where there is none.
    pub centroid_mm: [f64; 3],
    /// Volume of the mask.
    pub volume_mm3: f64,
    /// Diameter of the sphere of that volume.
    pub equivalent_diameter_mm: f64,
    /// Longest diameter within an axial slice.
    pub axial_diameter_mm: Option<f64>,
    /// Longest diameter across that one, in the same slice.
    pub axial_short_diameter_mm: Option<f64>,
    /// Mean of the mask's voxels.
    pub mean_hu: Option<f64>,
    /// What makes this nodule doubtful.
    pub warnings: Vec<String>,
}
