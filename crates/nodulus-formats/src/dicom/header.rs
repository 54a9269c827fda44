//! The attributes of one slice.

use super::date::Date;
use super::elements::{self, Elements, PixelData};
use super::encapsulated::Fragment;
use super::error::name;
use super::pixels::PixelFormat;
use super::sop_class::{self, SopClass};
use super::syntax::{self, Packing};
use super::{Error, Problem, multi_frame};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use std::path::{Path, PathBuf};

/// One slice, but for its voxels.
#[derive(Clone, Debug)]
pub(super) struct Slice {
    pub(super) file: PathBuf,
    pub(super) place: FramePlace,
    pub(super) series_instance_uid: String,
    pub(super) study_instance_uid: String,
    pub(super) frame_of_reference_uid: Option<String>,
    pub(super) sop_class_uid: String,
    pub(super) sop_instance_uid: String,
    pub(super) patient_id: String,
    /// Day of acquisition, or of the study.
    pub(super) acquired_on: Option<Date>,
    /// Voxels along i and j.
    pub(super) size: [usize; 2],
    /// Spacing along i and j.
    pub(super) spacing_mm: [f64; 2],
    /// Centre of the first voxel.
    pub(super) position_mm: [f64; 3],
    /// Unit vectors of i, then of j.
    pub(super) orientation: [f64; 6],
    pub(super) thickness_mm: Option<f64>,
    pub(super) spacing_between_slices_mm: Option<f64>,
    pub(super) manufacturer: Option<String>,
    pub(super) model: Option<String>,
    pub(super) kernel: Option<String>,
    pub(super) kvp: Option<f64>,
    pub(super) tube_current: Option<f64>,
    pub(super) transfer_syntax: String,
    pub(super) pixels: PixelFormat,
}

impl Slice {
    /// The file, and which of its frames where it has several.
    pub(super) fn name(&self) -> PathBuf {
        match self.place.number {
            None => self.file.clone(),
            Some(number) => format!("{}, frame {number}", self.file.display()).into(),
        }
    }
}

/// Where the pixels of a slice are in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FramePlace {
    /// The frame, from 1, in a file of several.
    pub(super) number: Option<usize>,
    /// First byte in the file; in the data set, where it is deflated; of the pixel data, where it is
    /// encapsulated.
    pub(super) offset: u64,
    /// Its fragments, in an encapsulated file of several frames; all there are in one of a single.
    pub(super) fragments: Vec<Fragment>,
}

impl FramePlace {
    pub(super) const fn at(offset: u64) -> Self {
        Self { number: None, offset, fragments: Vec::new() }
    }
}

/// Of a slice whose file does not have to be as long as its pixels are: 4096 × 4096.
const MAX_COMPRESSED_VOXELS: u64 = 1 << 24;

/// In the order of their tags, as reading ends after the last one.
const WANTED: [Tag; 39] = [
    tags::SPECIFIC_CHARACTER_SET,
    tags::IMAGE_TYPE,
    tags::SOP_CLASS_UID,
    tags::SOP_INSTANCE_UID,
    tags::STUDY_DATE,
    tags::ACQUISITION_DATE,
    tags::ACQUISITION_DATE_TIME,
    tags::MODALITY,
    tags::MANUFACTURER,
    tags::MANUFACTURER_MODEL_NAME,
    tags::PATIENT_ID,
    tags::SLICE_THICKNESS,
    tags::KVP,
    tags::SPACING_BETWEEN_SLICES,
    tags::X_RAY_TUBE_CURRENT,
    tags::CONVOLUTION_KERNEL,
    tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
    tags::IMAGE_POSITION_PATIENT,
    tags::IMAGE_ORIENTATION_PATIENT,
    tags::FRAME_OF_REFERENCE_UID,
    tags::SAMPLES_PER_PIXEL,
    tags::PHOTOMETRIC_INTERPRETATION,
    tags::NUMBER_OF_FRAMES,
    tags::ROWS,
    tags::COLUMNS,
    tags::PIXEL_SPACING,
    tags::BITS_ALLOCATED,
    tags::BITS_STORED,
    tags::HIGH_BIT,
    tags::PIXEL_REPRESENTATION,
    tags::PIXEL_PADDING_VALUE,
    tags::RESCALE_INTERCEPT,
    tags::RESCALE_SLOPE,
    tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
    tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
    tags::EXTENDED_OFFSET_TABLE,
    tags::EXTENDED_OFFSET_TABLE_LENGTHS,
    tags::PIXEL_DATA,
];

