//! Builds data sets element by element, and encodes them as files.

use super::references::ObjectReference;
use crate::dicom::error::Problem;
use crate::uid;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

/// Identifies this writer: a UUID as a UID (PS3.5, B.2).
pub(crate) const IMPLEMENTATION_CLASS_UID: &str = "2.25.222069653534294406491359857001208619822";

/// A data set, or an item of a sequence.
pub(crate) type Item = InMemDicomObject;

/// A coded concept: value, scheme, meaning.
pub(crate) type CodedConcept = (&'static str, &'static str, &'static str);

/// A new object, as the bytes of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewObject {
    /// Its class, and its instance, series and study.
    pub reference: ObjectReference,
    /// The bytes of the file.
    pub bytes: Vec<u8>,
}

/// Puts an element, with the value representation of the dictionary.
pub(crate) fn put(item: &mut Item, tag: Tag, value: impl Into<PrimitiveValue>) {
    let vr = StandardDataDictionary.by_tag(tag).map_or(VR::UN, |entry| entry.vr().relaxed());
    item.put(DataElement::new(tag, vr, value.into()));
}

/// Puts elements of text.
pub(crate) fn put_texts<'a>(item: &mut Item, texts: impl IntoIterator<Item = (Tag, &'a str)>) {
    for (tag, text) in texts {
        put(item, tag, text);
    }
}

/// Puts decimal numbers.
pub(crate) fn put_decimals(item: &mut Item, tag: Tag, numbers: &[f64]) {
    let texts: Vec<String> = numbers.iter().map(|number| decimal(*number)).collect();
    put(item, tag, texts.join("\\"));
}

/// Puts a sequence.
pub(crate) fn put_items(item: &mut Item, tag: Tag, items: Vec<Item>) {
    item.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
}

/// Makes an item with elements of text.
pub(crate) fn item<'a>(texts: impl IntoIterator<Item = (Tag, &'a str)>) -> Item {
    let mut made = Item::new_empty();
    put_texts(&mut made, texts);
    made
}

/// Makes an item that is a code.
pub(crate) fn code((value, scheme, meaning): CodedConcept) -> Item {
    item([
        (tags::CODE_VALUE, value),
        (tags::CODING_SCHEME_DESIGNATOR, scheme),
        (tags::CODE_MEANING, meaning),
    ])
}

/// Puts a sequence with one code.
pub(crate) fn put_code(to: &mut Item, tag: Tag, of: CodedConcept) {
    put_items(to, tag, vec![code(of)]);
}

/// Gives a data set its own `SOPInstanceUID`, and encodes it as a file.
///
/// METHOD: the UID is derived from a SHA-256 of everything else. The same content always gives the same file, and other
/// content another instance.
pub(crate) fn seal(
    mut object: Item,
    sop_class_uid: &str,
    transfer_syntax: &str,
) -> Result<NewObject, Problem> {
    put(&mut object, tags::SOP_CLASS_UID, sop_class_uid);
    let content = bytes(&object, transfer_syntax, "2.25.0")?;
    let sop_instance_uid = uid::from_parts([b"instance".as_slice(), &content]);
    put(&mut object, tags::SOP_INSTANCE_UID, sop_instance_uid.as_str());
    let bytes = bytes(&object, transfer_syntax, &sop_instance_uid)?;
    let text = |tag: Tag| -> Result<String, Problem> {
        let element = object.element(tag).map_err(|error| Problem::elements(&error))?;
        let text = element.to_str().map_err(|error| Problem::elements(&error))?;
        Ok(text.trim_end_matches(['\0', ' ']).to_owned())
    };
    let number = text(tags::INSTANCE_NUMBER)?;
    let reference = ObjectReference {
        sop_class_uid: sop_class_uid.to_owned(),
        sop_instance_uid,
        series_instance_uid: text(tags::SERIES_INSTANCE_UID)?,
        study_instance_uid: text(tags::STUDY_INSTANCE_UID)?,
        instance_number: number.parse().unwrap_or(1),
    };
    Ok(NewObject { reference, bytes })
}

fn bytes(object: &Item, transfer_syntax: &str, sop_instance_uid: &str) -> Result<Vec<u8>, Problem> {
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(transfer_syntax)
        .media_storage_sop_instance_uid(sop_instance_uid)
        .implementation_class_uid(IMPLEMENTATION_CLASS_UID)
        .implementation_version_name("NODULUS");
    let object = object.clone().with_meta(meta).map_err(|error| Problem::elements(&error))?;
    let mut bytes = Vec::new();
    object.write_all(&mut bytes).map_err(|error| Problem::elements(&error))?;
    Ok(bytes)
}

/// A number in the 16 characters of a decimal string.
pub(crate) fn decimal(value: f64) -> String {
    let shortest = value.to_string();
    if shortest.len() <= 16 {
        return shortest;
    }
    let rounded = (0..=14).rev().map(|digits| format!("{value:.digits$}"));
    rounded.into_iter().find(|text| text.len() <= 16).unwrap_or_else(|| format!("{value:.8e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_strings_hold_16_characters() {
        assert_eq!(decimal(-0.7), "-0.7");
        assert_eq!(decimal(-123.456_789_012_345_67), "-123.45678901235");
        assert_eq!(decimal(1.0 / 3.0), "0.33333333333333");
        assert_eq!(decimal(1e-20), "0.00000000000000");
        assert_eq!(decimal(-1.25e200), "-1.25000000e200");
        assert!((decimal(-1.0 / 3.0e5).parse::<f64>().unwrap() + 1.0 / 3.0e5).abs() < 1e-13);
    }
}
