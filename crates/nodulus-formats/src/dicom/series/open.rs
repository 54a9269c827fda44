//! A series whose headers were read; its slices are read on request.

use super::refused::refused;
use super::slice::SliceHeader;
use super::slice_headers::read_headers;
use super::stack::{self, SliceStack};
use super::tolerances::Tolerances;
use super::voxels::{check_duplicates, read_facts, read_voxels};
use crate::dicom::error::Error;
use crate::dicom::irregularities::Irregularities;
use crate::dicom::passed_over::PassedOver;
use crate::dicom::series_info::SeriesInfo;
use crate::volume::{Geometry, ImageFacts, LoadedSlices, SliceRanges};
use std::path::PathBuf;

/// A CT series without its voxels.
#[derive(Clone, Debug)]
pub struct OpenSeries {
    /// What its headers say.
    pub info: SeriesInfo,
    /// The geometry of its slices.
    pub geometry: Geometry,
    /// The file of each slice, in the order of k.
    pub files: Vec<PathBuf>,
    /// DICOM `SOPInstanceUID` of each slice, in the order of k.
    pub sop_instance_uids: Vec<String>,
    /// Images of the series that are no slices.
    pub aside: Vec<PassedOver>,
    slices: Vec<SliceHeader>,
    tolerances: Tolerances,
}

impl OpenSeries {
    /// Reads the headers of the files of one CT series, given in any order.
    ///
    /// # Errors
    ///
    /// Fails as [`read_series`](crate::dicom::read_series) does, as far as headers show the problem.
    pub fn open(files: &[PathBuf], tolerances: &Tolerances) -> Result<Self, Error> {
        let (slices, aside) = read_headers(files)?;
        let stack = stack::stack(&slices, tolerances).map_err(|error| refused(&slices, error))?;
        let info = SeriesInfo {
            grid_residual_mm: Some(stack.grid_residual_mm),
            tilt_deg: stack.tilted.as_ref().map(|tilted| tilted.degrees),
            irregularities: stack.irregularities,
            slice_gap_max_deviation_mm: Some(stack.gap_max_deviation_mm),
            n_missing_slices: Some(0),
            n_duplicate_slices: stack.duplicates.len(),
            ..stack.slices[0].series_info(stack.slices.iter().copied())
        };
        Ok(Self {
            info,
            geometry: stack.geometry,
            files: stack.slices.iter().map(|slice| slice.file.clone()).collect(),
            sop_instance_uids: stack.slices.iter().map(|s| s.sop_instance_uid.clone()).collect(),
            aside,
            tolerances: *tolerances,
            slices,
        })
    }

    /// Reads the voxels of some slices; those past the end are ignored.
    ///
    /// # Errors
    ///
    /// Fails if one of them cannot be read, or a slice at the same position differs.
    pub fn read_slices(&self, wanted: &SliceRanges) -> Result<LoadedSlices<i16>, Error> {
        Ok(self.read_counted(wanted)?.0)
    }

    /// Reads the voxels of every slice and keeps none: what is known of them, and the faults that were read past.
    pub(crate) fn read_facts(&self) -> Result<(ImageFacts, Irregularities), Error> {
        let stack = self.stack()?;
        let read = read_facts(&stack)?;
        let repeated = stack.duplicates.iter().map(|(_, k)| *k..*k + 1).collect();
        self.check_duplicates(&stack, &read_voxels(&stack, &repeated)?.0)?;
        Ok(read)
    }

    /// [`OpenSeries::read_slices`] with the faults of the pixels that were read past.
    pub(crate) fn read_counted(
        &self,
        wanted: &SliceRanges,
    ) -> Result<(LoadedSlices<i16>, Irregularities), Error> {
        let stack = self.stack()?;
        let (loaded, irregularities) = read_voxels(&stack, wanted)?;
        self.check_duplicates(&stack, &loaded)?;
        Ok((loaded, irregularities))
    }

    /// The slices in order, as when the series was opened.
    fn stack(&self) -> Result<SliceStack<'_>, Error> {
        let stack = stack::stack_again(&self.slices, &self.tolerances);
        stack.map_err(|error| refused(&self.slices, error))
    }

    /// Refuses the series if a loaded slice differs from another one at its position.
    fn check_duplicates(
        &self,
        stack: &SliceStack<'_>,
        loaded: &LoadedSlices<i16>,
    ) -> Result<(), Error> {
        check_duplicates(stack, loaded).map_err(|error| refused(&self.slices, error))
    }
}
