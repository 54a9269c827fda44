//! Errors of DICOM files, and of the files of a series together.

use super::error_text::{groups_text, like_text, tilt_text};
use super::passed_over::PassedOver;
pub use super::problem::Problem;
pub(crate) use super::problem::{FoundTag, attribute_name, keyword};
use super::series_info::RefusedSeries;
use crate::limits::decimals_over;
use nodulus_faults::quoted::SavedWords;
use nodulus_faults::{FileError, quoted};
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
        "{file} lies {sideways_mm:.n$} mm off the normal through {first} over {along_mm:.4} mm \
         along it, expected at most {tolerance_mm:.n$} mm (`tolerances.off_grid`): {}",
        tilt_text(*degrees),
        file = quoted::path(file),
        first = quoted::path(first),
        n = decimals_over(*sideways_mm, *tolerance_mm, 4)
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
    /// The slices lie at a few positions, several at each.
    #[error(
        "the {n_slices} slices lie at {n_positions} positions, as in bolus tracking, expected slices \
         along the body"
    )]
    FewPositions {
        /// Number of slices.
        n_slices: usize,
        /// Number of positions.
        n_positions: usize,
    },
    /// A few images from different sides.
    #[error(
        "the {n_slices} images of the series look from different sides, as scout views do, expected \
         slices along the body"
    )]
    SeveralViews {
        /// Number of images.
        n_slices: usize,
    },
    /// A file that cannot be read may be a slice of the series.
    #[error(
        "series {series} may lack a slice: {file} cannot be read ({found}), and is {}; copy it again, or move it away if it is \
         no slice",
        like_text(like.as_deref()),
        series = quoted::uid(series_instance_uid),
        file = quoted::path(file)
    )]
    LostSlice {
        /// The series.
        series_instance_uid: String,
        /// The file.
        file: PathBuf,
        /// Why it cannot be read.
        found: SavedWords,
        /// A slice of the series with a name of this kind; `None` for a file that says that it is of the series.
        like: Option<PathBuf>,
    },
    /// The series announces more instances than it has files.
    #[error(
        "series {series} lacks slices: its headers announce {n_announced} instances \
         (NumberOfSeriesRelatedInstances), found {n_files}; copy the others too",
        series = quoted::uid(series_instance_uid)
    )]
    FewerThanAnnounced {
        /// The series.
        series_instance_uid: String,
        /// Number of its files.
        n_files: usize,
        /// Number of instances that it announces.
        n_announced: usize,
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
        "slices are unevenly spaced: the gap between {before} and {after} is {gap_mm:.n$} mm, \
         expected {spacing_mm:.n$} mm to within {limit_mm:.n$} mm (the greater of `tolerances.slice_gap` and one step in the \
         last decimal of positions)",
        before = quoted::path(before),
        after = quoted::path(after),
        n = decimals_over((gap_mm - spacing_mm).abs(), *limit_mm, 4)
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
        "slices are unevenly spaced: {file} lies {drift_mm:.n$} mm off its position on a grid of \
         {spacing_mm:.4} mm, expected at most {limit_mm:.n$} mm (`tolerances.off_grid`)",
        file = quoted::path(file),
        n = decimals_over(*drift_mm, *limit_mm, 4)
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
    /// Two slices at one position are of two images.
    #[error(
        "{file} and {other} lie at one position, {position_mm:.4} mm along the normal, and differ in {attribute} ({found} and \
         {expected}): two images of one slice; give each image a series of its own, or move away the file that is not of \
         this scan",
        file = quoted::path(file),
        other = quoted::path(other),
        found = quoted::text(found),
        expected = quoted::text(expected)
    )]
    UnlikeCopies {
        /// One file.
        file: PathBuf,
        /// Its value.
        found: String,
        /// The other one.
        other: PathBuf,
        /// The value of the other one.
        expected: String,
        /// The attribute that differs.
        attribute: &'static str,
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
            Self::UnlikeCopies { file, found, other, expected, attribute, position_mm } => {
                let (file, other) = (moved(file), moved(other));
                Self::UnlikeCopies { file, found, other, expected, attribute, position_mm }
            }
            Self::Refused { series, reason } => {
                Self::Refused { series, reason: Box::new(reason.moved(from, to)) }
            }
            Self::LostSlice { series_instance_uid, file, found, like } => {
                let (file, like) = (moved(file), like.map(moved));
                Self::LostSlice { series_instance_uid, file, found, like }
            }
            Self::OnePosition { .. }
            | Self::FewerThanAnnounced { .. }
            | Self::FewPositions { .. }
            | Self::SeveralViews { .. }
            | Self::SeveralImages { .. }
            | Self::Unwritable { .. } => self,
        }
    }

    /// The file that has a problem, of an error of one file.
    pub fn of_file(&self) -> Option<&PathBuf> {
        match self {
            Self::File { file, .. } => Some(file),
            _ => None,
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
