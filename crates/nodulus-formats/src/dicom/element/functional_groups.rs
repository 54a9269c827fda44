//! The functional groups of a file with several frames: PS3.3, C.7.6.16.

use super::distinct::DistinctElements;
use super::fragments::{Fragments, MAX_FRAMES};
use super::header::{ElementHeader, ITEM, ITEM_END, SEQUENCE_END};
use super::scanner::Scanner;
use super::syntax::Encoding;
use super::text::CharacterSets;
use crate::dicom::error::{FoundTag, Problem};
use crate::dicom::series::telling::{is_read_as_text, is_told};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use nodulus_faults::quoted::{self, SavedWords};
use std::io::{Read, Seek};

/// The functional groups of a file, and the positions of its frames.
#[derive(Debug, Default)]
pub(crate) struct FunctionalGroups {
    /// The wanted elements that all frames share.
    pub(crate) shared: Option<InMemDicomObject>,
    /// The wanted elements of each frame.
    pub(crate) each: Vec<InMemDicomObject>,
    /// The bytes of `ExtendedOffsetTable`.
    pub(crate) offsets: Option<Vec<u8>>,
    /// The bytes of `ExtendedOffsetTableLengths`.
    pub(crate) lengths: Option<Vec<u8>>,
    /// The fragments, if the pixel data are encapsulated.
    pub(crate) fragments: Fragments,
    /// The first element that is there twice with different values, which fails the file wherever its reading ends.
    pub(super) twice: Option<Problem>,
    /// The character sets of texts, which the data set declares before its groups.
    pub(super) sets: CharacterSets,
}

/// What is read of one group: the elements of each sequence.
type Group = Vec<(Tag, DistinctElements, Encoding)>;

impl FunctionalGroups {
    pub(crate) fn are_there(&self) -> bool {
        self.shared.is_some() || !self.each.is_empty()
    }

    /// Notes an element that is there twice, unless both are the same.
    fn once(&mut self, tag: Tag, is_once: bool) {
        if !is_once {
            let problem = || Problem::value(tag, "there twice, with other content", "one of them");
            self.twice.get_or_insert_with(problem);
        }
    }
}

/// A functional group macro: a sequence, and its wanted elements.
struct GroupMacro {
    sequence: Tag,
    /// Whether the sequence must have one item; of others, such as the sources of an exposure, the first item counts.
    single: bool,
    is_wanted: fn(Tag) -> bool,
}

impl GroupMacro {
    const fn one(sequence: Tag, is_wanted: fn(Tag) -> bool) -> Self {
        Self { sequence, single: true, is_wanted }
    }

    const fn first_of(sequence: Tag, is_wanted: fn(Tag) -> bool) -> Self {
        Self { sequence, single: false, is_wanted }
    }
}

/// Whether a converted slice has an attribute outside the other groups.
fn is_converted(tag: Tag) -> bool {
    is_told(tag) && !is_read_as_text(tag)
        || matches!(
            tag,
            tags::KVP
                | tags::CONVOLUTION_KERNEL
                | tags::ACQUISITION_NUMBER
                | tags::TEMPORAL_POSITION_IDENTIFIER
        )
}

