//! The attributes by which images of one body region are told apart.

use super::classes::{Reading, Value};
use super::slice::SliceHeader;
use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// An attribute by which images of one body region are told apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Telling {
    pub(crate) keyword: &'static str,
    pub(super) reading: Reading,
    pub(super) rule: Rule,
    /// Whether slices in the order of the value are a pass through the body, so that a second pass shows.
    pub(super) is_order: bool,
    /// Whether each of its several numbers tells for itself.
    pub(super) is_vector: bool,
    /// Whether a slice without the attribute may be of any image.
    pub(super) may_lack: bool,
    pub(super) owner: Owner,
}

/// What has the value of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The image: copies of a slice have the value in common.
    Image,
    /// The file: each copy may have its own.
    File,
}

/// Which values are those of several images, if their slices interleave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Any two. The attribute is one for a whole acquisition, reconstruction or phase.
    Any,
    /// Any two of four at most; else those with a stack of their own.
    AnyOfFew,
    /// Those with a stack of their own, or that recur in one order through the body. Some programs write the attribute
    /// slice by slice.
    Stacks,
    /// Those with a stack of their own, or far apart and recurring. Scanners modulate the attribute slice by slice.
    Dose,
    /// None: only the order of the values tells.
    Order,
    /// None, but of slices at one position.
    Copies,
}

impl Telling {
    const fn new(keyword: &'static str, reading: Reading, rule: Rule) -> Self {
        let owner = if matches!(rule, Rule::Order) { Owner::File } else { Owner::Image };
        let (is_order, is_vector, may_lack) = (false, false, false);
        Self { keyword, reading, rule, is_order, is_vector, may_lack, owner }
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
        Self::new(keyword, Reading::Time { apart, is_utc: false }, rule)
    }

    const fn date(keyword: &'static str, rule: Rule) -> Self {
        Self::new(keyword, Reading::Date, rule)
    }

    const fn uid(keyword: &'static str) -> Self {
        Self::new(keyword, Reading::Exact, Rule::Any)
    }

    /// A measure of the dose, in units of which less than `within` is no difference.
    const fn dose(keyword: &'static str, within: f64) -> Self {
        Self::new(keyword, Reading::Number { within, share: MODULATED }, Rule::Dose)
    }

    const fn text(keyword: &'static str, rule: Rule) -> Self {
        Self::new(keyword, Reading::Text, rule)
    }

    const fn in_order(self) -> Self {
        Self { is_order: true, ..self }
    }

    const fn vector(self) -> Self {
        Self { is_vector: true, ..self }
    }

    const fn or_missing(self) -> Self {
        Self { may_lack: true, ..self }
    }

    const fn of_file(self) -> Self {
        Self { owner: Owner::File, ..self }
    }
}

/// METHOD: scanners modulate the dose with the angle and along the body, slice by slice, up to nearly twofold between
/// neighbours. Only greater differences, that recur, are those of two exposures.
const MODULATED: f64 = 0.45;

/// METHOD: the modulation repeats with the rotation, so that recurring values are those of two exposures only where they
/// differ more than twofold.
pub(super) const FAR_APART: f64 = 0.6;

/// METHOD: each beat of the heart has an interval of its own, so that slices of a gated scan differ in it, in no order. Of
/// two images that interleave, one in ten is more than what beats differ by.
const BEATS: f64 = 0.1;

/// METHOD: streams of a reconstruction write their slices in turn, seconds apart; two reconstructions lie minutes apart.
const WRITTEN_SECONDS: f64 = 60.0;

/// Reads the value of a slice.
pub(super) type ReadValue = for<'a> fn(&'a SliceHeader) -> Value<'a>;

