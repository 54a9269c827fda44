//! What the headers of a series say that cannot be read as a scan.

use super::few_positions::{self, ImagePlace};
use super::quantity;
use super::sop_class::{self, SopClass};
use crate::dicom::date::Date;
use crate::dicom::element::elements;
use crate::dicom::element::values::{number, text, whole};
use crate::dicom::error::Error;
use crate::dicom::irregularities::Irregularities;
use crate::dicom::series_info::{SeriesInfo, SeriesLabels, SliceLabels};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use rayon::prelude::*;
use std::fmt;
use std::path::{Path, PathBuf};

/// In the order of the tags, as reading ends after the last one.
const WANTED: [Tag; 26] = [
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
    tags::SPACING_BETWEEN_SLICES,
    tags::CONVOLUTION_KERNEL,
    tags::MULTIENERGY_CT_ACQUISITION,
    tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
    tags::SERIES_NUMBER,
    tags::ACQUISITION_NUMBER,
    tags::IMAGE_POSITION_PATIENT,
    tags::IMAGE_ORIENTATION_PATIENT,
    tags::RESCALE_INTERCEPT,
    tags::RESCALE_SLOPE,
    tags::RESCALE_TYPE,
    tags::REAL_WORLD_VALUE_MAPPING_SEQUENCE,
];

/// What the header of one file says about its series, whatever else is wrong with the file.
#[derive(Debug)]
pub struct SeriesOutline {
    /// What the series is; values that the file lacks, or that are not valid, are missing.
    pub info: SeriesInfo,
    /// The refusal of a series that does not hold HU.
    not_hu: Option<Error>,
    /// Where the only image of the file lies.
    place: Option<ImagePlace>,
    spacing_between_slices: Option<String>,
}

/// A series whose headers make up no scan, and what they say that it is.
///
/// A series may be a projection, bolus tracking, or hold another quantity than HU, and then often lacks what a scan needs,
/// such as a slope: this tells what it is, where the error tells what is wrong with it.
#[derive(Debug)]
pub struct UnreadableSeries {
    /// What is wrong.
    pub error: Error,
    /// What each file says whose header can be read.
    pub outlines: Vec<SeriesOutline>,
    /// Why the series is no scan by what every file says, whatever is wrong with them.
    pub no_scan: Option<Error>,
}

impl UnreadableSeries {
    /// Reads what the files of a series say. `named` gives an error the names of files for people.
    pub fn new(error: Error, files: &[PathBuf], named: impl Fn(Error) -> Error) -> Self {
        let mut outlines: Vec<SeriesOutline> =
            files.par_iter().filter_map(|file| outline(file)).collect();
        let is_every_file = !outlines.is_empty() && outlines.len() == files.len();
        let no_scan = if outlines.iter().all(|outline| outline.not_hu.is_some()) {
            outlines.first_mut().and_then(|outline| outline.not_hu.take())
        } else if is_every_file {
            without_extent(&outlines, files)
        } else {
            None
        };
        Self { error: named(error), outlines, no_scan: no_scan.map(&named) }
    }
}

impl fmt::Display for UnreadableSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for UnreadableSeries {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

/// Why images are no scan by where they lie: a single one, at a few positions or from different sides.
fn without_extent(outlines: &[SeriesOutline], files: &[PathBuf]) -> Option<Error> {
    let places: Option<Vec<ImagePlace>> = outlines.iter().map(|outline| outline.place).collect();
    if let ([only], [file]) = (outlines, files) {
        let is_alone = only.place.is_some() && only.spacing_between_slices.is_none();
        let spacing = || "missing".to_owned();
        return is_alone.then(|| Error::SingleSlice { file: file.clone(), spacing: spacing() });
    }
    few_positions::no_scan(&places?)
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
    let position = text(tags::IMAGE_POSITION_PATIENT).and_then(|found| numbers(&found));
    let orientation = text(tags::IMAGE_ORIENTATION_PATIENT).and_then(|found| numbers(&found));
    let date = |tag| Date::from_dicom(&text(tag)?);
    let (kernel, kvp) = (text(tags::CONVOLUTION_KERNEL), number(tags::KVP));
    let of_slices = SliceLabels {
        kernels: vec![(kernel.clone(), 1)],
        kvps: vec![(kvp, 1)],
        image_types: vec![(labels.image_type.clone(), 1)],
        descriptions: vec![(labels.series_description.clone(), 1)],
        patient_names: vec![(text(tags::PATIENT_NAME), 1)],
        patient_issuers: vec![(text(tags::ISSUER_OF_PATIENT_ID), 1)],
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
    let thickness_mm = info.slice_thickness_mm;
    // A file with several frames has their places in its functional groups.
    let is_single = text(tags::SOP_CLASS_UID)
        .is_some_and(|class| matches!(sop_class::of(&class), SopClass::Ct));
    let place = position
        .zip(orientation)
        .filter(|_| is_single)
        .map(|(position_mm, orientation)| ImagePlace { position_mm, orientation, thickness_mm });
    let spacing_between_slices = text(tags::SPACING_BETWEEN_SLICES);
    Some(SeriesOutline { info, not_hu, place, spacing_between_slices })
}

/// So many numbers, if a text has these and no others.
fn numbers<const N: usize>(text: &str) -> Option<[f64; N]> {
    let parsed: Option<Vec<f64>> = text.split('\\').map(|part| part.trim().parse().ok()).collect();
    parsed?.try_into().ok()
}
