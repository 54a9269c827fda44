//! The rows of a scored scan.

use super::scored::{ScoredNodule, ScoredScan};
use crate::tables::Score;

/// Rows of `scores`, in the order of the nodules.
pub(super) fn rows(scan: &ScoredScan) -> Vec<Score> {
    scan.nodules.iter().map(|nodule| row(scan, nodule)).collect()
}

fn row(scan: &ScoredScan, nodule: &ScoredNodule) -> Score {
    let info = scan.info.as_ref();
    let [candidate_x_mm, candidate_y_mm, candidate_z_mm] = nodule.candidate_mm;
    let [centroid_x_mm, centroid_y_mm, centroid_z_mm] = nodule.centroid_mm;
    Score {
        series_instance_uid: scan.series_instance_uid.clone(),
        study_instance_uid: info.map(|info| info.study_instance_uid.clone()),
        patient_id: info.map(|info| info.patient_id.clone()),
        nodule_id: nodule.nodule_id.clone(),
        nodule_number: i64::from(nodule.number),
        candidate_x_mm,
        candidate_y_mm,
        candidate_z_mm,
        candidate_score: nodule.candidate_score,
        centroid_x_mm,
        centroid_y_mm,
        centroid_z_mm,
        probability: nodule.probability,
        volume_mm3: nodule.volume_mm3,
        equivalent_diameter_mm: nodule.equivalent_diameter_mm,
        axial_diameter_mm: nodule.axial_diameter_mm,
        axial_short_diameter_mm: nodule.axial_short_diameter_mm,
        mean_hu: nodule.mean_hu,
        nodule_type: None,
        model_id: scan.model.id.clone(),
        warnings: nodule.warnings.clone(),
        scan_warnings: scan.warnings.clone(),
        superseded: false,
    }
}
