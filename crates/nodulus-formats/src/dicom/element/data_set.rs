//! Data sets with their sequences, in memory: for objects that are small beside a CT, such as segmentations and
//! structure sets.
//!
//! Every length is checked against the enclosing item or file, and values are not copied.

use super::deflated;
use super::header::{ElementHeader, ITEM, ITEM_END, SEQUENCE_END};
use super::scanner::Scanner;
use super::syntax::{self, EXPLICIT_LITTLE, Encoding};
use super::text::CharacterSets;
use super::values::n_numbers;
use crate::dicom::error::{Error, FoundTag, Problem, attribute_name};
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use nodulus_faults::fs;
use nodulus_faults::quoted::SavedWords;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Display;
use std::io::Cursor;
use std::mem;
use std::path::Path;

/// Greatest depth of nested sequences; a structure set has four.
const MAX_DEPTH: usize = 16;

/// Most numbers of an element of 32-bit numbers: a point, or the path to a content item.
const MAX_WORDS: usize = 16;

/// The bytes of a file; if its data set is deflated, the inflated data set.
pub(crate) struct DicomFile {
    bytes: Vec<u8>,
    /// Offset of the data set.
    start: usize,
    pub(crate) transfer_syntax: String,
}

/// The wanted elements of a data set or an item.
#[derive(Debug, PartialEq)]
pub(crate) struct DataSet<'a> {
    encoding: Encoding,
    elements: BTreeMap<Tag, ElementValue<'a>>,
}

#[derive(Debug, PartialEq)]
enum ElementValue<'a> {
    Bytes(&'a [u8]),
    Items(Vec<DataSet<'a>>),
    /// Encapsulated pixel data: the offset table, then the fragments.
    Fragments(Vec<&'a [u8]>),
}

/// The bytes of pixel data.
pub(crate) enum PixelBytes<'a> {
    Plain(&'a [u8]),
    Fragments(&'a [&'a [u8]]),
}

impl DicomFile {
    /// Reads a file.
    pub(crate) fn read(file: &Path) -> Result<Self, Error> {
        let bytes = fs::read(file)?;
        Self::new(bytes).map_err(|problem| Error::file(file, problem))
    }

    pub(crate) fn new(bytes: Vec<u8>) -> Result<Self, Problem> {
        let mut scanner = scanner(&bytes);
        if !scanner.is_dicom()? {
            return Err(Problem::NotDicom);
        }
        let transfer_syntax = scanner.transfer_syntax()?;
        let start = scanner.at as usize;
        if !syntax::is_deflated(&transfer_syntax) {
            return Ok(Self { bytes, start, transfer_syntax });
        }
        let inflated = deflated::inflate(&bytes[start..], bytes.len() as u64)?;
        Ok(Self { bytes: inflated, start: 0, transfer_syntax })
    }

    /// Parses the elements that `wanted` lists, at any depth.
    pub(crate) fn data_set<'a>(&'a self, wanted: &'a [Tag]) -> Result<DataSet<'a>, Problem> {
        let bytes = &self.bytes[self.start..];
        let mut reading = DataSetParser { scanner: scanner(bytes), bytes, wanted };
        reading.data_set(syntax::encoding(&self.transfer_syntax), 0, false)
    }
}

type MemoryScanner<'a> = Scanner<Cursor<&'a [u8]>>;

fn scanner(bytes: &[u8]) -> MemoryScanner<'_> {
    Scanner::new(Cursor::new(bytes), bytes.len() as u64)
}

struct DataSetParser<'a> {
    scanner: MemoryScanner<'a>,
    bytes: &'a [u8],
    wanted: &'a [Tag],
}

