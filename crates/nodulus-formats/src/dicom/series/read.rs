//! Reads the files of a series into a volume.

use super::open::OpenSeries;
use super::tolerances::Tolerances;
use crate::dicom::error::Error;
use crate::dicom::passed_over::PassedOver;
use crate::dicom::series_info::SeriesInfo;
use crate::volume::{ImageFacts, LoadedSlices, SliceRanges, Volume};
use std::path::PathBuf;

/// A CT series.
#[derive(Clone, Debug)]
pub struct CtSeries {
    /// What its headers say.
    pub info: SeriesInfo,
    /// Hounsfield units; a pixel with `PixelPaddingValue` is rescaled like any other.
    pub volume: Volume<i16>,
    /// DICOM `SOPInstanceUID` of each slice, in the order of k.
    pub sop_instance_uids: Vec<String>,
    /// Images of the series that are no slices.
    pub aside: Vec<PassedOver>,
}

/// Reads the files of one CT series, given in any order.
///
/// Slices are ordered by `ImagePositionPatient` along their normal, i × j, where i is the direction of a row and j
/// that of a column; k ascends along the normal. The spacing along k is the median gap. A frame of an Enhanced CT is
/// a slice like any other. Localizers are skipped. A slice that repeats another one, voxel for voxel, is skipped and
/// counted. Headers are read first, then pixels directly into the volume, with at most one more slice in memory for
/// each thread.
///
/// # Errors
///
/// Fails if there is no slice; if a file is not CT Image, Enhanced CT or Legacy Converted Enhanced CT Storage in a
/// supported transfer syntax, is truncated or malformed, or lacks an attribute; if slices differ in series, study,
/// patient, frame of reference, size, spacing or orientation; if slices are missing, unevenly spaced, or shifted
/// sideways (a tilted gantry); if two slices at one position differ; if a single slice has no `SpacingBetweenSlices`;
/// or if a value does not fit into 16 bits. Where slices contradict each other, rather than one file being wrong, the
/// error is [`Error::Refused`].
pub fn read_series(files: &[PathBuf], tolerances: &Tolerances) -> Result<CtSeries, Error> {
    let open = OpenSeries::open(files, tolerances)?;
    let (loaded, of_pixels) = open.read_counted(&SliceRanges::all())?;
    let volume = whole(loaded);
    let mut info = open.info.clone();
    info.irregularities.extend(of_pixels);
    let OpenSeries { sop_instance_uids, aside, .. } = open;
    Ok(CtSeries { info, volume, sop_instance_uids, aside })
}

/// What is known of a CT series whose voxels were read and not kept.
#[derive(Clone, Debug)]
pub struct CtFacts {
    /// What its headers say.
    pub info: SeriesInfo,
    /// What its voxels are.
    pub image: ImageFacts,
    /// Images of the series that are no slices.
    pub aside: Vec<PassedOver>,
}

/// Reads one CT series as [`read_series`], and keeps no voxel: each thread holds one slice.
///
/// # Errors
///
/// Fails as [`read_series`] does.
pub fn read_facts(files: &[PathBuf], tolerances: &Tolerances) -> Result<CtFacts, Error> {
    let open = OpenSeries::open(files, tolerances)?;
    let (image, of_pixels) = open.read_facts()?;
    let OpenSeries { mut info, aside, .. } = open;
    info.irregularities.extend(of_pixels);
    Ok(CtFacts { info, image, aside })
}

/// Reads some slices of one CT series: the headers of all its files, as [`read_series`], but only the voxels of the
/// slices k in `wanted`. Slices past the end are ignored.
///
/// # Errors
///
/// Fails as [`read_series`] does, except that the voxels of other slices are not checked.
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
