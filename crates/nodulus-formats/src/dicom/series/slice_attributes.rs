//! Parses the attributes of one slice.

use super::compression;
use super::pixels::PixelFormat;
use super::quantity;
use super::slice::{FrameLocation, SliceHeader};
use super::slice_spacing::FLOAT_NOISE;
use super::told_values::ToldValues;
use crate::dicom::date::Date;
use crate::dicom::element::elements::{Elements, PixelDataRange};
use crate::dicom::element::syntax::{self, Packing};
use crate::dicom::element::values::{
    descriptive, integer, number, numbers, repeated_numbers, required, text, whole,
};
use crate::dicom::error::{FoundTag, Problem};
use crate::dicom::irregularities::Irregularity;
use crate::dicom::series_info::SeriesLabels;
use crate::limits::{
    INTERCEPT, Limit, POSITION_MM, SIGNED_SPACING_MM, SLOPE, SPACING_MM, TUBE_CURRENT_MA,
    TUBE_VOLTAGE_KV,
};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use std::path::Path;

/// Most voxels of a compressed slice, 4096 × 4096: its file may be shorter than its voxels.
const MAX_COMPRESSED_VOXELS: u64 = 1 << 24;

/// Voxels along i and j.
pub(crate) fn size(values: &InMemDicomObject) -> Result<[usize; 2], Problem> {
    Ok([integer(values, tags::COLUMNS)?, integer(values, tags::ROWS)?].map(usize::from))
}

/// Parses a slice. `own` are the attributes that may differ from frame to frame.
pub(crate) fn slice(
    file: &Path,
    elements: &Elements,
    own: &InMemDicomObject,
    location: FrameLocation,
) -> Result<SliceHeader, Problem> {
    let values = &elements.values;
    let mut irregular = elements.irregular.clone();
    let (position_mm, position_step_mm) = position(own)?;
    let spacing: [f64; 2] = repeated_numbers(own, tags::PIXEL_SPACING, &mut irregular)?;
    if !SPACING_MM.hold(&spacing) {
        let (found, expected) = (format!("{spacing:?}"), format!("two distances of {SPACING_MM}"));
        return Err(Problem::value(tags::PIXEL_SPACING, found, expected));
    }
    if text(values, tags::MODALITY)?.is_none() {
        irregular.push(Irregularity::Attribute(tags::MODALITY));
    }
    let mut described = |values, tag| descriptive(values, tag, text, &mut irregular);
    let [manufacturer, model] =
        [tags::MANUFACTURER, tags::MANUFACTURER_MODEL_NAME].map(|tag| described(values, tag));
    let kernel = described(own, tags::CONVOLUTION_KERNEL);
    let frame_type = described(own, tags::FRAME_TYPE);
    let image_type = described(values, tags::IMAGE_TYPE);
    let technique = described(own, tags::VOLUME_BASED_CALCULATION_TECHNIQUE);
    let mut labels = SeriesLabels {
        series_description: described(values, tags::SERIES_DESCRIPTION),
        image_type: with_technique(image_type.or_else(|| frame_type.clone()), technique),
        body_part: described(values, tags::BODY_PART_EXAMINED),
        contrast: described(values, tags::CONTRAST_BOLUS_AGENT),
        rescale_type: text(own, tags::RESCALE_TYPE)?,
        ..SeriesLabels::default()
    };
    // A converted frame may have its own.
    let mut whole = |tag| {
        let found = if own.get(tag).is_some() { own } else { values };
        descriptive(found, tag, whole, &mut irregular)
    };
    labels.series_number = whole(tags::SERIES_NUMBER);
    labels.acquisition_number = whole(tags::ACQUISITION_NUMBER);
    let temporal_position = whole(tags::TEMPORAL_POSITION_IDENTIFIER);
    let mut measured = |tag, limit| measured(own, tag, limit, &mut irregular);
    let tube_current = measured(tags::X_RAY_TUBE_CURRENT, TUBE_CURRENT_MA)
        .or_else(|| measured(tags::X_RAY_TUBE_CURRENT_INM_A, TUBE_CURRENT_MA));
    let thickness_mm = measured(tags::SLICE_THICKNESS, SPACING_MM);
    let spacing_between_slices_mm = measured(tags::SPACING_BETWEEN_SLICES, SIGNED_SPACING_MM);
    let kvp = measured(tags::KVP, TUBE_VOLTAGE_KV);
    let pixels = pixel_format(elements, own, &mut irregular)?;
    let is_unknown = labels.image_type.as_deref().is_some_and(quantity::is_unknown);
    irregular.extend(is_unknown.then_some(Irregularity::UnknownImageType));
    let quantity = quantity::of(
        values,
        labels.rescale_type.as_deref(),
        [labels.image_type.as_deref(), frame_type.as_deref()],
        [pixels.slope, pixels.intercept],
    );
    Ok(SliceHeader {
        file: file.to_owned(),
        location,
        series_instance_uid: required(values, tags::SERIES_INSTANCE_UID, text)?,
        study_instance_uid: required(values, tags::STUDY_INSTANCE_UID, text)?,
        frame_of_reference_uid: text(values, tags::FRAME_OF_REFERENCE_UID)?,
        sop_class_uid: required(values, tags::SOP_CLASS_UID, text)?,
        sop_instance_uid: required(values, tags::SOP_INSTANCE_UID, text)?,
        // Type 2: it may be empty.
        patient_id: text(values, tags::PATIENT_ID)?.unwrap_or_default(),
        patient_name: text(values, tags::PATIENT_NAME).ok().flatten(),
        patient_issuer: text(values, tags::ISSUER_OF_PATIENT_ID).ok().flatten(),
        acquired_on: acquired_on(values),
        size: size(values)?,
        // `PixelSpacing` begins with the distance between rows, which is along j.
        spacing_mm: [spacing[1], spacing[0]],
        position_mm,
        position_step_mm,
        orientation: required(own, tags::IMAGE_ORIENTATION_PATIENT, numbers)?,
        thickness_mm,
        spacing_between_slices_mm,
        labels,
        temporal_position,
        told_apart: ToldValues::of(values, own),
        is_only_compressed: compression::is_only_compressed(values, own),
        uncompressed_type: None,
        quantity,
        irregular,
        manufacturer,
        model,
        kernel,
        kvp,
        tube_current,
        transfer_syntax: elements.transfer_syntax.clone(),
        pixels,
    })
}

