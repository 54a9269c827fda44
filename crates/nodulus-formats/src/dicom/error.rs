//! Errors of DICOM files, and of the files of a series together.

use super::error_text::{groups_text, tilt_text};
use super::found_value::{FoundValue, ShownValue};
use super::passed_over::PassedOver;
use super::series_info::RefusedSeries;
use dicom_core::Tag;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;
use nodulus_faults::{FaultClass, FileError, in_words, quoted};
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

/// A CT series could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system failed.
    #[error("{}", quoted::io(.0))]
    Io(#[from] io::Error),
    /// One file has a problem.
    #[error("{file}: {problem}", file = quoted::path(file))]
    File {
        /// The file.
        file: PathBuf,
        /// The problem.
        problem: Box<Problem>,
    },
    /// There is no slice among the files.
    #[error("no CT slice among {n_files} files of {folder}", folder = quoted::path(folder))]
    NoSlices {
        /// Number of files.
        n_files: usize,
        /// Folder of the first file; empty where there is no file.
        folder: PathBuf,
        /// Images among the files that are no slices.
        aside: Vec<PassedOver>,
    },
    /// Two slices differ in an attribute that a series has once.
    #[error(
        "{file} has {attribute} {found}, expected {expected} as in {first}",
        file = quoted::path(file),
        found = quoted::text(found),
        first = quoted::path(first),
        expected = quoted::text(expected)
    )]
    Mixed {
        /// The attribute.
        attribute: &'static str,
        /// The file that differs.
        file: PathBuf,
        /// Its value.
        found: String,
        /// The first file.
        first: PathBuf,
        /// The first file's value.
        expected: String,
    },
    /// Slices are shifted sideways, as with a tilted gantry.
    #[error(
        "{file} lies {sideways_mm:.4} mm off the normal through {first} over {along_mm:.4} mm \
         along it, expected at most {tolerance_mm:.4} mm (`tolerances.off_grid`): {}",
        tilt_text(*degrees),
        file = quoted::path(file),
        first = quoted::path(first)
    )]
    Tilted {
        /// The file with the greatest distance.
        file: PathBuf,
        /// The first slice.
        first: PathBuf,
        /// Distance from the normal, in mm.
        sideways_mm: f64,
        /// Distance along the normal, in mm.
        along_mm: f64,
        /// Greatest distance allowed, in mm.
        tolerance_mm: f64,
        /// The angle of the line that the slices lie on; `None` where they lie on none.
        degrees: Option<f64>,
    },
    /// The values are not Hounsfield units.
    #[error(
        "{file} holds {quantity} ({attribute} is {found}), expected Hounsfield units: exclude \
         the series, or read the series of the same scan in HU",
        file = quoted::path(file),
        found = quoted::text(found)
    )]
    NotHounsfield {
        /// The file.
        file: PathBuf,
        /// What its values are.
        quantity: &'static str,
        /// The attribute that says so.
        attribute: &'static str,
        /// Its value.
        found: String,
    },
    /// A series has one slice, which tells no spacing.
    #[error(
        "{file} is the only slice of its series and SpacingBetweenSlices is {spacing}, expected \
         two slices or more, or a spacing in mm over 0",
        file = quoted::path(file),
        spacing = quoted::text(spacing)
    )]
    SingleSlice {
        /// The file.
        file: PathBuf,
        /// Its `SpacingBetweenSlices`.
        spacing: String,
    },
    /// All slices lie at one position.
    #[error(
        "all {n_slices} slices lie at one position, as in bolus tracking, expected slices along the \
         body"
    )]
    OnePosition {
        /// Number of slices.
        n_slices: usize,
    },
    /// Several images of one body region are in one series.
    #[error(
        "the series holds {} images of one body region, which differ in {attribute} ({}): give \
         each image a series of its own",
        groups.len(),
        groups_text(groups)
    )]
    SeveralImages {
        /// The attribute that differs.
        attribute: &'static str,
        /// Its values, each with the number of slices.
        groups: Vec<(String, usize)>,
    },
    /// Slices are missing.
    #[error(
        "{n_missing} {} missing; the widest gap, between {before} and {after}, is \
         {gap_mm:.4} mm, expected {spacing_mm:.4} mm",
        if *n_missing == 1 { "slice is" } else { "slices are" },
        before = quoted::path(before),
        after = quoted::path(after)
    )]
    MissingSlices {
        /// The slice below the widest gap.
        before: PathBuf,
        /// The slice above it.
        after: PathBuf,
        /// The gap, in mm.
        gap_mm: f64,
        /// Median of all gaps, in mm.
        spacing_mm: f64,
        /// The number of slices that all gaps leave room for.
        n_missing: usize,
    },
    /// A gap differs from the median gap.
    #[error(
        "slices are unevenly spaced: the gap between {before} and {after} is {gap_mm:.4} mm, \
         expected {spacing_mm:.4} mm to within {limit_mm:.4} mm (the greater of `tolerances.slice_gap` and one step in the \
         last decimal of positions)",
        before = quoted::path(before),
        after = quoted::path(after)
    )]
    UnevenSpacing {
        /// The slice below the gap.
        before: PathBuf,
        /// The slice above it.
        after: PathBuf,
        /// The gap, in mm.
        gap_mm: f64,
        /// Median of all gaps, in mm.
        spacing_mm: f64,
        /// Greatest deviation allowed, in mm.
        limit_mm: f64,
    },
    /// Small deviations of the gaps add up.
    #[error(
        "slices are unevenly spaced: {file} lies {drift_mm:.4} mm off its position on a grid of \
         {spacing_mm:.4} mm, expected at most {limit_mm:.4} mm (`tolerances.off_grid`)",
        file = quoted::path(file)
    )]
    Drift {
        /// The slice with the greatest distance.
        file: PathBuf,
        /// Distance from its position on the grid, in mm.
        drift_mm: f64,
        /// Median of all gaps, in mm.
        spacing_mm: f64,
        /// Greatest distance allowed, in mm.
        limit_mm: f64,
    },
    /// Two slices at one position have different voxels.
    #[error(
        "{file} and {other} lie at one position, {position_mm:.4} mm along the normal, with \
         different voxels",
        file = quoted::path(file),
        other = quoted::path(other)
    )]
    Conflict {
        /// One file.
        file: PathBuf,
        /// The other one.
        other: PathBuf,
        /// Their position, in mm.
        position_mm: f64,
    },
    /// The slices could be read, but do not make up a volume that can be trusted.
    #[error("series {} is refused", quoted::uid(&series.info.series_instance_uid))]
    Refused {
        /// What its headers say.
        series: Box<RefusedSeries>,
        /// Why.
        #[source]
        reason: Box<Self>,
    },
    /// The data to be written do not make up a series or an object.
    #[error(
        "series {series_instance_uid} cannot be written: {attribute} is {found}, expected {expected}",
        series_instance_uid = quoted::uid(series_instance_uid),
        found = quoted::text(found)
    )]
    Unwritable {
        /// The series.
        series_instance_uid: String,
        /// The attribute that is wrong.
        attribute: &'static str,
        /// Its value.
        found: String,
        /// What was expected.
        expected: String,
    },
}