const MACROS: [GroupMacro; 21] = [
    GroupMacro::first_of(tags::CT_RECONSTRUCTION_SEQUENCE, |tag| {
        matches!(
            tag,
            tags::CONVOLUTION_KERNEL
                | tags::CONVOLUTION_KERNEL_GROUP
                | tags::RECONSTRUCTION_ALGORITHM
                | tags::RECONSTRUCTION_DIAMETER
                | tags::RECONSTRUCTION_FIELD_OF_VIEW
                | tags::RECONSTRUCTION_TARGET_CENTER_PATIENT
        )
    }),
    GroupMacro::first_of(tags::CT_EXPOSURE_SEQUENCE, |tag| {
        matches!(
            tag,
            tags::X_RAY_TUBE_CURRENT_INM_A
                | tags::EXPOSURE_TIME_INMS
                | tags::EXPOSURE_INM_AS
                | tags::EXPOSURE_MODULATION_TYPE
                | tags::CTD_IVOL
        )
    }),
    GroupMacro::first_of(tags::CT_ACQUISITION_DETAILS_SEQUENCE, |tag| {
        matches!(
            tag,
            tags::SCAN_OPTIONS
                | tags::DATA_COLLECTION_DIAMETER
                | tags::GANTRY_DETECTOR_TILT
                | tags::TABLE_HEIGHT
                | tags::REVOLUTION_TIME
                | tags::ROTATION_DIRECTION
                | tags::SINGLE_COLLIMATION_WIDTH
                | tags::TOTAL_COLLIMATION_WIDTH
        )
    }),
    GroupMacro::first_of(tags::CT_TABLE_DYNAMICS_SEQUENCE, |tag| {
        matches!(tag, tags::TABLE_SPEED | tags::TABLE_FEED_PER_ROTATION | tags::SPIRAL_PITCH_FACTOR)
    }),
    GroupMacro::first_of(tags::CTX_RAY_DETAILS_SEQUENCE, |tag| {
        matches!(tag, tags::KVP | tags::FILTER_TYPE | tags::FILTER_MATERIAL)
    }),
    GroupMacro::first_of(tags::CT_ACQUISITION_TYPE_SEQUENCE, |tag| tag == tags::ACQUISITION_TYPE),
    GroupMacro::first_of(tags::CT_GEOMETRY_SEQUENCE, |tag| {
        tag == tags::DISTANCE_SOURCE_TO_DETECTOR
    }),
    GroupMacro::one(tags::CT_IMAGE_FRAME_TYPE_SEQUENCE, |tag| {
        matches!(tag, tags::FRAME_TYPE | tags::VOLUME_BASED_CALCULATION_TECHNIQUE)
    }),
    GroupMacro::first_of(tags::FRAME_CONTENT_SEQUENCE, |tag| {
        matches!(
            tag,
            tags::FRAME_ACQUISITION_NUMBER
                | tags::FRAME_ACQUISITION_DATE_TIME
                | tags::FRAME_REFERENCE_DATE_TIME
                | tags::CARDIAC_CYCLE_POSITION
                | tags::RESPIRATORY_CYCLE_POSITION
                | tags::TEMPORAL_POSITION_INDEX
                | tags::STACK_ID
                | tags::DIMENSION_INDEX_VALUES
                | tags::FRAME_COMMENTS
                | tags::FRAME_LABEL
        )
    }),
    GroupMacro::first_of(tags::TEMPORAL_POSITION_SEQUENCE, |tag| {
        tag == tags::TEMPORAL_POSITION_TIME_OFFSET
    }),
    GroupMacro::first_of(tags::CARDIAC_SYNCHRONIZATION_SEQUENCE, |tag| {
        matches!(
            tag,
            tags::NOMINAL_PERCENTAGE_OF_CARDIAC_PHASE
                | tags::NOMINAL_CARDIAC_TRIGGER_DELAY_TIME
                | tags::ACTUAL_CARDIAC_TRIGGER_DELAY_TIME
                | tags::RR_INTERVAL_TIME_NOMINAL
                | tags::LOW_RR_VALUE
                | tags::HIGH_RR_VALUE
        )
    }),
    GroupMacro::first_of(tags::RESPIRATORY_SYNCHRONIZATION_SEQUENCE, |tag| {
        matches!(
            tag,
            tags::NOMINAL_PERCENTAGE_OF_RESPIRATORY_PHASE
                | tags::NOMINAL_RESPIRATORY_TRIGGER_DELAY_TIME
                | tags::ACTUAL_RESPIRATORY_TRIGGER_DELAY_TIME
                | tags::RESPIRATORY_INTERVAL_TIME
        )
    }),
    GroupMacro::first_of(tags::CONTRAST_BOLUS_USAGE_SEQUENCE, |tag| {
        matches!(
            tag,
            tags::CONTRAST_BOLUS_AGENT_ADMINISTERED
                | tags::CONTRAST_BOLUS_AGENT_NUMBER
                | tags::CONTRAST_BOLUS_AGENT_PHASE
        )
    }),
    GroupMacro::first_of(tags::IRRADIATION_EVENT_IDENTIFICATION_SEQUENCE, |tag| {
        tag == tags::IRRADIATION_EVENT_UID
    }),
    GroupMacro::one(tags::PLANE_POSITION_SEQUENCE, |tag| tag == tags::IMAGE_POSITION_PATIENT),
    GroupMacro::one(tags::PLANE_ORIENTATION_SEQUENCE, |tag| tag == tags::IMAGE_ORIENTATION_PATIENT),
    // The other attributes of a converted slice: PS3.3, C.8.23.
    GroupMacro::first_of(tags::UNASSIGNED_SHARED_CONVERTED_ATTRIBUTES_SEQUENCE, is_converted),
    GroupMacro::first_of(tags::UNASSIGNED_PER_FRAME_CONVERTED_ATTRIBUTES_SEQUENCE, is_converted),
    GroupMacro::one(tags::PIXEL_MEASURES_SEQUENCE, |tag| {
        matches!(tag, tags::SLICE_THICKNESS | tags::SPACING_BETWEEN_SLICES | tags::PIXEL_SPACING)
    }),
    GroupMacro::first_of(tags::FRAME_VOILUT_SEQUENCE, |tag| {
        matches!(tag, tags::WINDOW_CENTER | tags::WINDOW_WIDTH)
    }),
    GroupMacro::one(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, |tag| {
        matches!(tag, tags::RESCALE_INTERCEPT | tags::RESCALE_SLOPE | tags::RESCALE_TYPE)
    }),
];

