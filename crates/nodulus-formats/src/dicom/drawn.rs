//! What was drawn on a CT, in a file of its own: a segmentation or a structure set.

use super::nested::{DataSet, Whole, required};
use super::{Error, Problem, Segmentation, StructureSet, segmentation, structure_set};
use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use std::collections::BTreeSet;
use std::path::Path;

/// What was drawn on a CT.
#[derive(Clone, Debug, PartialEq)]
pub enum Drawn {
    /// DICOM SEG.
    Segmentation(Segmentation),
    /// RTSTRUCT.
    StructureSet(StructureSet),
}

/// Reads a segmentation or a structure set.
///
/// METHOD: of a fractional segmentation, a pixel is in its segment where its value is at least
/// `threshold` of `MaximumFractionalValue`, be it a probability or an occupancy. In a label map, 0 and
/// `PixelPaddingValue` are background.
///
/// # Errors
///
/// Fails if the file cannot be read, is neither of them in a transfer syntax that is read, is cut off
/// or malformed, lacks an attribute, or names a segment or region that is not there.
pub fn read_drawn(file: &Path, threshold: f64) -> Result<Drawn, Error> {
    let whole = Whole::read(file)?;
    parse(&whole, threshold).map_err(|problem| Error::file(file, problem))
}

pub(super) fn parse(whole: &Whole, threshold: f64) -> Result<Drawn, Problem> {
    let data = whole.data_set(&[tags::SOP_CLASS_UID])?;
    match required(data.ascii(tags::SOP_CLASS_UID)?, tags::SOP_CLASS_UID)? {
        uids::SEGMENTATION_STORAGE | uids::LABEL_MAP_SEGMENTATION_STORAGE => {
            Ok(Drawn::Segmentation(segmentation::parse(whole, threshold)?))
        }
        uids::RT_STRUCTURE_SET_STORAGE => Ok(Drawn::StructureSet(structure_set::parse(whole)?)),
        other => {
            let expected = "Segmentation, Label Map Segmentation or RT Structure Set Storage";
            Err(Problem::value(tags::SOP_CLASS_UID, other, expected))
        }
    }
}

/// What a segmentation or structure set says of its CT; empty where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Referenced {
    /// `SeriesInstanceUID` of each series that it names.
    pub series: BTreeSet<String>,
    /// `FrameOfReferenceUID` of each frame of reference that its places are in.
    pub frames_of_reference: BTreeSet<String>,
}

/// Adds the UIDs of items to a set.
pub(super) fn add_uids(
    items: &[DataSet<'_>],
    tag: Tag,
    to: &mut BTreeSet<String>,
) -> Result<(), Problem> {
    for item in items {
        to.extend(item.ascii(tag)?.map(str::to_owned));
    }
    Ok(())
}

/// Adds the series of `ReferencedSeriesSequence` or its like.
pub(super) fn add_series(
    parent: &DataSet<'_>,
    sequence: Tag,
    to: &mut BTreeSet<String>,
) -> Result<(), Problem> {
    add_uids(parent.items(sequence), tags::SERIES_INSTANCE_UID, to)
}
