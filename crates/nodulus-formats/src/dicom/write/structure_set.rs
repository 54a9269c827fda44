//! Writes contours as a structure set: DICOM RTSTRUCT (PS3.3, A.19 and C.8.8).

use super::derived_object::{self, Creation, DerivedSeries, frame_reference, references};
use super::new_object::{
    Item, NewObject, item, put, put_code, put_decimals, put_items, put_texts, seal,
};
use super::segmentation::NODULE;
use crate::dicom::error::Error;
use crate::dicom::series::source_series::SourceSeries;
use dicom_dictionary_std::{tags, uids};

/// A region of interest to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRoi {
    /// `ROINumber`.
    pub number: u16,
    /// `ROIName`, at most 64 characters.
    pub name: String,
    /// Its contours. A channel, there and back, joins a hole to the contour around it (C.8.8.6.3).
    pub contours: Vec<NewContour>,
}

/// A closed contour on a slice.
#[derive(Clone, Debug, PartialEq)]
pub struct NewContour {
    /// The slice k.
    pub k: usize,
    /// Points along i and j, in pixels from the centre of the first pixel.
    pub points_ij: Vec<[f64; 2]>,
}

const SERIES: DerivedSeries = DerivedSeries {
    modality: "RTSTRUCT",
    series_number: "902",
    series_description: "Lung nodules, automatic outlines",
};

/// The retired class by which a structure set refers to its study (C.8.8.5, `RTReferencedStudySequence`).
const STUDY_CLASS: &str = "1.2.840.10008.3.1.2.3.1";

/// Makes a structure set; `None` if no region has a contour, as the standard requires a region (C.8.8.5:
/// `StructureSetROISequence` has at least one item).
///
/// Regions without contours are skipped. The same input gives the same bytes. They are in implicit VR little endian,
/// because in explicit VR the points of a long contour do not fit into a length of 16 bits.
///
/// # Errors
///
/// Fails if the series has no frame of reference, or a contour is on none of its slices.
pub fn structure_set(
    source: &SourceSeries,
    creation: &Creation<'_>,
    rois: &[NewRoi],
) -> Result<Option<NewObject>, Error> {
    let frame_of_reference = source.frame_of_reference()?;
    let rois: Vec<&NewRoi> = rois.iter().filter(|roi| !roi.contours.is_empty()).collect();
    if rois.is_empty() {
        return Ok(None);
    }
    let n_slices = source.slices.len();
    let mut contours = rois.iter().flat_map(|roi| &roi.contours);
    if let Some(contour) = contours.find(|contour| contour.k >= n_slices) {
        let expected = format!("less than {n_slices}");
        return Err(source.unwritable("the slice of a contour", contour.k.to_string(), expected));
    }
    let mut object = derived_object::begin(source, creation, Some(frame_of_reference), &SERIES);
    let [date, time] = derived_object::date_and_time(source, creation);
    put_texts(
        &mut object,
        [
            (tags::OPERATORS_NAME, ""),
            (tags::STRUCTURE_SET_LABEL, "NODULES"),
            (tags::STRUCTURE_SET_DATE, &date),
            (tags::STRUCTURE_SET_TIME, &time),
            (tags::APPROVAL_STATUS, "UNAPPROVED"),
        ],
    );
    if let Some(replaced) = creation.replaces {
        put_items(&mut object, tags::PREDECESSOR_STRUCTURE_SET_SEQUENCE, vec![replaced.item()]);
    }
    let frame = referenced_frame(source, frame_of_reference);
    put_items(&mut object, tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE, vec![frame]);
    let regions = rois.iter().map(|roi| region(roi, frame_of_reference)).collect();
    put_items(&mut object, tags::STRUCTURE_SET_ROI_SEQUENCE, regions);
    let contours = rois.iter().map(|roi| roi_contours(source, roi)).collect();
    put_items(&mut object, tags::ROI_CONTOUR_SEQUENCE, contours);
    let observations = rois.iter().map(|roi| observation(roi)).collect();
    put_items(&mut object, tags::RTROI_OBSERVATIONS_SEQUENCE, observations);
    seal(object, uids::RT_STRUCTURE_SET_STORAGE, uids::IMPLICIT_VR_LITTLE_ENDIAN).map(Some).map_err(
        |problem| source.unwritable("the structure set", problem.to_string(), "one".into()),
    )
}

/// The frame of reference, with the study, the series and the instances in it.
fn referenced_frame(source: &SourceSeries, frame_of_reference: &str) -> Item {
    let mut series = item([(tags::SERIES_INSTANCE_UID, source.series_instance_uid.as_str())]);
    put_items(&mut series, tags::CONTOUR_IMAGE_SEQUENCE, references(source));
    let mut study = item([
        (tags::REFERENCED_SOP_CLASS_UID, STUDY_CLASS),
        (tags::REFERENCED_SOP_INSTANCE_UID, source.text(tags::STUDY_INSTANCE_UID)),
    ]);
    put_items(&mut study, tags::RT_REFERENCED_SERIES_SEQUENCE, vec![series]);
    let mut frame = item([(tags::FRAME_OF_REFERENCE_UID, frame_of_reference)]);
    put_items(&mut frame, tags::RT_REFERENCED_STUDY_SEQUENCE, vec![study]);
    frame
}

fn region(roi: &NewRoi, frame_of_reference: &str) -> Item {
    item([
        (tags::ROI_NUMBER, roi.number.to_string().as_str()),
        (tags::REFERENCED_FRAME_OF_REFERENCE_UID, frame_of_reference),
        (tags::ROI_NAME, &roi.name),
        (tags::ROI_GENERATION_ALGORITHM, "AUTOMATIC"),
    ])
}

fn roi_contours(source: &SourceSeries, roi: &NewRoi) -> Item {
    let contours = roi.contours.iter().zip(1..).map(|(contour, n)| {
        let slice = &source.slices[contour.k];
        let points = contour.points_ij.iter().flat_map(|ij| source.on_slice(slice, *ij));
        let points: Vec<f64> = points.collect();
        let mut made = item([
            (tags::CONTOUR_GEOMETRIC_TYPE, "CLOSED_PLANAR"),
            (tags::NUMBER_OF_CONTOUR_POINTS, contour.points_ij.len().to_string().as_str()),
            (tags::CONTOUR_NUMBER, &format!("{n}")),
        ]);
        put_items(&mut made, tags::CONTOUR_IMAGE_SEQUENCE, vec![frame_reference(slice)]);
        put_decimals(&mut made, tags::CONTOUR_DATA, &points);
        made
    });
    let contours = contours.collect();
    let mut made = item([(tags::ROI_DISPLAY_COLOR, "86\\200\\255")]);
    put(&mut made, tags::REFERENCED_ROI_NUMBER, roi.number.to_string());
    put_items(&mut made, tags::CONTOUR_SEQUENCE, contours);
    made
}

fn observation(roi: &NewRoi) -> Item {
    let number = roi.number.to_string();
    let mut made = item([
        (tags::OBSERVATION_NUMBER, number.as_str()),
        (tags::REFERENCED_ROI_NUMBER, &number),
        (tags::RTROI_INTERPRETED_TYPE, ""),
        (tags::ROI_INTERPRETER, ""),
    ]);
    put_code(&mut made, tags::RTROI_IDENTIFICATION_CODE_SEQUENCE, NODULE);
    made
}
