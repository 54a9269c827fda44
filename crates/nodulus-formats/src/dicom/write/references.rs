//! References between composite objects.

use super::derived_object::references;
use super::new_object::{Item, item, put_items};
use crate::dicom::series::source_series::SourceSeries;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A written object, as other objects refer to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectReference {
    /// `SOPClassUID`.
    pub sop_class_uid: String,
    /// `SOPInstanceUID`.
    pub sop_instance_uid: String,
    /// `SeriesInstanceUID`.
    pub series_instance_uid: String,
    /// `StudyInstanceUID`.
    pub study_instance_uid: String,
    /// `InstanceNumber`.
    pub instance_number: u32,
}

impl ObjectReference {
    /// Its class and instance (PS3.3, table 10-11).
    pub(crate) fn item(&self) -> Item {
        item([
            (tags::REFERENCED_SOP_CLASS_UID, self.sop_class_uid.as_str()),
            (tags::REFERENCED_SOP_INSTANCE_UID, self.sop_instance_uid.as_str()),
        ])
    }
}

/// References to instances, by study and series.
#[derive(Default)]
pub(crate) struct ReferenceTree<'a>(BTreeMap<&'a str, BTreeMap<&'a str, Vec<Item>>>);

impl<'a> ReferenceTree<'a> {
    /// Adds an object.
    pub(crate) fn add(&mut self, object: &'a ObjectReference) {
        let series = self.0.entry(&object.study_instance_uid).or_default();
        series.entry(&object.series_instance_uid).or_default().push(object.item());
    }

    /// Adds the files of a series.
    pub(crate) fn add_series(&mut self, source: &'a SourceSeries) {
        let series = self.0.entry(source.text(tags::STUDY_INSTANCE_UID)).or_default();
        series.entry(&source.series_instance_uid).or_default().extend(references(source));
    }

    /// Puts a sequence of studies, each with its series and their instances (PS3.3, table C.17-3); nothing for no
    /// instance.
    pub(crate) fn put(self, object: &mut Item, tag: Tag) {
        let studies = self.0.into_iter().map(|(study, series)| {
            let series = series.into_iter().map(|(series, instances)| {
                let mut made = item([(tags::SERIES_INSTANCE_UID, series)]);
                put_items(&mut made, tags::REFERENCED_SOP_SEQUENCE, instances);
                made
            });
            let mut made = item([(tags::STUDY_INSTANCE_UID, study)]);
            put_items(&mut made, tags::REFERENCED_SERIES_SEQUENCE, series.collect());
            made
        });
        let studies: Vec<Item> = studies.collect();
        if !studies.is_empty() {
            put_items(object, tag, studies);
        }
    }
}
