//! Writes a rejection note: DICOM Key Object Selection (PS3.3, A.35.4) of PS3.16, TID 2010.

use super::content_item::{Relationship, object as object_item, put_root, text};
use super::derived_object::{Creation, DerivedSeries};
use super::document;
use super::new_object::{CodedConcept, Item, NewObject, seal};
use super::references::{ObjectReference, ReferenceTree};
use crate::dicom::error::Error;
use crate::dicom::series::source_series::SourceSeries;
use dicom_dictionary_std::{tags, uids};

const SERIES: DerivedSeries = DerivedSeries {
    modality: "KO",
    series_number: "905",
    series_description: "Lung nodules, superseded results",
};

/// METHOD: of the four reasons of IHE Imaging Object Change Management (RAD TF-2, 4.66; PS3.16, CID 7010), the one
/// under which an archive hides objects and may still give them out. Superseded results are no danger to the patient (113037), belong to
/// the right worklist entry (113038), and are not to be deleted (113039).
const REJECTED_FOR_QUALITY: CodedConcept = ("113001", "DCM", "Rejected for Quality Reasons");

/// Makes a note that rejects objects; `None` for no object.
///
/// The objects must belong to the study of the series, as a note stands in the study of what it rejects. The same
/// input gives the same bytes, in explicit VR little endian.
///
/// # Errors
///
/// Fails if the object cannot be encoded.
pub fn rejection_note(
    source: &SourceSeries,
    creation: &Creation<'_>,
    rejected: &[ObjectReference],
) -> Result<Option<NewObject>, Error> {
    if rejected.is_empty() {
        return Ok(None);
    }
    let mut object = document::begin(source, creation, &SERIES);
    let mut evidence = ReferenceTree::default();
    for rejected in rejected {
        evidence.add(rejected);
    }
    evidence.put(&mut object, tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE);
    let description = ("113012", "DCM", "Key Object Description");
    let mut content = document::context(creation);
    content.push(text(Relationship::Contains, description, "Superseded by a later result"));
    content.extend(rejected.iter().map(item_of));
    put_root(&mut object, REJECTED_FOR_QUALITY, "2010", content);
    seal(object, uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE, uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .map(Some)
        .map_err(|problem| {
            source.unwritable("the rejection note", problem.to_string(), "one".into())
        })
}

fn item_of(rejected: &ObjectReference) -> Item {
    let images = [uids::SEGMENTATION_STORAGE, uids::SECONDARY_CAPTURE_IMAGE_STORAGE];
    object_item(rejected, images.contains(&rejected.sop_class_uid.as_str()))
}
