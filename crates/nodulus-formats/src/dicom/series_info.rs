//! What is known of a CT series beside its voxels.

use super::date::Date;

/// What a series' headers say; where slices differ, the one at k = 0.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesInfo {
    /// DICOM `SeriesInstanceUID`.
    pub series_instance_uid: String,
    /// DICOM `StudyInstanceUID`.
    pub study_instance_uid: String,
    /// DICOM `FrameOfReferenceUID`.
    pub frame_of_reference_uid: Option<String>,
    /// DICOM `PatientID`, may be empty.
    pub patient_id: String,
    /// DICOM `AcquisitionDate`, else that of `AcquisitionDateTime`, else `StudyDate`; `None` where none
    /// of them is a date.
    pub acquired_on: Option<Date>,
    /// Greatest DICOM `SliceThickness` of the slices, which is not the spacing.
    pub slice_thickness_mm: Option<f64>,
    /// Largest deviation of a slice gap from the spacing along k; `None` where it was not measured,
    /// as the series is refused for something else.
    pub slice_gap_max_deviation_mm: Option<f64>,
    /// Slices that the spacing leaves room for and no file fills: 0, or the series is refused; `None`
    /// where that was not measured.
    pub n_missing_slices: Option<usize>,
    /// Identical slices at one position that were left out.
    pub n_duplicate_slices: usize,
    /// DICOM `Manufacturer`.
    pub manufacturer: Option<String>,
    /// DICOM `ManufacturerModelName`.
    pub model: Option<String>,
    /// DICOM `ConvolutionKernel`, several joined by `\`.
    pub kernel: Option<String>,
    /// DICOM `KVP`, kV.
    pub kvp: Option<f64>,
    /// DICOM `XRayTubeCurrent`, mA.
    pub tube_current: Option<f64>,
    /// UID of the transfer syntax.
    pub transfer_syntax: String,
}

/// What is known of a series whose slices make up no volume.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusedSeries {
    /// What its headers say; where slices differ, the first one read.
    pub info: SeriesInfo,
    /// Voxels along i and j of that slice.
    pub size: [usize; 2],
    /// Slices.
    pub n_slices: usize,
    /// Spacing along i and j of that slice.
    pub spacing_mm: [f64; 2],
    /// Median gap, where it was measured.
    pub spacing_k_mm: Option<f64>,
}
