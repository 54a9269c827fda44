//! Groups errors by their cause.

use super::error::{Error, Problem};
use super::series::tilt::MOST_DEGREES;

impl Error {
    /// Why the images are no scan that could ever be read, so that nobody has to look after them: the name of the rule.
    /// `None` for a fault of a scan.
    ///
    /// METHOD: images at one position, or again and again at a few, are those of bolus tracking, and a single image without
    /// a spacing is the one before it. A few images from different sides are scout views. Other quantities than HU are values of spectral CT or perfusion. A hospital sends them with every study.
    pub fn no_scan(&self) -> Option<&'static str> {
        match self {
            Self::Refused { reason, .. } => reason.no_scan(),
            Self::NotHounsfield { .. } => Some("not_hu"),
            Self::OnePosition { .. } | Self::FewPositions { .. } => Some("one_position"),
            Self::SeveralViews { .. } => Some("localizer"),
            Self::SingleSlice { .. } => Some("single_slice"),
            Self::NoSlices { aside, .. } => aside.first().map(|image| image.rule.name()),
            _ => None,
        }
    }

    /// What is wrong, in the same words for every series, and the setting that would admit the series, if there is one.
    pub fn cause(&self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Refused { reason, .. } => reason.cause(),
            Self::Io(_) => ("a file that cannot be opened", None),
            Self::File { problem, .. } => (problem.cause(), None),
            Self::NoSlices { .. } => ("no slice among the files", None),
            Self::Mixed { .. } => ("slices that differ in an attribute of the series", None),
            Self::Tilted { degrees: Some(degrees), .. } if *degrees <= MOST_DEGREES => {
                ("a tilted gantry", Some("ingest.tilt"))
            }
            Self::Tilted { degrees: Some(_), .. } => {
                ("slices on a line that no gantry tilts to", None)
            }
            Self::Tilted { degrees: None, .. } => {
                ("slices shifted sideways", Some("ingest.tolerances.off_grid"))
            }
            Self::NotHounsfield { .. } => ("values that are not HU", None),
            Self::SingleSlice { .. } => ("a single slice", None),
            Self::OnePosition { .. } => ("slices at one position, as in bolus tracking", None),
            Self::FewPositions { .. } => ("slices at a few positions, as in bolus tracking", None),
            Self::SeveralViews { .. } => ("images from different sides, as scout views", None),
            Self::LostSlice { .. } => ("a slice that may be missing", None),
            Self::FewerThanAnnounced { .. } => ("fewer instances than announced", None),
            Self::SeveralImages { .. } | Self::UnlikeCopies { .. } => {
                ("several images under one UID", None)
            }
            Self::MissingSlices { .. } => ("missing slices", None),
            Self::UnevenSpacing { .. } => ("uneven gaps", Some("ingest.tolerances.slice_gap")),
            Self::Drift { .. } => {
                ("slices that drift off the grid", Some("ingest.tolerances.off_grid"))
            }
            Self::Conflict { .. } => ("different slices at one position", None),
            Self::Unwritable { .. } => ("data that cannot be written", None),
        }
    }
}

impl Problem {
    /// What is wrong, in the same words for every file.
    fn cause(&self) -> &'static str {
        match self {
            Self::Io(_) => "a file that cannot be opened",
            Self::NotDicom => "a file that is not DICOM",
            Self::Blank(_) => "a file without content",
            Self::Truncated { .. } => "a file that is cut off",
            Self::Malformed { .. } | Self::Elements(_) => "malformed elements",
            Self::Missing(_) => "an attribute that is missing",
            Self::Value { .. } => "an attribute with a value that cannot be used",
            Self::TransferSyntax { .. } => "a transfer syntax that is not supported",
            Self::Compressed { .. } | Self::Codestream(_) => "compressed data that cannot be read",
            Self::Inflated(problem) | Self::Frame(_, problem) => problem.cause(),
            Self::Range { .. } => "voxels that no CT has",
            Self::Geometry(_) => "a geometry that is not valid",
        }
    }
}
