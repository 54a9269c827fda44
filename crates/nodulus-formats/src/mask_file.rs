//! Files that hold a reader's marks as voxels or contours: NIfTI, MetaImage, NRRD, DICOM SEG and RTSTRUCT.

use crate::dicom::{self, AnnotationObject, Segmentation, StructureSet};
use crate::image_file::{self, Error as ImageError};
use crate::image_rules::{OFF_GRID, ReadRules};
use crate::repair::Repairs;
use crate::volume::{Geometry, Volume};
use crate::voxel_encoding::ValueRules;
use nodulus_faults::fs::File;
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
    /// Share of a mark's voxels that may lie outside the image where the mask is resampled; past it, the mask is refused.
    #[serde(default = "default_most_lost")]
    #[schemars(range(min = 0, max = 1))]
    pub most_lost: f64,
    /// Distance, as a share of a voxel, by which voxels or frames of a mask may lie off its image's.
    #[serde(default = "default_off_grid")]
    #[schemars(range(min = 0, max = 0.5))]
    pub off_grid: f64,
    /// Distance, as a share of the gap between slices, by which a contour may lie off the plane of its slice; 0.5 takes
    /// the nearest slice.
    #[serde(default = "default_off_grid")]
    #[schemars(range(min = 0, max = 0.5))]
    pub off_plane: f64,
    /// Which pixels a contour encloses where it runs through their centres.
    #[serde(default)]
    pub edge: PixelEdge,
    /// Whether a mask that does not place its voxels (NIfTI without form codes, NRRD without a space) has those of its
    /// image, if their size is the same; else it is refused.
    #[serde(default)]
    pub unplaced: bool,
    /// Whether voxels of a mask that are not a number (NaN) are background; else it is refused.
    #[serde(default)]
    pub nan_background: bool,
    /// Share of `MaximumFractionalValue` from which a pixel of a fractional segmentation counts.
    #[serde(default = "default_fractional_threshold")]
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 1))]
    pub fractional_threshold: f64,
    /// Glob patterns of `ROIName` of the regions of a structure set, and of the names of the segments of a `.seg.nrrd`,
    /// that are nodules; without any, all segments, and those regions whose `RTROIInterpretedType` is GTV, NONE or
    /// missing.
    #[serde(default)]
    #[schemars(extend("examples" = [["nodule*"]]))]
    pub rois: Vec<String>,
}

/// Which pixels a contour encloses where it runs through their centres.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PixelEdge {
    /// All of them: lines drawn from pixel to pixel, as from a mask, give that mask back (rt-utils).
    #[default]
    Inside,
    /// Those on the line's right side (greater i) and upper side (lesser j), so that two regions that share a line share
    /// no pixel (plastimatch).
    HalfOpen,
}

fn default_most_lost() -> f64 {
    0.05
}

fn default_off_grid() -> f64 {
    OFF_GRID
}

fn default_fractional_threshold() -> f64 {
    0.5
}

impl Default for MaskRules {
    fn default() -> Self {
        Self {
            resample: false,
            most_lost: default_most_lost(),
            off_grid: default_off_grid(),
            off_plane: default_off_grid(),
            edge: PixelEdge::default(),
            unplaced: false,
            nan_background: false,
            fractional_threshold: default_fractional_threshold(),
            rois: Vec::new(),
        }
    }
}

impl From<&MaskRules> for ReadRules {
    fn from(rules: &MaskRules) -> Self {
        let nan = rules.nan_background.then_some(0.0);
        let values = ValueRules { nan, ..ValueRules::default() };
        Self { values, unplaced: rules.unplaced, off_grid: rules.off_grid }
    }
}

/// Masks as voxels with labels.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelMask {
    /// The labels, with 0 for the background, on one grid: one layer, or several where segments overlap.
    pub layers: Vec<Volume<u16>>,
    /// The segments that the file lists (`.seg.nrrd`); empty where its format has none.
    pub segments: Vec<LabelSegment>,
    /// Whether the file places its voxels in the patient.
    pub is_placed: bool,
    /// What was put right.
    pub repairs: Repairs,
}

impl LabelMask {
    /// The grid of its layers; `None` without a layer.
    pub fn grid(&self) -> Option<LabelGrid> {
        let geometry = *self.layers.first()?.geometry();
        Some(LabelGrid {
            geometry,
            is_placed: self.is_placed,
            has_segments: !self.segments.is_empty(),
        })
    }
}

