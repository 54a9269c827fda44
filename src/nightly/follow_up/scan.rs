//! A scored scan for the comparison with other scans of its patient.

use crate::nightly::identity::Identity;
use crate::nightly::scan::scored::ScoredScan;
use nodulus_formats::dicom::Date;
use nodulus_formats::volume::Geometry;
use nodulus_imaging::lungs::LungBox;
use nodulus_store::hash;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A scored scan for the comparison with other scans of its patient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FollowUpScan {
    /// DICOM `SeriesInstanceUID`.
    pub series_instance_uid: String,
    /// DICOM `StudyInstanceUID`; `None` for an image file.
    pub study_instance_uid: Option<String>,
    /// DICOM `PatientID`; empty where it is unknown.
    pub patient_id: String,
    /// Day of the scan.
    pub acquired_on: Option<Date>,
    /// DICOM `SliceThickness`; `None` where it is unknown, and in a result of an earlier version.
    #[serde(default)]
    pub slice_thickness_mm: Option<f64>,
    /// DICOM `ConvolutionKernel`; `None` as above.
    #[serde(default)]
    pub kernel: Option<String>,
    /// Model that scored it.
    pub model_id: String,
    /// A hash of the settings that decide which voxels its masks have; `None` in a result of an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<String>,
    /// A hash of its frame of reference and of the grid of its voxels there; `None` where it has no frame, and in a result of
    /// an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grid: Option<String>,
    /// A hash of its voxels, their spacing and axes, wherever their origin lies; `None` where the voxels are all the same, and
    /// in a result of an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The centre of its first voxel, LPS; `None` in a result of an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin_mm: Option<[f64; 3]>,
    /// A hash of DICOM `PatientName`; `None` where there is none or several, and in a result of an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_name: Option<String>,
    /// A hash of DICOM `IssuerOfPatientID`; `None` as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_issuer: Option<String>,
    /// Box about its lungs; `None` where no lung was detected.
    pub lungs: Option<LungBox>,
    /// Reasons to doubt all of its numbers; none in a result of an earlier version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Its nodules with a mask.
    pub nodules: Vec<FollowUpNodule>,
}

/// A nodule of a scan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FollowUpNodule {
    /// Stable id.
    pub nodule_id: String,
    /// Centroid, LPS.
    pub centroid_mm: [f64; 3],
    /// Volume of the mask.
    pub volume_mm3: f64,
}

/// A hash of a frame of reference and a grid in it.
fn grid(frame_of_reference_uid: &str, geometry: &Geometry) -> Option<String> {
    let has_frame = !frame_of_reference_uid.is_empty();
    let origin = format!("{:?}", geometry.origin_mm());
    let parts = ["grid", frame_of_reference_uid, &numbers_of(geometry), &origin];
    has_frame.then(|| hash::id("", parts))
}

/// Size, spacing and axes of a grid.
fn numbers_of(geometry: &Geometry) -> String {
    format!("{:?} {:?} {:?}", geometry.size(), geometry.spacing().ijk(), geometry.direction())
}

/// A hash of a text of the patient, if there is one alone.
fn only(what: &str, texts: &BTreeSet<String>) -> Option<String> {
    let is_one = texts.len() == 1;
    texts.first().filter(|_| is_one).map(|text| hash::id("", [what, text]))
}

/// Whether two hashes are known and the same.
pub(super) fn is_same(a: Option<&String>, b: Option<&String>) -> bool {
    a.is_some() && a == b
}

impl FollowUpScan {
    /// By how many mm positions in a later scan differ from those in this one, if that is known without looking at lungs: not at
    /// all in one grid of one frame of reference (PS3.3, C.7.4.1), and as the origins do in one image.
    pub fn known_shift(&self, later: &Self) -> Option<[f64; 3]> {
        if is_same(self.grid.as_ref(), later.grid.as_ref()) {
            return Some([0.0; 3]);
        }
        let (before, after) = self.origin_mm.zip(later.origin_mm)?;
        is_same(self.image.as_ref(), later.image.as_ref())
            .then(|| std::array::from_fn(|axis| after[axis] - before[axis]))
    }

    /// The scan with the box about its lungs and the SHA-256 of its voxels; ids of nodules are as results write them.
    pub fn of(
        scan: &ScoredScan,
        lungs: Option<LungBox>,
        image_sha256: Option<&str>,
        identity: &Identity,
    ) -> Self {
        let info = scan.info.as_ref();
        Self {
            series_instance_uid: scan.series_instance_uid.clone(),
            study_instance_uid: info.map(|info| info.study_instance_uid.clone()),
            patient_id: info.map(|info| info.patient_id.clone()).unwrap_or_default(),
            acquired_on: info.and_then(|info| info.acquired_on),
            slice_thickness_mm: info.and_then(|info| info.slice_thickness_mm),
            kernel: info.and_then(|info| info.kernel.clone()),
            model_id: scan.model.id.clone(),
            settings: None,
            grid: info
                .and_then(|info| grid(info.frame_of_reference_uid.as_deref()?, &scan.geometry)),
            image: image_sha256
                .map(|sha256| hash::id("", ["voxels", sha256, &numbers_of(&scan.geometry)])),
            origin_mm: Some(scan.geometry.origin_mm()),
            patient_name: info
                .and_then(|info| only("name", &info.of_slices.distinct_patient_names())),
            patient_issuer: info
                .and_then(|info| only("issuer", &info.of_slices.distinct_patient_issuers())),
            lungs,
            warnings: scan.warnings.clone(),
            nodules: scan
                .nodules
                .iter()
                // METHOD: a candidate without a mask has no volume to compare.
                .filter(|nodule| nodule.mask.is_some())
                .map(|nodule| FollowUpNodule {
                    nodule_id: nodule.result_id(identity),
                    centroid_mm: nodule.centroid_mm,
                    volume_mm3: nodule.volume_mm3,
                })
                .collect(),
        }
    }
}
