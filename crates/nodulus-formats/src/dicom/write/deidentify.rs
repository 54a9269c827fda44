//! De-identifies what annotating objects repeat about a patient: PS3.15, annex E.

use super::new_object::{CodedConcept, Item, code, put, put_items, put_texts};
use crate::dicom::date;
use crate::dicom::series::source_series::{Deidentification, SourceSeries};
use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// What replaces the attributes that identify a patient.
pub struct Pseudonyms<'a> {
    /// Replaces `PatientID`, and the given name.
    pub patient_id: String,
    /// Days by which dates are shifted.
    pub shift_days: i64,
    /// Makes the replacement of a UID; `None` if UIDs are retained.
    pub uid: Option<&'a dyn Fn(&str) -> String>,
}

/// What happens to an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// X: it is removed.
    Remove,
    /// Z: it becomes empty.
    Empty,
    /// Z or D: the pseudonym replaces it.
    Pseudonym,
    /// C of the option with modified dates: it is shifted.
    Shift,
    /// U: it is replaced, unless UIDs are retained.
    Uid,
    /// It does not identify the patient and is not in the table.
    Keep,
}

/// METHOD: the Basic Application Level Confidentiality Profile with the option Retain Longitudinal Temporal
/// Information with Modified Dates (PS3.15 2024e, table E.1-1), for each attribute that is copied from a series.
/// Times become empty, as in the profile without options.
const ACTIONS: [(Tag, Action); 15] = [
    (tags::STUDY_DATE, Action::Shift),
    (tags::STUDY_TIME, Action::Empty),
    (tags::ACCESSION_NUMBER, Action::Empty),
    (tags::REFERRING_PHYSICIAN_NAME, Action::Empty),
    (tags::STUDY_DESCRIPTION, Action::Remove),
    (tags::PATIENT_NAME, Action::Pseudonym),
    (tags::PATIENT_ID, Action::Pseudonym),
    (tags::ISSUER_OF_PATIENT_ID, Action::Remove),
    (tags::PATIENT_BIRTH_DATE, Action::Empty),
    (tags::PATIENT_SEX, Action::Empty),
    (tags::STUDY_INSTANCE_UID, Action::Uid),
    (tags::STUDY_ID, Action::Empty),
    (tags::LOSSY_IMAGE_COMPRESSION, Action::Keep),
    (tags::LOSSY_IMAGE_COMPRESSION_RATIO, Action::Keep),
    (tags::LOSSY_IMAGE_COMPRESSION_METHOD, Action::Keep),
];

const PROFILE: CodedConcept = ("113100", "DCM", "Basic Application Confidentiality Profile");
const MODIFIED_DATES: CodedConcept =
    ("113107", "DCM", "Retain Longitudinal Temporal Information Modified Dates Option");
const RETAINED_UIDS: CodedConcept = ("113110", "DCM", "Retain UIDs Option");

impl SourceSeries {
    /// The series with pseudonyms in place of the attributes that identify its patient. An invalid date becomes
    /// empty.
    #[must_use]
    pub fn deidentified(mut self, pseudonyms: &Pseudonyms<'_>) -> Self {
        let new_uid = |uid: &str| pseudonyms.uid.map_or_else(|| uid.to_owned(), |new| new(uid));
        for (tag, action) in ACTIONS {
            let Some(text) = self.texts.remove(&tag) else { continue };
            let text = match action {
                // Pseudonyms are set below, even if the series has no value.
                Action::Remove | Action::Empty | Action::Pseudonym => None,
                Action::Shift => date::shifted_date(&text, pseudonyms.shift_days),
                Action::Uid => Some(new_uid(&text)),
                Action::Keep => Some(text),
            };
            self.texts.extend(text.map(|text| (tag, text)));
        }
        let patient_id = &pseudonyms.patient_id;
        self.texts.insert(tags::PATIENT_ID, patient_id.clone());
        self.texts.insert(tags::PATIENT_NAME, format!("Pseudonym^{patient_id}"));
        self.series_instance_uid = new_uid(&self.series_instance_uid);
        self.frame_of_reference_uid = self.frame_of_reference_uid.as_deref().map(new_uid);
        for slice in &mut self.slices {
            slice.sop_instance_uid = new_uid(&slice.sop_instance_uid);
        }
        let (shift_days, uids_replaced) = (pseudonyms.shift_days, pseudonyms.uid.is_some());
        self.deidentification = Some(Deidentification { shift_days, uids_replaced });
        self
    }
}

impl Deidentification {
    /// A date, shifted like those of the patient; empty if it is invalid.
    pub(crate) fn shifted(self, date: &str) -> String {
        date::shifted_date(date, self.shift_days).unwrap_or_default()
    }

    /// States in a data set how it was de-identified (PS3.3, C.7.1.1 and C.12.1).
    pub(crate) fn put_method(self, object: &mut Item) {
        let mut codes = vec![PROFILE, MODIFIED_DATES];
        if !self.uids_replaced {
            codes.push(RETAINED_UIDS);
        }
        let uids = if self.uids_replaced { "UIDs replaced" } else { "UIDs retained" };
        put_texts(
            object,
            [
                (tags::PATIENT_IDENTITY_REMOVED, "YES"),
                (tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED, "MODIFIED"),
            ],
        );
        let method = format!("PS3.15 Basic Profile\\Dates shifted by patient\\{uids}");
        put(object, tags::DEIDENTIFICATION_METHOD, method);
        let codes = codes.into_iter().map(code).collect();
        put_items(object, tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE, codes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::series::source_series::REPEATED;
    use std::collections::BTreeSet;

    #[test]
    fn every_repeated_attribute_has_an_action() {
        let listed: BTreeSet<Tag> = ACTIONS.iter().map(|(tag, _)| *tag).collect();
        let repeated: BTreeSet<Tag> = REPEATED.into_iter().skip(1).collect();
        assert_eq!(listed, repeated);
    }
}