/// A measured value that no voxel depends on; one beyond its limit counts as missing and is noted.
fn measured(
    own: &InMemDicomObject,
    tag: Tag,
    limit: Limit,
    irregular: &mut Vec<Irregularity>,
) -> Option<f64> {
    let value = descriptive(own, tag, number, irregular)?;
    if limit.holds(value) {
        return Some(value);
    }
    irregular.push(Irregularity::Attribute(tag));
    None
}

/// An image type, with the technique by which a frame was computed from a volume as its last value.
fn with_technique(image_type: Option<String>, technique: Option<String>) -> Option<String> {
    let computed = technique.filter(|technique| technique != "NONE");
    let Some(computed) = computed else { return image_type };
    match image_type {
        Some(image_type) if image_type.split('\\').all(|value| value.trim() != computed) => {
            Some(format!("{image_type}\\{computed}"))
        }
        other => other.or(Some(computed)),
    }
}

/// The position of a slice, and the last decimal that each of its numbers needs, in mm: 0.01 for `-12.5\\3\\1.250000` in the
/// last.
fn position(own: &InMemDicomObject) -> Result<([f64; 3], [f64; 3]), Problem> {
    let position: [f64; 3] = required(own, tags::IMAGE_POSITION_PATIENT, numbers)?;
    let written = required(own, tags::IMAGE_POSITION_PATIENT, text)?;
    if !POSITION_MM.hold(&position) {
        let found = format!("`{written}`");
        return Err(Problem::value(tags::IMAGE_POSITION_PATIENT, found, POSITION_MM));
    }
    let mut step = [0.0; 3];
    for ((step, mm), number) in step.iter_mut().zip(position).zip(written.split('\\')) {
        *step = last_decimal_mm(mm, number);
    }
    Ok((position, step))
}