/// Whether an element is stored in [`FunctionalGroups`].
pub(crate) fn belongs_to_groups(tag: Tag) -> bool {
    matches!(
        tag,
        tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE
            | tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE
            | tags::EXTENDED_OFFSET_TABLE
            | tags::EXTENDED_OFFSET_TABLE_LENGTHS
    )
}

/// Reads an item to its end, which is `None` if a delimiter marks it.
type EachItem<'a, R> = dyn FnMut(&mut Scanner<R>, Option<u64>) -> Result<(), Problem> + 'a;
/// Reads the value of an element whose header was read.
type EachElement<'a, R> = dyn FnMut(&mut Scanner<R>, &ElementHeader) -> Result<(), Problem> + 'a;

impl<R: Read + Seek> Scanner<R> {
    /// Reads the value of an element for which [`belongs_to_groups`] holds.
    pub(crate) fn append_frames(
        &mut self,
        element: &ElementHeader,
        encoding: Encoding,
        frames: &mut FunctionalGroups,
    ) -> Result<(), Problem> {
        match element.tag {
            tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE => {
                let mut groups = Vec::new();
                let FunctionalGroups { twice, sets, .. } = frames;
                self.groups(element, encoding, 1, &mut groups, twice, sets)?;
                let shared = groups.pop();
                let first = std::mem::replace(&mut frames.shared, shared);
                let is_once = first.is_none_or(|first| frames.shared == Some(first));
                frames.once(element.tag, is_once);
            }
            tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE => {
                let FunctionalGroups { each, twice, sets, .. } = frames;
                self.groups(element, encoding, MAX_FRAMES, each, twice, sets)?;
            }
            tags::EXTENDED_OFFSET_TABLE => {
                let first = frames.offsets.replace(self.table(element)?);
                let is_once = first.is_none_or(|first| frames.offsets == Some(first));
                frames.once(element.tag, is_once);
            }
            _ => {
                let first = frames.lengths.replace(self.table(element)?);
                let is_once = first.is_none_or(|first| frames.lengths == Some(first));
                frames.once(element.tag, is_once);
            }
        }
        Ok(())
    }

