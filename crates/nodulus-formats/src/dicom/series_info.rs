//! What is known about a CT series beside its voxels.

use super::date::Date;
use super::irregularities::Irregularities;
use std::collections::BTreeSet;

/// What the headers of a series say; where slices differ, the slice at k = 0.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesInfo {
    /// DICOM `SeriesInstanceUID`.
    pub series_instance_uid: String,
    /// DICOM `StudyInstanceUID`.
    pub study_instance_uid: String,
    /// DICOM `FrameOfReferenceUID`.
    pub frame_of_reference_uid: Option<String>,
    /// DICOM `PatientID`; may be empty.
    pub patient_id: String,
    /// DICOM `AcquisitionDate`, else the date of `AcquisitionDateTime`, else `StudyDate`; `None` if none of them is a
    /// date.
    pub acquired_on: Option<Date>,
    /// The greatest DICOM `SliceThickness` of the slices. It is not the spacing.
    pub slice_thickness_mm: Option<f64>,
    /// The largest deviation of a slice gap from the spacing along k; `None` if it was not measured because the
    /// series is refused for another reason.
    pub slice_gap_max_deviation_mm: Option<f64>,
    /// The number of slices that the spacing leaves room for and that no file has: 0, or the series is refused;
    /// `None` if it was not measured.
    pub n_missing_slices: Option<usize>,
    /// The number of slices that repeat another slice at the same position and were skipped.
    pub n_duplicate_slices: usize,
    /// The greatest distance of a slice's position from its voxel on the even grid, in mm; `None` if it was not
    /// measured.
    pub grid_residual_mm: Option<f64>,
    /// The angle, in degrees, by which a tilted gantry shifts the slices, which were moved onto an even grid; `None` if
    /// they were not moved.
    pub tilt_deg: Option<f64>,
    /// What the series calls itself.
    pub labels: SeriesLabels,
    /// What its slices say, each for itself.
    pub of_slices: SliceLabels,
    /// Faults that were read past, and how often.
    pub irregularities: Irregularities,
    /// DICOM `Manufacturer`.
    pub manufacturer: Option<String>,
    /// DICOM `ManufacturerModelName`.
    pub model: Option<String>,
    /// DICOM `ConvolutionKernel`; several values are joined by `\`.
    pub kernel: Option<String>,
    /// DICOM `KVP`, kV.
    pub kvp: Option<f64>,
    /// DICOM `XRayTubeCurrent`, mA.
    pub tube_current: Option<f64>,
    /// UID of the transfer syntax.
    pub transfer_syntax: String,
}

/// What a series says about its images; where slices differ, the slice at k = 0. A value that is not valid is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeriesLabels {
    /// DICOM `SeriesDescription`.
    pub series_description: Option<String>,
    /// DICOM `ImageType`, values joined by `\`; without it, the `FrameType`. A `VolumeBasedCalculationTechnique` other
    /// than `NONE` follows as the last value.
    pub image_type: Option<String>,
    /// DICOM `SeriesNumber`.
    pub series_number: Option<i64>,
    /// DICOM `AcquisitionNumber`.
    pub acquisition_number: Option<i64>,
    /// DICOM `RescaleType`.
    pub rescale_type: Option<String>,
    /// DICOM `BodyPartExamined`.
    pub body_part: Option<String>,
    /// DICOM `ContrastBolusAgent`.
    pub contrast: Option<String>,
}

/// What each slice says about itself: the values of all slices, in the order in which they first occur, each with the number
/// of its slices; `None` for slices without one. Empty where slices were not read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SliceLabels {
    /// DICOM `SeriesDescription`.
    pub descriptions: Vec<(Option<String>, usize)>,
    /// DICOM `ImageType`, as in [`SeriesLabels`].
    pub image_types: Vec<(Option<String>, usize)>,
    /// DICOM `ConvolutionKernel`.
    pub kernels: Vec<(Option<String>, usize)>,
    /// DICOM `KVP`, kV.
    pub kvps: Vec<(Option<f64>, usize)>,
    /// DICOM `PatientName`, where its bytes are characters of its set.
    pub patient_names: Vec<(Option<String>, usize)>,
    /// DICOM `IssuerOfPatientID`, where its bytes are characters of its set.
    pub patient_issuers: Vec<(Option<String>, usize)>,
}

impl SliceLabels {
    /// The different names of the patient, sorted; slices without one do not count.
    ///
    /// METHOD: case, spaces and empty components at the end make no other name.
    pub fn distinct_patient_names(&self) -> BTreeSet<String> {
        let names = self.patient_names.iter().filter_map(|(name, _)| name.as_ref());
        let normal = |name: &String| name.trim().trim_end_matches(['^', '=', ' ']).to_uppercase();
        names.map(normal).filter(|name| !name.is_empty()).collect()
    }

    /// The different issuers of the patient's id, sorted; slices without one do not count.
    pub fn distinct_patient_issuers(&self) -> BTreeSet<String> {
        let issuers = self.patient_issuers.iter().filter_map(|(issuer, _)| issuer.as_ref());
        let issuers = issuers.map(|issuer| issuer.trim().to_owned());
        issuers.filter(|issuer| !issuer.is_empty()).collect()
    }
}

/// What is known about a series whose slices do not make up a volume.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusedSeries {
    /// What its headers say; where slices differ, the first slice that was read.
    pub info: SeriesInfo,
    /// Voxels of that slice along i and j.
    pub size: [usize; 2],
    /// Number of slices.
    pub n_slices: usize,
    /// Spacing of that slice along i and j.
    pub spacing_mm: [f64; 2],
    /// The median gap, if it was measured.
    pub spacing_k_mm: Option<f64>,
}
