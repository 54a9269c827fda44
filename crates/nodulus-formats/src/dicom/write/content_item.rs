//! Content items of structured reports and key object selections (PS3.3, C.17.3).

use super::new_object::{CodedConcept, Item, decimal, item, put, put_code, put_items};
use super::references::ObjectReference;
use dicom_core::value::PrimitiveValue;
use dicom_dictionary_std::tags;

/// How an item relates to the container above it.
#[derive(Clone, Copy)]
pub(crate) enum Relationship {
    Contains,
    HasContext,
    HasModifier,
}

impl Relationship {
    fn text(self) -> &'static str {
        match self {
            Self::Contains => "CONTAINS",
            Self::HasContext => "HAS OBS CONTEXT",
            Self::HasModifier => "HAS CONCEPT MOD",
        }
    }
}

/// Unified Code for Units of Measure.
pub(crate) const MM: CodedConcept = ("mm", "UCUM", "millimeter");
pub(crate) const MM3: CodedConcept = ("mm3", "UCUM", "cubic millimeter");
pub(crate) const HU: CodedConcept = ("[hnsf'U]", "UCUM", "Hounsfield unit");
pub(crate) const PERCENT: CodedConcept = ("%", "UCUM", "Percent");

fn related(relationship: Relationship, value_type: &str) -> Item {
    item([(tags::RELATIONSHIP_TYPE, relationship.text()), (tags::VALUE_TYPE, value_type)])
}

fn named(relationship: Relationship, value_type: &str, name: CodedConcept) -> Item {
    let mut made = related(relationship, value_type);
    put_code(&mut made, tags::CONCEPT_NAME_CODE_SEQUENCE, name);
    made
}

/// A text.
pub(crate) fn text(relationship: Relationship, name: CodedConcept, text: &str) -> Item {
    let mut made = named(relationship, "TEXT", name);
    put(&mut made, tags::TEXT_VALUE, text);
    made
}

/// A code.
pub(crate) fn coded(relationship: Relationship, name: CodedConcept, value: CodedConcept) -> Item {
    let mut made = named(relationship, "CODE", name);
    put_code(&mut made, tags::CONCEPT_CODE_SEQUENCE, value);
    made
}

/// The name of a person.
pub(crate) fn person(relationship: Relationship, name: CodedConcept, person: &str) -> Item {
    let mut made = named(relationship, "PNAME", name);
    put(&mut made, tags::PERSON_NAME, person);
    made
}

/// A UID.
pub(crate) fn uid(relationship: Relationship, name: CodedConcept, uid: &str) -> Item {
    let mut made = named(relationship, "UIDREF", name);
    put(&mut made, tags::UID, uid);
    made
}

/// A measured number, with modifiers of its name.
pub(crate) fn number(
    name: CodedConcept,
    value: f64,
    unit: CodedConcept,
    modifiers: Vec<Item>,
) -> Item {
    let mut measured = Item::new_empty();
    put_code(&mut measured, tags::MEASUREMENT_UNITS_CODE_SEQUENCE, unit);
    let text = decimal(value);
    // PS3.3, C.18.1: required where the 16 characters of the decimal string do not hold the value.
    if text.parse() != Ok(value) {
        put(&mut measured, tags::FLOATING_POINT_VALUE, PrimitiveValue::from(value));
    }
    put(&mut measured, tags::NUMERIC_VALUE, text);
    let mut made = named(Relationship::Contains, "NUM", name);
    put_items(&mut made, tags::MEASURED_VALUE_SEQUENCE, vec![measured]);
    if !modifiers.is_empty() {
        put_items(&mut made, tags::CONTENT_SEQUENCE, modifiers);
    }
    made
}

/// A point in the patient, LPS. Reports store positions in 32 bits.
pub(crate) fn point(name: CodedConcept, frame_of_reference: &str, point_mm: [f64; 3]) -> Item {
    let mut made = named(Relationship::Contains, "SCOORD3D", name);
    put(&mut made, tags::GRAPHIC_DATA, point_mm.map(|mm| mm as f32));
    put(&mut made, tags::GRAPHIC_TYPE, "POINT");
    put(&mut made, tags::REFERENCED_FRAME_OF_REFERENCE_UID, frame_of_reference);
    made
}

/// A segment of a segmentation.
pub(crate) fn segment(name: CodedConcept, segmentation: &ObjectReference, number: u16) -> Item {
    let mut reference = segmentation.item();
    put(&mut reference, tags::REFERENCED_SEGMENT_NUMBER, number);
    let mut made = named(Relationship::Contains, "IMAGE", name);
    put_items(&mut made, tags::REFERENCED_SOP_SEQUENCE, vec![reference]);
    made
}

/// A whole object, which is an image or not.
pub(crate) fn object(of: &ObjectReference, is_image: bool) -> Item {
    let mut made = related(Relationship::Contains, if is_image { "IMAGE" } else { "COMPOSITE" });
    put_items(&mut made, tags::REFERENCED_SOP_SEQUENCE, vec![of.item()]);
    made
}

/// A container below another.
pub(crate) fn container(name: CodedConcept, template: Option<&str>, items: Vec<Item>) -> Item {
    let mut made = named(Relationship::Contains, "CONTAINER", name);
    fill(&mut made, template, items);
    made
}

/// Makes a data set the container at the root of its content.
pub(crate) fn put_root(object: &mut Item, title: CodedConcept, template: &str, items: Vec<Item>) {
    put(object, tags::VALUE_TYPE, "CONTAINER");
    put_code(object, tags::CONCEPT_NAME_CODE_SEQUENCE, title);
    fill(object, Some(template), items);
}

fn fill(container: &mut Item, template: Option<&str>, items: Vec<Item>) {
    put(container, tags::CONTINUITY_OF_CONTENT, "SEPARATE");
    if let Some(template) = template {
        let used = item([(tags::MAPPING_RESOURCE, "DCMR"), (tags::TEMPLATE_IDENTIFIER, template)]);
        put_items(container, tags::CONTENT_TEMPLATE_SEQUENCE, vec![used]);
    }
    put_items(container, tags::CONTENT_SEQUENCE, items);
}