    /// Reads a table with a number of 8 bytes for each frame.
    fn table(&mut self, element: &ElementHeader) -> Result<Vec<u8>, Problem> {
        let length = element.length.unwrap_or(u64::MAX);
        if length > 8 * MAX_FRAMES as u64 {
            let found = element.length.map_or("of no length".to_owned(), |n| format!("{n} bytes"));
            return Err(Problem::value(element.tag, found, "8 bytes for each frame"));
        }
        let mut bytes = Vec::new();
        self.append(length, element.tag, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads the wanted elements of each item of a sequence of groups. What an item has twice with different values goes to
    /// `twice`.
    fn groups(
        &mut self,
        sequence: &ElementHeader,
        encoding: Encoding,
        most: usize,
        found: &mut Vec<InMemDicomObject>,
        twice: &mut Option<Problem>,
        sets: &CharacterSets,
    ) -> Result<(), Problem> {
        let encoding = sequence.inside(encoding);
        let is_shared = most == 1;
        self.items(sequence, encoding, &mut |scanner, end| {
            if found.len() == most {
                let found = format!("of more than {most} items");
                return Err(Problem::value(sequence.tag, found, format!("at most {most}")));
            }
            let mut group = Group::new();
            scanner.elements(end, encoding, &mut |scanner, element| match MACROS
                .iter()
                .find(|wanted| wanted.sequence == element.tag)
            {
                Some(wanted) => scanner.append_macro(element, encoding, wanted, &mut group),
                None => scanner.skip_element(element, encoding),
            })?;
            let mut decoded = InMemDicomObject::new_empty();
            for (_, elements, encoding) in group {
                match elements.decoded(encoding, sets) {
                    Ok(elements) => {
                        for element in elements {
                            decoded.put(element);
                        }
                    }
                    Err(problem) if is_shared => {
                        twice.get_or_insert(problem);
                    }
                    Err(problem) => {
                        twice.get_or_insert(Problem::Frame(found.len() + 1, Box::new(problem)));
                    }
                }
            }
            found.push(decoded);
            Ok(())
        })
    }

    /// Reads the wanted elements of the first item of a sequence. A sequence that a group has twice counts as one.
    fn append_macro(
        &mut self,
        sequence: &ElementHeader,
        encoding: Encoding,
        wanted: &GroupMacro,
        group: &mut Group,
    ) -> Result<(), Problem> {
        let encoding = sequence.inside(encoding);
        let at = group.iter().position(|(tag, ..)| *tag == sequence.tag).unwrap_or(group.len());
        if at == group.len() {
            group.push((sequence.tag, DistinctElements::default(), encoding));
        }
        let (_, found, _) = &mut group[at];
        let mut n_items = 0;
        self.items(sequence, encoding, &mut |scanner, end| {
            n_items += 1;
            scanner.elements(end, encoding, &mut |scanner, element| match element.length {
                Some(length) if n_items == 1 && (wanted.is_wanted)(element.tag) => {
                    found.append(scanner, element, length, encoding)
                }
                _ => scanner.skip_element(element, encoding),
            })
        })?;
        if wanted.single && n_items > 1 {
            return Err(Problem::value(sequence.tag, format!("of {n_items} items"), "one"));
        }
        Ok(())
    }

    fn skip_element(&mut self, element: &ElementHeader, encoding: Encoding) -> Result<(), Problem> {
        match element.length {
            Some(length) => self.skip(length, element.tag),
            None => self.skip_sequence(element, encoding),
        }
    }

    /// Calls `each` for every item of a sequence, with the end of the item unless a delimiter marks it.
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

    /// Calls `each` for every element of an item.
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

    /// The end of an element whose value begins here; `None` if a delimiter marks it.
    fn end_of_element(&self, element: &ElementHeader) -> Result<Option<u64>, Problem> {
        element.length.map(|length| self.end_of(length, element.tag)).transpose()
    }

    /// Whether reading has reached the end `end`; elements inside must not extend past it.
    fn is_at(&self, end: Option<u64>, tag: Tag) -> Result<bool, Problem> {
        match end {
            Some(end) if self.at > end => Err(Problem::Malformed {
                at: end,
                found: SavedWords::of(format_args!(
                    "an element that ends at byte {}",
                    quoted::numbers(&self.at)
                )),
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
        let found = SavedWords::of(format_args!("tag {}", FoundTag(tag)));
        Problem::Malformed { at: self.at - 8, found, expected }
    }
}
