//! The values of a slice by which images of one body region are told apart.

use super::classes::Value;
use super::telling::{TOLD, told_tags};
use crate::dicom::element::values::text;
use dicom_core::Tag;
use dicom_object::InMemDicomObject;

/// The values of a slice of the attributes in [`TOLD`].
#[derive(Clone, Debug)]
pub(crate) struct ToldValues(Box<[Option<Box<str>>]>);

impl ToldValues {
    /// The values of a frame's own attributes, else of its file.
    pub(crate) fn of(values: &InMemDicomObject, own: &InMemDicomObject) -> Self {
        let read = |values, tag| text(values, tag).ok().flatten().map(String::into_boxed_str);
        let is_frame = !std::ptr::eq(own, values);
        let of_frame =
            |tag| read(own, tag).or_else(|| is_frame.then(|| read(values, tag)).flatten());
        Self(TOLD.iter().map(|(tag, _)| of_frame(*tag)).collect())
    }

    /// Removes the value of an attribute of [`TOLD`].
    pub(super) fn forget(&mut self, tag: Tag) {
        if let Some(value) = self.value_of(tag) {
            *value = None;
        }
    }

    /// Replaces the value of an attribute of [`TOLD`] where there is another text for it.
    pub(super) fn change(&mut self, tag: Tag, text_for: fn(&str) -> Option<String>) {
        let Some(value) = self.value_of(tag) else { return };
        if let Some(text) = value.as_deref().and_then(text_for) {
            *value = Some(text.into_boxed_str());
        }
    }

    fn value_of(&mut self, tag: Tag) -> Option<&mut Option<Box<str>>> {
        let at = told_tags().position(|told| told == tag)?;
        self.0.get_mut(at)
    }

    pub(super) fn value(&self, at: usize) -> Value<'_> {
        Value::text(self.0.get(at).and_then(Option::as_deref))
    }

    /// One of the several numbers of a value.
    pub(super) fn component(&self, at: usize, n: usize) -> Value<'_> {
        let text = self.0.get(at).and_then(Option::as_deref);
        Value::text(text.and_then(|text| text.split('\\').nth(n)))
    }
}

#[cfg(test)]
impl ToldValues {
    pub(crate) fn none() -> Self {
        Self(TOLD.iter().map(|_| None).collect())
    }

    pub(crate) fn set(&mut self, keyword: &str, value: Option<String>) {
        let at = TOLD.iter().position(|(_, telling)| telling.keyword == keyword);
        self.0[at.expect("the attribute tells images apart")] = value.map(String::into_boxed_str);
    }
}