impl<'a> DataSetParser<'a> {
    /// Parses up to the end of the scanner, or up to the delimiter if the item has one.
    fn data_set(
        &mut self,
        encoding: Encoding,
        depth: usize,
        is_delimited: bool,
    ) -> Result<DataSet<'a>, Problem> {
        let mut found = BTreeMap::new();
        while is_delimited || self.scanner.at < self.scanner.end {
            let element = self.scanner.header(encoding)?;
            if is_delimited && element.tag == ITEM_END {
                break;
            }
            let value = self.value(&element, encoding, depth)?;
            if !self.wanted.contains(&element.tag) {
                continue;
            }
            match found.entry(element.tag) {
                Entry::Vacant(place) => {
                    place.insert(value);
                }
                Entry::Occupied(first) if *first.get() == value => {}
                Entry::Occupied(_) => {
                    let found = "there twice, with different values";
                    return Err(Problem::value(element.tag, found, "one value"));
                }
            }
        }
        Ok(DataSet { encoding, elements: found })
    }

    fn value(
        &mut self,
        element: &ElementHeader,
        encoding: Encoding,
        depth: usize,
    ) -> Result<ElementValue<'a>, Problem> {
        let in_dictionary = || StandardDataDictionary.by_tag(element.tag).map(|e| e.vr().relaxed());
        let is_sequence = element.vr.or_else(in_dictionary) == Some(VR::SQ);
        match element.length {
            None if element.tag == tags::PIXEL_DATA => {
                Ok(ElementValue::Fragments(self.fragments()?))
            }
            None => {
                Ok(ElementValue::Items(self.items(element.inside(encoding), depth + 1, true)?))
            }
            Some(length) if is_sequence => {
                let end = self.scanner.end_of(length, element.tag)?;
                let outer = mem::replace(&mut self.scanner.end, end);
                let items = self.items(encoding, depth + 1, false)?;
                self.scanner.end = outer;
                Ok(ElementValue::Items(items))
            }
            Some(length) => Ok(ElementValue::Bytes(self.take(length, element.tag)?)),
        }
    }

    fn items(
        &mut self,
        encoding: Encoding,
        depth: usize,
        is_delimited: bool,
    ) -> Result<Vec<DataSet<'a>>, Problem> {
        if depth > MAX_DEPTH {
            return Err(self.malformed("a nested sequence", "at most 16 levels"));
        }
        let mut items = Vec::new();
        while is_delimited || self.scanner.at < self.scanner.end {
            let item = self.scanner.header(encoding)?;
            match (item.tag, item.length) {
                (SEQUENCE_END, _) if is_delimited => break,
                (ITEM, None) => items.push(self.data_set(encoding, depth, true)?),
                (ITEM, Some(length)) => {
                    let end = self.scanner.end_of(length, item.tag)?;
                    let outer = mem::replace(&mut self.scanner.end, end);
                    items.push(self.data_set(encoding, depth, false)?);
                    self.scanner.end = outer;
                }
                _ => {
                    return Err(self.malformed(FoundTag(item.tag), "an item or a delimiter"));
                }
            }
        }
        Ok(items)
    }

    fn fragments(&mut self) -> Result<Vec<&'a [u8]>, Problem> {
        let mut fragments = Vec::new();
        loop {
            let item = self.scanner.header(EXPLICIT_LITTLE)?;
            match (item.tag, item.length) {
                (SEQUENCE_END, _) => return Ok(fragments),
                (ITEM, Some(length)) => fragments.push(self.take(length, item.tag)?),
                _ => {
                    return Err(self.malformed(FoundTag(item.tag), "an item or a delimiter"));
                }
            }
        }
    }

    fn take(&mut self, length: u64, tag: Tag) -> Result<&'a [u8], Problem> {
        let start = self.scanner.at as usize;
        self.scanner.skip(length, tag)?;
        Ok(&self.bytes[start..self.scanner.at as usize])
    }

    fn malformed(&self, found: impl Display, expected: &'static str) -> Problem {
        Problem::Malformed { at: self.scanner.at, found: SavedWords::of(found), expected }
    }
}

impl<'a> DataSet<'a> {
    /// The items of a sequence; empty if it is missing.
    pub(crate) fn items(&self, tag: Tag) -> &[Self] {
        match self.elements.get(&tag) {
            Some(ElementValue::Items(items)) => items,
            _ => &[],
        }
    }

    /// Whether an element is there, even if it is empty.
    pub(crate) fn has(&self, tag: Tag) -> bool {
        self.elements.contains_key(&tag)
    }

    /// The first item of a sequence.
    pub(crate) fn item(&self, tag: Tag) -> Option<&Self> {
        self.items(tag).first()
    }

