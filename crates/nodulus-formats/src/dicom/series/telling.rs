//! The attributes by which images of one body region are told apart.

use super::classes::{Reading, Value};
use super::slice::SliceHeader;
use crate::dicom::element::values::text;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

/// An attribute by which images of one body region are told apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Telling {
    pub(crate) keyword: &'static str,
    pub(super) reading: Reading,
    pub(super) rule: Rule,
    /// Whether slices in the order of the value are a pass through the body, so that a second pass shows.
    pub(super) is_order: bool,
}

/// Which values are those of several images, if their slices interleave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Any two. The attribute is one for a whole acquisition, reconstruction or phase.
    Any,
    /// Any two of four at most; else those with a stack of their own.
    AnyOfFew,
    /// Those with a stack of their own. Some programs write the attribute slice by slice.
    Stacks,
    /// None: only the order of the values tells.
    Order,
}

impl Telling {
    const fn new(keyword: &'static str, reading: Reading, rule: Rule) -> Self {
        Self { keyword, reading, rule, is_order: false }
    }

    /// Two numbers that differ by `within` at most are the same one.
    const fn number(keyword: &'static str, within: f64, rule: Rule) -> Self {
        Self::new(keyword, Reading::Number { within, share: 0.0 }, rule)
    }

    /// A number that differs by a share of itself is the same one.
    const fn rough(keyword: &'static str, share: f64, rule: Rule) -> Self {
        Self::new(keyword, Reading::Number { within: 0.0, share }, rule)
    }

    const fn time(keyword: &'static str, apart: f64, rule: Rule) -> Self {
        Self::new(keyword, Reading::Time { apart }, rule)
    }

    const fn text(keyword: &'static str, rule: Rule) -> Self {
        Self::new(keyword, Reading::Text, rule)
    }

    const fn in_order(self) -> Self {
        Self { is_order: true, ..self }
    }
}

/// Reads the value of a slice.
pub(super) type ReadValue = for<'a> fn(&'a SliceHeader) -> Value<'a>;

/// Attributes that a slice has for other reasons too.
pub(super) const LABELS: [(Telling, ReadValue); 12] = [
    (Telling::number("AcquisitionNumber", 0.0, Rule::Any).in_order(), |slice| {
        Value::whole(slice.labels.acquisition_number)
    }),
    (Telling::number("TemporalPositionIdentifier", 0.0, Rule::Any), |slice| {
        Value::whole(slice.temporal_position)
    }),
    (Telling::text("ConvolutionKernel", Rule::Any), |slice| Value::text(slice.kernel.as_deref())),
    (Telling::number("KVP", 1.0, Rule::Any), |slice| Value::decimal(slice.kvp)),
    (Telling::text("ImageType", Rule::Any), |slice| {
        Value::text(slice.labels.image_type.as_deref())
    }),
    (Telling::text("SeriesDescription", Rule::Any), |slice| {
        Value::text(slice.labels.series_description.as_deref())
    }),
    (Telling::number("SeriesNumber", 0.0, Rule::Any), |slice| {
        Value::whole(slice.labels.series_number)
    }),
    (Telling::rough("SliceThickness", 0.01, Rule::Any), |slice| Value::decimal(slice.thickness_mm)),
    // An image before the agent has none.
    (Telling::text("ContrastBolusAgent", Rule::Any), |slice| {
        Value::Text(slice.labels.contrast.as_deref().unwrap_or("none"))
    }),
    (Telling::text("BodyPartExamined", Rule::Any), |slice| {
        Value::text(slice.labels.body_part.as_deref())
    }),
    (Telling::text("Manufacturer", Rule::Any), |slice| Value::text(slice.manufacturer.as_deref())),
    (Telling::text("ManufacturerModelName", Rule::Any), |slice| {
        Value::text(slice.model.as_deref())
    }),
];

