//! The attributes of patient, study, series and equipment in every object that annotates a CT series.

use super::new_object::{Item, item, put, put_items, put_texts};
use super::references::ObjectReference;
use crate::dicom::series::source_series::{SourceSeries, SourceSlice};
use crate::uid;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use std::collections::BTreeSet;

/// Who found the nodules of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// A network.
    Network,
    /// LIDC's readers. The program merged what they drew.
    Readers,
}

/// When an object was created, by which algorithm, and what it replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Creation<'a> {
    /// `ContentDate`, `YYYYMMDD`.
    pub date: &'a str,
    /// `ContentTime`, `HHMMSS`.
    pub time: &'a str,
    /// Who found the nodules.
    pub author: Author,
    /// Name of the algorithm: the network, or what merged the readers' marks.
    pub algorithm: &'a str,
    /// Version of the program that ran it.
    pub version: &'a str,
    /// `InstanceNumber`.
    pub number: u32,
    /// The object of an earlier result of the series, of the same study, that the new object replaces.
    pub replaces: Option<&'a ObjectReference>,
}

/// `Manufacturer` and `ManufacturerModelName`.
pub(crate) const MAKER: &str = "nodulus";

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

/// `SeriesInstanceUID` of such objects.
///
/// METHOD: a series is what one version of the program makes of a source series with one model, as all instances of a
/// series come from one equipment (PS3.3, A.1.2.3). A series that is scored again adds an instance to it.
fn series_uid(source: &SourceSeries, creation: &Creation<'_>, modality: &str) -> String {
    let patient = [tags::STUDY_INSTANCE_UID, tags::PATIENT_ID].map(|tag| source.text(tag));
    let own = ["series", modality, &source.series_instance_uid];
    let parts = own.into_iter().chain(patient).chain([creation.algorithm, creation.version]);
    uid::from_parts(parts.map(str::as_bytes))
}

/// Begins a data set with patient, study, series, equipment and, where the object has one, the frame of reference.
pub(crate) fn begin(
    source: &SourceSeries,
    creation: &Creation<'_>,
    frame_of_reference_uid: Option<&str>,
    series: &DerivedSeries,
) -> Item {
    let mut object = Item::new_empty();
    put_texts(
        &mut object,
        [
            (tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192"),
            (tags::MODALITY, series.modality),
            (tags::SERIES_NUMBER, series.series_number),
            (tags::SERIES_INSTANCE_UID, &series_uid(source, creation, series.modality)),
            (tags::INSTANCE_NUMBER, &creation.number.to_string()),
            (tags::MANUFACTURER, MAKER),
            (tags::MANUFACTURER_MODEL_NAME, MAKER),
            (tags::SOFTWARE_VERSIONS, creation.version),
            (tags::STUDY_INSTANCE_UID, source.text(tags::STUDY_INSTANCE_UID)),
        ],
    );
    if let Some(uid) = frame_of_reference_uid {
        put(&mut object, tags::FRAME_OF_REFERENCE_UID, uid);
        put(&mut object, tags::POSITION_REFERENCE_INDICATOR, "");
    }
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

/// Puts the series that an image refers to, with their instances (PS3.3, C.12.2): the source, and the image that it
/// replaces.
pub(crate) fn put_referenced_series(
    object: &mut Item,
    source: &SourceSeries,
    replaced: Option<&ObjectReference>,
) {
    let of = |uid: &str, instances: Vec<Item>| {
        let mut series = item([(tags::SERIES_INSTANCE_UID, uid)]);
        put_items(&mut series, tags::REFERENCED_INSTANCE_SEQUENCE, instances);
        series
    };
    let mut series = vec![of(&source.series_instance_uid, references(source))];
    series
        .extend(replaced.map(|replaced| of(&replaced.series_instance_uid, vec![replaced.item()])));
    put_items(object, tags::REFERENCED_SERIES_SEQUENCE, series);
}

/// Puts the image that an image replaces.
///
/// METHOD: images have no sequence of predecessors, as documents and structure sets have. `ReferencedImageSequence` of
/// the General Reference Module (PS3.3, C.12.4) names a related image; no code of its purpose (CID 7201) says that it
/// is replaced, so that there is none.
pub(crate) fn put_replaced_image(object: &mut Item, replaced: Option<&ObjectReference>) {
    if let Some(replaced) = replaced {
        put_items(object, tags::REFERENCED_IMAGE_SEQUENCE, vec![replaced.item()]);
    }
}

/// Defined terms of `LossyImageCompressionMethod` (PS3.3, C.7.6.1.1.5.1).
const LOSSY_METHODS: [&str; 9] = [
    "ISO_10918_1",
    "ISO_14495_1",
    "ISO_15444_1",
    "ISO_15444_15",
    "ISO_18181_1",
    "ISO_13818_2",
    "ISO_14496_10",
    "ISO_23008_2",
    "ISO_23090_3",
];

/// Puts an attribute of the CT where each of its values is known.
fn put_known(object: &mut Item, source: &SourceSeries, tag: Tag, is_known: impl Fn(&str) -> bool) {
    let text = source.text(tag);
    if !text.is_empty() && text.split('\\').all(|value| is_known(value.trim())) {
        put(object, tag, text);
    }
}

/// Puts whether the CT was ever compressed with loss, which images made of it repeat (PS3.3, C.7.6.1.1.5).
///
/// Ratios that are no numbers, and methods that the standard does not define, are left out: nobody knows what they say.
pub(crate) fn put_lossy(object: &mut Item, source: &SourceSeries) {
    if source.text(tags::LOSSY_IMAGE_COMPRESSION) == "01" {
        put(object, tags::LOSSY_IMAGE_COMPRESSION, "01");
        let is_ratio = |value: &str| {
            value.len() <= 16 && value.parse::<f64>().is_ok_and(|ratio| (1.0..1e4).contains(&ratio))
        };
        let is_method = |value: &str| LOSSY_METHODS.contains(&value);
        put_known(object, source, tags::LOSSY_IMAGE_COMPRESSION_RATIO, is_ratio);
        put_known(object, source, tags::LOSSY_IMAGE_COMPRESSION_METHOD, is_method);
    } else {
        put(object, tags::LOSSY_IMAGE_COMPRESSION, "00");
    }
}