/// The last decimal that a number needs.
///
/// METHOD: programs fill numbers up with zeros, write them with an exponent, or write the digits of a real of 32 bits, so
/// that -299.38 is `-299.380005`. Decimals are those without which the number would change by more than such noise; 1 at
/// least, where the text has a point or an exponent: `5.0` is no proof of a number that was rounded to 1 mm.
fn last_decimal_mm(mm: f64, number: &str) -> f64 {
    const MOST_DECIMALS: i32 = 9;
    let least = i32::from(number.contains(['.', 'e', 'E']));
    let is_enough = |decimals: &i32| {
        let scaled = mm * 10f64.powi(*decimals);
        (scaled - scaled.round()).abs() <= FLOAT_NOISE * scaled.abs().max(1.0)
    };
    let decimals = (least..MOST_DECIMALS).find(is_enough).unwrap_or(MOST_DECIMALS);
    0.1f64.powi(decimals)
}

/// METHOD: the day of the acquisition, else of the study, which may begin a day earlier. A text that is not a date
/// counts as none, as no image depends on it.
fn acquired_on(values: &InMemDicomObject) -> Option<Date> {
    [tags::ACQUISITION_DATE, tags::ACQUISITION_DATE_TIME, tags::STUDY_DATE]
        .into_iter()
        .find_map(|tag| Date::from_dicom(&text(values, tag).ok()??))
}

fn pixel_format(
    elements: &Elements,
    own: &InMemDicomObject,
    irregular: &mut Vec<Irregularity>,
) -> Result<PixelFormat, Problem> {
    let values = &elements.values;
    let packing = syntax::packing(&elements.transfer_syntax)?;
    expect_integer(values, tags::SAMPLES_PER_PIXEL, 1)?;
    expect_monochrome(values)?;
    let bits_allocated = bits_allocated(values, packing)?;
    let bits_stored = integer(values, tags::BITS_STORED)?;
    let high_bit = integer(values, tags::HIGH_BIT)?;
    if !(1..=bits_allocated).contains(&bits_stored) {
        return Err(Problem::value(
            tags::BITS_STORED,
            bits_stored,
            format!("1 to {bits_allocated}"),
        ));
    }
    // The pixels tell whether a high bit that contradicts the number of bits is right; compressed ones are not asked.
    let is_compressed = matches!(packing, Packing::Encapsulated(_));
    let least = if is_compressed { bits_stored - 1 } else { 0 };
    if !(least..bits_allocated).contains(&high_bit) {
        let greatest = bits_allocated - 1;
        let expected = format!("{least} to {greatest}, as {bits_stored} bits are stored");
        return Err(Problem::value(tags::HIGH_BIT, high_bit, expected));
    }
    let is_contradicted = !is_compressed && high_bit != bits_stored - 1;
    let stated_high_bit = is_contradicted.then_some(u32::from(high_bit));
    let high_bit = if is_contradicted { bits_stored - 1 } else { high_bit };
    let signed = match integer(values, tags::PIXEL_REPRESENTATION)? {
        0 => false,
        1 => true,
        other => return Err(Problem::value(tags::PIXEL_REPRESENTATION, other, "0 or 1")),
    };
    let [slope] = repeated_numbers(own, tags::RESCALE_SLOPE, irregular)?;
    let [intercept] = repeated_numbers(own, tags::RESCALE_INTERCEPT, irregular)?;
    for (tag, value, limit) in
        [(tags::RESCALE_SLOPE, slope, SLOPE), (tags::RESCALE_INTERCEPT, intercept, INTERCEPT)]
    {
        if !limit.holds(value) {
            return Err(Problem::value(tag, value, limit));
        }
    }
    Ok(PixelFormat {
        packing,
        data_set: elements.data_set,
        big_endian: syntax::encoding(&elements.transfer_syntax).big_endian,
        bits_allocated: bits_allocated.into(),
        bits_stored: bits_stored.into(),
        high_bit: high_bit.into(),
        stated_high_bit,
        signed,
        slope,
        intercept,
        padding: elements.padding,
    })
}

