//! Rows of `scans`.

use super::cohort_settings::Cohort;
use super::config::Config;
use super::judged::JudgedScan;
use super::sources::SourceCase;
use crate::tables::Scan;
use nodulus_formats::cohort::{Layout, ScanFacts};
use nodulus_formats::dicom::{RefusedSeries, SeriesInfo};
use nodulus_formats::luna_csv::lidc_patient;
use nodulus_formats::scan_geometry::ScanGeometry;
use std::collections::BTreeSet;

/// The row of an image; the annotations fill in the rest.
pub(super) fn of_image(
    config: &Config,
    series_list: Option<&BTreeSet<String>>,
    cohort: &Cohort,
    source: &SourceCase,
    facts: &ScanFacts,
) -> Scan {
    let geometry = &facts.image.geometry;
    let [n_columns, n_rows, n_slices] = geometry.size().map(|n| n as i64);
    let [spacing_i_mm, spacing_j_mm, spacing_k_mm] = geometry.spacing().ijk();
    let [x, y, z] = geometry.origin_mm();
    let info = facts.info.as_ref();
    let labels = info.map(|info| info.labels.clone()).unwrap_or_default();
    let series = &facts.series_instance_uid;
    // METHOD: LUNA16's files name no patient; the list of LIDC-IDRI's series has them. A series that is not in the list
    // is its own patient.
    let of_luna16 = || {
        let is_luna16 = cohort.source == Layout::Luna16;
        is_luna16.then(|| lidc_patient(series)).flatten().map(str::to_owned)
    };
    let patient_id = source
        .case
        .patient
        .clone()
        .or_else(of_luna16)
        .or_else(|| info.map(|info| info.patient_id.clone()).filter(|id| !id.is_empty()))
        .unwrap_or_else(|| series.clone());
    let scan = Scan {
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
        spacing_k_mm: Some(spacing_k_mm),
        origin_x_mm: Some(x),
        origin_y_mm: Some(y),
        origin_z_mm: Some(z),
        direction: Some(geometry.direction().to_vec()),
        slice_thickness_mm: info.and_then(|info| info.slice_thickness_mm),
        slice_gap_max_deviation_mm: info.and_then(|info| info.slice_gap_max_deviation_mm),
        n_missing_slices: info.and_then(|info| info.n_missing_slices).map(|n| n as i64),
        n_duplicate_slices: info.map(|info| info.n_duplicate_slices as i64),
        grid_residual_mm: info.and_then(|info| info.grid_residual_mm),
        tilt_deg: info.and_then(|info| info.tilt_deg),
        series_description: labels.series_description,
        image_type: labels.image_type,
        series_number: labels.series_number,
        acquisition_number: labels.acquisition_number,
        rescale_type: labels.rescale_type,
        body_part: labels.body_part,
        contrast: labels.contrast,
        manufacturer: info.and_then(|info| info.manufacturer.clone()),
        model: info.and_then(|info| info.model.clone()),
        kernel: info.and_then(|info| info.kernel.clone()),
        kvp: info.and_then(|info| info.kvp),
        tube_current: info.and_then(|info| info.tube_current),
        transfer_syntax: info.map(|info| info.transfer_syntax.clone()),
        irregularities: info
            .map_or_else(|| facts.repairs.texts(), |info| info.irregularities.texts()),
        hu_min: facts.image.hu_range.map(|[least, _]| least.into()),
        hu_max: facts.image.hu_range.map(|[_, most]| most.into()),
        image_sha256: facts.image.sha256.clone(),
        content_sha256: source.content_sha256.clone(),
        files_sha256: source.files_sha256.clone(),
        path: Some(source.case.case_id.clone()),
        annotation_paths: Vec::new(),
        included: true,
        exclusion_reasons: Vec::new(),
        n_reading_sessions: 0,
    };
    judged(config, series_list, info, scan)
}

