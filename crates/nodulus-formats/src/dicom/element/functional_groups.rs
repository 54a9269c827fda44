//! What a file of several frames says of each of them: PS3.3, C.7.6.16.

use super::fragments::{Fragments, MAX_FRAMES};
use super::header::{ElementHeader, ITEM, ITEM_END, SEQUENCE_END};
use super::scanner::Scanner;
use super::syntax::Encoding;
use super::values::decode;
use crate::dicom::error::Problem;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use std::io::{Read, Seek};

/// The functional groups of a file, and where its frames are.
#[derive(Debug, Default)]
pub(crate) struct FunctionalGroups {
    /// The wanted elements that all frames share.
    pub(crate) shared: Option<InMemDicomObject>,
    /// The wanted elements of each frame.
    pub(crate) each: Vec<InMemDicomObject>,
    /// `ExtendedOffsetTable`, as it stands in the file.
    pub(crate) offsets: Option<Vec<u8>>,
    /// `ExtendedOffsetTableLengths`, as it stands in the file.
    pub(crate) lengths: Option<Vec<u8>>,
    /// The fragments, where the pixel data is encapsulated.
    pub(crate) fragments: Fragments,
}

impl FunctionalGroups {
    pub(crate) fn are_there(&self) -> bool {
        self.shared.is_some() || !self.each.is_empty()
    }
}

/// A sequence in a group, and what is wanted of it.
struct GroupMacro {
    sequence: Tag,
    /// Whether it has one item; of others the first one counts, as of the sources of an exposure.
    single: bool,
    wanted: &'static [Tag],
}

const MACROS: [GroupMacro; 10] = [
    GroupMacro {
        sequence: tags::CT_RECONSTRUCTION_SEQUENCE,
        single: false,
        wanted: &[tags::CONVOLUTION_KERNEL],
    },
    GroupMacro {
        sequence: tags::CT_EXPOSURE_SEQUENCE,
        single: false,
        wanted: &[tags::X_RAY_TUBE_CURRENT_INM_A],
    },
    GroupMacro { sequence: tags::CTX_RAY_DETAILS_SEQUENCE, single: false, wanted: &[tags::KVP] },
    GroupMacro {
        sequence: tags::CT_IMAGE_FRAME_TYPE_SEQUENCE,
        single: true,
        wanted: &[tags::FRAME_TYPE],
    },
    GroupMacro {
        sequence: tags::PLANE_POSITION_SEQUENCE,
        single: true,
        wanted: &[tags::IMAGE_POSITION_PATIENT],
    },
    GroupMacro {
        sequence: tags::PLANE_ORIENTATION_SEQUENCE,
        single: true,
        wanted: &[tags::IMAGE_ORIENTATION_PATIENT],
    },
    // Where a converted slice's other attributes are: PS3.3, C.8.23.
    GroupMacro {
        sequence: tags::UNASSIGNED_SHARED_CONVERTED_ATTRIBUTES_SEQUENCE,
        single: false,
        wanted: &[tags::KVP, tags::X_RAY_TUBE_CURRENT, tags::CONVOLUTION_KERNEL],
    },
    GroupMacro {
        sequence: tags::UNASSIGNED_PER_FRAME_CONVERTED_ATTRIBUTES_SEQUENCE,
        single: false,
        wanted: &[tags::KVP, tags::X_RAY_TUBE_CURRENT, tags::CONVOLUTION_KERNEL],
    },
    GroupMacro {
        sequence: tags::PIXEL_MEASURES_SEQUENCE,
        single: true,
        wanted: &[tags::SLICE_THICKNESS, tags::SPACING_BETWEEN_SLICES, tags::PIXEL_SPACING],
    },
    GroupMacro {
        sequence: tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
        single: true,
        wanted: &[tags::RESCALE_INTERCEPT, tags::RESCALE_SLOPE, tags::RESCALE_TYPE],
    },
];

/// Whether an element is kept in [`FunctionalGroups`].
pub(crate) fn is_one(tag: Tag) -> bool {
    matches!(
        tag,
        tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE
            | tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE
            | tags::EXTENDED_OFFSET_TABLE
            | tags::EXTENDED_OFFSET_TABLE_LENGTHS
    )
}

/// Reads an item to its end, which is given unless a delimiter tells.
type EachItem<'a, R> = dyn FnMut(&mut Scanner<R>, Option<u64>) -> Result<(), Problem> + 'a;
/// Reads an element whose header was read.
type EachElement<'a, R> = dyn FnMut(&mut Scanner<R>, &ElementHeader) -> Result<(), Problem> + 'a;

impl<R: Read + Seek> Scanner<R> {
    /// Reads an element for which [`is_one`] holds, whose header was read.
    pub(crate) fn append_frames(
        &mut self,
        element: &ElementHeader,
        encoding: Encoding,
        frames: &mut FunctionalGroups,
    ) -> Result<(), Problem> {
        match element.tag {
            tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE => {
                let mut groups = Vec::new();
                self.groups(element, encoding, 1, &mut groups)?;
                frames.shared = groups.pop();
            }
            tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE => {
                self.groups(element, encoding, MAX_FRAMES, &mut frames.each)?;
            }
            tags::EXTENDED_OFFSET_TABLE => frames.offsets = Some(self.table(element)?),
            _ => frames.lengths = Some(self.table(element)?),
        }
        Ok(())
    }

