//! Tells whether a series holds several acquisitions or reconstructions of one body region.

use super::slice::SliceHeader;
use super::stack::SAME_POSITION_MM;
use crate::dicom::element::values::text;
use crate::dicom::error::Error;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use std::collections::BTreeMap;
use std::fmt;

/// The value of an attribute that differs between the images of a series that are no one volume.
#[derive(Clone, Copy, PartialEq)]
enum Value<'a> {
    Missing,
    Whole(i64),
    Decimal(f64),
    Text(&'a str),
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Whole(number) => number.fmt(f),
            Self::Decimal(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

impl<'a> Value<'a> {
    fn whole(number: Option<i64>) -> Self {
        number.map_or(Self::Missing, Self::Whole)
    }

    fn decimal(number: Option<f64>) -> Self {
        number.map_or(Self::Missing, Self::Decimal)
    }

    fn text(text: Option<&'a str>) -> Self {
        text.map_or(Self::Missing, Self::Text)
    }
}

type ReadValue = for<'a> fn(&'a SliceHeader) -> Value<'a>;

/// Attributes that a slice has for other reasons too.
const LABELS: [(&str, ReadValue); 9] = [
    ("AcquisitionNumber", |slice| Value::whole(slice.labels.acquisition_number)),
    ("TemporalPositionIdentifier", |slice| Value::whole(slice.temporal_position)),
    ("ConvolutionKernel", |slice| Value::text(slice.kernel.as_deref())),
    ("KVP", |slice| Value::decimal(slice.kvp)),
    ("ImageType", |slice| Value::text(slice.labels.image_type.as_deref())),
    ("SeriesDescription", |slice| Value::text(slice.labels.series_description.as_deref())),
    ("SeriesNumber", |slice| Value::whole(slice.labels.series_number)),
    ("SliceThickness", |slice| Value::decimal(slice.thickness_mm)),
    // An image before the agent has none.
    ("ContrastBolusAgent", |slice| Value::Text(slice.labels.contrast.as_deref().unwrap_or("none"))),
];

/// Which numbers of values tell images apart.
#[derive(Clone, Copy)]
enum Values {
    Any,
    /// As many as this.
    AtMost(usize),
    /// Two times of the day, 10 seconds apart.
    TwoTimes,
    /// Values whose slices are stacks of their own that interleave.
    Stacks,
    /// Times of the day whose slices are such stacks, 10 seconds apart.
    StacksOfTimes,
    /// As many as this; else values whose slices are such stacks.
    AtMostOrStacks(usize),
}

/// Attributes by which alone images are told apart.
///
/// METHOD: an axial scan has a time for each step, and a gated one a delay for each beat, so that times and delays count
/// where there are 4 at most. Streams of a reconstruction write their slices in turn, so that the time of the content
/// counts only where there are two, further apart than a scanner's streams. The attributes after them describe a whole
/// acquisition, reconstruction or visit, but some programs write them slice by slice: they count only where each value has
/// a whole stack of slices of its own, which no scanner writes for one image. Attributes of single exposures that may
/// alternate by design (direction of rotation, focal spot) never count.
const TELLING: [(Tag, &str, Values); 39] = [
    (tags::TRIGGER_TIME, "TriggerTime", Values::AtMost(4)),
    (tags::NOMINAL_PERCENTAGE_OF_CARDIAC_PHASE, "NominalPercentageOfCardiacPhase", Values::Any),
    (tags::NOMINAL_CARDIAC_TRIGGER_DELAY_TIME, "NominalCardiacTriggerDelayTime", Values::AtMost(4)),
    (tags::IRRADIATION_EVENT_UID, "IrradiationEventUID", Values::Any),
    (tags::FILTER_TYPE, "FilterType", Values::Any),
    (tags::FRAME_ACQUISITION_NUMBER, "FrameAcquisitionNumber", Values::Any),
    (tags::TEMPORAL_POSITION_INDEX, "TemporalPositionIndex", Values::Any),
    (tags::STACK_ID, "StackID", Values::Any),
    (tags::FRAME_TYPE, "FrameType", Values::Any),
    (tags::ACQUISITION_TIME, "AcquisitionTime", Values::AtMostOrStacks(4)),
    (tags::ACQUISITION_DATE_TIME, "AcquisitionDateTime", Values::AtMostOrStacks(4)),
    (tags::CONTENT_TIME, "ContentTime", Values::TwoTimes),
    (tags::SERIES_TIME, "SeriesTime", Values::StacksOfTimes),
    (tags::STUDY_TIME, "StudyTime", Values::StacksOfTimes),
    (
        tags::PERFORMED_PROCEDURE_STEP_START_TIME,
        "PerformedProcedureStepStartTime",
        Values::StacksOfTimes,
    ),
    (tags::SERIES_DATE, "SeriesDate", Values::Stacks),
    (tags::ACQUISITION_DATE, "AcquisitionDate", Values::Stacks),
    (tags::STATION_NAME, "StationName", Values::Stacks),
    (tags::STUDY_DESCRIPTION, "StudyDescription", Values::Stacks),
    (tags::DERIVATION_DESCRIPTION, "DerivationDescription", Values::Stacks),
    (tags::SCAN_OPTIONS, "ScanOptions", Values::Stacks),
    (tags::DATA_COLLECTION_DIAMETER, "DataCollectionDiameter", Values::Stacks),
    (tags::DEVICE_SERIAL_NUMBER, "DeviceSerialNumber", Values::Stacks),
    (tags::SOFTWARE_VERSIONS, "SoftwareVersions", Values::Stacks),
    (tags::PROTOCOL_NAME, "ProtocolName", Values::Stacks),
    (tags::CONTRAST_BOLUS_ROUTE, "ContrastBolusRoute", Values::Stacks),
    (tags::RECONSTRUCTION_DIAMETER, "ReconstructionDiameter", Values::Stacks),
    (tags::GANTRY_DETECTOR_TILT, "GantryDetectorTilt", Values::Stacks),
    (tags::TABLE_HEIGHT, "TableHeight", Values::Stacks),
    (tags::EXPOSURE_TIME, "ExposureTime", Values::Stacks),
    (tags::X_RAY_TUBE_CURRENT, "XRayTubeCurrent", Values::Stacks),
    (tags::EXPOSURE, "Exposure", Values::Stacks),
    (tags::PATIENT_POSITION, "PatientPosition", Values::Stacks),
    (tags::EXPOSURE_MODULATION_TYPE, "ExposureModulationType", Values::Stacks),
    (tags::IMAGE_COMMENTS, "ImageComments", Values::Stacks),
    (tags::WINDOW_CENTER, "WindowCenter", Values::Stacks),
    (tags::WINDOW_WIDTH, "WindowWidth", Values::Stacks),
    (tags::PERFORMED_PROCEDURE_STEP_ID, "PerformedProcedureStepID", Values::Stacks),
    (
        tags::PERFORMED_PROCEDURE_STEP_DESCRIPTION,
        "PerformedProcedureStepDescription",
        Values::Stacks,
    ),
];

/// The number of attributes by which alone images are told apart.
#[cfg(test)]
pub(crate) const N_TELLING: usize = TELLING.len();

/// Fewest slices of a stack.
const LEAST_OF_STACK: usize = 3;

/// Fewest slices that a stack has among those of another one.
const LEAST_AMONG: usize = 2;

/// Greatest difference between two gaps of a stack, as a share of its median gap.
const UNEVEN: f64 = 0.1;

/// Least seconds between the times of two images.
const APART_SECONDS: f64 = 10.0;

/// The values by which alone images are told apart, of a frame's own attributes, else of its file.
pub(crate) fn told_apart(values: &InMemDicomObject, own: &InMemDicomObject) -> Vec<Option<String>> {
    let read = |values, tag| text(values, tag).ok().flatten();
    let is_frame = !std::ptr::eq(own, values);
    let of_frame = |tag| read(own, tag).or_else(|| is_frame.then(|| read(values, tag)).flatten());
    TELLING.iter().map(|(tag, ..)| of_frame(*tag)).collect()
}

impl Values {
    fn tell(self, extents: &BTreeMap<String, Extent>) -> bool {
        match self {
            Self::Any => true,
            Self::AtMost(most) => extents.len() <= most,
            Self::TwoTimes => extents.len() == 2 && are_apart(extents),
            Self::Stacks => are_stacks(extents),
            Self::StacksOfTimes => are_stacks(extents) && are_apart(extents),
            Self::AtMostOrStacks(most) => extents.len() <= most || are_stacks(extents),
        }
    }

    /// Whether slices without a value are an image of their own, if the others are.
    fn counts_missing(self) -> bool {
        matches!(self, Self::Stacks)
    }
}

/// Whether times of the day are further apart than those that one image is written at.
fn are_apart(extents: &BTreeMap<String, Extent>) -> bool {
    let times: Option<Vec<f64>> = extents.keys().map(|time| seconds(time)).collect();
    let Some(mut times) = times else { return false };
    times.sort_by(f64::total_cmp);
    times.windows(2).all(|pair| pair[1] - pair[0] >= APART_SECONDS)
}

/// Whether the slices of each value are an evenly spaced stack, and two of these stacks interleave.
fn are_stacks(extents: &BTreeMap<String, Extent>) -> bool {
    let stacks: Vec<&Extent> = extents.values().collect();
    let among = |a: &Extent, b: &Extent| {
        let range = b.least()..=b.greatest();
        a.0.iter().filter(|mm| range.contains(mm)).count() >= LEAST_AMONG
    };
    let numbered = || stacks.iter().enumerate();
    stacks.iter().all(|stack| is_even(&stack.0))
        && numbered().any(|(n, a)| stacks[n + 1..].iter().any(|b| among(a, b) && among(b, a)))
}

/// Whether sorted heights are those of a whole stack.
fn is_even(heights: &[f64]) -> bool {
    let mut gaps: Vec<f64> = heights.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_by(f64::total_cmp);
    match (gaps.first(), gaps.get(gaps.len() / 2), gaps.last()) {
        (Some(least), Some(median), Some(most)) => {
            heights.len() >= LEAST_OF_STACK
                && *least > SAME_POSITION_MM
                && most - least <= UNEVEN * median
        }
        _ => false,
    }
}

/// The seconds of a time of the day, as `120030.5`.
fn seconds(time: &str) -> Option<f64> {
    let part = |at: usize| time.get(at..at + 2)?.parse::<f64>().ok();
    Some(3600.0 * part(0)? + 60.0 * part(2)? + part(4)?)
}

/// Where the slices of one value lie along the normal, in mm: one or more heights, ascending.
#[derive(Default)]
struct Extent(Vec<f64>);

impl Extent {
    fn n_slices(&self) -> usize {
        self.0.len()
    }

    fn least(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    fn greatest(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }
}

/// Refuses slices of several acquisitions, phases or reconstructions that cover the same part of the body.
///
/// METHOD: values that differ from one end of the body to the other are usual, as each step of a sequential scan is an
/// acquisition. Two values that both have slices on either side of a slice of the other are two images, even if their
/// slices together make an even grid. A slice without the value, or the only one with it, may belong to any image.
pub(crate) fn check_single(slices: &[SliceHeader], heights: &[f64]) -> Result<(), Error> {
    for (attribute, value) in LABELS {
        check_attribute(attribute, Values::Any, slices, heights, value)?;
    }
    for (at, (_, attribute, values)) in TELLING.into_iter().enumerate() {
        check_attribute(attribute, values, slices, heights, |slice| {
            Value::text(slice.told_apart.get(at).and_then(Option::as_deref))
        })?;
    }
    Ok(())
}

fn check_attribute<'a>(
    attribute: &'static str,
    values: Values,
    slices: &'a [SliceHeader],
    heights: &[f64],
    value: impl Fn(&'a SliceHeader) -> Value<'a>,
) -> Result<(), Error> {
    // The usual case, without a copy of each value.
    if slices.windows(2).all(|pair| value(&pair[0]) == value(&pair[1])) {
        return Ok(());
    }
    let mut extents: BTreeMap<String, Extent> = BTreeMap::new();
    for (slice, height) in slices.iter().zip(heights) {
        let value = value(slice);
        if value == Value::Missing && !values.counts_missing() {
            continue;
        }
        extents.entry(value.to_string()).or_default().0.push(*height);
    }
    for extent in extents.values_mut() {
        extent.0.sort_by(f64::total_cmp);
    }
    if !values.tell(&extents) {
        return Ok(());
    }
    let overlap = |a: &Extent, b: &Extent| {
        a.n_slices().min(b.n_slices()) > 1 && a.least() < b.greatest() && b.least() < a.greatest()
    };
    let mut sorted: Vec<&Extent> = extents.values().collect();
    sorted.sort_by(|a, b| a.least().total_cmp(&b.least()));
    let at_one_position = sorted.len() > 1
        && sorted.iter().all(|extent| extent.greatest() - sorted[0].least() < 1e-3);
    let mut reaching: Option<&Extent> = None;
    let mut is_mixed = false;
    for extent in sorted.into_iter().filter(|extent| extent.n_slices() > 1) {
        is_mixed |= reaching.is_some_and(|other| overlap(other, extent));
        if reaching.is_none_or(|other| extent.greatest() > other.greatest()) {
            reaching = Some(extent);
        }
    }
    if at_one_position {
        return Err(Error::OnePosition { n_slices: slices.len() });
    }
    if is_mixed {
        let groups = extents.into_iter().map(|(value, extent)| (value, extent.n_slices()));
        return Err(Error::SeveralImages { attribute, groups: groups.collect() });
    }
    Ok(())
}
