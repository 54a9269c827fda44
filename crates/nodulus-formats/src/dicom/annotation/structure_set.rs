//! Structure sets: DICOM RTSTRUCT (PS3.3, A.19 and C.8.8).

use super::referenced::{ReferencedUids, add_series, add_uids};
use crate::dicom::element::data_set::{DataSet, DicomFile, required};
use crate::dicom::error::Problem;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use std::collections::BTreeMap;

/// A structure set.
#[derive(Clone, Debug, PartialEq)]
pub struct StructureSet {
    /// The CT that it refers to; the frames of reference are those of the regions.
    pub referenced: ReferencedUids,
    /// The regions of interest, in the file's order.
    pub rois: Vec<Roi>,
}

/// A region of interest.
#[derive(Clone, Debug, PartialEq)]
pub struct Roi {
    /// `ROINumber`.
    pub number: i64,
    /// `ROIName`.
    pub name: String,
    /// `RTROIInterpretedType`; empty if there is none.
    pub interpreted_type: String,
    /// `ReferencedFrameOfReferenceUID`.
    pub frame_of_reference_uid: Option<String>,
    /// Its contours, in the file's order; empty if nothing was drawn.
    pub contours: Vec<PatientContour>,
}

/// A contour in the patient.
#[derive(Clone, Debug, PartialEq)]
pub struct PatientContour {
    /// `ContourGeometricType`.
    pub geometric_type: String,
    /// Points, LPS.
    pub points_mm: Vec<[f64; 3]>,
}

/// The standard retired it, so the dictionary marks it as deprecated.
const CONTOUR_OFFSET_VECTOR: Tag = Tag(0x3006, 0x0045);

const WANTED: [Tag; 19] = [
    tags::SPECIFIC_CHARACTER_SET,
    tags::FRAME_OF_REFERENCE_UID,
    tags::SERIES_INSTANCE_UID,
    tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE,
    tags::RT_REFERENCED_STUDY_SEQUENCE,
    tags::RT_REFERENCED_SERIES_SEQUENCE,
    tags::STRUCTURE_SET_ROI_SEQUENCE,
    tags::ROI_NUMBER,
    tags::REFERENCED_FRAME_OF_REFERENCE_UID,
    tags::ROI_NAME,
    tags::ROI_CONTOUR_SEQUENCE,
    tags::CONTOUR_SEQUENCE,
    tags::CONTOUR_GEOMETRIC_TYPE,
    tags::NUMBER_OF_CONTOUR_POINTS,
    CONTOUR_OFFSET_VECTOR,
    tags::CONTOUR_DATA,
    tags::RTROI_OBSERVATIONS_SEQUENCE,
    tags::REFERENCED_ROI_NUMBER,
    tags::RTROI_INTERPRETED_TYPE,
];

/// Parses a structure set; see [`read_annotation_object`](crate::dicom::read_annotation_object).
pub(crate) fn parse(whole: &DicomFile) -> Result<StructureSet, Problem> {
    let data = whole.data_set(&WANTED)?;
    let mut types: BTreeMap<i64, String> = BTreeMap::new();
    for item in data.items(tags::RTROI_OBSERVATIONS_SEQUENCE) {
        let found = item.ascii(tags::RTROI_INTERPRETED_TYPE)?.unwrap_or_default();
        types.insert(roi_number(item, tags::REFERENCED_ROI_NUMBER)?, found.to_owned());
    }
    let mut contours: BTreeMap<i64, Vec<PatientContour>> = BTreeMap::new();
    for item in data.items(tags::ROI_CONTOUR_SEQUENCE) {
        let of_roi = contours.entry(roi_number(item, tags::REFERENCED_ROI_NUMBER)?).or_default();
        for contour in item.items(tags::CONTOUR_SEQUENCE) {
            of_roi.push(patient_contour(contour)?);
        }
    }
    let mut referenced = ReferencedUids::default();
    let mut rois: Vec<Roi> = Vec::new();
    for item in data.items(tags::STRUCTURE_SET_ROI_SEQUENCE) {
        let number = roi_number(item, tags::ROI_NUMBER)?;
        if rois.iter().any(|roi| roi.number == number) {
            let found = format!("{number} twice");
            return Err(Problem::value(tags::ROI_NUMBER, found, "each number once"));
        }
        let uid = item.ascii(tags::REFERENCED_FRAME_OF_REFERENCE_UID)?;
        rois.push(Roi {
            number,
            name: item.text(tags::ROI_NAME, &data)?.unwrap_or_default(),
            interpreted_type: types.get(&number).cloned().unwrap_or_default(),
            frame_of_reference_uid: uid.map(str::to_owned),
            contours: contours.remove(&number).unwrap_or_default(),
        });
    }
    if let Some(number) = contours.into_keys().next() {
        let expected = "the number of one region, with its contours once";
        return Err(Problem::value(tags::REFERENCED_ROI_NUMBER, number, expected));
    }
    let frames = data.items(tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE);
    add_uids(frames, tags::FRAME_OF_REFERENCE_UID, &mut referenced.frames_of_reference)?;
    for study in frames.iter().flat_map(|frame| frame.items(tags::RT_REFERENCED_STUDY_SEQUENCE)) {
        add_series(study, tags::RT_REFERENCED_SERIES_SEQUENCE, &mut referenced.series)?;
    }
    Ok(StructureSet { referenced, rois })
}

fn roi_number(item: &DataSet<'_>, tag: Tag) -> Result<i64, Problem> {
    required(item.integer(tag)?, tag)
}

fn patient_contour(item: &DataSet<'_>) -> Result<PatientContour, Problem> {
    let tag = tags::CONTOUR_GEOMETRIC_TYPE;
    let geometric_type = required(item.ascii(tag)?, tag)?.to_owned();
    let offset = item.decimals(CONTOUR_OFFSET_VECTOR)?;
    if offset.iter().any(|mm| *mm != 0.0) {
        return Err(Problem::value(CONTOUR_OFFSET_VECTOR, format!("{offset:?}"), "none or zeros"));
    }
    let numbers = item.decimals(tags::CONTOUR_DATA)?;
    let (points, rest) = numbers.as_chunks::<3>();
    let n_points =
        required(item.integer(tags::NUMBER_OF_CONTOUR_POINTS)?, tags::NUMBER_OF_CONTOUR_POINTS)?;
    if !rest.is_empty() || points.is_empty() || usize::try_from(n_points) != Ok(points.len()) {
        let found = format!("{} numbers", numbers.len());
        let expected = format!("3 for each of {n_points} points, at least one point");
        return Err(Problem::value(tags::CONTOUR_DATA, found, expected));
    }
    Ok(PatientContour { geometric_type, points_mm: points.to_vec() })
}
