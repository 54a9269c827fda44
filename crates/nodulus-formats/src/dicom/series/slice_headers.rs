//! Reads the headers of slices.

use super::multi_frame;
use super::slice::{FrameLocation, SliceHeader};
use super::slice_attributes::{check_compressed, plain_offset, slice};
use super::sop_class::{self, SopClass, is_localizer};
use crate::dicom::element::elements::{self, Elements};
use crate::dicom::element::syntax::{self, Packing};
use crate::dicom::element::values::{required, text};
use crate::dicom::error::{Error, Problem, attribute_name};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// In the order of the tags, as reading ends after the last one.
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

/// Reads the header of a slice, or of each frame in a file with several; empty for a localizer.
fn read(file: &Path) -> Result<Vec<SliceHeader>, Error> {
    let slices = match elements::read(file, &WANTED)? {
        None => Err(Problem::NotDicom),
        Some(elements) if is_localizer(&elements.values, tags::IMAGE_TYPE) => Ok(Vec::new()),
        Some(elements) => slices(file, &elements),
    };
    slices.map_err(|problem| Error::file(file, problem))
}

fn slices(file: &Path, elements: &Elements) -> Result<Vec<SliceHeader>, Problem> {
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
    let mut slice = slice(file, elements, values, FrameLocation::at(0))?;
    // A problem with how pixels are stored takes precedence over one with their length, which follows from it.
    slice.location.offset = pixel_offset(elements, slice.size)?;
    Ok(vec![slice])
}

/// The offset of the pixels, which are checked to be complete or in fragments.
fn pixel_offset(elements: &Elements, size: [usize; 2]) -> Result<u64, Problem> {
    let pixels =
        elements.pixels.ok_or_else(|| Problem::Missing(attribute_name(tags::PIXEL_DATA)))?;
    if let Packing::Encapsulated(_) = syntax::packing(&elements.transfer_syntax)? {
        check_compressed(pixels, size)?;
        return Ok(pixels.offset);
    }
    let n_voxels = (size[0] * size[1]) as u64;
    plain_offset(elements, pixels, n_voxels, || format!("{} x {}", size[0], size[1]))
}

fn expect(values: &InMemDicomObject, tag: Tag, value: &str, expected: &str) -> Result<(), Problem> {
    let found = required(values, tag, text)?;
    if found == value { Ok(()) } else { Err(Problem::value(tag, found, expected)) }
}

/// Reads the headers of all slices in files; there is at least one.
pub(crate) fn read_headers(files: &[PathBuf]) -> Result<Vec<SliceHeader>, Error> {
    let headers: Vec<_> = files.par_iter().map(|file| read(file)).collect();
    let mut slices = Vec::new();
    for header in headers {
        slices.extend(header?);
    }
    if slices.is_empty() {
        let folder = files.first().and_then(|file| file.parent()).unwrap_or(Path::new(""));
        return Err(Error::NoSlices { n_files: files.len(), folder: folder.to_owned() });
    }
    Ok(slices)
}
