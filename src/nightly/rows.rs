//! The rows of a scored scan, and what of it later scans are compared with.

use super::identity::Identity;
use super::scored::{ScoredNodule, ScoredScan};
use super::visit::Visit;
use crate::tables::Score;
use nodulus_formats::dicom::SeriesInfo;
use nodulus_imaging::lungs::LungBox;

/// Rows of `scores`, in the order of the nodules.
pub(super) fn rows(scan: &ScoredScan, identity: &Identity) -> Vec<Score> {
    scan.nodules.iter().map(|nodule| row(scan, nodule, identity)).collect()
}

/// The scan as later ones of its patient are compared with it; `None` of an image file.
pub(super) fn visit(
    scan: &ScoredScan,
    lungs: Option<LungBox>,
    identity: &Identity,
) -> Option<Visit> {
    let info = scan.info.as_ref()?;
    let person = identity.person(&info.patient_id, &info.study_instance_uid);
    let mut visit = Visit::of(scan, lungs);
    visit.series_instance_uid = identity.uid(&visit.series_instance_uid);
    visit.study_instance_uid = visit.study_instance_uid.map(|uid| identity.uid(&uid));
    visit.patient_id = if info.patient_id.is_empty() { String::new() } else { person.patient_id };
    visit.acquired_on = visit.acquired_on.and_then(|date| date.plus_days(person.shift_days));
    for nodule in &mut visit.nodules {
        nodule.nodule_id = identity.id(&nodule.nodule_id);
    }
    Some(visit)
}

fn row(scan: &ScoredScan, nodule: &ScoredNodule, identity: &Identity) -> Score {
    let info = scan.info.as_ref();
    let person = |info: &SeriesInfo| identity.person(&info.patient_id, &info.study_instance_uid);
    let [candidate_x_mm, candidate_y_mm, candidate_z_mm] = nodule.candidate_mm;
    let [centroid_x_mm, centroid_y_mm, centroid_z_mm] = nodule.centroid_mm;
    Score {
        series_instance_uid: identity.uid(&scan.series_instance_uid),
        study_instance_uid: info.map(|info| identity.uid(&info.study_instance_uid)),
        patient_id: info.map(|info| person(info).patient_id),
        nodule_id: identity.id(&nodule.nodule_id),
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
