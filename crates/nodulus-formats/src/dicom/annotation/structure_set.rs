//! Structure sets: DICOM RTSTRUCT (PS3.3, A.19 and C.8.8).

use super::referenced::{ReferencedUids, add_series, add_uids};
use crate::dicom::element::data_set::{DataSet, DicomFile, required};
use crate::dicom::error::Problem;
use crate::limits::POSITION_MM;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use std::collections::{BTreeMap, BTreeSet};

/// A structure set.
#[derive(Clone, Debug, PartialEq)]
pub struct StructureSet {
    /// The CT that it refers to; the frames of reference are those of the regions.
    pub referenced: ReferencedUids,
    /// Whether the list of regions (`StructureSetROISequence`) was lost: it is missing, or is empty beside observations of
    /// regions.
    pub has_lost_list: bool,
    /// The regions of interest, in the file's order.
    pub rois: Vec<Roi>,
}

/// A region of interest.
#[derive(Clone, Debug, PartialEq)]
pub struct Roi {
    /// `ROINumber`; `None` if it is missing.
    pub number: Option<i64>,
    /// `ROIName`.
    pub name: String,
    /// `RTROIInterpretedType`; empty if there is none.
    pub interpreted_type: String,
    /// `ReferencedFrameOfReferenceUID`.
    pub frame_of_reference_uid: Option<String>,
    /// Its contours, in the file's order; empty if nothing was drawn, or there is a defect.
    pub contours: Vec<PatientContour>,
    /// Why the region cannot be used; other regions of the file can.
    pub defect: Option<String>,
}