    /// The bytes of an element; `None` if it is missing or empty.
    fn bytes(&self, tag: Tag) -> Option<&'a [u8]> {
        match self.elements.get(&tag) {
            Some(ElementValue::Bytes(bytes)) if !bytes.is_empty() => Some(bytes),
            _ => None,
        }
    }

    /// An ASCII text without padding; `None` if it is missing or empty.
    pub(crate) fn ascii(&self, tag: Tag) -> Result<Option<&'a str>, Problem> {
        let Some(bytes) = self.bytes(tag) else { return Ok(None) };
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.is_ascii());
        let text = text.ok_or_else(|| Problem::value(tag, "not ASCII", "ASCII"))?;
        let text = text.trim_matches(['\0', ' ', '\n', '\r']);
        Ok((!text.is_empty()).then_some(text))
    }

    /// The character sets of texts: the `SpecificCharacterSet` of an outermost data set.
    pub(crate) fn character_sets(&self) -> CharacterSets {
        CharacterSets::new(self.bytes(tags::SPECIFIC_CHARACTER_SET).unwrap_or_default())
    }

    /// A text without padding; `None` if it is missing or empty.
    pub(crate) fn text(&self, tag: Tag, sets: &CharacterSets) -> Option<String> {
        // Names and labels.
        let text = sets.decode(self.bytes(tag)?, VR::LO).text;
        let text = text.trim_matches(['\0', ' ']);
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// One unsigned number of 16 bits; `None` if it is missing.
    pub(crate) fn unsigned(&self, tag: Tag) -> Result<Option<u16>, Problem> {
        let Some(bytes) = self.bytes(tag) else { return Ok(None) };
        match bytes {
            [a, b] => Ok(Some(self.encoding.u16([*a, *b]))),
            _ => {
                Err(Problem::value(tag, format!("{} bytes", bytes.len()), "one number of 2 bytes"))
            }
        }
    }

    /// One integer in text form; `None` if it is missing.
    pub(crate) fn integer(&self, tag: Tag) -> Result<Option<i64>, Problem> {
        let Some(text) = self.ascii(tag)? else { return Ok(None) };
        let number = text.parse().ok();
        number.map(Some).ok_or_else(|| Problem::value(tag, format!("`{text}`"), "an integer"))
    }

    /// Finite numbers in text form; empty if they are missing.
    pub(crate) fn decimals(&self, tag: Tag) -> Result<Vec<f64>, Problem> {
        let Some(text) = self.ascii(tag)? else { return Ok(Vec::new()) };
        let number = |part: &str| part.trim().parse().ok().filter(|n: &f64| n.is_finite());
        let numbers: Option<Vec<f64>> = text.split('\\').map(number).collect();
        let shown = || format!("`{}`", text.get(..80).unwrap_or(text));
        numbers.ok_or_else(|| Problem::value(tag, shown(), "decimal numbers"))
    }

    /// Exactly `N` finite numbers in text form.
    pub(crate) fn numbers<const N: usize>(&self, tag: Tag) -> Result<[f64; N], Problem> {
        let found = self.decimals(tag)?;
        if found.is_empty() {
            return Err(Problem::Missing(attribute_name(tag)));
        }
        let n = found.len();
        found.try_into().map_err(|_| Problem::value(tag, format!("{n} numbers"), n_numbers(N)))
    }

    /// Exactly `N` finite numbers of 32 bits.
    pub(crate) fn floats<const N: usize>(&self, tag: Tag) -> Result<[f64; N], Problem> {
        let words = required(self.words(tag)?, tag)?;
        let numbers: Vec<f64> = words.into_iter().map(|bits| f32::from_bits(bits).into()).collect();
        let refused = || Problem::value(tag, format!("{numbers:?}"), format!("{N} finite numbers"));
        let is_finite = numbers.iter().all(|number| number.is_finite());
        numbers.as_slice().try_into().ok().filter(|_| is_finite).ok_or_else(refused)
    }

    /// Unsigned numbers of 32 bits; empty if they are missing.
    pub(crate) fn unsigned_longs(&self, tag: Tag) -> Result<Vec<u32>, Problem> {
        Ok(self.words(tag)?.unwrap_or_default())
    }

    fn words(&self, tag: Tag) -> Result<Option<Vec<u32>>, Problem> {
        let Some(bytes) = self.bytes(tag) else { return Ok(None) };
        let (words, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() || words.len() > MAX_WORDS {
            let expected = format!("4 for each of {MAX_WORDS} numbers at most");
            return Err(Problem::value(tag, format!("{} bytes", bytes.len()), expected));
        }
        Ok(Some(words.iter().map(|word| self.encoding.u32(*word)).collect()))
    }

    /// The pixel data.
    pub(crate) fn pixels(&self) -> Option<PixelBytes<'_>> {
        match self.elements.get(&tags::PIXEL_DATA) {
            Some(ElementValue::Bytes(bytes)) => Some(PixelBytes::Plain(bytes)),
            Some(ElementValue::Fragments(fragments)) => Some(PixelBytes::Fragments(fragments)),
            _ => None,
        }
    }
}

/// The value, or the problem that it is missing.
pub(crate) fn required<T>(value: Option<T>, tag: Tag) -> Result<T, Problem> {
    value.ok_or_else(|| Problem::Missing(attribute_name(tag)))
}
