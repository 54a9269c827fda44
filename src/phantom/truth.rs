//! True values of a phantom: `truth.json`.

use super::nodule::{NoduleType, SyntheticNodule};
use super::noise::Kernel;
use super::scan::{CLINICAL_HU, CLINICAL_TOP, SyntheticScan};
use serde::{Deserialize, Serialize};

/// True values of all patients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Patients with four readers.
    pub lidc: Vec<PatientTruth>,
    /// Clinical patients.
    pub clinical: Vec<PatientTruth>,
    /// HU of the least and of the greatest intensity in the clinical files.
    pub clinical_hu: [f64; 2],
    /// Least and greatest intensity in the clinical files.
    pub clinical_intensity: [f64; 2],
}

/// True values of a patient's scan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PatientTruth {
    /// DICOM `PatientID`.
    pub patient_id: String,
    /// DICOM `StudyInstanceUID`.
    pub study_instance_uid: String,
    /// DICOM `SeriesInstanceUID`, and the name of the MetaImage.
    pub series_instance_uid: String,
    /// Voxels along i, j, k.
    pub size: [usize; 3],
    /// Distance between voxel centres along i, j, k.
    pub spacing_mm: [f64; 3],
    /// Position of voxel (0, 0, 0).
    pub origin_mm: [f64; 3],
    /// Reconstruction kernel.
    pub kernel: Kernel,
    /// Mean standard deviation of the noise, in HU.
    pub noise_hu: f64,
    /// Attenuation of blood in HU; over 100 with contrast medium.
    pub blood_hu: f64,
    /// Nodules of 3 mm or more.
    pub nodules: Vec<NoduleTruth>,
    /// Nodules under 3 mm.
    pub small_nodules: Vec<NoduleTruth>,
}

/// True values of a nodule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoduleTruth {
    /// Number from 1; the nodule's value in the clinical masks.
    pub label: usize,
    /// Tissue and position.
    #[serde(rename = "type")]
    pub kind: NoduleType,
    /// Centre of the shape, in patient millimetres.
    pub centre_mm: [f64; 3],
    /// Mean position of its voxels, in patient millimetres; `None` where it contains no voxel centre.
    pub centroid_mm: Option<[f64; 3]>,
    /// Half axes of the ellipsoid on which the shape is based.
    pub radii_mm: [f64; 3],
    /// Attenuation of its tissue in HU, without the air or calcium inside.
    pub tissue_hu: f64,
    /// Number of voxels whose centres lie in it.
    pub n_voxels: usize,
    /// Volume of those voxels.
    pub volume_mm3: f64,
    /// Reading sessions that marked it, from 0.
    pub sessions: Vec<usize>,
}

impl Truth {
    pub(super) fn new(lidc: Vec<PatientTruth>, clinical: Vec<PatientTruth>) -> Self {
        Self { lidc, clinical, clinical_hu: CLINICAL_HU, clinical_intensity: [0.0, CLINICAL_TOP] }
    }
}

impl PatientTruth {
    /// True values of a scan, with the sessions that marked each nodule and each small nodule.
    pub(super) fn new(
        scan: &SyntheticScan,
        [study, series]: [&str; 2],
        sessions: &[Vec<usize>],
        small_sessions: &[Vec<usize>],
    ) -> Self {
        let acquisition = &scan.acquisition;
        let geometry = &acquisition.geometry;
        let truths = |nodules: &[SyntheticNodule], sessions: &[Vec<usize>]| {
            let numbered = (1..).zip(nodules.iter().zip(sessions));
            numbered.map(|(label, (n, s))| NoduleTruth::new(scan, n, label, s.clone())).collect()
        };
        Self {
            patient_id: scan.patient.clone(),
            study_instance_uid: study.to_owned(),
            series_instance_uid: series.to_owned(),
            size: geometry.size(),
            spacing_mm: geometry.spacing().ijk(),
            origin_mm: geometry.origin_mm(),
            kernel: acquisition.kernel,
            noise_hu: acquisition.noise_hu,
            blood_hu: acquisition.blood_hu,
            nodules: truths(&scan.nodules, sessions),
            small_nodules: truths(&scan.small, small_sessions),
        }
    }
}

impl NoduleTruth {
    fn new(
        scan: &SyntheticScan,
        nodule: &SyntheticNodule,
        label: usize,
        sessions: Vec<usize>,
    ) -> Self {
        let geometry = &scan.acquisition.geometry;
        let mask = nodule.mask(&scan.chest, &scan.acquisition.grid);
        let n_voxels = mask.mask.count();
        Self {
            label,
            kind: nodule.kind,
            centre_mm: scan.patient_mm(nodule.centre_mm()),
            centroid_mm: mask.centroid().map(|ijk| geometry.voxel_to_patient(ijk)),
            radii_mm: nodule.radii_mm(),
            tissue_hu: nodule.hu,
            n_voxels,
            volume_mm3: n_voxels as f64 * geometry.spacing().voxel_volume_mm3(),
            sessions,
        }
    }
}