    /// Numbers of 8 bytes, one a frame.
    fn table(&mut self, element: &ElementHeader) -> Result<Vec<u8>, Problem> {
        let length = element.length.unwrap_or(u64::MAX);
        if length > 8 * MAX_FRAMES as u64 {
            let found = element.length.map_or("of no length".to_owned(), |n| format!("{n} bytes"));
            return Err(Problem::value(element.tag, found, "8 bytes a frame"));
        }
        let mut bytes = Vec::new();
        self.append(length, element.tag, &mut bytes)?;
        Ok(bytes)
    }

    /// The wanted elements of each item of a sequence of groups.
    fn groups(
        &mut self,
        sequence: &ElementHeader,
        encoding: Encoding,
        most: usize,
        found: &mut Vec<InMemDicomObject>,
    ) -> Result<(), Problem> {
        let encoding = sequence.inside(encoding);
        self.items(sequence, encoding, &mut |scanner, end| {
            if found.len() == most {
                let found = format!("of more than {most} items");
                return Err(Problem::value(sequence.tag, found, format!("at most {most}")));
            }
            let mut group = InMemDicomObject::new_empty();
            scanner.elements(end, encoding, &mut |scanner, element| match MACROS
                .iter()
                .find(|wanted| wanted.sequence == element.tag)
            {
                Some(wanted) => scanner.append_macro(element, encoding, wanted, &mut group),
                None => scanner.pass_over(element, encoding),
            })?;
            found.push(group);
            Ok(())
        })
    }

    fn append_macro(
        &mut self,
        sequence: &ElementHeader,
        encoding: Encoding,
        wanted: &GroupMacro,
        group: &mut InMemDicomObject,
    ) -> Result<(), Problem> {
        let encoding = sequence.inside(encoding);
        let mut n_items = 0;
        self.items(sequence, encoding, &mut |scanner, end| {
            n_items += 1;
            let mut bytes = Vec::new();
            scanner.elements(end, encoding, &mut |scanner, element| match element.length {
                Some(length) if n_items == 1 && wanted.wanted.contains(&element.tag) => {
                    element.check()?;
                    bytes.extend(element.raw());
                    scanner.append(length, element.tag, &mut bytes)
                }
                _ => scanner.pass_over(element, encoding),
            })?;
            for element in decode(bytes, encoding)? {
                group.put(element);
            }
            Ok(())
        })?;
        if wanted.single && n_items > 1 {
            return Err(Problem::value(sequence.tag, format!("of {n_items} items"), "one"));
        }
        Ok(())
    }

    fn pass_over(&mut self, element: &ElementHeader, encoding: Encoding) -> Result<(), Problem> {
        match element.length {
            Some(length) => self.skip(length, element.tag),
            None => self.skip_sequence(element, encoding),
        }
    }

    /// Passes through the items of a sequence; each is told where it ends, unless a delimiter does.
    fn items(
        &mut self,
        sequence: &ElementHeader,
        encoding: Encoding,
        each: &mut EachItem<'_, R>,
    ) -> Result<(), Problem> {
        let end = self.end_of_element(sequence)?;
        while !self.is_at(end, sequence.tag)? {
            let item = self.header(encoding)?;
            match item.tag {
                SEQUENCE_END if end.is_none() => break,
                ITEM => {
                    let end = self.end_of_element(&item)?;
                    each(self, end)?;
                }
                _ => return Err(self.unexpected(item.tag, "an item or a delimiter")),
            }
        }
        Ok(())
    }

    /// Passes through the elements of an item.
    fn elements(
        &mut self,
        end: Option<u64>,
        encoding: Encoding,
        each: &mut EachElement<'_, R>,
    ) -> Result<(), Problem> {
        while !self.is_at(end, ITEM)? {
            let element = self.header(encoding)?;
            match element.tag {
                ITEM_END if end.is_none() => break,
                ITEM | ITEM_END | SEQUENCE_END => {
                    return Err(self.unexpected(element.tag, "an element"));
                }
                _ => each(self, &element)?,
            }
        }
        Ok(())
    }

    /// Where an element ends that begins here; none where a delimiter tells.
    fn end_of_element(&self, element: &ElementHeader) -> Result<Option<u64>, Problem> {
        element.length.map(|length| self.end_of(length, element.tag)).transpose()
    }

    /// Whether all of what ends there was read; what lies inside may not reach past it.
    fn is_at(&self, end: Option<u64>, tag: Tag) -> Result<bool, Problem> {
        match end {
            Some(end) if self.at > end => Err(Problem::Malformed {
                at: end,
                found: format!("an element that ends at byte {}", self.at),
                expected: if tag == ITEM {
                    "one within its item"
                } else {
                    "one within its sequence"
                },
            }),
            Some(end) => Ok(self.at == end),
            None => Ok(false),
        }
    }

    fn unexpected(&self, tag: Tag, expected: &'static str) -> Problem {
        Problem::Malformed { at: self.at - 8, found: format!("tag {tag}"), expected }
    }
}
