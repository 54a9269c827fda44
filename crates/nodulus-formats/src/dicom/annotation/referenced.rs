//! The series and frames of reference that an object names.

use crate::dicom::element::data_set::DataSet;
use crate::dicom::error::Problem;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use std::collections::BTreeSet;

/// The UIDs of the CT that a segmentation or structure set refers to; empty where it names none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReferencedUids {
    /// `SeriesInstanceUID` of each series that it names.
    pub series: BTreeSet<String>,
    /// `FrameOfReferenceUID` of each frame of reference that its positions are in.
    pub frames_of_reference: BTreeSet<String>,
}

/// Adds the UIDs of items to a set.
pub(crate) fn add_uids(
    items: &[DataSet<'_>],
    tag: Tag,
    to: &mut BTreeSet<String>,
) -> Result<(), Problem> {
    for item in items {
        to.extend(item.ascii(tag)?.map(str::to_owned));
    }
    Ok(())
}

/// Adds the series of `ReferencedSeriesSequence` or a similar sequence.
pub(crate) fn add_series(
    parent: &DataSet<'_>,
    sequence: Tag,
    to: &mut BTreeSet<String>,
) -> Result<(), Problem> {
    add_uids(parent.items(sequence), tags::SERIES_INSTANCE_UID, to)
}