/// Attributes by which alone images are told apart.
///
/// METHOD: an axial scan has a time for each step, and a gated one a delay for each beat: times within 2 seconds and
/// delays within 5 ms are one. Streams of a reconstruction write their slices in turn, so that times of the content count
/// where they are 10 seconds apart. Numbers are the same to within what scanners round or report differently from slice to
/// slice. Attributes of single exposures that may alternate by design (direction of rotation, focal spot) never count.
pub(super) const TOLD: [(Tag, Telling); 72] = [
    // The order in which slices were acquired or numbered.
    (tags::ACQUISITION_TIME, Telling::time("AcquisitionTime", 2.0, Rule::AnyOfFew).in_order()),
    (
        tags::ACQUISITION_DATE_TIME,
        Telling::time("AcquisitionDateTime", 2.0, Rule::AnyOfFew).in_order(),
    ),
    (
        tags::FRAME_ACQUISITION_DATE_TIME,
        Telling::time("FrameAcquisitionDateTime", 2.0, Rule::AnyOfFew).in_order(),
    ),
    (
        tags::FRAME_REFERENCE_DATE_TIME,
        Telling::time("FrameReferenceDateTime", 2.0, Rule::AnyOfFew).in_order(),
    ),
    (tags::TRIGGER_TIME, Telling::number("TriggerTime", 5.0, Rule::AnyOfFew).in_order()),
    (tags::INSTANCE_NUMBER, Telling::number("InstanceNumber", 0.0, Rule::Order).in_order()),
    // One for a whole acquisition, reconstruction or phase.
    (
        tags::NOMINAL_CARDIAC_TRIGGER_DELAY_TIME,
        Telling::number("NominalCardiacTriggerDelayTime", 5.0, Rule::AnyOfFew),
    ),
    (
        tags::NOMINAL_RESPIRATORY_TRIGGER_DELAY_TIME,
        Telling::number("NominalRespiratoryTriggerDelayTime", 5.0, Rule::AnyOfFew),
    ),
    (
        tags::NOMINAL_PERCENTAGE_OF_CARDIAC_PHASE,
        Telling::number("NominalPercentageOfCardiacPhase", 0.5, Rule::Any),
    ),
    (
        tags::NOMINAL_PERCENTAGE_OF_RESPIRATORY_PHASE,
        Telling::number("NominalPercentageOfRespiratoryPhase", 0.5, Rule::Any),
    ),
    (tags::CARDIAC_CYCLE_POSITION, Telling::text("CardiacCyclePosition", Rule::Any)),
    (tags::RESPIRATORY_CYCLE_POSITION, Telling::text("RespiratoryCyclePosition", Rule::Any)),
    (tags::ACQUISITION_UID, Telling::text("AcquisitionUID", Rule::Any)),
    (tags::IRRADIATION_EVENT_UID, Telling::text("IrradiationEventUID", Rule::Any)),
    (tags::FRAME_ACQUISITION_NUMBER, Telling::number("FrameAcquisitionNumber", 0.0, Rule::Any)),
    (tags::TEMPORAL_POSITION_INDEX, Telling::number("TemporalPositionIndex", 0.0, Rule::Any)),
    (
        tags::TEMPORAL_POSITION_TIME_OFFSET,
        Telling::number("TemporalPositionTimeOffset", 0.0, Rule::AnyOfFew),
    ),
    (tags::STACK_ID, Telling::text("StackID", Rule::Any)),
    (tags::FRAME_TYPE, Telling::text("FrameType", Rule::Any)),
    (tags::FILTER_TYPE, Telling::text("FilterType", Rule::Any)),
    (tags::FILTER_MATERIAL, Telling::text("FilterMaterial", Rule::Any)),
    (tags::PROTOCOL_NAME, Telling::text("ProtocolName", Rule::Any)),
    (tags::ACQUISITION_PROTOCOL_NAME, Telling::text("AcquisitionProtocolName", Rule::Any)),
    (tags::STUDY_DESCRIPTION, Telling::text("StudyDescription", Rule::Any)),
    (tags::SERIES_DATE, Telling::text("SeriesDate", Rule::Any)),
    (tags::ACQUISITION_DATE, Telling::text("AcquisitionDate", Rule::Any)),
    (tags::SCAN_OPTIONS, Telling::text("ScanOptions", Rule::Any)),
    (tags::PATIENT_POSITION, Telling::text("PatientPosition", Rule::Any)),
    (tags::CONTRAST_BOLUS_ROUTE, Telling::text("ContrastBolusRoute", Rule::Any)),
    (
        tags::CONTRAST_BOLUS_AGENT_ADMINISTERED,
        Telling::text("ContrastBolusAgentAdministered", Rule::Any),
    ),
    (tags::EXPOSURE_MODULATION_TYPE, Telling::text("ExposureModulationType", Rule::Any)),
    (tags::MULTIENERGY_CT_ACQUISITION, Telling::text("MultienergyCTAcquisition", Rule::Any)),
    (tags::RECONSTRUCTION_ALGORITHM, Telling::text("ReconstructionAlgorithm", Rule::Any)),
    (tags::CONVOLUTION_KERNEL_GROUP, Telling::text("ConvolutionKernelGroup", Rule::Any)),
    (tags::RECONSTRUCTION_FIELD_OF_VIEW, Telling::text("ReconstructionFieldOfView", Rule::Any)),
    (tags::RECONSTRUCTION_DIAMETER, Telling::number("ReconstructionDiameter", 1.0, Rule::Any)),
    (tags::DATA_COLLECTION_DIAMETER, Telling::number("DataCollectionDiameter", 1.0, Rule::Any)),
    (tags::GANTRY_DETECTOR_TILT, Telling::number("GantryDetectorTilt", 0.5, Rule::Any)),
    (tags::TABLE_HEIGHT, Telling::number("TableHeight", 1.0, Rule::Any)),
    // Slice by slice, in some programs.
    (tags::EXPOSURE_TIME, Telling::rough("ExposureTime", 0.1, Rule::Stacks)),
    (tags::X_RAY_TUBE_CURRENT, Telling::rough("XRayTubeCurrent", 0.1, Rule::Stacks)),
    (tags::EXPOSURE, Telling::rough("Exposure", 0.1, Rule::Stacks)),
    (tags::EXPOSURE_TIME_INMS, Telling::rough("ExposureTimeInms", 0.1, Rule::Stacks)),
    (tags::X_RAY_TUBE_CURRENT_INM_A, Telling::rough("XRayTubeCurrentInmA", 0.1, Rule::Stacks)),
    (tags::EXPOSURE_INM_AS, Telling::rough("ExposureInmAs", 0.1, Rule::Stacks)),
    (tags::REVOLUTION_TIME, Telling::rough("RevolutionTime", 0.1, Rule::Stacks)),
    (tags::SPIRAL_PITCH_FACTOR, Telling::rough("SpiralPitchFactor", 0.1, Rule::Stacks)),
    (tags::TOTAL_COLLIMATION_WIDTH, Telling::rough("TotalCollimationWidth", 0.1, Rule::Stacks)),
    (tags::SINGLE_COLLIMATION_WIDTH, Telling::rough("SingleCollimationWidth", 0.1, Rule::Stacks)),
    (tags::TABLE_SPEED, Telling::rough("TableSpeed", 0.1, Rule::Stacks)),
    (tags::TABLE_FEED_PER_ROTATION, Telling::rough("TableFeedPerRotation", 0.1, Rule::Stacks)),
    (tags::CTD_IVOL, Telling::rough("CTDIvol", 0.1, Rule::Stacks)),
    (tags::CONTRAST_BOLUS_VOLUME, Telling::rough("ContrastBolusVolume", 0.1, Rule::Stacks)),
    (tags::CONTRAST_BOLUS_START_TIME, Telling::time("ContrastBolusStartTime", 10.0, Rule::Stacks)),
    (tags::WINDOW_CENTER, Telling::number("WindowCenter", 5.0, Rule::Stacks)),
    (tags::WINDOW_WIDTH, Telling::rough("WindowWidth", 0.1, Rule::Stacks)),
    (tags::IMAGE_COMMENTS, Telling::text("ImageComments", Rule::Stacks)),
    (tags::FRAME_COMMENTS, Telling::text("FrameComments", Rule::Stacks)),
    (tags::FRAME_LABEL, Telling::text("FrameLabel", Rule::Stacks)),
    (tags::DERIVATION_DESCRIPTION, Telling::text("DerivationDescription", Rule::Stacks)),
    (tags::STATION_NAME, Telling::text("StationName", Rule::Stacks)),
    (tags::DEVICE_SERIAL_NUMBER, Telling::text("DeviceSerialNumber", Rule::Stacks)),
    (tags::SOFTWARE_VERSIONS, Telling::text("SoftwareVersions", Rule::Stacks)),
    (tags::PERFORMED_PROCEDURE_STEP_ID, Telling::text("PerformedProcedureStepID", Rule::Stacks)),
    (
        tags::PERFORMED_PROCEDURE_STEP_DESCRIPTION,
        Telling::text("PerformedProcedureStepDescription", Rule::Stacks),
    ),
    (tags::CONTENT_DATE, Telling::text("ContentDate", Rule::Stacks)),
    (tags::CONTENT_TIME, Telling::time("ContentTime", 10.0, Rule::Stacks)),
    (tags::INSTANCE_CREATION_DATE, Telling::text("InstanceCreationDate", Rule::Stacks)),
    (tags::INSTANCE_CREATION_TIME, Telling::time("InstanceCreationTime", 10.0, Rule::Stacks)),
    (tags::SERIES_TIME, Telling::time("SeriesTime", 10.0, Rule::Stacks)),
    (tags::STUDY_TIME, Telling::time("StudyTime", 10.0, Rule::Stacks)),
    (
        tags::PERFORMED_PROCEDURE_STEP_START_TIME,
        Telling::time("PerformedProcedureStepStartTime", 10.0, Rule::Stacks),
    ),
];

