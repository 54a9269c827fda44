//! Problems of one DICOM file.

use super::found_value::{FoundValue, ShownValue};
use dicom_core::Tag;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;
use nodulus_faults::quoted::SavedWords;
use nodulus_faults::{FaultClass, in_words, quoted};
use std::fmt::{self, Display, Formatter};
use std::io;

/// A problem of one DICOM file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The file cannot be read.
    #[error("{}", quoted::io(.0))]
    Io(#[from] io::Error),
    /// The file is not DICOM.
    #[error("not a DICOM file: there is no `DICM` at byte 128")]
    NotDicom,
    /// The file has no content; this says what it is instead.
    #[error("{0}, expected a DICOM file: copy it again, or remove it if it is no slice")]
    Blank(String),
    /// The file is truncated.
    #[error(
        "cut off at byte {length}: {element} would end at byte {end}", end = quoted::numbers(end)
    )]
    Truncated {
        /// The element that is incomplete.
        element: SavedWords,
        /// Where the element would end.
        end: u64,
        /// Length of the file.
        length: u64,
    },
    /// The bytes are not a DICOM element.
    #[error("at byte {at}: found {found}, expected {expected}")]
    Malformed {
        /// Offset of the bytes.
        at: u64,
        /// What was found.
        found: SavedWords,
        /// What was expected.
        expected: &'static str,
    },
    /// The elements cannot be decoded or encoded.
    #[error("{}", quoted::foreign(.0))]
    Elements(String),
    /// An attribute is missing or empty.
    #[error("{0} is missing")]
    Missing(String),
    /// An attribute has a value that cannot be used.
    #[error("{attribute} is {found}, expected {expected}")]
    Value {
        /// The attribute.
        attribute: String,
        /// Its value.
        found: FoundValue,
        /// What was expected.
        expected: SavedWords,
    },
    /// The transfer syntax is not supported.
    #[error(
        "transfer syntax is {uid} ({name}), expected one that docs/dicom.md lists: convert the \
         file to explicit VR little endian, with `gdcmconv --raw` for instance",
        uid = quoted::uid(uid)
    )]
    TransferSyntax {
        /// The transfer syntax.
        uid: String,
        /// Its name.
        name: &'static str,
    },
    /// Compressed data are malformed, or disagree with the elements.
    #[error("{what}: found {found}, expected {expected}", found = quoted::foreign(found))]
    Compressed {
        /// The pixel data or the data set, and its compression.
        what: &'static str,
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// The codestream of a frame is malformed, or disagrees with the elements.
    #[error("{}: found {}, expected {}", .0.what, quoted::foreign(&.0.found), .0.expected)]
    Codestream(#[from] dicom_codecs::Error),
    /// A problem in a deflated data set; offsets are those of the inflated bytes.
    #[error("in the inflated data set: {0}")]
    Inflated(Box<Self>),
    /// The value of a voxel is none of a CT.
    #[error(
        "the voxel at column {i}, row {j} is {hu} HU, expected -131072 to 131072: RescaleSlope or \
         RescaleIntercept is wrong",
        hu = quoted::text(hu)
    )]
    Range {
        /// Column.
        i: usize,
        /// Row.
        j: usize,
        /// Its value.
        hu: i64,
    },
    /// A problem of one frame of several.
    #[error("frame {0}: {1}")]
    Frame(usize, Box<Self>),
    /// The slice has no valid geometry.
    #[error(transparent)]
    Geometry(#[from] crate::volume::InvalidGeometry),
}

impl Problem {
    /// The fault of the machine that it is, or the problem as it was.
    pub(super) fn of_machine(self) -> Result<io::Error, Self> {
        match self {
            Self::Io(error) if FaultClass::of(&error) == FaultClass::Machine => Ok(error),
            Self::Inflated(problem) => {
                problem.of_machine().map_err(|problem| Self::Inflated(Box::new(problem)))
            }
            Self::Frame(n, problem) => {
                problem.of_machine().map_err(|problem| Self::Frame(n, Box::new(problem)))
            }
            other => Err(other),
        }
    }

    /// Makes a problem of an error of the DICOM library and all its causes, as the first message says little.
    pub(crate) fn elements(error: &dyn std::error::Error) -> Self {
        Self::Elements(in_words(error))
    }

    pub(crate) fn value(tag: Tag, found: impl ShownValue, expected: impl Display) -> Self {
        let (found, expected) = (found.shown(), SavedWords::of(expected));
        Self::Value { attribute: attribute_name(tag), found, expected }
    }
}

/// An attribute that a file holds. A redacted message shows its keyword if the standard has it: where a file is damaged, a
/// tag may be any four bytes.
pub(crate) struct FoundTag(pub(crate) Tag);

impl FoundTag {
    /// Its name for a message.
    pub(crate) fn name(self) -> SavedWords {
        SavedWords::of(self)
    }
}

impl Display for FoundTag {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let entry = StandardDataDictionary.by_tag(self.0);
        match entry {
            Some(entry) if quoted::is_redacted() => f.write_str(entry.alias()),
            _ => Display::fmt(&quoted::text(&attribute_name(self.0)), f),
        }
    }
}

/// The keyword and the tag of an attribute.
pub(crate) fn attribute_name(tag: Tag) -> String {
    match StandardDataDictionary.by_tag(tag) {
        Some(entry) => format!("{} {tag}", entry.alias()),
        None => tag.to_string(),
    }
}

/// The keyword of an attribute, or its tag.
pub(crate) fn keyword(tag: Tag) -> String {
    StandardDataDictionary
        .by_tag(tag)
        .map_or_else(|| tag.to_string(), |entry| entry.alias().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_dictionary_std::tags;
    use std::rc::Rc;

    #[test]
    fn bytes_that_are_read_as_tags_and_lengths_are_redacted() {
        // `YAMA` and `DATA`, as a tag and as a length.
        let problem = |tag| Problem::Truncated {
            element: FoundTag(tag).name(),
            end: 1_096_040_772,
            length: 232,
        };
        let unknown = problem(Tag(0x4159, 0x414D));
        let shown = "cut off at byte 232: (4159,414D) would end at byte 1096040772";
        assert_eq!(unknown.to_string(), shown);
        let redacted = |problem: &Problem| {
            quoted::redacted(Rc::new(|_| "file".to_owned()), || problem.to_string())
        };
        let expected = "cut off at byte 232: (redacted) would end at byte (redacted)";
        assert_eq!(redacted(&unknown), expected);
        // The number of a group's length, or of a private creator, is not the standard's.
        for tag in [Tag(0x4159, 0x0000), Tag(0x4159, 0x0041)] {
            assert!(!redacted(&problem(tag)).contains("4159"), "{}", redacted(&problem(tag)));
        }
        // A number that cannot be used may be a date, or a number of a patient.
        let slope = Problem::value(tags::RESCALE_SLOPE, 88_776_651_956.0, "0.000001 to 1000000");
        let expected = "RescaleSlope (0028,1053) is (redacted), expected 0.000001 to 1000000";
        assert_eq!(redacted(&slope), expected);
        assert!(slope.to_string().contains(" is 88776651956, "), "{slope}");
        let known = redacted(&problem(tags::ROWS));
        assert_eq!(known, "cut off at byte 232: Rows would end at byte (redacted)");
    }
}
