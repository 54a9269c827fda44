//! Reads objects that hold the marks on a CT: segmentations and structure sets.

use super::segmentation::{self, Segmentation};
use super::structure_set::{self, StructureSet};
use crate::dicom::element::data_set::{DicomFile, required};
use crate::dicom::error::{Error, Problem};
use dicom_dictionary_std::{tags, uids};
use std::path::Path;

/// An object that holds marks on a CT.
#[derive(Clone, Debug, PartialEq)]
pub enum AnnotationObject {
    /// DICOM SEG.
    Segmentation(Segmentation),
    /// RTSTRUCT.
    StructureSet(StructureSet),
}

/// Reads a segmentation or a structure set.
///
/// METHOD: in a fractional segmentation, a pixel is in its segment if its value is at least `threshold` of
/// `MaximumFractionalValue`, whether it is a probability or an occupancy. In a label map, 0 and `PixelPaddingValue`
/// are background.
///
/// # Errors
///
/// Fails if the file cannot be read, is neither a segmentation nor a structure set in a supported transfer syntax, is
/// truncated or malformed, lacks an attribute, or refers to a segment or region that it does not have.
pub fn read_annotation_object(file: &Path, threshold: f64) -> Result<AnnotationObject, Error> {
    let whole = DicomFile::read(file)?;
    parse(&whole, threshold).map_err(|problem| Error::file(file, problem))
}

pub(crate) fn parse(whole: &DicomFile, threshold: f64) -> Result<AnnotationObject, Problem> {
    let data = whole.data_set(&[tags::SOP_CLASS_UID])?;
    match required(data.ascii(tags::SOP_CLASS_UID)?, tags::SOP_CLASS_UID)? {
        uids::SEGMENTATION_STORAGE | uids::LABEL_MAP_SEGMENTATION_STORAGE => {
            Ok(AnnotationObject::Segmentation(segmentation::parse(whole, threshold)?))
        }
        uids::RT_STRUCTURE_SET_STORAGE => {
            Ok(AnnotationObject::StructureSet(structure_set::parse(whole)?))
        }
        other => {
            let expected = "Segmentation, Label Map Segmentation or RT Structure Set Storage";
            Err(Problem::value(tags::SOP_CLASS_UID, other, expected))
        }
    }
}
