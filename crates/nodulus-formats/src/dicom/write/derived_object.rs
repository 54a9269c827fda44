//! The attributes of patient, study, series and equipment in every object that annotates a CT series.

use super::new_object::{Item, item, put, put_items, put_texts};
use crate::dicom::series::source_series::{SourceSeries, SourceSlice};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use std::collections::BTreeSet;

/// When an object was created, and by which algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Creation<'a> {
    /// `ContentDate`, `YYYYMMDD`.
    pub date: &'a str,
    /// `ContentTime`, `HHMMSS`.
    pub time: &'a str,
    /// Name of the algorithm.
    pub algorithm: &'a str,
    /// Version of the program that ran it.
    pub version: &'a str,
}

/// `Manufacturer` and `ManufacturerModelName`.
const MAKER: &str = "nodulus";

/// Attributes of patient and study that must be present but may be empty (type 2).
const NEVER_MISSING: [Tag; 9] = [
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::ACCESSION_NUMBER,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::STUDY_ID,
];

/// Attributes of patient and study that are omitted if the series lacks them (type 3).
const OPTIONAL: [Tag; 2] = [tags::STUDY_DESCRIPTION, tags::ISSUER_OF_PATIENT_ID];

/// The series of such objects.
pub(crate) struct DerivedSeries {
    pub(crate) modality: &'static str,
    pub(crate) series_number: &'static str,
    pub(crate) series_description: &'static str,
}

/// Date and time of an object: those of its creation, or what de-identification leaves of them.
pub(crate) fn date_and_time(source: &SourceSeries, creation: &Creation<'_>) -> [String; 2] {
    match source.deidentification {
        None => [creation.date.to_owned(), creation.time.to_owned()],
        // Both must have a value, and times are not kept.
        Some(removed) => [removed.shifted(creation.date), "000000".to_owned()],
    }
}

/// Begins a data set with patient, study, series, equipment and frame of reference.
pub(crate) fn begin(
    source: &SourceSeries,
    creation: &Creation<'_>,
    frame_of_reference_uid: &str,
    series: &DerivedSeries,
) -> Item {
    let mut object = Item::new_empty();
    put_texts(
        &mut object,
        [
            (tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192"),
            (tags::MODALITY, series.modality),
            (tags::SERIES_NUMBER, series.series_number),
            (tags::INSTANCE_NUMBER, "1"),
            (tags::MANUFACTURER, MAKER),
            (tags::MANUFACTURER_MODEL_NAME, MAKER),
            (tags::SOFTWARE_VERSIONS, creation.version),
            (tags::FRAME_OF_REFERENCE_UID, frame_of_reference_uid),
            (tags::POSITION_REFERENCE_INDICATOR, ""),
            (tags::STUDY_INSTANCE_UID, source.text(tags::STUDY_INSTANCE_UID)),
        ],
    );
    for tag in NEVER_MISSING {
        put(&mut object, tag, source.text(tag));
    }
    let optional = OPTIONAL.into_iter().filter(|tag| !source.text(*tag).is_empty());
    put_texts(&mut object, optional.map(|tag| (tag, source.text(tag))));
    match source.deidentification {
        None => put_texts(
            &mut object,
            [
                (tags::SERIES_DESCRIPTION, series.series_description),
                (tags::DEVICE_SERIAL_NUMBER, creation.algorithm),
            ],
        ),
        // The profile removes descriptions, and replaces serial numbers.
        Some(removed) => {
            put(&mut object, tags::DEVICE_SERIAL_NUMBER, MAKER);
            removed.put_method(&mut object);
        }
    }
    object
}

/// A reference to a slice: the class and the instance of its file.
pub(crate) fn reference(slice: &SourceSlice) -> Item {
    item([
        (tags::REFERENCED_SOP_CLASS_UID, slice.sop_class_uid.as_str()),
        (tags::REFERENCED_SOP_INSTANCE_UID, slice.sop_instance_uid.as_str()),
    ])
}

/// A reference to a slice, with its frame if the file has several.
pub(crate) fn frame_reference(slice: &SourceSlice) -> Item {
    let mut made = reference(slice);
    if let Some(frame) = slice.frame {
        put(&mut made, tags::REFERENCED_FRAME_NUMBER, frame.to_string());
    }
    made
}

/// A reference to each file of a series, in the order of its slices.
pub(crate) fn references(source: &SourceSeries) -> Vec<Item> {
    let mut seen = BTreeSet::new();
    let files = source.slices.iter().filter(|slice| seen.insert(&slice.sop_instance_uid));
    files.map(reference).collect()
}

/// Puts the series that an object refers to, with its instances (PS3.3, C.12.2).
pub(crate) fn put_referenced_series(object: &mut Item, source: &SourceSeries) {
    let mut series = item([(tags::SERIES_INSTANCE_UID, source.series_instance_uid.as_str())]);
    put_items(&mut series, tags::REFERENCED_INSTANCE_SEQUENCE, references(source));
    put_items(object, tags::REFERENCED_SERIES_SEQUENCE, vec![series]);
}
