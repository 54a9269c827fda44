//! Files that hold a reader's marks as voxels or contours: NIfTI, MetaImage, DICOM SEG and RTSTRUCT.

use crate::dicom::{self, Segmentation, StructureSet};
use crate::image_file::{self, Error as ImageError};
use crate::volume::Volume;
use fs_err::File;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// How masks are read: `[ingest.cohorts.masks]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaskRules {
    /// Whether a mask on another grid than its image is resampled onto it; else it is refused.
    #[serde(default)]
    pub resample: bool,
    /// Share of `MaximumFractionalValue` from which a pixel of a fractional segmentation counts.
    #[serde(default = "default_fractional_threshold")]
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 1))]
    pub fractional_threshold: f64,
    /// Glob patterns of `ROIName` of the regions of a structure set that are nodules; without any, those
    /// whose `RTROIInterpretedType` is GTV, NONE or missing.
    #[serde(default)]
    #[schemars(extend("examples" = [["nodule*"]]))]
    pub rois: Vec<String>,
}

fn default_fractional_threshold() -> f64 {
    0.5
}

impl Default for MaskRules {
    fn default() -> Self {
        let fractional_threshold = default_fractional_threshold();
        Self { resample: false, fractional_threshold, rois: Vec::new() }
    }
}

/// The content of a file of marks.
#[derive(Clone, Debug, PartialEq)]
pub enum MaskFile {
    /// One value for each nodule, or 1 for all of them; 0 for the background.
    Labels(Volume<u16>),
    /// DICOM SEG.
    Segmentation(Segmentation),
    /// RTSTRUCT.
    StructureSet(StructureSet),
}

impl MaskFile {
    /// The series that the marks name; `None` where the format cannot name one.
    pub fn referenced(&self) -> Option<&dicom::ReferencedUids> {
        match self {
            Self::Labels(_) => None,
            Self::Segmentation(segmentation) => Some(&segmentation.referenced),
            Self::StructureSet(structures) => Some(&structures.referenced),
        }
    }
}

/// A file of marks could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// An image file could not be read as labels.
    #[error(transparent)]
    Labels(#[from] ImageError),
    /// A DICOM file could not be read.
    #[error(transparent)]
    Dicom(#[from] dicom::Error),
    /// The file is not DICOM, and its name is that of no format.
    #[error(
        "`{0}` is not a DICOM file, and not named like a mask, expected .nii, .nii.gz, .hdr, .hdr.gz, .mhd or .mha"
    )]
    Name(PathBuf),
}

/// Reads a file of marks. DICOM is recognised by its content, other formats by their names.
///
/// # Errors
///
/// Fails if the file has none of the formats, or cannot be read in its format.
pub fn read(path: &Path, rules: &MaskRules) -> Result<MaskFile, Error> {
    let mut start = Vec::new();
    File::open(path)?.take(132).read_to_end(&mut start)?;
    if start.len() == 132 && start.ends_with(b"DICM") {
        return Ok(match dicom::read_annotation_object(path, rules.fractional_threshold)? {
            dicom::AnnotationObject::Segmentation(segmentation) => {
                MaskFile::Segmentation(segmentation)
            }
            dicom::AnnotationObject::StructureSet(structures) => MaskFile::StructureSet(structures),
        });
    }
    if !image_file::is_image(path) {
        return Err(Error::Name(path.to_owned()));
    }
    Ok(MaskFile::Labels(image_file::read_labels(path)?))
}