/// Reads the header of a slice, or of each frame of a file of several; none where it is a localizer.
pub(super) fn read(file: &Path) -> Result<Vec<Slice>, Error> {
    let slices = match elements::read(file, &WANTED)? {
        None => Err(Problem::NotDicom),
        Some(elements) if is_localizer(&elements.values, tags::IMAGE_TYPE) => Ok(Vec::new()),
        Some(elements) => slices(file, &elements),
    };
    slices.map_err(|problem| Error::file(file, problem))
}

/// Whether an image type, a file's or a frame's, is that of a scout view, which some scanners put
/// into the series that it plans.
pub(super) fn is_localizer(values: &InMemDicomObject, image_type: Tag) -> bool {
    text(values, image_type).is_ok_and(|found| {
        found.is_some_and(|types| types.split('\\').any(|t| t.trim() == "LOCALIZER"))
    })
}

fn slices(file: &Path, elements: &Elements) -> Result<Vec<Slice>, Problem> {
    let values = &elements.values;
    expect(values, tags::MODALITY, "CT", "CT")?;
    let class = required(values, tags::SOP_CLASS_UID, text)?;
    match sop_class::of(&class) {
        SopClass::MultiFrameCt => return multi_frame::slices(file, elements),
        SopClass::Ct => {}
        SopClass::NoScan(_) | SopClass::Other => {
            let expected = "CT Image, Enhanced CT or Legacy Converted Enhanced CT Storage";
            return Err(Problem::value(tags::SOP_CLASS_UID, class, expected));
        }
    }
    if let Some(frames) = text(values, tags::NUMBER_OF_FRAMES)?.filter(|frames| frames != "1") {
        return Err(Problem::value(tags::NUMBER_OF_FRAMES, frames, 1));
    }
    let mut slice = slice(file, elements, values, FramePlace::at(0))?;
    // How pixels are stored is told before a length that does not follow from it.
    slice.place.offset = pixel_offset(elements, slice.size)?;
    Ok(vec![slice])
}

/// Voxels along i and j.
pub(super) fn size(values: &InMemDicomObject) -> Result<[usize; 2], Problem> {
    Ok([integer(values, tags::COLUMNS)?, integer(values, tags::ROWS)?].map(usize::from))
}

/// A slice of a file: `own` are the attributes that may differ from frame to frame.
pub(super) fn slice(
    file: &Path,
    elements: &Elements,
    own: &InMemDicomObject,
    place: FramePlace,
) -> Result<Slice, Problem> {
    let values = &elements.values;
    let spacing: [f64; 2] = required(own, tags::PIXEL_SPACING, numbers)?;
    if spacing.iter().any(|mm| *mm <= 0.0) {
        let found = format!("{spacing:?}");
        return Err(Problem::value(tags::PIXEL_SPACING, found, "two distances in mm, over 0"));
    }
    let tube_current =
        number(own, tags::X_RAY_TUBE_CURRENT)?.or(number(own, tags::X_RAY_TUBE_CURRENT_INM_A)?);
    Ok(Slice {
        file: file.to_owned(),
        place,
        series_instance_uid: required(values, tags::SERIES_INSTANCE_UID, text)?,
        study_instance_uid: required(values, tags::STUDY_INSTANCE_UID, text)?,
        frame_of_reference_uid: text(values, tags::FRAME_OF_REFERENCE_UID)?,
        sop_class_uid: required(values, tags::SOP_CLASS_UID, text)?,
        sop_instance_uid: required(values, tags::SOP_INSTANCE_UID, text)?,
        // Of type 2: it may be empty.
        patient_id: text(values, tags::PATIENT_ID)?.unwrap_or_default(),
        acquired_on: acquired_on(values),
        size: size(values)?,
        // DICOM has the distance between rows, which is along j, first.
        spacing_mm: [spacing[1], spacing[0]],
        position_mm: required(own, tags::IMAGE_POSITION_PATIENT, numbers)?,
        orientation: required(own, tags::IMAGE_ORIENTATION_PATIENT, numbers)?,
        thickness_mm: number(own, tags::SLICE_THICKNESS)?,
        spacing_between_slices_mm: number(own, tags::SPACING_BETWEEN_SLICES)?,
        manufacturer: text(values, tags::MANUFACTURER)?,
        model: text(values, tags::MANUFACTURER_MODEL_NAME)?,
        kernel: text(own, tags::CONVOLUTION_KERNEL)?,
        kvp: number(own, tags::KVP)?,
        tube_current,
        transfer_syntax: elements.transfer_syntax.clone(),
        pixels: pixel_format(elements, own)?,
    })
}