/// The row of a DICOM series whose slices make no volume: what is known, and the reason.
pub(super) fn of_refused(
    config: &Config,
    series_list: Option<&BTreeSet<String>>,
    cohort: &Cohort,
    source: &SourceCase,
    series: &RefusedSeries,
    reason: String,
) -> Scan {
    let info = &series.info;
    let labels = info.labels.clone();
    let [n_columns, n_rows] = series.size.map(|n| n as i64);
    let [spacing_i_mm, spacing_j_mm] = series.spacing_mm;
    let own = Some(info.patient_id.clone()).filter(|id| !id.is_empty());
    let patient_id = source.case.patient.clone().or(own);
    let scan = Scan {
        cohort: cohort.name.clone(),
        series_instance_uid: info.series_instance_uid.clone(),
        study_instance_uid: Some(info.study_instance_uid.clone()),
        patient_id: patient_id.unwrap_or_else(|| info.series_instance_uid.clone()),
        source: cohort.source.source().to_owned(),
        n_columns: Some(n_columns),
        n_rows: Some(n_rows),
        n_slices: series.n_slices as i64,
        spacing_i_mm,
        spacing_j_mm,
        spacing_k_mm: series.spacing_k_mm,
        origin_x_mm: None,
        origin_y_mm: None,
        origin_z_mm: None,
        direction: None,
        slice_thickness_mm: info.slice_thickness_mm,
        slice_gap_max_deviation_mm: info.slice_gap_max_deviation_mm,
        n_missing_slices: info.n_missing_slices.map(|n| n as i64),
        n_duplicate_slices: None,
        grid_residual_mm: info.grid_residual_mm,
        tilt_deg: info.tilt_deg,
        series_description: labels.series_description,
        image_type: labels.image_type,
        series_number: labels.series_number,
        acquisition_number: labels.acquisition_number,
        rescale_type: labels.rescale_type,
        body_part: labels.body_part,
        contrast: labels.contrast,
        manufacturer: info.manufacturer.clone(),
        model: info.model.clone(),
        kernel: info.kernel.clone(),
        kvp: info.kvp,
        tube_current: info.tube_current,
        transfer_syntax: Some(info.transfer_syntax.clone()),
        irregularities: info.irregularities.texts(),
        hu_min: None,
        hu_max: None,
        image_sha256: None,
        content_sha256: source.content_sha256.clone(),
        files_sha256: source.files_sha256.clone(),
        path: Some(source.case.case_id.clone()),
        annotation_paths: Vec::new(),
        included: true,
        exclusion_reasons: Vec::new(),
        n_reading_sessions: 0,
    };
    let mut scan = judged(config, series_list, Some(info), scan);
    scan.included = false;
    scan.exclusion_reasons.insert(0, reason);
    scan
}

/// The row of a scan without an image: columns that need its pixels are null, and those of its place unless the table has it.
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
    let (size, place) = (geometry.slices.size(), geometry.in_plane.as_ref());
    let steps = || z_mm.windows(2).map(|pair| pair[1] - pair[0]);
    // METHOD: a step holds as many missing slices as fit in it at the scan's spacing.
    let missing = steps().map(|step| (step / spacing_k_mm).round().max(1.0) as i64 - 1);
    let scan = Scan {
        cohort: cohort.name.clone(),
        series_instance_uid: series.clone(),
        study_instance_uid: geometry.study_instance_uid.clone(),
        patient_id: geometry.patient_id.clone().unwrap_or_else(|| series.clone()),
        source: cohort.source.source().to_owned(),
        n_columns: size.map(|[n, _]| n as i64),
        n_rows: size.map(|[_, n]| n as i64),
        n_slices: z_mm.len() as i64,
        spacing_i_mm,
        spacing_j_mm,
        spacing_k_mm: Some(spacing_k_mm),
        origin_x_mm: place.map(|place| place.origin_mm()[0]),
        origin_y_mm: place.map(|place| place.origin_mm()[1]),
        origin_z_mm: z_mm.first().copied(),
        direction: place.map(|place| place.direction().to_vec()),
        slice_thickness_mm: geometry.slice_thickness_mm,
        slice_gap_max_deviation_mm: Some(
            steps().map(|step| (step - spacing_k_mm).abs()).fold(0.0, f64::max),
        ),
        n_missing_slices: Some(missing.sum()),
        n_duplicate_slices: Some(geometry.n_duplicate_slices as i64),
        grid_residual_mm: None,
        tilt_deg: None,
        series_description: None,
        image_type: None,
        series_number: None,
        acquisition_number: None,
        rescale_type: None,
        body_part: None,
        contrast: None,
        manufacturer: None,
        model: None,
        kernel: None,
        kvp: None,
        tube_current: None,
        transfer_syntax: None,
        irregularities: Vec::new(),
        hu_min: None,
        hu_max: None,
        image_sha256: None,
        content_sha256: source.content_sha256.clone(),
        files_sha256: source.files_sha256.clone(),
        path: None,
        annotation_paths: Vec::new(),
        included: true,
        exclusion_reasons: Vec::new(),
        n_reading_sessions: 0,
    };
    judged(config, series_list, None, scan)
}

/// Applies the inclusion rules to a row. `info` is what the headers of a DICOM series say.
fn judged(
    config: &Config,
    series_list: Option<&BTreeSet<String>>,
    info: Option<&SeriesInfo>,
    scan: Scan,
) -> Scan {
    let mut exclusion_reasons = Vec::new();
    if series_list.is_some_and(|list| !list.contains(&scan.series_instance_uid)) {
        exclusion_reasons.push("not in ingest.series_list".to_owned());
    }
    let looked_at = match info {
        Some(info) => JudgedScan::of_series(info, scan.spacing_k_mm),
        None => (&scan).into(),
    };
    exclusion_reasons.extend(config.inclusion.reasons("ingest.inclusion", &looked_at));
    Scan { included: exclusion_reasons.is_empty(), exclusion_reasons, ..scan }
}