/// METHOD: `MONOCHROME1` and `MONOCHROME2` differ in which values are displayed bright (PS3.3, C.7.6.3.1.2). HU
/// result from the modality rescaling, which comes before display (PS3.4, N.2), so both are read alike.
fn expect_monochrome(values: &InMemDicomObject) -> Result<(), Problem> {
    let found = required(values, tags::PHOTOMETRIC_INTERPRETATION, text)?;
    if matches!(found.as_str(), "MONOCHROME1" | "MONOCHROME2") {
        return Ok(());
    }
    let expected = "MONOCHROME1 or MONOCHROME2";
    Err(Problem::value(tags::PHOTOMETRIC_INTERPRETATION, found, expected))
}

/// PS3.3, C.8.2.1.1.4 demands 16. JPEG baseline, which has only 8, is the exception.
fn bits_allocated(values: &InMemDicomObject, packing: Packing) -> Result<u16, Problem> {
    match (integer(values, tags::BITS_ALLOCATED)?, packing) {
        (16, _) => Ok(16),
        (8, Packing::Encapsulated(_)) => Ok(8),
        (found, Packing::Encapsulated(_)) => {
            Err(Problem::value(tags::BITS_ALLOCATED, found, "8 or 16"))
        }
        (found, _) => Err(Problem::value(tags::BITS_ALLOCATED, found, 16)),
    }
}

/// Refuses pixel data that are not in fragments, or whose frames are too large.
pub(crate) fn check_compressed(pixels: PixelDataRange, size: [usize; 2]) -> Result<(), Problem> {
    if let Some(length) = pixels.length {
        let found = format!("{length} bytes");
        return Err(Problem::value(tags::PIXEL_DATA, found, "encapsulated fragments"));
    }
    if !(1..=MAX_COMPRESSED_VOXELS).contains(&((size[0] * size[1]) as u64)) {
        let found = format!("of {} x {} voxels", size[0], size[1]);
        let expected = format!("1 to {MAX_COMPRESSED_VOXELS}, as it is compressed");
        return Err(Problem::value(tags::PIXEL_DATA, found, expected));
    }
    Ok(())
}

/// The offset of uncompressed pixels, which are checked to be complete, and whether more bytes follow them.
pub(crate) fn plain_offset(
    elements: &Elements,
    pixels: PixelDataRange,
    n_voxels: u64,
    bytes_of_frame: u64,
    size: impl Fn() -> String,
) -> Result<(u64, bool), Problem> {
    // PS3.5, 8.1.1: bytes after the last pixel mean nothing. As many as a frame has would be pixels.
    let expected = 2 * n_voxels;
    let is_plausible = |length| (expected..expected + bytes_of_frame).contains(&length);
    if expected == 0 || !pixels.length.is_some_and(is_plausible) {
        let found = pixels.length.map_or("encapsulated".to_owned(), |n| format!("{n} bytes"));
        let expected = format!("{expected} bytes, 2 for each of {} voxels", size());
        return Err(Problem::value(tags::PIXEL_DATA, found, expected));
    }
    let (end, length) = (pixels.offset + expected, elements.length);
    if end > length {
        let element = FoundTag(tags::PIXEL_DATA).name();
        return Err(Problem::Truncated { element, end, length });
    }
    Ok((pixels.offset, pixels.length != Some(expected)))
}

fn expect_integer(values: &InMemDicomObject, tag: Tag, expected: u16) -> Result<(), Problem> {
    let found = integer(values, tag)?;
    if found == expected { Ok(()) } else { Err(Problem::value(tag, found, expected)) }
}

#[cfg(test)]
mod tests {
    use super::last_decimal_mm;

    #[test]
    fn decimals_are_those_that_a_number_needs() {
        for (number, decimals) in [
            ("-299.380000", 2),
            ("-2.99380000e+02", 2),
            ("-299.380005", 2),
            ("-299.38", 2),
            ("-1299.5", 1),
            ("-1299.500", 1),
            ("12.345678", 6),
            ("5.0", 1),
            ("5", 0),
            ("0", 0),
            ("0.000000", 1),
        ] {
            let found = last_decimal_mm(number.parse().unwrap(), number);
            assert!((found / 0.1f64.powi(decimals) - 1.0).abs() < 1e-9, "{number}: {found}");
        }
    }
}