/// METHOD: the day of acquisition, else that of the study, which may begin the day before. What is no
/// date is none: no image depends on it.
fn acquired_on(values: &InMemDicomObject) -> Option<Date> {
    [tags::ACQUISITION_DATE, tags::ACQUISITION_DATE_TIME, tags::STUDY_DATE]
        .into_iter()
        .find_map(|tag| Date::from_dicom(&text(values, tag).ok()??))
}

fn pixel_format(elements: &Elements, own: &InMemDicomObject) -> Result<PixelFormat, Problem> {
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
    if !(bits_stored - 1..bits_allocated).contains(&high_bit) {
        let (least, greatest) = (bits_stored - 1, bits_allocated - 1);
        let expected = format!("{least} to {greatest}, as {bits_stored} bits are stored");
        return Err(Problem::value(tags::HIGH_BIT, high_bit, expected));
    }
    let signed = match integer(values, tags::PIXEL_REPRESENTATION)? {
        0 => false,
        1 => true,
        other => return Err(Problem::value(tags::PIXEL_REPRESENTATION, other, "0 or 1")),
    };
    let slope = required(own, tags::RESCALE_SLOPE, number)?;
    if slope <= 0.0 {
        return Err(Problem::value(tags::RESCALE_SLOPE, slope, "a number over 0"));
    }
    Ok(PixelFormat {
        packing,
        data_set: elements.data_set,
        big_endian: syntax::encoding(&elements.transfer_syntax).big_endian,
        bits_allocated: bits_allocated.into(),
        bits_stored: bits_stored.into(),
        high_bit: high_bit.into(),
        signed,
        slope,
        intercept: required(own, tags::RESCALE_INTERCEPT, number)?,
        padding: elements.padding,
    })
}

/// METHOD: `MONOCHROME1` and `MONOCHROME2` differ in what is shown bright (PS3.3, C.7.6.3.1.2), and HU
/// come out of the modality's rescaling before that (PS3.4, N.2): both are read alike.
fn expect_monochrome(values: &InMemDicomObject) -> Result<(), Problem> {
    let found = required(values, tags::PHOTOMETRIC_INTERPRETATION, text)?;
    if matches!(found.as_str(), "MONOCHROME1" | "MONOCHROME2") {
        return Ok(());
    }
    let expected = "MONOCHROME1 or MONOCHROME2";
    Err(Problem::value(tags::PHOTOMETRIC_INTERPRETATION, found, expected))
}

/// PS3.3, C.8.2.1.1.4: 16. Only JPEG baseline makes slices of 8, as it has no more.
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

