//! The wanted elements of a data set or of an item, each tag once.

use super::header::{ElementHeader, is_descriptive};
use super::scanner::Scanner;
use super::syntax::Encoding;
use super::text::{CharacterSets, has_values, is_text};
use super::values::{decode, text};
use crate::dicom::error::Problem;
use crate::dicom::irregularities::Irregularity;
use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use std::fmt::Display;
use std::io::{Read, Seek};

/// The elements that are found in one data set or item.
#[derive(Debug, Default)]
pub(super) struct DistinctElements {
    /// The elements that are no text, encoded.
    found: Vec<u8>,
    /// Their tags, each with where it begins in `found`.
    tags: Vec<(Tag, usize)>,
    /// The elements that are text.
    texts: Vec<TextElement>,
    /// The value of `SpecificCharacterSet`.
    sets: Vec<u8>,
    /// Descriptive elements that occur twice with different values.
    contradicted: Vec<Tag>,
    /// The first other element that does.
    twice: Option<Problem>,
}

/// An element that is text, in its own characters.
#[derive(Debug)]
struct TextElement {
    tag: Tag,
    vr: VR,
    value: Vec<u8>,
}

impl DistinctElements {
    /// Reads the value of a wanted element whose header was read.
    pub(super) fn append<R: Read + Seek>(
        &mut self,
        scanner: &mut Scanner<R>,
        element: &ElementHeader,
        length: u64,
        encoding: Encoding,
    ) -> Result<(), Problem> {
        let start = self.found.len();
        scanner.append_element(element, length, &mut self.found)?;
        // Nothing is appended of a descriptive element that has no valid value.
        let value_start = self.found.len().saturating_sub(length as usize);
        if let Some(vr) = element.representation().filter(|vr| is_text(*vr)) {
            if self.found.len() > start {
                let value = self.found.split_off(value_start);
                self.found.truncate(start);
                self.append_text(scanner, TextElement { tag: element.tag, vr, value });
            }
            return Ok(());
        }
        if element.tag == tags::SPECIFIC_CHARACTER_SET && self.sets.is_empty() {
            self.sets = self.found[value_start..].to_vec();
        }
        let before = self.tags.iter().position(|(tag, _)| *tag == element.tag);
        let Some(before) = before else {
            self.tags.push((element.tag, start));
            return Ok(());
        };
        let second = self.found.split_off(start);
        if self.is_contradicted(before, second, encoding)? {
            scanner.note(Irregularity::Attribute(element.tag));
        }
        Ok(())
    }

    /// Keeps the texts in a sequence as one.
    pub(super) fn append_sequence<R: Read + Seek>(
        &mut self,
        scanner: &mut Scanner<R>,
        tag: Tag,
        mut value: Vec<u8>,
    ) {
        // A backslash would separate values.
        value.iter_mut().filter(|byte| matches!(**byte, b'\\' | 0)).for_each(|byte| *byte = b' ');
        self.append_text(scanner, TextElement { tag, vr: VR::LO, value });
    }

    /// Keeps a text, or compares it with the one of its tag that was found before, which is kept.
    fn append_text<R: Read + Seek>(&mut self, scanner: &mut Scanner<R>, second: TextElement) {
        let Some(first) = self.texts.iter().find(|first| first.tag == second.tag) else {
            self.texts.push(second);
            return;
        };
        let [first, other] = [&first.value, &second.value].map(|value| without_padding(value));
        if first == other {
            return;
        }
        if is_descriptive(second.tag) {
            self.contradicted.push(second.tag);
            scanner.note(Irregularity::Attribute(second.tag));
        } else {
            let found = "there twice, with different values";
            self.twice.get_or_insert_with(|| Problem::value(second.tag, found, "one value"));
        }
    }

    /// Compares an element with the one of its tag that was found before, which is kept; tells whether a descriptive one
    /// has another value.
    ///
    /// METHOD: PS3.5, 7.1 forbids two of one tag. Of two values, other readers take the first or the last.
    fn is_contradicted(
        &mut self,
        before: usize,
        second: Vec<u8>,
        encoding: Encoding,
    ) -> Result<bool, Problem> {
        let (tag, first) = self.tags[before];
        let end = self.tags.get(before + 1).map_or(self.found.len(), |(_, start)| *start);
        let first = self.found[first..end].to_vec();
        if first == second {
            return Ok(false);
        }
        let value = |bytes| text(&decode(bytes, encoding)?, tag);
        let [first, second] = [value(first)?, value(second)?].map(Option::unwrap_or_default);
        if first == second {
            return Ok(false);
        }
        if is_descriptive(tag) {
            self.contradicted.push(tag);
            return Ok(true);
        }
        self.twice.get_or_insert(two_values(tag, first, second));
        Ok(false)
    }

    pub(super) fn has(&self, wanted: Tag) -> bool {
        self.tags.iter().any(|(tag, _)| *tag == wanted)
            || self.texts.iter().any(|text| text.tag == wanted)
    }

    /// The character sets that the elements declare.
    pub(super) fn character_sets(&self) -> CharacterSets {
        CharacterSets::new(&self.sets)
    }

    /// The elements, with their texts decoded; descriptive ones with two values are left out. A text with bytes that are no
    /// characters of its sets stays bytes.
    ///
    /// # Errors
    ///
    /// Fails if another element has two values.
    pub(super) fn decoded(
        self,
        encoding: Encoding,
        sets: &CharacterSets,
    ) -> Result<InMemDicomObject, Problem> {
        self.twice.map_or(Ok(()), Err)?;
        let mut values = decode(self.found, encoding)?;
        for TextElement { tag, vr, value } in self.texts {
            let value = match sets.decode(&value, vr).certain() {
                Some(text) if has_values(vr) => {
                    PrimitiveValue::Strs(text.split('\\').map(str::to_owned).collect())
                }
                Some(text) => PrimitiveValue::Str(text),
                None => PrimitiveValue::U8(value.into()),
            };
            values.put(DataElement::new(tag, vr, value));
        }
        for tag in self.contradicted {
            values.remove_element(tag);
        }
        Ok(values)
    }
}

fn without_padding(value: &[u8]) -> &[u8] {
    let is_padding = |byte: &u8| matches!(byte, 0 | b' ');
    let start = value.iter().position(|byte| !is_padding(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_padding(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

/// An element that occurs twice.
pub(super) fn two_values(tag: Tag, first: impl Display, second: impl Display) -> Problem {
    Problem::value(tag, format!("there twice, `{first}` and `{second}`"), "one value")
}
