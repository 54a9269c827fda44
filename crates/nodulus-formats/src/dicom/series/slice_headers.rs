//! Reads the headers of slices.

use super::compression;
use super::multi_frame;
use super::slice::{FrameLocation, SliceHeader};
use super::slice_attributes::{check_compressed, plain_offset, size, slice};
use super::sop_class::{self, SopClass, is_localizer};
use super::telling::told_tags;
use crate::dicom::element::elements::{self, Elements};
use crate::dicom::element::syntax::{self, Packing};
use crate::dicom::element::values::{count, integer, required, text};
use crate::dicom::error::{Error, Problem, attribute_name};
use crate::dicom::irregularities::Irregularity;
use crate::dicom::passed_over::{PassedOver, PassedOverRule};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// What a slice needs, beside the attributes that tell images apart.
const NEEDED: [Tag; 48] = [
    tags::SPECIFIC_CHARACTER_SET,
    tags::IMAGE_TYPE,
    tags::SOP_CLASS_UID,
    tags::SOP_INSTANCE_UID,
    tags::STUDY_DATE,
    tags::MODALITY,
    tags::MANUFACTURER,
    tags::SERIES_DESCRIPTION,
    tags::MANUFACTURER_MODEL_NAME,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID,
    tags::CONTRAST_BOLUS_AGENT,
    tags::BODY_PART_EXAMINED,
    tags::SLICE_THICKNESS,
    tags::KVP,
    tags::SPACING_BETWEEN_SLICES,
    tags::CONVOLUTION_KERNEL,
    tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
    tags::SERIES_NUMBER,
    tags::ACQUISITION_NUMBER,
    tags::IMAGE_POSITION_PATIENT,
    tags::IMAGE_ORIENTATION_PATIENT,
    tags::FRAME_OF_REFERENCE_UID,
    tags::TEMPORAL_POSITION_IDENTIFIER,
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
    tags::RESCALE_TYPE,
    tags::LOSSY_IMAGE_COMPRESSION,
    tags::DERIVATION_CODE_SEQUENCE,
    tags::REAL_WORLD_VALUE_MAPPING_SEQUENCE,
    tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
    tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
    tags::EXTENDED_OFFSET_TABLE,
    tags::EXTENDED_OFFSET_TABLE_LENGTHS,
    tags::PIXEL_DATA,
];

/// In the order of the tags, as reading ends after the last one.
static WANTED: LazyLock<Vec<Tag>> = LazyLock::new(|| {
    let mut wanted: Vec<Tag> = NEEDED.into_iter().chain(told_tags()).collect();
    wanted.sort_unstable();
    wanted.dedup();
    wanted
});

/// What a file holds.
enum FileSlices {
    /// A slice, or each frame of several; none for a localizer.
    Slices(Vec<SliceHeader>),
    /// An image that is no slice.
    Aside(SetAside),
}

/// An image that is set aside, and by what it could be a slice that lost its position.
struct SetAside {
    image: PassedOver,
    image_type: Option<String>,
    size: Option<[usize; 2]>,
}

impl SetAside {
    /// Whether the image is of one kind with slices, and lacks a position alone.
    ///
    /// METHOD: a screen save in a series of derived images has a type or a size of its own.
    fn is_like(&self, slices: &[SliceHeader]) -> bool {
        let is_alike = |slice: &SliceHeader| {
            self.image_type == slice.labels.image_type && self.size == Some(slice.size)
        };
        self.image_type.is_some() && slices.iter().any(is_alike)
    }
}

fn read(file: &Path) -> Result<FileSlices, Error> {
    let slices = match elements::read(file, &WANTED)? {
        None => Err(Problem::NotDicom),
        Some(elements) if is_localizer(&elements.values, tags::IMAGE_TYPE) => {
            Ok(FileSlices::Slices(Vec::new()))
        }
        Some(elements) => slices(file, &elements),
    };
    slices.map_err(|problem| Error::file(file, problem))
}

fn slices(file: &Path, elements: &Elements) -> Result<FileSlices, Problem> {
    let values = &elements.values;
    let class = required(values, tags::SOP_CLASS_UID, text)?;
    if let Some(modality) = sop_class::modality(values)?.filter(|found| !sop_class::is_ct(found)) {
        return Err(Problem::value(tags::MODALITY, modality, "CT"));
    }
    match sop_class::of(&class) {
        SopClass::MultiFrameCt => {
            return multi_frame::slices(file, elements).map(FileSlices::Slices);
        }
        SopClass::Ct => {}
        SopClass::NoScan(_) | SopClass::Other => {
            let expected = "CT Image, Enhanced CT or Legacy Converted Enhanced CT Storage";
            return Err(Problem::value(tags::SOP_CLASS_UID, class, expected));
        }
    }
    // A file without pixels may be cut off.
    if let Some(what) = screen_save(values).filter(|_| elements.pixels.is_some()) {
        let aside = PassedOver::new(file, PassedOverRule::ScreenSave, what);
        let series_instance_uid = text(values, tags::SERIES_INSTANCE_UID)?;
        return Ok(FileSlices::Aside(SetAside {
            image: PassedOver { series_instance_uid, ..aside },
            // Colours say that it is no slice.
            image_type: text(values, tags::IMAGE_TYPE).ok().flatten().filter(|_| what != COLOURS),
            size: size(values).ok(),
        }));
    }
    let frames = text(values, tags::NUMBER_OF_FRAMES)?;
    if let Some(frames) = frames.filter(|frames| count(frames) != Some(1)) {
        return Err(Problem::value(tags::NUMBER_OF_FRAMES, frames, 1));
    }
    let mut slice = slice(file, elements, values, FrameLocation::at(0))?;
    // A problem with how pixels are stored takes precedence over one with their length, which follows from it.
    let (offset, has_excess) = pixel_offset(elements, slice.size)?;
    slice.location.offset = offset;
    slice.irregular.extend(has_excess.then_some(Irregularity::ExcessPixelBytes));
    Ok(FileSlices::Slices(vec![slice]))
}

