//! Tells whether a series holds several acquisitions or reconstructions of one body region.

use super::slice::SliceHeader;
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
}

/// The number of attributes by which alone images are told apart.
pub(crate) const N_TELLING: usize = 12;

/// Attributes by which alone images are told apart.
///
/// METHOD: an axial scan has a time for each step, and a gated one a delay for each beat, so that times and delays count
/// where there are 4 at most. Streams of a reconstruction write their slices in turn, so that the time of the content
/// counts only where there are two, further apart than a scanner's streams.
const TELLING: [(Tag, &str, Values); N_TELLING] = [
    (tags::TRIGGER_TIME, "TriggerTime", Values::AtMost(4)),
    (tags::NOMINAL_PERCENTAGE_OF_CARDIAC_PHASE, "NominalPercentageOfCardiacPhase", Values::Any),
    (tags::NOMINAL_CARDIAC_TRIGGER_DELAY_TIME, "NominalCardiacTriggerDelayTime", Values::AtMost(4)),
    (tags::IRRADIATION_EVENT_UID, "IrradiationEventUID", Values::Any),
    (tags::FILTER_TYPE, "FilterType", Values::Any),
    (tags::FRAME_ACQUISITION_NUMBER, "FrameAcquisitionNumber", Values::Any),
    (tags::TEMPORAL_POSITION_INDEX, "TemporalPositionIndex", Values::Any),
    (tags::STACK_ID, "StackID", Values::Any),
    (tags::FRAME_TYPE, "FrameType", Values::Any),
    (tags::ACQUISITION_TIME, "AcquisitionTime", Values::AtMost(4)),
    (tags::ACQUISITION_DATE_TIME, "AcquisitionDateTime", Values::AtMost(4)),
    (tags::CONTENT_TIME, "ContentTime", Values::TwoTimes),
];

/// The values by which alone images are told apart, of a frame's own attributes, else of its file.
pub(crate) fn told_apart(
    values: &InMemDicomObject,
    own: &InMemDicomObject,
) -> [Option<String>; N_TELLING] {
    let read = |values, tag| text(values, tag).ok().flatten();
    let is_frame = !std::ptr::eq(own, values);
    TELLING
        .map(|(tag, ..)| read(own, tag).or_else(|| is_frame.then(|| read(values, tag)).flatten()))
}

impl Values {
    fn tell(self, extents: &BTreeMap<String, Extent>) -> bool {
        match self {
            Self::Any => true,
            Self::AtMost(most) => extents.len() <= most,
            Self::TwoTimes => {
                let times: Option<Vec<f64>> = extents.keys().map(|time| seconds(time)).collect();
                matches!(times.as_deref(), Some([a, b]) if (a - b).abs() >= 10.0)
            }
        }
    }
}

/// The seconds of a time of the day, as `120030.5`.
fn seconds(time: &str) -> Option<f64> {
    let part = |at: usize| time.get(at..at + 2)?.parse::<f64>().ok();
    Some(3600.0 * part(0)? + 60.0 * part(2)? + part(4)?)
}

/// Where the slices of one value lie along the normal.
struct Extent {
    least_mm: f64,
    greatest_mm: f64,
    n_slices: usize,
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
            Value::text(slice.told_apart[at].as_deref())
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
        if value == Value::Missing {
            continue;
        }
        let new = Extent { least_mm: *height, greatest_mm: *height, n_slices: 0 };
        let extent = extents.entry(value.to_string()).or_insert(new);
        extent.least_mm = extent.least_mm.min(*height);
        extent.greatest_mm = extent.greatest_mm.max(*height);
        extent.n_slices += 1;
    }
    if !values.tell(&extents) {
        return Ok(());
    }
    let overlap = |a: &Extent, b: &Extent| {
        a.n_slices.min(b.n_slices) > 1 && a.least_mm < b.greatest_mm && b.least_mm < a.greatest_mm
    };
    let mut sorted: Vec<&Extent> = extents.values().collect();
    sorted.sort_by(|a, b| a.least_mm.total_cmp(&b.least_mm));
    let at_one_position = sorted.len() > 1
        && sorted.iter().all(|extent| extent.greatest_mm - sorted[0].least_mm < 1e-3);
    let mut reaching: Option<&Extent> = None;
    let mut is_mixed = false;
    for extent in sorted.into_iter().filter(|extent| extent.n_slices > 1) {
        is_mixed |= reaching.is_some_and(|other| overlap(other, extent));
        if reaching.is_none_or(|other| extent.greatest_mm > other.greatest_mm) {
            reaching = Some(extent);
        }
    }
    if at_one_position {
        return Err(Error::OnePosition { n_slices: slices.len() });
    }
    if is_mixed {
        let groups = extents.into_iter().map(|(value, extent)| (value, extent.n_slices));
        return Err(Error::SeveralImages { attribute, groups: groups.collect() });
    }
    Ok(())
}