/// Where the pixels begin, once it is seen that they are all there, or that they are in fragments.
fn pixel_offset(elements: &Elements, size: [usize; 2]) -> Result<u64, Problem> {
    let pixels = elements.pixels.ok_or_else(|| Problem::Missing(name(tags::PIXEL_DATA)))?;
    if let Packing::Encapsulated(_) = syntax::packing(&elements.transfer_syntax)? {
        check_compressed(pixels, size)?;
        return Ok(pixels.offset);
    }
    let n_voxels = (size[0] * size[1]) as u64;
    plain_offset(elements, pixels, n_voxels, || format!("{} x {}", size[0], size[1]))
}

/// Refuses pixel data that is not in fragments, or whose frames are too large.
pub(super) fn check_compressed(pixels: PixelData, size: [usize; 2]) -> Result<(), Problem> {
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

/// Where pixels that are not compressed begin, once it is seen that they are all there.
pub(super) fn plain_offset(
    elements: &Elements,
    pixels: PixelData,
    n_voxels: u64,
    size: impl Fn() -> String,
) -> Result<u64, Problem> {
    let expected = 2 * n_voxels;
    if pixels.length != Some(expected) || expected == 0 {
        let found = pixels.length.map_or("encapsulated".to_owned(), |n| format!("{n} bytes"));
        let expected = format!("{expected} bytes, 2 for each of {} voxels", size());
        return Err(Problem::value(tags::PIXEL_DATA, found, expected));
    }
    let (end, length) = (pixels.offset + expected, elements.length);
    if end > length {
        return Err(Problem::Truncated { element: name(tags::PIXEL_DATA), end, length });
    }
    Ok(pixels.offset)
}

pub(super) type Read<T> = fn(&InMemDicomObject, Tag) -> Result<Option<T>, Problem>;

pub(super) fn required<T>(
    values: &InMemDicomObject,
    tag: Tag,
    read: Read<T>,
) -> Result<T, Problem> {
    read(values, tag)?.ok_or_else(|| Problem::Missing(name(tag)))
}

fn expect(values: &InMemDicomObject, tag: Tag, value: &str, expected: &str) -> Result<(), Problem> {
    let found = required(values, tag, text)?;
    if found == value { Ok(()) } else { Err(Problem::value(tag, found, expected)) }
}

fn expect_integer(values: &InMemDicomObject, tag: Tag, expected: u16) -> Result<(), Problem> {
    let found = integer(values, tag)?;
    if found == expected { Ok(()) } else { Err(Problem::value(tag, found, expected)) }
}

/// A text without the padding around it; none where it is missing or empty.
pub(super) fn text(values: &InMemDicomObject, tag: Tag) -> Result<Option<String>, Problem> {
    let Some(element) = values.get(tag) else { return Ok(None) };
    let found = element.to_str().map_err(|error| Problem::elements(&error))?;
    let found = found.trim_matches(['\0', ' ']);
    Ok((!found.is_empty()).then(|| found.to_owned()))
}

fn number(values: &InMemDicomObject, tag: Tag) -> Result<Option<f64>, Problem> {
    Ok(numbers(values, tag)?.map(|[number]| number))
}

/// Exactly `N` finite decimal numbers.
fn numbers<const N: usize>(
    values: &InMemDicomObject,
    tag: Tag,
) -> Result<Option<[f64; N]>, Problem> {
    let Some(found) = text(values, tag)? else { return Ok(None) };
    let parsed: Option<Vec<f64>> = found
        .split('\\')
        .map(|part| part.trim().parse().ok().filter(|number: &f64| number.is_finite()))
        .collect();
    match parsed.and_then(|numbers| numbers.try_into().ok()) {
        Some(numbers) => Ok(Some(numbers)),
        None => Err(Problem::value(tag, format!("`{found}`"), format!("{N} decimal numbers"))),
    }
}

fn integer(values: &InMemDicomObject, tag: Tag) -> Result<u16, Problem> {
    let element = values.get(tag).ok_or_else(|| Problem::Missing(name(tag)))?;
    let found = element.to_multi_int::<u16>().map_err(|error| Problem::elements(&error))?;
    match found[..] {
        [one] => Ok(one),
        _ => Err(Problem::value(tag, format!("{found:?}"), "one number")),
    }
}
