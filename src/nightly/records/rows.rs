//! What a record keeps of a scored scan, with identities as results name them.

use crate::nightly::follow_up::drift::MaskRule;
use crate::nightly::follow_up::scan::FollowUpScan;
use crate::nightly::identity::Identity;
use crate::nightly::scan::scored::{ScoredNodule, ScoredScan};
use crate::nightly::settings::ScoreSettings;
use crate::tables::Score;
use nodulus_imaging::lungs::LungBox;
use nodulus_store::hash;

/// Rows of `scores`, in the order of the nodules; `rule` made their masks.
pub(crate) fn rows(scan: &ScoredScan, identity: &Identity, rule: &MaskRule) -> Vec<Score> {
    scan.nodules.iter().map(|nodule| row(scan, nodule, identity, rule)).collect()
}

/// The scan for the comparison with other scans of its patient, with the SHA-256 of its voxels; `None` for an image file.
pub(crate) fn follow_up_scan(
    scan: &ScoredScan,
    lungs: Option<LungBox>,
    image_sha256: Option<&str>,
    identity: &Identity,
    settings: &ScoreSettings,
) -> Option<FollowUpScan> {
    let info = scan.info.as_ref()?;
    let patient = scan.patient(identity);
    let mut scan = FollowUpScan::of(scan, lungs, image_sha256, identity);
    scan.settings = Some(hash::id("", ["settings", &settings.of_masks().to_string()]));
    scan.series_instance_uid = identity.series(&scan.series_instance_uid);
    scan.study_instance_uid = scan.study_instance_uid.map(|uid| identity.uid(&uid));
    scan.patient_id = if info.patient_id.is_empty() { String::new() } else { patient.patient_id };
    scan.acquired_on = scan.acquired_on.and_then(|date| date.plus_days(patient.shift_days));
    scan.grid = scan.grid.map(|grid| identity.id(&grid));
    scan.image = scan.image.map(|image| identity.id(&image));
    scan.patient_name = scan.patient_name.map(|name| identity.id(&name));
    scan.patient_issuer = scan.patient_issuer.map(|issuer| identity.id(&issuer));
    // Somebody may have typed a name there; the same kernels stay the same.
    if identity.is_replaced() {
        let kernel = scan.kernel.map(|kernel| kernel.trim().to_uppercase());
        scan.kernel = kernel.filter(|kernel| !kernel.is_empty()).map(|kernel| identity.id(&kernel));
    }
    Some(scan)
}

fn row(scan: &ScoredScan, nodule: &ScoredNodule, identity: &Identity, rule: &MaskRule) -> Score {
    let info = scan.info.as_ref();
    let patient = scan.patient(identity);
    let [candidate_x_mm, candidate_y_mm, candidate_z_mm] = nodule.candidate_mm;
    let [centroid_x_mm, centroid_y_mm, centroid_z_mm] = nodule.centroid_mm;
    Score {
        series_instance_uid: identity.series(&scan.series_instance_uid),
        study_instance_uid: info.map(|info| identity.uid(&info.study_instance_uid)),
        patient_id: info.map(|_| patient.patient_id),
        nodule_id: nodule.result_id(identity),
        nodule_number: i64::from(nodule.number),
        candidate_x_mm,
        candidate_y_mm,
        candidate_z_mm,
        candidate_score: nodule.candidate_confidence,
        centroid_x_mm,
        centroid_y_mm,
        centroid_z_mm,
        probability: nodule.probability,
        disagreement: nodule.disagreement,
        training_distance: nodule.training_distance,
        volume_mm3: nodule.volume_mm3,
        equivalent_diameter_mm: nodule.equivalent_diameter_mm,
        axial_diameter_mm: nodule.axial_diameter_mm,
        axial_short_diameter_mm: nodule.axial_short_diameter_mm,
        mean_hu: nodule.mean_hu,
        nodule_type: None,
        model_id: scan.model.id.clone(),
        threshold: Some(rule.threshold),
        component: Some(rule.component.clone()),
        reach_mm: Some(rule.reach_mm),
        warnings: nodule.warnings.clone(),
        scan_warnings: scan.warnings.clone(),
        superseded: false,
    }
}