/// A segment: the voxels of a layer with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelSegment {
    /// Its name, for people.
    pub name: String,
    /// The layer, from 0.
    pub layer: usize,
    /// The value of its voxels.
    pub value: u16,
}

/// The content of a file of marks.
#[derive(Clone, Debug, PartialEq)]
pub enum MaskFile {
    /// One value for each nodule, or 1 for all of them; 0 for the background.
    Labels(LabelMask),
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
        "`{0}` is not a DICOM file, and not named like a mask, expected .nii, .nii.gz, .hdr, .hdr.gz, .mhd, .mha, \
         .nrrd or .nhdr"
    )]
    Name(PathBuf),
}

impl Error {
    /// What is wrong, in the same words for every file, and the setting that would admit the file, if there is one.
    pub fn cause(&self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Labels(error) => match error.cause() {
                (cause, Some(_)) => (cause, Some("masks.unplaced")),
                without => without,
            },
            Self::Dicom(error) => error.cause(),
            Self::Io(_) => ("a mask file that cannot be opened", None),
            Self::Name(_) => ("a mask that is neither DICOM nor named like an image file", None),
        }
    }
}

/// What a file of marks shows without the voxels of image files.
#[derive(Clone, Debug, PartialEq)]
pub enum MaskHeader {
    /// The grid of labels.
    Labels(LabelGrid),
    /// DICOM SEG, which has little but its voxels.
    Segmentation(Segmentation),
    /// RTSTRUCT.
    StructureSet(StructureSet),
}

/// The grid of labels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelGrid {
    /// The grid.
    pub geometry: Geometry,
    /// Whether the file places its voxels in the patient.
    pub is_placed: bool,
    /// Whether the file lists segments (`.seg.nrrd`), so that its grid may be a part of its image's.
    pub has_segments: bool,
}

impl MaskHeader {
    /// The series that the marks name; `None` where the format cannot name one.
    pub fn referenced(&self) -> Option<&dicom::ReferencedUids> {
        match self {
            Self::Labels(_) => None,
            Self::Segmentation(segmentation) => Some(&segmentation.referenced),
            Self::StructureSet(structures) => Some(&structures.referenced),
        }
    }
}

/// Reads a file of marks without its voxels: the header of an image file, or the whole of a DICOM object.
///
/// # Errors
///
/// Fails as [`read`] does, as far as that shows the problem.
pub fn read_header(path: &Path, rules: &MaskRules) -> Result<MaskHeader, Error> {
    if !is_dicom(path)? && image_file::is_image(path) {
        return Ok(MaskHeader::Labels(image_file::label_grid(path, &rules.into())?));
    }
    Ok(match read_object(path, rules)? {
        AnnotationObject::Segmentation(segmentation) => MaskHeader::Segmentation(segmentation),
        AnnotationObject::StructureSet(structures) => MaskHeader::StructureSet(structures),
    })
}

/// Whether a file begins like DICOM.
fn is_dicom(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(132).read_to_end(&mut start)?;
    Ok(start.len() == 132 && start.ends_with(b"DICM"))
}

/// Reads a file of marks. DICOM is recognised by its content, other formats by their names.
///
/// # Errors
///
/// Fails if the file has none of the formats, or cannot be read in its format.
pub fn read(path: &Path, rules: &MaskRules) -> Result<MaskFile, Error> {
    // A DICOM file without its mark is tried where the name is that of no image.
    if is_dicom(path)? || !image_file::is_image(path) {
        return Ok(match read_object(path, rules)? {
            AnnotationObject::Segmentation(segmentation) => MaskFile::Segmentation(segmentation),
            AnnotationObject::StructureSet(structures) => MaskFile::StructureSet(structures),
        });
    }
    Ok(MaskFile::Labels(image_file::read_labels(path, &rules.into())?))
}

/// Reads a DICOM object of marks.
fn read_object(path: &Path, rules: &MaskRules) -> Result<AnnotationObject, Error> {
    match dicom::read_annotation_object(path, rules.fractional_threshold) {
        Err(dicom::Error::File { problem, .. })
            if matches!(*problem, dicom::Problem::NotDicom) && !is_dicom(path)? =>
        {
            Err(Error::Name(path.to_owned()))
        }
        object => Ok(object?),
    }
}
