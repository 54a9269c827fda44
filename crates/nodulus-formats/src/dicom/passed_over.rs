//! Files and folders that are left aside, and why.

use super::error::{Error, Problem};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Why a file, folder or series is left aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PassedOverRule {
    /// It is no regular file: a pipe, a socket, a device, a link to nothing or to a folder above it.
    NoFile,
    /// It cannot be opened.
    NotReadable,
    /// The file has no byte, or zeros alone, as a file whose content was never written.
    Empty,
    /// The file is not DICOM.
    NotDicom,
    /// The file is DICOM of another modality than CT.
    OtherModality,
    /// The file is of modality CT, but by its class no image, or an image without pixels.
    NoImage,
    /// The image is a localizer.
    Localizer,
    /// The image is a screen save: it has no position, or colours.
    ScreenSave,
}

impl PassedOverRule {
    /// Name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoFile => "no_file",
            Self::NotReadable => "not_readable",
            Self::Empty => "empty",
            Self::NotDicom => "not_dicom",
            Self::OtherModality => "other_modality",
            Self::NoImage => "no_image",
            Self::Localizer => "localizer",
            Self::ScreenSave => "screen_save",
        }
    }
}

/// A file or folder that is left aside.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PassedOver {
    /// The file or folder.
    pub path: PathBuf,
    /// Its series, if it says so.
    pub series_instance_uid: Option<String>,
    /// Why it is left aside.
    pub rule: PassedOverRule,
    /// What it is, in words: `SR`, `CT (localizer)`, `a pipe`.
    pub what: String,
}

impl PassedOver {
    pub(crate) fn new(path: &Path, rule: PassedOverRule, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), series_instance_uid: None, rule, what: what.into() }
    }

    /// What leads to no file: a pipe, a socket, a device, or a link to nothing.
    pub fn no_file(path: &Path) -> Self {
        Self::new(path, PassedOverRule::NoFile, "a pipe, or a link that leads nowhere")
    }

    /// Whether the file is named like DICOM and is not.
    pub fn is_misnamed(&self) -> bool {
        matches!(self.rule, PassedOverRule::NotDicom | PassedOverRule::Empty)
            && self.path.extension().is_some_and(|found| found.eq_ignore_ascii_case("dcm"))
    }

    /// The error of a file that was to be DICOM and is not.
    pub fn unreadable(&self) -> Error {
        let problem = match self.rule {
            PassedOverRule::Empty => Problem::Blank(self.what.clone()),
            _ => Problem::NotDicom,
        };
        Error::file(&self.path, problem)
    }

    /// Whether a slice may be lost with it.
    pub fn may_be_slice(&self) -> bool {
        matches!(self.rule, PassedOverRule::Empty | PassedOverRule::NotReadable)
    }
}