/// Attributes that a slice has for other reasons too.
pub(super) const LABELS: [(Telling, ReadValue); 13] = [
    (Telling::number("AcquisitionNumber", 0.0, Rule::Any).in_order(), |slice| {
        Value::whole(slice.labels.acquisition_number)
    }),
    (Telling::number("TemporalPositionIdentifier", 0.0, Rule::Any), |slice| {
        Value::whole(slice.temporal_position)
    }),
    (Telling::text("ConvolutionKernel", Rule::Any), |slice| Value::text(slice.kernel.as_deref())),
    (Telling::number("KVP", 1.0, Rule::Any), |slice| Value::decimal(slice.kvp)),
    (Telling::text("ImageType", Rule::Any), |slice| {
        let compressed = slice.uncompressed_type.as_deref();
        Value::text(compressed.or(slice.labels.image_type.as_deref()))
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
    (Telling::new("BodyPartExamined", Reading::BodyPart, Rule::Any), |slice| {
        Value::text(slice.labels.body_part.as_deref())
    }),
    (Telling::new("Manufacturer", Reading::Maker, Rule::Any), |slice| {
        Value::text(slice.manufacturer.as_deref())
    }),
    // Two files with several frames each.
    (Telling::new("SOPInstanceUID", Reading::Exact, Rule::Stacks).of_file(), |slice| {
        Value::text(slice.location.number.map(|_| slice.sop_instance_uid.as_str()))
    }),
    (Telling::text("ManufacturerModelName", Rule::Any), |slice| {
        Value::text(slice.model.as_deref())
    }),
];

/// Attributes by which alone images are told apart.
///
/// METHOD: an axial scan has a time for each step, and a gated one a delay for each beat: times within a second and
/// delays within 5 ms are one. Numbers are the same to within what scanners round or report differently from slice to
/// slice. Attributes of single exposures may alternate by design: the direction of rotation counts only at one position,
/// and the focal spot never.
pub(super) const TOLD: [(Tag, Telling); 107] = [
    // The order in which slices were acquired or numbered.
    (tags::ACQUISITION_TIME, Telling::time("AcquisitionTime", 1.0, Rule::AnyOfFew).in_order()),
    (
        tags::ACQUISITION_DATE_TIME,
        Telling::time("AcquisitionDateTime", 1.0, Rule::AnyOfFew).in_order(),
    ),
    (
        tags::FRAME_ACQUISITION_DATE_TIME,
        Telling::time("FrameAcquisitionDateTime", 1.0, Rule::AnyOfFew).in_order(),
    ),
    (
        tags::FRAME_REFERENCE_DATE_TIME,
        Telling::time("FrameReferenceDateTime", 1.0, Rule::AnyOfFew).in_order(),
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
    (tags::ACQUISITION_UID, Telling::uid("AcquisitionUID")),
    (tags::IRRADIATION_EVENT_UID, Telling::uid("IrradiationEventUID")),
    (tags::FRAME_ACQUISITION_NUMBER, Telling::number("FrameAcquisitionNumber", 0.0, Rule::Any)),
    (tags::TEMPORAL_POSITION_INDEX, Telling::number("TemporalPositionIndex", 0.0, Rule::Any)),
    (
        tags::TEMPORAL_POSITION_TIME_OFFSET,
        Telling::number("TemporalPositionTimeOffset", 0.0, Rule::AnyOfFew),
    ),
    (
        tags::ACTUAL_CARDIAC_TRIGGER_DELAY_TIME,
        Telling::number("ActualCardiacTriggerDelayTime", 5.0, Rule::AnyOfFew),
    ),
    (
        tags::ACTUAL_RESPIRATORY_TRIGGER_DELAY_TIME,
        Telling::number("ActualRespiratoryTriggerDelayTime", 5.0, Rule::AnyOfFew),
    ),
    (
        tags::DIMENSION_INDEX_VALUES,
        Telling::number("DimensionIndexValues", 0.0, Rule::Any).vector().of_file(),
    ),
    (tags::CONCATENATION_UID, Telling::uid("ConcatenationUID")),
    (tags::STUDY_DATE, Telling::date("StudyDate", Rule::Any)),
    (tags::STUDY_ID, Telling::text("StudyID", Rule::Any)),
    (tags::ACCESSION_NUMBER, Telling::text("AccessionNumber", Rule::Any)),
    (tags::PATIENT_AGE, Telling::text("PatientAge", Rule::Any)),
    (tags::PATIENT_WEIGHT, Telling::number("PatientWeight", 1.0, Rule::Any)),
    (
        tags::REQUESTED_PROCEDURE_DESCRIPTION,
        Telling::text("RequestedProcedureDescription", Rule::Any),
    ),
    (tags::CONTRAST_BOLUS_INGREDIENT, Telling::text("ContrastBolusIngredient", Rule::Any)),
    (
        tags::CONTRAST_BOLUS_AGENT_NUMBER,
        Telling::number("ContrastBolusAgentNumber", 0.0, Rule::Any),
    ),
    (tags::CONTRAST_BOLUS_AGENT_PHASE, Telling::text("ContrastBolusAgentPhase", Rule::Any)),
    (tags::CONTRAST_BOLUS_AGENT_SEQUENCE, Telling::text("ContrastBolusAgentSequence", Rule::Any)),
    (
        tags::PERFORMED_PROTOCOL_CODE_SEQUENCE,
        Telling::text("PerformedProtocolCodeSequence", Rule::Any),
    ),
    (tags::REQUEST_ATTRIBUTES_SEQUENCE, Telling::text("RequestAttributesSequence", Rule::Any)),
    (tags::ANATOMIC_REGION_SEQUENCE, Telling::text("AnatomicRegionSequence", Rule::Any)),
    (tags::ACQUISITION_TYPE, Telling::text("AcquisitionType", Rule::Any)),
    (
        tags::RECONSTRUCTION_TARGET_CENTER_PATIENT,
        Telling::number("ReconstructionTargetCenterPatient", 1.0, Rule::Any).vector(),
    ),
    (
        tags::DISTANCE_SOURCE_TO_DETECTOR,
        Telling::number("DistanceSourceToDetector", 1.0, Rule::Any),
    ),
    (tags::STACK_ID, Telling::text("StackID", Rule::Any)),
    (tags::FRAME_TYPE, Telling::text("FrameType", Rule::Any)),
    (tags::FILTER_TYPE, Telling::text("FilterType", Rule::Any)),
    (tags::FILTER_MATERIAL, Telling::text("FilterMaterial", Rule::Any)),
    (tags::PROTOCOL_NAME, Telling::text("ProtocolName", Rule::Any)),
    (tags::ACQUISITION_PROTOCOL_NAME, Telling::text("AcquisitionProtocolName", Rule::Any)),
    (tags::STUDY_DESCRIPTION, Telling::text("StudyDescription", Rule::Any)),
    (tags::SERIES_DATE, Telling::date("SeriesDate", Rule::Any)),
    (tags::ACQUISITION_DATE, Telling::date("AcquisitionDate", Rule::Any)),
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
    (tags::EXPOSURE_TIME, Telling::dose("ExposureTime", 1.0)),
    (tags::X_RAY_TUBE_CURRENT, Telling::dose("XRayTubeCurrent", 1.0)),
    (tags::EXPOSURE, Telling::dose("Exposure", 1.0)),
    (tags::EXPOSURE_TIME_INMS, Telling::dose("ExposureTimeInms", 1.0)),
    (tags::X_RAY_TUBE_CURRENT_INM_A, Telling::dose("XRayTubeCurrentInmA", 1.0)),
    (tags::EXPOSURE_INM_AS, Telling::dose("ExposureInmAs", 1.0)),
    (tags::EXPOSURE_TIME_INU_S, Telling::dose("ExposureTimeInuS", 1000.0)),
    (tags::X_RAY_TUBE_CURRENT_INU_A, Telling::dose("XRayTubeCurrentInuA", 1000.0)),
    (tags::EXPOSURE_INU_AS, Telling::dose("ExposureInuAs", 1000.0)),
    (tags::ACQUISITION_DURATION, Telling::rough("AcquisitionDuration", 0.1, Rule::Stacks)),
    (tags::NOMINAL_INTERVAL, Telling::rough("NominalInterval", BEATS, Rule::Stacks)),
    (tags::RR_INTERVAL_TIME_NOMINAL, Telling::rough("RRIntervalTimeNominal", BEATS, Rule::Stacks)),
    (
        tags::CARDIAC_RR_INTERVAL_SPECIFIED,
        Telling::rough("CardiacRRIntervalSpecified", BEATS, Rule::Stacks),
    ),
    (tags::LOW_RR_VALUE, Telling::rough("LowRRValue", BEATS, Rule::Stacks)),
    (tags::HIGH_RR_VALUE, Telling::rough("HighRRValue", BEATS, Rule::Stacks)),
    (tags::HEART_RATE, Telling::rough("HeartRate", BEATS, Rule::Stacks)),
    (
        tags::RESPIRATORY_INTERVAL_TIME,
        Telling::rough("RespiratoryIntervalTime", BEATS, Rule::Stacks),
    ),
    // Exposures of one scan may alternate by design.
    (tags::ROTATION_DIRECTION, Telling::text("RotationDirection", Rule::Copies)),
    (tags::REVOLUTION_TIME, Telling::rough("RevolutionTime", 0.1, Rule::Stacks)),
    (tags::SPIRAL_PITCH_FACTOR, Telling::rough("SpiralPitchFactor", 0.1, Rule::Stacks)),
    (tags::TOTAL_COLLIMATION_WIDTH, Telling::rough("TotalCollimationWidth", 0.1, Rule::Stacks)),
    (tags::SINGLE_COLLIMATION_WIDTH, Telling::rough("SingleCollimationWidth", 0.1, Rule::Stacks)),
    (tags::TABLE_SPEED, Telling::rough("TableSpeed", 0.1, Rule::Stacks)),
    (tags::TABLE_FEED_PER_ROTATION, Telling::rough("TableFeedPerRotation", 0.1, Rule::Stacks)),
    (tags::CTD_IVOL, Telling::dose("CTDIvol", 0.5)),
    (tags::CONTRAST_BOLUS_VOLUME, Telling::rough("ContrastBolusVolume", 0.1, Rule::Stacks)),
    (tags::CONTRAST_BOLUS_TOTAL_DOSE, Telling::rough("ContrastBolusTotalDose", 0.1, Rule::Stacks)),
    (tags::CONTRAST_FLOW_RATE, Telling::rough("ContrastFlowRate", 0.1, Rule::Stacks)),
    (
        tags::CONTRAST_BOLUS_START_TIME,
        Telling::time("ContrastBolusStartTime", WRITTEN_SECONDS, Rule::Stacks),
    ),
    (tags::WINDOW_CENTER, Telling::number("WindowCenter", 5.0, Rule::Stacks).of_file()),
    (tags::WINDOW_WIDTH, Telling::rough("WindowWidth", 0.1, Rule::Stacks).of_file()),
    (
        tags::WINDOW_CENTER_WIDTH_EXPLANATION,
        Telling::text("WindowCenterWidthExplanation", Rule::Stacks).of_file(),
    ),
    (tags::IMAGE_COMMENTS, Telling::text("ImageComments", Rule::Stacks).of_file()),
    (tags::FRAME_COMMENTS, Telling::text("FrameComments", Rule::Stacks).of_file()),
    (tags::FRAME_LABEL, Telling::text("FrameLabel", Rule::Stacks).of_file()),
    (
        tags::DERIVATION_DESCRIPTION,
        Telling::text("DerivationDescription", Rule::Stacks).or_missing().of_file(),
    ),
    (
        tags::STATION_NAME,
        Telling::new("StationName", Reading::Computer, Rule::Stacks).or_missing().of_file(),
    ),
    (tags::DEVICE_SERIAL_NUMBER, Telling::text("DeviceSerialNumber", Rule::Stacks).or_missing()),
    (
        tags::SOFTWARE_VERSIONS,
        Telling::text("SoftwareVersions", Rule::Stacks).or_missing().of_file(),
    ),
    (tags::PERFORMED_PROCEDURE_STEP_ID, Telling::text("PerformedProcedureStepID", Rule::Stacks)),
    (
        tags::PERFORMED_PROCEDURE_STEP_DESCRIPTION,
        Telling::text("PerformedProcedureStepDescription", Rule::Stacks),
    ),
    (tags::CONTENT_DATE, Telling::date("ContentDate", Rule::Stacks).of_file()),
    (tags::CONTENT_TIME, Telling::time("ContentTime", WRITTEN_SECONDS, Rule::Stacks).of_file()),
    (tags::INSTANCE_CREATION_DATE, Telling::date("InstanceCreationDate", Rule::Stacks).of_file()),
    (
        tags::INSTANCE_CREATION_TIME,
        Telling::time("InstanceCreationTime", WRITTEN_SECONDS, Rule::Stacks).of_file(),
    ),
    (tags::SERIES_TIME, Telling::time("SeriesTime", WRITTEN_SECONDS, Rule::Stacks)),
    (tags::STUDY_TIME, Telling::time("StudyTime", WRITTEN_SECONDS, Rule::Stacks)),
    (
        tags::PERFORMED_PROCEDURE_STEP_START_TIME,
        Telling::time("PerformedProcedureStepStartTime", WRITTEN_SECONDS, Rule::Stacks),
    ),
];

/// Whether a sequence is read as the texts in its items, such as the values and meanings of codes.
pub(crate) fn is_read_as_text(tag: Tag) -> bool {
    matches!(
        tag,
        tags::CONTRAST_BOLUS_AGENT_SEQUENCE
            | tags::PERFORMED_PROTOCOL_CODE_SEQUENCE
            | tags::REQUEST_ATTRIBUTES_SEQUENCE
            | tags::ANATOMIC_REGION_SEQUENCE
            | tags::REAL_WORLD_VALUE_MAPPING_SEQUENCE
            | tags::DERIVATION_CODE_SEQUENCE
    )
}

/// The keywords of the attributes of [`TOLD`], and then of [`LABELS`].
#[cfg(test)]
pub(crate) fn keywords() -> impl Iterator<Item = &'static str> {
    let told = TOLD.into_iter().map(|(_, telling)| telling.keyword);
    told.chain(LABELS.into_iter().map(|(telling, _)| telling.keyword))
}

/// The attributes of [`TOLD`].
pub(crate) fn told_tags() -> impl Iterator<Item = Tag> {
    TOLD.into_iter().map(|(tag, _)| tag)
}

/// Whether images are told apart by an attribute of [`TOLD`], on which no voxel depends.
pub(crate) fn is_told(tag: Tag) -> bool {
    told_tags().any(|told| told == tag)
}