impl Roi {
    /// The region's number and name, for people.
    pub fn label(&self) -> String {
        match self.number {
            Some(number) => format!("{number} `{}`", self.name),
            None => format!("`{}` without a number", self.name),
        }
    }
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
///
/// METHOD: what is wrong with one region is that region's defect, so that a damaged body outline does not hide a
/// nodule. Contours of a number that no region has make up a region of their own, whose name is unknown.
pub(crate) fn parse(whole: &DicomFile) -> Result<StructureSet, Problem> {
    let data = whole.data_set(&WANTED)?;
    let sets = data.character_sets();
    let mut types: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
    for item in data.items(tags::RTROI_OBSERVATIONS_SEQUENCE) {
        let number = item.integer(tags::REFERENCED_ROI_NUMBER).ok().flatten();
        let found = item.text(tags::RTROI_INTERPRETED_TYPE, &sets).unwrap_or_default();
        if let Some(number) = number {
            types.entry(number).or_default().insert(found);
        }
    }
    // The observations name a region by its number. Of a number with several types, it is unknown which is whose.
    let type_of =
        |number: i64| match types.get(&number).map(|types| types.iter().collect::<Vec<_>>()) {
            Some(types) if types.len() == 1 => types[0].clone(),
            _ => String::new(),
        };
    let mut n_unnumbered = 0;
    let mut contours: BTreeMap<i64, Result<Vec<PatientContour>, String>> = BTreeMap::new();
    for item in data.items(tags::ROI_CONTOUR_SEQUENCE) {
        // Contours without a number belong to no region.
        let Ok(Some(number)) = item.integer(tags::REFERENCED_ROI_NUMBER) else {
            n_unnumbered += item.items(tags::CONTOUR_SEQUENCE).len();
            continue;
        };
        let own = item.items(tags::CONTOUR_SEQUENCE).iter().map(patient_contour);
        let own: Result<Vec<_>, _> = own.collect();
        let own = own.map_err(|problem| problem.to_string());
        if let Ok(before) = contours.entry(number).or_insert_with(|| Ok(Vec::new())) {
            match own {
                Ok(own) => before.extend(own),
                Err(defect) => {
                    contours.insert(number, Err(defect));
                }
            }
        }
    }
    let mut rois: Vec<Roi> = Vec::new();
    let mut n_of_number: BTreeMap<i64, usize> = BTreeMap::new();
    for item in data.items(tags::STRUCTURE_SET_ROI_SEQUENCE) {
        let (number, defect) = match roi_number(item) {
            Ok(number) => (Some(number), None),
            Err(problem) => (None, Some(problem.to_string())),
        };
        if let Some(number) = number {
            *n_of_number.entry(number).or_default() += 1;
        }
        let uid = item.text(tags::REFERENCED_FRAME_OF_REFERENCE_UID, &sets);
        rois.push(Roi {
            number,
            name: item.text(tags::ROI_NAME, &sets).unwrap_or_default(),
            interpreted_type: number.map(type_of).unwrap_or_default(),
            frame_of_reference_uid: uid,
            contours: Vec::new(),
            defect,
        });
    }
    for roi in &mut rois {
        let Some(number) = roi.number else { continue };
        if n_of_number.get(&number).is_some_and(|n| *n > 1) {
            let found = format!("{number} twice");
            let problem = Problem::value(tags::ROI_NUMBER, found, "each number once");
            roi.defect = Some(problem.to_string());
            continue;
        }
        match contours.remove(&number) {
            Some(Ok(own)) => roi.contours = own,
            Some(Err(defect)) => roi.defect = Some(defect),
            None => {}
        }
    }
    contours.retain(|number, _| !n_of_number.contains_key(number));
    if let Some(orphans) = orphans(contours.keys(), n_unnumbered) {
        // They may be those of any region that has none.
        for roi in rois.iter_mut().filter(|roi| roi.contours.is_empty() && roi.defect.is_none()) {
            roi.defect = Some(format!("it has no contours, and {orphans} belong to no region"));
        }
    }
    for (number, _) in contours {
        let expected = "the number of one region, with its contours once";
        let problem = Problem::value(tags::REFERENCED_ROI_NUMBER, number, expected);
        rois.push(Roi {
            number: Some(number),
            name: String::new(),
            interpreted_type: type_of(number),
            frame_of_reference_uid: None,
            contours: Vec::new(),
            defect: Some(problem.to_string()),
        });
    }
    let mut referenced = ReferencedUids::default();
    let frames = data.items(tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE);
    add_uids(frames, tags::FRAME_OF_REFERENCE_UID, &mut referenced.frames_of_reference)?;
    for study in frames.iter().flat_map(|frame| frame.items(tags::RT_REFERENCED_STUDY_SEQUENCE)) {
        add_series(study, tags::RT_REFERENCED_SERIES_SEQUENCE, &mut referenced.series)?;
    }
    let is_empty = data.items(tags::STRUCTURE_SET_ROI_SEQUENCE).is_empty();
    let has_lost_list = !data.has(tags::STRUCTURE_SET_ROI_SEQUENCE)
        || (is_empty && !data.items(tags::RTROI_OBSERVATIONS_SEQUENCE).is_empty());
    Ok(StructureSet { referenced, has_lost_list, rois })
}

/// The contours that belong to no region, for people: those of numbers that no region has, and those without a number.
fn orphans<'a>(numbers: impl Iterator<Item = &'a i64>, n_unnumbered: usize) -> Option<String> {
    let numbers: Vec<String> = numbers.map(i64::to_string).collect();
    match (numbers.is_empty(), n_unnumbered) {
        (true, 0) => None,
        (true, _) => Some("contours without a number".to_owned()),
        (false, _) => Some(format!("contours of number {}", numbers.join(", "))),
    }
}

fn roi_number(item: &DataSet<'_>) -> Result<i64, Problem> {
    required(item.integer(tags::ROI_NUMBER)?, tags::ROI_NUMBER)
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
    if let Some(beyond) = numbers.iter().find(|mm| !POSITION_MM.holds(**mm)) {
        return Err(Problem::value(tags::CONTOUR_DATA, beyond, POSITION_MM));
    }
    Ok(PatientContour { geometric_type, points_mm: points.to_vec() })
}