/// The values of a slice of the attributes in [`TOLD`].
#[derive(Clone, Debug)]
pub(crate) struct ToldValues(Box<[Option<Box<str>>]>);

impl ToldValues {
    /// The values of a frame's own attributes, else of its file.
    pub(crate) fn of(values: &InMemDicomObject, own: &InMemDicomObject) -> Self {
        let read = |values, tag| text(values, tag).ok().flatten().map(String::into_boxed_str);
        let is_frame = !std::ptr::eq(own, values);
        let of_frame =
            |tag| read(own, tag).or_else(|| is_frame.then(|| read(values, tag)).flatten());
        Self(TOLD.iter().map(|(tag, _)| of_frame(*tag)).collect())
    }

    pub(super) fn value(&self, at: usize) -> Value<'_> {
        Value::text(self.0.get(at).and_then(Option::as_deref))
    }
}

/// The keywords of the attributes of [`TOLD`], and then of [`LABELS`].
#[cfg(test)]
pub(crate) fn keywords() -> impl Iterator<Item = &'static str> {
    let told = TOLD.into_iter().map(|(_, telling)| telling.keyword);
    told.chain(LABELS.into_iter().map(|(telling, _)| telling.keyword))
}

#[cfg(test)]
impl ToldValues {
    pub(crate) fn none() -> Self {
        Self(TOLD.iter().map(|_| None).collect())
    }

    pub(crate) fn set(&mut self, keyword: &str, value: Option<String>) {
        let at = TOLD.iter().position(|(_, telling)| telling.keyword == keyword);
        self.0[at.expect("the attribute tells images apart")] = value.map(String::into_boxed_str);
    }
}

/// The attributes of [`TOLD`].
pub(crate) fn told_tags() -> impl Iterator<Item = Tag> {
    TOLD.into_iter().map(|(tag, _)| tag)
}

/// Whether images are told apart by an attribute of [`TOLD`], on which no voxel depends.
pub(crate) fn is_told(tag: Tag) -> bool {
    told_tags().any(|told| told == tag)
}
