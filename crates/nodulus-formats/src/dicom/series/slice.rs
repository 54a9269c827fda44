//! A slice: its header, and the position of its pixels in the file.

use super::pixels::PixelFormat;
use super::quantity::OtherQuantity;
use super::told_values::ToldValues;
use crate::dicom::date::Date;
use crate::dicom::element::fragments::Fragment;
use crate::dicom::irregularities::{Irregularities, Irregularity};
use crate::dicom::series_info::{SeriesInfo, SeriesLabels, SliceLabels};
use std::path::PathBuf;

/// A slice without its voxels.
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
    pub(crate) patient_name: Option<String>,
    pub(crate) patient_issuer: Option<String>,
    /// Day of the acquisition, or of the study.
    pub(crate) acquired_on: Option<Date>,
    /// Voxels along i and j.
    pub(crate) size: [usize; 2],
    /// Spacing along i and j.
    pub(crate) spacing_mm: [f64; 2],
    /// Centre of the first voxel.
    pub(crate) position_mm: [f64; 3],
    /// The last decimal that each number of the position needs, in mm.
    pub(crate) position_step_mm: [f64; 3],
    /// Unit vectors of i, then of j.
    pub(crate) orientation: [f64; 6],
    pub(crate) thickness_mm: Option<f64>,
    pub(crate) spacing_between_slices_mm: Option<f64>,
    pub(crate) labels: SeriesLabels,
    /// DICOM `TemporalPositionIdentifier`.
    pub(crate) temporal_position: Option<i64>,
    /// Further values by which images of one body region are told apart.
    pub(crate) told_apart: ToldValues,
    /// Whether the image is derived from another one by compression alone.
    pub(crate) is_only_compressed: bool,
    /// The `ImageType` of the image that was compressed, where it is known and differs.
    pub(crate) uncompressed_type: Option<String>,
    /// What the values are, if they are not HU.
    pub(crate) quantity: Option<OtherQuantity>,
    /// Faults that were read past.
    pub(crate) irregular: Vec<Irregularity>,
    pub(crate) manufacturer: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) kernel: Option<String>,
    pub(crate) kvp: Option<f64>,
    pub(crate) tube_current: Option<f64>,
    pub(crate) transfer_syntax: String,
    pub(crate) pixels: PixelFormat,
}

impl SliceHeader {
    /// The file; for a file with several frames, also the frame.
    pub(crate) fn name(&self) -> PathBuf {
        match self.location.number {
            None => self.file.clone(),
            Some(number) => format!("{}, frame {number}", self.file.display()).into(),
        }
    }

    /// What the slice and the others of its series say about the series, without what depends on their positions.
    pub(crate) fn series_info<'a>(
        &self,
        slices: impl Iterator<Item = &'a Self> + Clone,
    ) -> SeriesInfo {
        let slice_thickness_mm = slices.clone().filter_map(|slice| slice.thickness_mm);
        SeriesInfo {
            series_instance_uid: self.series_instance_uid.clone(),
            study_instance_uid: self.study_instance_uid.clone(),
            frame_of_reference_uid: self.frame_of_reference_uid.clone(),
            patient_id: self.patient_id.clone(),
            acquired_on: self.acquired_on,
            slice_thickness_mm: slice_thickness_mm.reduce(f64::max),
            slice_gap_max_deviation_mm: None,
            n_missing_slices: None,
            n_duplicate_slices: 0,
            grid_residual_mm: None,
            tilt_deg: None,
            labels: self.labels.clone(),
            of_slices: of_slices(slices),
            irregularities: Irregularities::default(),
            manufacturer: self.manufacturer.clone(),
            model: self.model.clone(),
            kernel: self.kernel.clone(),
            kvp: self.kvp,
            tube_current: self.tube_current,
            transfer_syntax: self.transfer_syntax.clone(),
        }
    }
}

fn of_slices<'a>(slices: impl Iterator<Item = &'a SliceHeader> + Clone) -> SliceLabels {
    SliceLabels {
        descriptions: owned(slices.clone().map(|slice| slice.labels.series_description.as_deref())),
        image_types: owned(slices.clone().map(|slice| slice.labels.image_type.as_deref())),
        kernels: owned(slices.clone().map(|slice| slice.kernel.as_deref())),
        kvps: counted(slices.clone().map(|slice| slice.kvp)),
        patient_names: owned(slices.clone().map(|slice| slice.patient_name.as_deref())),
        patient_issuers: owned(slices.map(|slice| slice.patient_issuer.as_deref())),
    }
}

fn owned<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> Vec<(Option<String>, usize)> {
    counted(texts).into_iter().map(|(text, n)| (text.map(str::to_owned), n)).collect()
}

/// Each value, in the order in which it first occurs, with how often it does.
fn counted<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<(T, usize)> {
    let mut counts: Vec<(T, usize)> = Vec::new();
    for value in values {
        match counts.iter_mut().find(|(found, _)| *found == value) {
            Some((_, n)) => *n += 1,
            None => counts.push((value, 1)),
        }
    }
    counts
}

/// The position of a slice's pixels in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FrameLocation {
    /// The frame, from 1, in a file with several frames.
    pub(crate) number: Option<usize>,
    /// Offset in the file; in the inflated data set if it is deflated; of the pixel data if they are encapsulated.
    pub(crate) offset: u64,
    /// The fragments of the frame in an encapsulated file with several frames; empty in a file with one frame, which
    /// has all fragments.
    pub(crate) fragments: Vec<Fragment>,
}

impl FrameLocation {
    pub(crate) const fn at(offset: u64) -> Self {
        Self { number: None, offset, fragments: Vec::new() }
    }
}
