//! The wanted elements of a data set or of an item, each tag once.

use super::header::{ElementHeader, is_descriptive};
use super::scanner::Scanner;
use super::syntax::Encoding;
use super::values::{decode, text};
use crate::dicom::error::Problem;
use crate::dicom::irregularities::Irregularity;
use dicom_core::Tag;
use dicom_object::InMemDicomObject;
use std::fmt::Display;
use std::io::{Read, Seek};

/// The elements that are found in one data set or item.
#[derive(Debug, Default)]
pub(super) struct DistinctElements {
    /// The elements, encoded.
    found: Vec<u8>,
    /// Their tags, each with where it begins in `found`.
    tags: Vec<(Tag, usize)>,
    /// Descriptive elements that occur twice with different values.
    contradicted: Vec<Tag>,
    /// The first other element that does.
    twice: Option<Problem>,
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
    }

    /// The elements; descriptive ones with two values are left out.
    ///
    /// # Errors
    ///
    /// Fails if another element has two values.
    pub(super) fn decoded(self, encoding: Encoding) -> Result<InMemDicomObject, Problem> {
        self.twice.map_or(Ok(()), Err)?;
        let mut values = decode(self.found, encoding)?;
        for tag in self.contradicted {
            values.remove_element(tag);
        }
        Ok(values)
    }
}

/// An element that occurs twice.
pub(super) fn two_values(tag: Tag, first: impl Display, second: impl Display) -> Problem {
    Problem::value(tag, format!("there twice, `{first}` and `{second}`"), "one value")
}
