//! Files of a series to a volume.

use super::open::OpenSeries;
use super::tolerances::Tolerances;
use crate::dicom::error::Error;
use crate::dicom::series_info::SeriesInfo;
use crate::volume::{LoadedSlices, SliceRanges, Volume};
use std::path::PathBuf;

/// A CT series.
#[derive(Clone, Debug)]
pub struct CtSeries {
    /// What its headers say.
    pub info: SeriesInfo,
    /// Hounsfield units; what `PixelPaddingValue` marks is rescaled like any other voxel.
    pub volume: Volume<i16>,
    /// DICOM `SOPInstanceUID` of each slice, in the order of k.
    pub sop_instance_uids: Vec<String>,
}

/// Reads the files of one CT series, given in any order.
///
/// Slices are ordered by `ImagePositionPatient` along their normal, i × j; i is the direction of a
/// row, j that of a column, k ascends along the normal. The spacing along k is the median gap.
/// A frame of an enhanced CT is a slice like any other. Localizers are passed over; a slice that repeats another, voxel for voxel, is left out and
/// counted. Headers are read first, then pixels straight into the volume: at most one slice a thread
/// is held beside it.
///
/// # Errors
///
/// Fails if there is no slice; if a file is neither CT Image, Enhanced CT nor Legacy Converted Enhanced
/// CT Storage in a transfer syntax that is read, is cut off or malformed, or lacks an attribute; if slices differ in series,
/// study, patient, frame of reference, size, spacing or orientation; if they are missing, unevenly
/// spaced, or shifted sideways (a tilted gantry); if two at one position differ; if a single slice
/// has no `SpacingBetweenSlices`; or if a value does not fit into 16 bits. What slices have against
/// each other, rather than one file, is an [`Error::Refused`].
pub fn read_series(files: &[PathBuf], tolerances: &Tolerances) -> Result<CtSeries, Error> {
    let open = OpenSeries::open(files, tolerances)?;
    let volume = whole(open.read_slices(&SliceRanges::all())?);
    Ok(CtSeries { info: open.info, volume, sop_instance_uids: open.sop_instance_uids })
}

/// Reads some slices of one CT series: the headers of all its files, as [`read_series`], and the
/// voxels of the slices k of `wanted` alone. Those past its end are left out.
///
/// # Errors
///
/// Fails as [`read_series`] does; of slices that are not wanted no voxel is checked.
pub fn read_slices(
    files: &[PathBuf],
    tolerances: &Tolerances,
    wanted: &SliceRanges,
) -> Result<LoadedSlices<i16>, Error> {
    OpenSeries::open(files, tolerances)?.read_slices(wanted)
}

fn whole(loaded: LoadedSlices<i16>) -> Volume<i16> {
    loaded.into_volume().expect("every slice is loaded")
}
