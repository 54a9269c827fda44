//! The slices of a file with several frames: Enhanced CT, and Legacy Converted Enhanced CT.

use super::slice::{FrameLocation, SliceHeader};
use super::slice_attributes;
use super::sop_class::{self, is_localizer};
use crate::dicom::element::elements::Elements;
use crate::dicom::element::fragments::MAX_FRAMES;
use crate::dicom::element::syntax::{self, Packing};
use crate::dicom::element::values::{count, required, text};
use crate::dicom::error::{Problem, attribute_name};
use crate::dicom::irregularities::Irregularity;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use std::path::Path;

/// Most voxels of a compressed file, 4,096 slices of 512 × 512: the file may be shorter than its voxels.
const MAX_COMPRESSED_VOXELS: u64 = 1 << 30;

/// The attributes that place a frame. By PS3.3, C.7.6.16 each is given either for all frames or for each one.
const PLACING: [Tag; 5] = [
    tags::IMAGE_POSITION_PATIENT,
    tags::IMAGE_ORIENTATION_PATIENT,
    tags::PIXEL_SPACING,
    tags::RESCALE_INTERCEPT,
    tags::RESCALE_SLOPE,
];

/// Parses one slice for each frame that is not a localizer.
pub(crate) fn slices(file: &Path, elements: &Elements) -> Result<Vec<SliceHeader>, Problem> {
    let frames = &elements.frames;
    let found = required(&elements.values, tags::NUMBER_OF_FRAMES, text)?;
    let n_frames = count(&found).filter(|n| (1..=MAX_FRAMES).contains(n));
    let n_frames = n_frames.ok_or_else(|| {
        Problem::value(tags::NUMBER_OF_FRAMES, &found, format!("1 to {MAX_FRAMES}"))
    })?;
    if frames.each.len() != n_frames {
        let found = format!("of {} items", frames.each.len());
        let expected = format!("{n_frames}, one for each frame");
        return Err(Problem::value(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, found, expected));
    }
    let shared = frames.shared.clone().unwrap_or_else(InMemDicomObject::new_empty);
    let (locations, has_excess) = locations(elements, n_frames)?;
    // A converter does not always know the type of slices.
    let class = required(&elements.values, tags::SOP_CLASS_UID, text)?;
    let needs_type = !sop_class::is_legacy(&class);
    let mut slices = Vec::new();
    for (at, (own, mut location)) in frames.each.iter().zip(locations).enumerate() {
        location.number = Some(at + 1);
        let slice = attributes(&shared, own).and_then(|attributes| {
            if is_localizer(&attributes, tags::FRAME_TYPE) {
                return Ok(None);
            }
            if needs_type {
                required(&attributes, tags::RESCALE_TYPE, text)?;
            }
            let mut slice = slice_attributes::slice(file, elements, &attributes, location)?;
            slice.irregular.extend(has_excess.then_some(Irregularity::ExcessPixelBytes));
            Ok(Some(slice))
        });
        slices.extend(slice.map_err(|problem| Problem::Frame(at + 1, Box::new(problem)))?);
    }
    Ok(slices)
}

/// The attributes of a frame: its own, and those that all frames share.
fn attributes(
    shared: &InMemDicomObject,
    own: &InMemDicomObject,
) -> Result<InMemDicomObject, Problem> {
    if let Some(twice) =
        PLACING.into_iter().find(|tag| shared.get(*tag).is_some() && own.get(*tag).is_some())
    {
        let found = "given for all frames and for this one";
        return Err(Problem::value(twice, found, "one of them"));
    }
    let mut attributes = shared.clone();
    for element in own {
        attributes.put(element.clone());
    }
    Ok(attributes)
}

/// The positions of the frames' pixels, which are checked to be complete, and whether more bytes follow them.
fn locations(elements: &Elements, n_frames: usize) -> Result<(Vec<FrameLocation>, bool), Problem> {
    let pixels =
        elements.pixels.ok_or_else(|| Problem::Missing(attribute_name(tags::PIXEL_DATA)))?;
    let size = slice_attributes::size(&elements.values)?;
    let voxels_of_frame = (size[0] * size[1]) as u64;
    let n_voxels = voxels_of_frame * n_frames as u64;
    match syntax::packing(&elements.transfer_syntax)? {
        Packing::Plain => {
            let frame = 2 * voxels_of_frame;
            let (offset, has_excess) =
                slice_attributes::plain_offset(elements, pixels, n_voxels, frame, || {
                    format!("{n_frames} x {} x {}", size[0], size[1])
                })?;
            let location = |at| FrameLocation::at(offset + 2 * voxels_of_frame * at);
            Ok(((0..n_frames as u64).map(location).collect(), has_excess))
        }
        Packing::Deflated => Err(Problem::value(
            tags::NUMBER_OF_FRAMES,
            format!("{n_frames} in a deflated file"),
            "another transfer syntax",
        )),
        Packing::Encapsulated(_) => {
            slice_attributes::check_compressed(pixels, size)?;
            if n_voxels > MAX_COMPRESSED_VOXELS {
                let found = format!("of {n_frames} x {} x {} voxels", size[0], size[1]);
                let expected = format!("at most {MAX_COMPRESSED_VOXELS}, as it is compressed");
                return Err(Problem::value(tags::PIXEL_DATA, found, expected));
            }
            let frames = &elements.frames;
            let tables = (frames.offsets.as_deref(), frames.lengths.as_deref());
            let fragments = frames.fragments.of_frames(n_frames, tables)?;
            let location =
                |fragments| FrameLocation { fragments, ..FrameLocation::at(pixels.offset) };
            Ok((fragments.into_iter().map(location).collect(), false))
        }
    }
}
