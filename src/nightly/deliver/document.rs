//! All that is known of a scored scan, as JSON.

use super::{Case, Delivered, Error, Output};
use crate::nightly::scored::{ScoredNodule, ScoredScan};
use nodulus_formats::dicom::SeriesInfo;
use serde::Serialize;

/// Grows whenever a field's name or meaning changes.
const VERSION: u32 = 1;

/// `<series>_nodules.json`. Paths of the scan's files are left out, as they may name the patient.
#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    patient_id: Option<&'a str>,
    study_instance_uid: Option<String>,
    series_instance_uid: String,
    frame_of_reference_uid: Option<String>,
    is_deidentified: bool,
    /// Its date alone where patients are replaced.
    scored_at: String,
    model: Model<'a>,
    image: Image<'a>,
    nodules: Vec<Nodule<'a>>,
    warnings: &'a [String],
    files: Vec<File<'a>>,
}

#[derive(Serialize)]
struct Model<'a> {
    id: &'a str,
    name: &'a str,
    version: &'a str,
}

#[derive(Serialize)]
struct Image<'a> {
    size_ijk: [usize; 3],
    spacing_ijk_mm: [f64; 3],
    origin_lps_mm: [f64; 3],
    /// Row by row; its columns are the unit vectors of i, j and k.
    direction: [f64; 9],
    slice_thickness_mm: Option<f64>,
    slice_gap_max_deviation_mm: Option<f64>,
    n_missing_slices: Option<usize>,
    n_duplicate_slices: Option<usize>,
    manufacturer: Option<&'a str>,
    manufacturer_model: Option<&'a str>,
    kernel: Option<&'a str>,
    tube_voltage_kv: Option<f64>,
    tube_current_ma: Option<f64>,
    transfer_syntax: Option<&'a str>,
    /// Of each slice.
    sop_instance_uids: Vec<String>,
}

#[derive(Serialize)]
struct Nodule<'a> {
    number: u16,
    #[serde(rename = "nodule_id")]
    id: String,
    candidate_lps_mm: [f64; 3],
    candidate_score: Option<f64>,
    probability: Option<f64>,
    centroid_lps_mm: [f64; 3],
    volume_mm3: f64,
    equivalent_diameter_mm: f64,
    axial_diameter_mm: Option<f64>,
    axial_short_diameter_mm: Option<f64>,
    mean_hu: Option<f64>,
    mask: Option<MaskBox>,
    warnings: &'a [String],
}

/// Where a mask is.
#[derive(Serialize)]
struct MaskBox {
    start_ijk: [usize; 3],
    size_ijk: [usize; 3],
    n_voxels: usize,
}

#[derive(Serialize)]
struct File<'a> {
    output: Output,
    /// Null where there is none.
    name: Option<String>,
    sha256: Option<&'a str>,
    /// Why there is none.
    reason: Option<&'a str>,
}

pub(super) fn bytes(case: &Case<'_>, delivered: &[Delivered]) -> Result<Vec<u8>, Error> {
    let (scan, identity) = (case.scan, case.identity);
    let info = scan.info.as_ref();
    let uid = |of: &str| identity.uid(of);
    let frame = info.and_then(|info| info.frame_of_reference_uid.as_deref());
    let document = Document {
        version: VERSION,
        patient_id: info.map(|_| case.person.patient_id.as_str()),
        study_instance_uid: info.map(|info| uid(&info.study_instance_uid)),
        series_instance_uid: case.series_uid(),
        frame_of_reference_uid: frame.map(uid),
        is_deidentified: identity.is_replaced(),
        scored_at: scored_at(case)?,
        model: Model { id: &scan.model.id, name: &scan.model.name, version: &scan.model.version },
        image: image(scan, info, scan.sop_instance_uids.iter().map(|of| uid(of)).collect()),
        nodules: scan.nodules.iter().map(|of| nodule(of, identity.id(&of.nodule_id))).collect(),
        warnings: &scan.warnings,
        files: delivered.iter().map(file).collect(),
    };
    let mut bytes = serde_json::to_vec_pretty(&document)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn scored_at(case: &Case<'_>) -> Result<String, Error> {
    if !case.identity.is_replaced() {
        return Ok(case.scan.scored_at.clone());
    }
    let [date, _] = case.date_and_time()?;
    let date = case.identity.date(&case.person, &date);
    Ok(match (date.get(..4), date.get(4..6), date.get(6..)) {
        (Some(year), Some(month), Some(day)) => format!("{year}-{month}-{day}"),
        _ => String::new(),
    })
}

fn image<'a>(
    scan: &'a ScoredScan,
    info: Option<&'a SeriesInfo>,
    sop_instance_uids: Vec<String>,
) -> Image<'a> {
    let text = |of: fn(&SeriesInfo) -> Option<&str>| info.and_then(of);
    Image {
        size_ijk: scan.geometry.size(),
        spacing_ijk_mm: scan.geometry.spacing().ijk(),
        origin_lps_mm: scan.geometry.origin_mm(),
        direction: scan.geometry.direction(),
        slice_thickness_mm: info.and_then(|info| info.slice_thickness_mm),
        slice_gap_max_deviation_mm: info.and_then(|info| info.slice_gap_max_deviation_mm),
        n_missing_slices: info.and_then(|info| info.n_missing_slices),
        n_duplicate_slices: info.map(|info| info.n_duplicate_slices),
        manufacturer: text(|info| info.manufacturer.as_deref()),
        manufacturer_model: text(|info| info.model.as_deref()),
        kernel: text(|info| info.kernel.as_deref()),
        tube_voltage_kv: info.and_then(|info| info.kvp),
        tube_current_ma: info.and_then(|info| info.tube_current),
        transfer_syntax: info.map(|info| info.transfer_syntax.as_str()),
        sop_instance_uids,
    }
}

fn nodule(of: &ScoredNodule, id: String) -> Nodule<'_> {
    Nodule {
        number: of.number,
        id,
        candidate_lps_mm: of.candidate_mm,
        candidate_score: of.candidate_score,
        probability: of.probability,
        centroid_lps_mm: of.centroid_mm,
        volume_mm3: of.volume_mm3,
        equivalent_diameter_mm: of.equivalent_diameter_mm,
        axial_diameter_mm: of.axial_diameter_mm,
        axial_short_diameter_mm: of.axial_short_diameter_mm,
        mean_hu: of.mean_hu,
        mask: of.mask.as_ref().map(|placed| MaskBox {
            start_ijk: placed.start,
            size_ijk: placed.mask.size(),
            n_voxels: placed.mask.count(),
        }),
        warnings: &of.warnings,
    }
}

fn file(delivered: &Delivered) -> File<'_> {
    match delivered {
        Delivered::Written { output, path, sha256, .. } => File {
            output: *output,
            name: path.file_name().map(|name| name.to_string_lossy().into_owned()),
            sha256: Some(sha256),
            reason: None,
        },
        Delivered::Empty { output, reason } | Delivered::Unavailable { output, reason } => {
            File { output: *output, name: None, sha256: None, reason: Some(reason) }
        }
    }
}
