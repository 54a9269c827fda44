//! One slice: what its header says, and where its pixels are.

use super::pixels::PixelFormat;
use crate::dicom::date::Date;
use crate::dicom::element::fragments::Fragment;
use crate::dicom::series_info::SeriesInfo;
use std::path::PathBuf;

/// One slice, but for its voxels.
#[derive(Clone, Debug)]
pub(crate) struct SliceHeader {
    pub(crate) file: PathBuf,
    pub(crate) location: FrameLocation,
    pub(crate) series_instance_uid: String,
    pub(crate) study_instance_uid: String,
    pub(crate) frame_of_reference_uid: Option<String>,
    pub(crate) sop_class_uid: String,
    pub(crate) sop_instance_uid: String,
    pub(crate) patient_id: String,
    /// Day of acquisition, or of the study.
    pub(crate) acquired_on: Option<Date>,
    /// Voxels along i and j.
    pub(crate) size: [usize; 2],
    /// Spacing along i and j.
    pub(crate) spacing_mm: [f64; 2],
    /// Centre of the first voxel.
    pub(crate) position_mm: [f64; 3],
    /// Unit vectors of i, then of j.
    pub(crate) orientation: [f64; 6],
    pub(crate) thickness_mm: Option<f64>,
    pub(crate) spacing_between_slices_mm: Option<f64>,
    pub(crate) manufacturer: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) kernel: Option<String>,
    pub(crate) kvp: Option<f64>,
    pub(crate) tube_current: Option<f64>,
    pub(crate) transfer_syntax: String,
    pub(crate) pixels: PixelFormat,
}

impl SliceHeader {
    /// The file, and which of its frames where it has several.
    pub(crate) fn name(&self) -> PathBuf {
        match self.location.number {
            None => self.file.clone(),
            Some(number) => format!("{}, frame {number}", self.file.display()).into(),
        }
    }

    /// What a slice says of its series; its place among others is left open.
    pub(crate) fn series_info(&self, slice_thickness_mm: Option<f64>) -> SeriesInfo {
        SeriesInfo {
            series_instance_uid: self.series_instance_uid.clone(),
            study_instance_uid: self.study_instance_uid.clone(),
            frame_of_reference_uid: self.frame_of_reference_uid.clone(),
            patient_id: self.patient_id.clone(),
            acquired_on: self.acquired_on,
            slice_thickness_mm,
            slice_gap_max_deviation_mm: None,
            n_missing_slices: None,
            n_duplicate_slices: 0,
            manufacturer: self.manufacturer.clone(),
            model: self.model.clone(),
            kernel: self.kernel.clone(),
            kvp: self.kvp,
            tube_current: self.tube_current,
            transfer_syntax: self.transfer_syntax.clone(),
        }
    }
}

/// Where the pixels of a slice are in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FrameLocation {
    /// The frame, from 1, in a file of several.
    pub(crate) number: Option<usize>,
    /// First byte in the file; in the data set, where it is deflated; of the pixel data, where it is
    /// encapsulated.
    pub(crate) offset: u64,
    /// Its fragments, in an encapsulated file of several frames; all there are in one of a single.
    pub(crate) fragments: Vec<Fragment>,
}

impl FrameLocation {
    pub(crate) const fn at(offset: u64) -> Self {
        Self { number: None, offset, fragments: Vec::new() }
    }
}
