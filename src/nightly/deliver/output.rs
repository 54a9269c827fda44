//! Kinds of files, and the outcome of writing one.

use nodulus_formats::dicom::ObjectReference;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A kind of file.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum OutputKind {
    /// DICOM SEG.
    Seg,
    /// DICOM RTSTRUCT.
    Rtstruct,
    /// DICOM SR: a measurement report, whose groups refer to the segments of `seg`.
    Sr,
    /// DICOM Secondary Capture: the overlay as an image, for viewers without SEG.
    Sc,
    /// DICOM KO: a rejection note for the objects of earlier results that the new ones replace.
    Rejection,
    /// NIfTI labels, with a nodule's number in its voxels.
    Nifti,
    /// PNG overlay, with the middle slice of each nodule.
    Png,
    /// JSON with everything that is known about the scan.
    Json,
}

impl OutputKind {
    /// Whether a file is of this kind, by the end of its name.
    pub fn has_file(self, file: &Path) -> bool {
        file.to_str().is_some_and(|name| name.ends_with(self.suffix()))
    }

    /// Whether its files are DICOM objects, which archives take.
    pub fn is_dicom(self) -> bool {
        is_dicom_file(Path::new(self.suffix()))
    }

    /// End of the file's name.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Seg => "segmentation.dcm",
            Self::Rtstruct => "structure_set.dcm",
            Self::Sr => "measurements.dcm",
            Self::Sc => "overlay.dcm",
            Self::Rejection => "rejection_note.dcm",
            Self::Nifti => "labels.nii.gz",
            Self::Png => "overlay.png",
            Self::Json => "nodules.json",
        }
    }
}

/// Whether a file is a DICOM object, by the end of its name.
pub fn is_dicom_file(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "dcm")
}

/// Outcome of a requested file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveredFile {
    /// It is written.
    Written {
        /// Its kind.
        output: OutputKind,
        /// Its path.
        path: PathBuf,
        /// Its length.
        n_bytes: u64,
        /// SHA-256 of its bytes.
        sha256: String,
        /// How DICOM objects refer to it, if it is one.
        object: Option<ObjectReference>,
    },
    /// The scan has nothing to write in it, such as no nodule.
    Empty {
        /// Its kind.
        output: OutputKind,
        /// Why.
        reason: String,
    },
    /// It cannot be made of such a scan, which is worth a warning.
    Unavailable {
        /// Its kind.
        output: OutputKind,
        /// Why.
        reason: String,
    },
}

impl DeliveredFile {
    /// The kind of the file.
    pub fn output(&self) -> OutputKind {
        match self {
            Self::Written { output, .. }
            | Self::Empty { output, .. }
            | Self::Unavailable { output, .. } => *output,
        }
    }

    /// The warning for a file that cannot be made.
    pub fn warning(&self) -> Option<String> {
        match self {
            Self::Written { .. } | Self::Empty { .. } => None,
            Self::Unavailable { output, reason } => {
                Some(format!("no {}: {reason}", output.suffix()))
            }
        }
    }
}

/// Content of a file before it is written.
pub(super) enum FileContent {
    Bytes(Vec<u8>),
    Object(ObjectReference, Vec<u8>),
    Empty(String),
    Unavailable(String),
}