impl Error {
    /// The error with paths below `from` replaced by paths below `to`.
    pub(crate) fn moved(self, from: &Path, to: &Path) -> Self {
        let moved = |path: PathBuf| match path.strip_prefix(from) {
            Ok(below) => to.join(below),
            Err(_) => path,
        };
        match self {
            Self::Io(error) => Self::Io(FileError::moved(&error, from, to)),
            Self::File { file, problem } => {
                let problem = match *problem {
                    Problem::Io(error) => Problem::Io(FileError::moved(&error, from, to)),
                    problem => problem,
                };
                Self::File { file: moved(file), problem: Box::new(problem) }
            }
            Self::NoSlices { n_files, folder, aside } => {
                Self::NoSlices { n_files, folder: moved(folder), aside }
            }
            Self::Mixed { attribute, file, found, first, expected } => {
                Self::Mixed { attribute, file: moved(file), found, first: moved(first), expected }
            }
            Self::Tilted { file, first, sideways_mm, along_mm, tolerance_mm, degrees } => {
                let (file, first) = (moved(file), moved(first));
                Self::Tilted { file, first, sideways_mm, along_mm, tolerance_mm, degrees }
            }
            Self::NotHounsfield { file, quantity, attribute, found } => {
                Self::NotHounsfield { file: moved(file), quantity, attribute, found }
            }
            Self::SingleSlice { file, spacing } => Self::SingleSlice { file: moved(file), spacing },
            Self::MissingSlices { before, after, gap_mm, spacing_mm, n_missing } => {
                let (before, after) = (moved(before), moved(after));
                Self::MissingSlices { before, after, gap_mm, spacing_mm, n_missing }
            }
            Self::UnevenSpacing { before, after, gap_mm, spacing_mm, limit_mm } => {
                let (before, after) = (moved(before), moved(after));
                Self::UnevenSpacing { before, after, gap_mm, spacing_mm, limit_mm }
            }
            Self::Drift { file, drift_mm, spacing_mm, limit_mm } => {
                Self::Drift { file: moved(file), drift_mm, spacing_mm, limit_mm }
            }
            Self::Conflict { file, other, position_mm } => {
                Self::Conflict { file: moved(file), other: moved(other), position_mm }
            }
            Self::Refused { series, reason } => {
                Self::Refused { series, reason: Box::new(reason.moved(from, to)) }
            }
            Self::OnePosition { .. } | Self::SeveralImages { .. } | Self::Unwritable { .. } => self,
        }
    }

    /// A problem of a file. A fault of the machine stays the error that it is, with its cause.
    pub(crate) fn file(file: &Path, problem: impl Into<Problem>) -> Self {
        match problem.into().of_machine() {
            Ok(error) => Self::Io(error),
            Err(problem) => Self::File { file: file.to_owned(), problem: Box::new(problem) },
        }
    }
}

/// A problem of one DICOM file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The file cannot be read.
    #[error("{}", quoted::io(.0))]
    Io(#[from] io::Error),
    /// The file is not DICOM.
    #[error("not a DICOM file: there is no `DICM` at byte 128")]
    NotDicom,
    /// The file is truncated.
    #[error("cut off at byte {length}: {element} would end at byte {end}")]
    Truncated {
        /// The element that is incomplete.
        element: String,
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
        found: String,
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
        expected: String,
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
         RescaleIntercept is wrong"
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
    fn of_machine(self) -> Result<io::Error, Self> {
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
        let (found, expected) = (found.shown(), expected.to_string());
        Self::Value { attribute: attribute_name(tag), found, expected }
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
