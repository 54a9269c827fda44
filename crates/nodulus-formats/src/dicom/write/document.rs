//! What reports and key object selections share: the header of a document, and who observed.

use super::content_item::{Relationship, coded, person, text, uid};
use super::derived_object::{self, Author, Creation, DerivedSeries, MAKER};
use super::new_object::{Item, put, put_items};
use crate::dicom::series::source_series::SourceSeries;
use crate::uid as uids;
use dicom_dictionary_std::tags;

/// LIDC does not name its readers.
const READERS: &str = "Observer^Anonymous";

/// Begins a document.
pub(crate) fn begin(
    source: &SourceSeries,
    creation: &Creation<'_>,
    series: &DerivedSeries,
) -> Item {
    let mut object = derived_object::begin(source, creation, None, series);
    let [date, time] = derived_object::date_and_time(source, creation);
    put(&mut object, tags::CONTENT_DATE, date);
    put(&mut object, tags::CONTENT_TIME, time);
    // No modality worklist or performed step asked for it.
    put_items(&mut object, tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, Vec::new());
    object
}

/// The language, and who observed: the device, after the readers whose marks it merged (PS3.16, TID 1204, 1002, 1003 and 1004).
pub(crate) fn context(creation: &Creation<'_>) -> Vec<Item> {
    let device = uids::from_parts(["device", creation.algorithm].map(str::as_bytes));
    let language = ("121049", "DCM", "Language of Content Item and Descendants");
    let english = ("en-US", "RFC5646", "English (United States)");
    let observer = Relationship::HasContext;
    let kind = ("121005", "DCM", "Observer Type");
    let mut context = vec![coded(Relationship::HasModifier, language, english)];
    if creation.author == Author::Readers {
        context.extend([
            coded(observer, kind, ("121006", "DCM", "Person")),
            person(observer, ("121008", "DCM", "Person Observer Name"), READERS),
        ]);
    }
    context.extend([
        coded(observer, kind, ("121007", "DCM", "Device")),
        uid(observer, ("121012", "DCM", "Device Observer UID"), &device),
        text(observer, ("121013", "DCM", "Device Observer Name"), creation.algorithm),
        text(observer, ("121014", "DCM", "Device Observer Manufacturer"), MAKER),
        text(observer, ("121015", "DCM", "Device Observer Model Name"), MAKER),
    ]);
    context
}
