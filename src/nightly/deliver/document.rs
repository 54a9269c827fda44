//! Everything that is known about a scored scan, as JSON.

use super::delivery::Delivery;
use super::error::Error;
use super::output::{DeliveredFile, OutputKind};
use crate::nightly::scan::scored::{ScoredNodule, ScoredScan};
use nodulus_formats::dicom::SeriesInfo;
use serde::Serialize;

/// Version of the document; raised when a field's name or meaning changes.
const VERSION: u32 = 1;

/// `<series>_nodules.json`. Paths of the scan's files are left out, as they may name the patient.
#[derive(Serialize)]
struct ScanDocument<'a> {
    version: u32,
    patient_id: Option<&'a str>,
    study_instance_uid: Option<String>,
    series_instance_uid: String,
    frame_of_reference_uid: Option<String>,
    is_deidentified: bool,
    /// Only the date where patients are replaced.
    scored_at: String,
    model: ModelDocument<'a>,
    image: ImageDocument<'a>,
    nodules: Vec<NoduleDocument<'a>>,
    warnings: &'a [String],
    files: Vec<FileDocument<'a>>,
}

#[derive(Serialize)]
struct ModelDocument<'a> {
    id: &'a str,
    name: &'a str,
    version: &'a str,
}

#[derive(Serialize)]
struct ImageDocument<'a> {
    size_ijk: [usize; 3],
    spacing_ijk_mm: [f64; 3],
    origin_lps_mm: [f64; 3],
    /// Row by row; the columns are the unit vectors of i, j and k.
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
    /// One for each slice.
    sop_instance_uids: Vec<String>,
}

#[derive(Serialize)]
struct NoduleDocument<'a> {
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
    mask: Option<MaskDocument>,
    warnings: &'a [String],
}

/// Box of a mask.
#[derive(Serialize)]
struct MaskDocument {
    start_ijk: [usize; 3],
    size_ijk: [usize; 3],
    n_voxels: usize,
}

#[derive(Serialize)]
struct FileDocument<'a> {
    output: OutputKind,
    /// Null where the file is not written.
    name: Option<String>,
    sha256: Option<&'a str>,
    /// Why it is not written.
    reason: Option<&'a str>,
}

pub(super) fn bytes(
    delivery: &Delivery<'_>,
    delivered: &[DeliveredFile],
) -> Result<Vec<u8>, Error> {
    let (scan, identity) = (delivery.scan, delivery.identity);
    let info = scan.info.as_ref();
    let uid = |uid: &str| identity.uid(uid);
    let frame = info.and_then(|info| info.frame_of_reference_uid.as_deref());
    let document = ScanDocument {
        version: VERSION,
        patient_id: info.map(|_| delivery.patient.patient_id.as_str()),
        study_instance_uid: info.map(|info| uid(&info.study_instance_uid)),
        series_instance_uid: delivery.series_uid(),
        frame_of_reference_uid: frame.map(uid),
        is_deidentified: identity.is_replaced(),
        scored_at: scored_at(delivery)?,
        model: ModelDocument {
            id: &scan.model.id,
            name: &scan.model.name,
            version: &scan.model.version,
        },
        image: image(
            scan,
            info,
            scan.sop_instance_uids.iter().map(|of| uid(of)).collect(),
            identity.is_replaced(),
        ),
        nodules: scan.nodules.iter().map(|of| nodule(of, of.result_id(identity))).collect(),
        warnings: &scan.warnings,
        files: delivered.iter().map(file).collect(),
    };
    let mut bytes = serde_json::to_vec_pretty(&document)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn scored_at(delivery: &Delivery<'_>) -> Result<String, Error> {
    if !delivery.identity.is_replaced() {
        return Ok(delivery.scan.scored_at.clone());
    }
    let [date, _] = delivery.date_and_time()?;
    let date = delivery.identity.date(&delivery.patient, &date);
    Ok(match (date.get(..4), date.get(4..6), date.get(6..)) {
        (Some(year), Some(month), Some(day)) => format!("{year}-{month}-{day}"),
        _ => String::new(),
    })
}

fn image<'a>(
    scan: &'a ScoredScan,
    info: Option<&'a SeriesInfo>,
    sop_instance_uids: Vec<String>,
    is_deidentified: bool,
) -> ImageDocument<'a> {
    // Text that a scanner or a person typed may name the patient.
    let shown = info.filter(|_| !is_deidentified);
    let text = |of: fn(&SeriesInfo) -> Option<&str>| shown.and_then(of);
    ImageDocument {
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

fn nodule(of: &ScoredNodule, id: String) -> NoduleDocument<'_> {
    NoduleDocument {
        number: of.number,
        id,
        candidate_lps_mm: of.candidate_mm,
        candidate_score: of.candidate_confidence,
        probability: of.probability,
        centroid_lps_mm: of.centroid_mm,
        volume_mm3: of.volume_mm3,
        equivalent_diameter_mm: of.equivalent_diameter_mm,
        axial_diameter_mm: of.axial_diameter_mm,
        axial_short_diameter_mm: of.axial_short_diameter_mm,
        mean_hu: of.mean_hu,
        mask: of.mask.as_ref().map(|placed| MaskDocument {
            start_ijk: placed.start,
            size_ijk: placed.mask.size(),
            n_voxels: placed.mask.count(),
        }),
        warnings: &of.warnings,
    }
}

fn file(delivered: &DeliveredFile) -> FileDocument<'_> {
    match delivered {
        DeliveredFile::Written { output, path, sha256, .. } => FileDocument {
            output: *output,
            name: path.file_name().map(|name| name.to_string_lossy().into_owned()),
            sha256: Some(sha256),
            reason: None,
        },
        DeliveredFile::Empty { output, reason } | DeliveredFile::Unavailable { output, reason } => {
            FileDocument { output: *output, name: None, sha256: None, reason: Some(reason) }
        }
    }
}