/// What an image with colours is.
const COLOURS: &str = "CT (an image with colours)";

/// What slices have, and screen saves have not.
const PLACES: [Tag; 3] =
    [tags::IMAGE_ORIENTATION_PATIENT, tags::PIXEL_SPACING, tags::RESCALE_SLOPE];

/// How photometric interpretations of colours begin: PS3.3, C.7.6.3.1.2.
const COLOUR_MODELS: [&str; 6] = ["PALETTE", "RGB", "YBR", "HSV", "ARGB", "CMYK"];

/// What an image is that cannot be a slice of a scan.
///
/// METHOD: a slice has a position and shades of grey. An image with colours is none. One without a position may be a slice
/// that lost it, so it is none only if it says that it is derived from other images; or if it does not say that it is an
/// original, and has no orientation, spacing or rescaling either.
fn screen_save(values: &InMemDicomObject) -> Option<&'static str> {
    let is_there = |tag: &Tag| text(values, *tag).is_ok_and(|found| found.is_some());
    let photometric = text(values, tags::PHOTOMETRIC_INTERPRETATION).ok().flatten();
    let has_colours =
        photometric.is_some_and(|found| COLOUR_MODELS.iter().any(|m| found.starts_with(m)));
    if has_colours || integer(values, tags::SAMPLES_PER_PIXEL).is_ok_and(|samples| samples == 3) {
        return Some(COLOURS);
    }
    if is_there(&tags::IMAGE_POSITION_PATIENT) {
        return None;
    }
    let image_type = text(values, tags::IMAGE_TYPE).ok().flatten().unwrap_or_default();
    let any = |found: fn(&str) -> bool| image_type.split('\\').any(|part| found(part.trim()));
    let is_derived = any(|part| {
        matches!(part, "DERIVED" | "SECONDARY")
            || part.contains("SCREEN")
            || part.contains("REPORT")
    });
    let is_aside = is_derived || !any(|part| part == "ORIGINAL") && !PLACES.iter().any(is_there);
    is_aside.then_some("CT (an image without a position, as a screen save)")
}

/// The offset of the pixels, which are checked to be complete or in fragments, and whether more bytes follow them.
fn pixel_offset(elements: &Elements, size: [usize; 2]) -> Result<(u64, bool), Problem> {
    let pixels =
        elements.pixels.ok_or_else(|| Problem::Missing(attribute_name(tags::PIXEL_DATA)))?;
    if let Packing::Encapsulated(_) = syntax::packing(&elements.transfer_syntax)? {
        check_compressed(pixels, size)?;
        return Ok((pixels.offset, false));
    }
    let n_voxels = (size[0] * size[1]) as u64;
    plain_offset(elements, pixels, n_voxels, 2 * n_voxels, || format!("{} x {}", size[0], size[1]))
}

/// Reads the headers of all slices in files, of which there is at least one, and lists the images that are none.
pub(crate) fn read_headers(
    files: &[PathBuf],
) -> Result<(Vec<SliceHeader>, Vec<PassedOver>), Error> {
    let headers: Vec<_> = files.par_iter().map(|file| read(file)).collect();
    let (mut slices, mut set_aside) = (Vec::new(), Vec::new());
    for header in headers {
        match header? {
            FileSlices::Slices(of_file) => slices.extend(of_file),
            FileSlices::Aside(image) => set_aside.push(image),
        }
    }
    compression::undo(&mut slices);
    if let Some(lost) = set_aside.iter().find(|image| image.is_like(&slices)) {
        let problem = Problem::Missing(attribute_name(tags::IMAGE_POSITION_PATIENT));
        return Err(Error::file(&lost.image.path, problem));
    }
    let aside: Vec<PassedOver> = set_aside.into_iter().map(|set_aside| set_aside.image).collect();
    if slices.is_empty() {
        let folder = files.first().and_then(|file| file.parent()).unwrap_or(Path::new(""));
        let folder = folder.to_owned();
        return Err(Error::NoSlices { n_files: files.len(), folder, aside });
    }
    Ok((slices, aside))
}
