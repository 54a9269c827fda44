//! Rows of `scans`.

use super::{Cohort, Config, SourceCase};
use crate::formats::cohort::Image;
use crate::formats::scan_geometry::ScanGeometry;
use crate::tables::Scan;
use std::collections::BTreeSet;

/// The row of an image. What its annotations tell is filled in with them.
pub(super) fn of_image(
    config: &Config,
    series_list: Option<&BTreeSet<String>>,
    cohort: &Cohort,
    source: &SourceCase,
    image: &Image,
) -> Scan {
    let geometry = image.volume.geometry();
    let [n_columns, n_rows, n_slices] = geometry.size().map(|n| n as i64);
    let [spacing_i_mm, spacing_j_mm, spacing_k_mm] = geometry.spacing().ijk();
    let [x, y, z] = geometry.origin_mm();
    let info = image.info.as_ref();
    let voxels = image.volume.voxels();
    let thickness = info.and_then(|info| info.slice_thickness_mm);
    let series = &image.series_instance_uid;
    let exclusion_reasons = exclusion_reasons(config, series_list, series, thickness);
    // METHOD: LUNA16's files name no patient; a series is then its own patient.
    let patient_id = source
        .case
        .patient
        .clone()
        .or_else(|| info.map(|info| info.patient_id.clone()).filter(|id| !id.is_empty()))
        .unwrap_or_else(|| series.clone());
    Scan {
        cohort: cohort.name.clone(),
        series_instance_uid: series.clone(),
        study_instance_uid: info.map(|info| info.study_instance_uid.clone()),
        patient_id,
        source: cohort.source.source().to_owned(),
        n_columns: Some(n_columns),
        n_rows: Some(n_rows),
        n_slices,
        spacing_i_mm,
        spacing_j_mm,
        spacing_k_mm,
        origin_x_mm: Some(x),
        origin_y_mm: Some(y),
        origin_z_mm: Some(z),
        direction: Some(geometry.direction().to_vec()),
        slice_thickness_mm: thickness,
        slice_gap_max_deviation_mm: info.map(|info| info.slice_gap_max_deviation_mm),
        n_missing_slices: info.map(|info| info.n_missing_slices as i64),
        n_duplicate_slices: info.map(|info| info.n_duplicate_slices as i64),
        manufacturer: info.and_then(|info| info.manufacturer.clone()),
        model: info.and_then(|info| info.model.clone()),
        kernel: info.and_then(|info| info.kernel.clone()),
        kvp: info.and_then(|info| info.kvp),
        tube_current: info.and_then(|info| info.tube_current),
        transfer_syntax: info.map(|info| info.transfer_syntax.clone()),
        hu_min: voxels.iter().min().map(|v| i64::from(*v)),
        hu_max: voxels.iter().max().map(|v| i64::from(*v)),
        content_sha256: source.content_sha256.clone(),
        path: Some(source.case.case_id.clone()),
        annotation_paths: Vec::new(),
        included: exclusion_reasons.is_empty(),
        exclusion_reasons,
        n_reading_sessions: 0,
    }
}

/// The row of a scan of which only the slices' geometry is there: what needs pixels, or the image's
/// orientation, is null.
pub(super) fn of_geometry(
    config: &Config,
    series_list: Option<&BTreeSet<String>>,
    cohort: &Cohort,
    source: &SourceCase,
    geometry: &ScanGeometry,
) -> Scan {
    let series = &source.case.case_id;
    let [spacing_i_mm, spacing_j_mm, spacing_k_mm] = geometry.slices.spacing().ijk();
    let z_mm = geometry.slices.z_mm();
    let steps = || z_mm.windows(2).map(|pair| pair[1] - pair[0]);
    // METHOD: a step holds as many missing slices as there is room for at the scan's spacing.
    let missing = steps().map(|step| (step / spacing_k_mm).round().max(1.0) as i64 - 1);
    let thickness = geometry.slice_thickness_mm;
    let exclusion_reasons = exclusion_reasons(config, series_list, series, thickness);
    Scan {
        cohort: cohort.name.clone(),
        series_instance_uid: series.clone(),
        study_instance_uid: geometry.study_instance_uid.clone(),
        patient_id: geometry.patient_id.clone().unwrap_or_else(|| series.clone()),
        source: cohort.source.source().to_owned(),
        n_columns: None,
        n_rows: None,
        n_slices: z_mm.len() as i64,
        spacing_i_mm,
        spacing_j_mm,
        spacing_k_mm,
        origin_x_mm: None,
        origin_y_mm: None,
        origin_z_mm: z_mm.first().copied(),
        direction: None,
        slice_thickness_mm: thickness,
        slice_gap_max_deviation_mm: Some(
            steps().map(|step| (step - spacing_k_mm).abs()).fold(0.0, f64::max),
        ),
        n_missing_slices: Some(missing.sum()),
        n_duplicate_slices: Some(geometry.n_duplicate_slices as i64),
        manufacturer: None,
        model: None,
        kernel: None,
        kvp: None,
        tube_current: None,
        transfer_syntax: None,
        hu_min: None,
        hu_max: None,
        content_sha256: source.content_sha256.clone(),
        path: None,
        annotation_paths: Vec::new(),
        included: exclusion_reasons.is_empty(),
        exclusion_reasons,
        n_reading_sessions: 0,
    }
}

fn exclusion_reasons(
    config: &Config,
    series_list: Option<&BTreeSet<String>>,
    series: &str,
    thickness_mm: Option<f64>,
) -> Vec<String> {
    let mut reasons = Vec::new();
    if series_list.is_some_and(|list| !list.contains(series)) {
        reasons.push("not in ingest.series_list".to_owned());
    }
    if let (Some(limit), Some(thickness)) = (config.max_slice_thickness_mm, thickness_mm)
        && thickness > limit
    {
        reasons.push(format!("slice thickness {thickness} mm is over {limit} mm"));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::super::tests::config;
    use super::*;

    #[test]
    fn thick_and_unlisted_scans_are_left_out_with_the_reason() {
        let reasons = |limit, thickness| exclusion_reasons(&config(limit), None, "1.2", thickness);
        assert!(reasons(Some(3.0), Some(3.0)).is_empty());
        assert!(reasons(None, Some(5.0)).is_empty());
        assert!(reasons(Some(3.0), None).is_empty());
        assert_eq!(reasons(Some(3.0), Some(5.0)), ["slice thickness 5 mm is over 3 mm"]);
        let list = BTreeSet::from(["1.2".to_owned()]);
        assert!(exclusion_reasons(&config(None), Some(&list), "1.2", None).is_empty());
        let other = exclusion_reasons(&config(Some(3.0)), Some(&list), "1.3", Some(5.0));
        assert_eq!(other, ["not in ingest.series_list", "slice thickness 5 mm is over 3 mm"]);
    }
}
