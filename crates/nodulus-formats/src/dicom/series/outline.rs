//! What the headers of a series say that cannot be read as a scan.

use super::quantity;
use crate::dicom::date::Date;
use crate::dicom::element::elements;
use crate::dicom::element::values::{number, text, whole};
use crate::dicom::error::Error;
use crate::dicom::irregularities::Irregularities;
use crate::dicom::series_info::{SeriesInfo, SeriesLabels, SliceLabels};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// In the order of the tags, as reading ends after the last one.
const WANTED: [Tag; 22] = [
    tags::SPECIFIC_CHARACTER_SET,
    tags::IMAGE_TYPE,
    tags::SOP_CLASS_UID,
    tags::STUDY_DATE,
    tags::ACQUISITION_DATE,
    tags::MANUFACTURER,
    tags::SERIES_DESCRIPTION,
    tags::MANUFACTURER_MODEL_NAME,
    tags::PATIENT_ID,
    tags::CONTRAST_BOLUS_AGENT,
    tags::BODY_PART_EXAMINED,
    tags::SLICE_THICKNESS,
    tags::KVP,
    tags::CONVOLUTION_KERNEL,
    tags::MULTIENERGY_CT_ACQUISITION,
    tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
    tags::SERIES_NUMBER,
    tags::ACQUISITION_NUMBER,
    tags::RESCALE_INTERCEPT,
    tags::RESCALE_SLOPE,
    tags::RESCALE_TYPE,
];

/// What the header of one file says about its series, whatever else is wrong with the file.
#[derive(Debug)]
pub struct SeriesOutline {
    /// What the series is; values that the file lacks, or that are not valid, are missing.
    pub info: SeriesInfo,
    /// The refusal of a series that does not hold HU.
    pub not_hu: Option<Error>,
}

/// What the files of a series say about it, one value for each file whose header can be read.
///
/// A series may be a projection or hold another quantity than HU, and then often lacks what a scan needs, such as a slope:
/// this tells what it is, where [`OpenSeries`](crate::dicom::OpenSeries) tells what is wrong with it.
pub fn outlines(files: &[PathBuf]) -> Vec<SeriesOutline> {
    files.par_iter().filter_map(|file| outline(file)).collect()
}

fn outline(file: &Path) -> Option<SeriesOutline> {
    let found = elements::read(file, &WANTED).ok()??;
    let text = |tag| text(&found.values, tag).ok().flatten();
    let whole = |tag| whole(&found.values, tag).ok().flatten();
    let number = |tag| number(&found.values, tag).ok().flatten();
    let labels = SeriesLabels {
        series_description: text(tags::SERIES_DESCRIPTION),
        image_type: text(tags::IMAGE_TYPE),
        series_number: whole(tags::SERIES_NUMBER),
        acquisition_number: whole(tags::ACQUISITION_NUMBER),
        rescale_type: text(tags::RESCALE_TYPE),
        body_part: text(tags::BODY_PART_EXAMINED),
        contrast: text(tags::CONTRAST_BOLUS_AGENT),
    };
    let rescaling =
        [tags::RESCALE_SLOPE, tags::RESCALE_INTERCEPT].map(|tag| number(tag).unwrap_or(f64::NAN));
    let (rescale_type, image_type) = (labels.rescale_type.as_deref(), labels.image_type.as_deref());
    let quantity = quantity::of(&found.values, rescale_type, [image_type, None], rescaling);
    let date = |tag| Date::from_dicom(&text(tag)?);
    let (kernel, kvp) = (text(tags::CONVOLUTION_KERNEL), number(tags::KVP));
    let of_slices = SliceLabels {
        kernels: vec![(kernel.clone(), 1)],
        kvps: vec![(kvp, 1)],
        image_types: vec![(labels.image_type.clone(), 1)],
        descriptions: vec![(labels.series_description.clone(), 1)],
        patient_names: vec![(text(tags::PATIENT_NAME), 1)],
    };
    let info = SeriesInfo {
        series_instance_uid: text(tags::SERIES_INSTANCE_UID)?,
        study_instance_uid: text(tags::STUDY_INSTANCE_UID).unwrap_or_default(),
        frame_of_reference_uid: None,
        patient_id: text(tags::PATIENT_ID).unwrap_or_default(),
        acquired_on: date(tags::ACQUISITION_DATE).or_else(|| date(tags::STUDY_DATE)),
        slice_thickness_mm: number(tags::SLICE_THICKNESS),
        slice_gap_max_deviation_mm: None,
        n_missing_slices: None,
        n_duplicate_slices: 0,
        grid_residual_mm: None,
        tilt_deg: None,
        labels,
        of_slices,
        irregularities: Irregularities::default(),
        manufacturer: text(tags::MANUFACTURER),
        model: text(tags::MANUFACTURER_MODEL_NAME),
        kernel,
        kvp,
        tube_current: None,
        transfer_syntax: found.transfer_syntax.clone(),
    };
    let not_hu = quantity.map(|quantity| quantity.refused(file.to_owned()));
    Some(SeriesOutline { info, not_hu })
}
