//! A scan with its scored nodules.

use crate::nightly::identity::{Identity, PatientIdentity};
use nodulus_formats::dicom::SeriesInfo;
use nodulus_formats::volume::{Geometry, PlacedMask};
use std::path::PathBuf;

/// A scan whose nodules are scored.
#[derive(Clone, Debug)]
pub struct ScoredScan {
    /// UID of the series: from the header, from the file's name, or made from its voxels.
    pub series_instance_uid: String,
    /// Its DICOM header; `None` for an image file.
    pub info: Option<SeriesInfo>,
    /// Its DICOM files, in the order of k; empty for an image file.
    pub files: Vec<PathBuf>,
    /// DICOM `SOPInstanceUID` of each slice, in the order of k; empty for an image file.
    pub sop_instance_uids: Vec<String>,
    /// The grid of its voxels.
    pub geometry: Geometry,
    /// The model that scored it.
    pub model: ScoringModel,
    /// Time of scoring in UTC, as `2026-11-24T12:52:27Z`.
    pub scored_at: String,
    /// Its nodules, by number; empty where it has no candidate.
    pub nodules: Vec<ScoredNodule>,
    /// Reasons to doubt the whole scan, such as a spacing outside the range of the training cohort.
    pub warnings: Vec<String>,
}

impl ScoredScan {
    /// Who its results name. A scan without a header counts as a patient of its own.
    pub(in crate::nightly) fn patient(&self, identity: &Identity) -> PatientIdentity {
        let of = |text: fn(&SeriesInfo) -> &str| self.info.as_ref().map_or("", text);
        let study = of(|info| &info.study_instance_uid);
        let study = if study.is_empty() { &self.series_instance_uid } else { study };
        identity.patient(of(|info| &info.patient_id), study)
    }
}

/// A model as results name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoringModel {
    /// Its architecture and the first 12 digits of its weights' SHA-256, as `proposed-0123456789ab`.
    pub id: String,
    /// Its architecture.
    pub name: String,
    /// Version of the program that ran it.
    pub version: String,
}

/// A nodule of a scan.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredNodule {
    /// Number from 1, in the order of the scan's candidates.
    pub number: u16,
    /// Stable id, made from the series and the candidate.
    pub nodule_id: String,
    /// The id by which an earlier result of the series names the nodule, as results write it; `None` where no earlier
    /// result has it.
    pub earlier_id: Option<String>,
    /// Position of the candidate, LPS.
    pub candidate_mm: [f64; 3],
    /// The detector's confidence, where it gives one.
    pub candidate_confidence: Option<f64>,
    /// Greatest probability of nodule of its slices; `None` where the network has no classifier.
    pub probability: Option<f64>,
    /// How far networks and mirror images disagree about it, 0 to 1; `None` where one network predicts alone.
    pub disagreement: Option<f64>,
    /// How unusual it is among the masks that the model was profiled on, 0 to 1; `None` without a mask or a profile.
    pub training_distance: Option<f64>,
    /// Its voxels in the scan; `None` where the model marks none.
    pub mask: Option<PlacedMask>,
    /// Mean position of the mask's voxels, LPS; the candidate's position without a mask.
    pub centroid_mm: [f64; 3],
    /// Volume of the mask; 0 without one.
    pub volume_mm3: f64,
    /// Diameter of the sphere of that volume.
    pub equivalent_diameter_mm: f64,
    /// Longest diameter within an axial slice.
    pub axial_diameter_mm: Option<f64>,
    /// Longest diameter perpendicular to it, in the same slice.
    pub axial_short_diameter_mm: Option<f64>,
    /// Mean HU of the mask's voxels.
    pub mean_hu: Option<f64>,
    /// Reasons to doubt this nodule.
    pub warnings: Vec<String>,
}

impl ScoredNodule {
    /// Its id as results write it.
    pub fn result_id(&self, identity: &Identity) -> String {
        self.earlier_id.clone().unwrap_or_else(|| identity.id(&self.nodule_id))
    }
}
