//! The slices of a file of several frames: Enhanced CT, and Legacy Converted Enhanced CT.

use super::Problem;
use super::elements::Elements;
use super::error::name;
use super::functional_groups::MAX_FRAMES;
use super::header::{self, FramePlace, Slice};
use super::syntax::{self, Packing};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use std::path::Path;

/// Most voxels of a compressed file, as it does not have to be as long as they are: 4,096 slices of
/// 512 × 512.
const MAX_COMPRESSED_VOXELS: u64 = 1 << 30;

/// What places a frame: PS3.3, C.7.6.16 has each either for all frames or for each.
const PLACING: [Tag; 5] = [
    tags::IMAGE_POSITION_PATIENT,
    tags::IMAGE_ORIENTATION_PATIENT,
    tags::PIXEL_SPACING,
    tags::RESCALE_INTERCEPT,
    tags::RESCALE_SLOPE,
];

/// One slice for each frame that is no localizer.
pub(super) fn slices(file: &Path, elements: &Elements) -> Result<Vec<Slice>, Problem> {
    let frames = &elements.frames;
    let found = header::required(&elements.values, tags::NUMBER_OF_FRAMES, header::text)?;
    let n_frames = found.parse().ok().filter(|n| (1..=MAX_FRAMES).contains(n));
    let n_frames: usize = n_frames.ok_or_else(|| {
        Problem::value(tags::NUMBER_OF_FRAMES, &found, format!("1 to {MAX_FRAMES}"))
    })?;
    if frames.each.len() != n_frames {
        let found = format!("of {} items", frames.each.len());
        let expected = format!("{n_frames}, one a frame");
        return Err(Problem::value(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, found, expected));
    }
    let shared = frames.shared.clone().unwrap_or_else(InMemDicomObject::new_empty);
    let places = places(elements, n_frames)?;
    let mut slices = Vec::new();
    for (at, (own, mut place)) in frames.each.iter().zip(places).enumerate() {
        place.number = Some(at + 1);
        let slice = attributes(&shared, own).and_then(|attributes| {
            if header::is_localizer(&attributes, tags::FRAME_TYPE) {
                return Ok(None);
            }
            expect_hu(&attributes)?;
            header::slice(file, elements, &attributes, place).map(Some)
        });
        slices.extend(slice.map_err(|problem| Problem::Frame(at + 1, Box::new(problem)))?);
    }
    Ok(slices)
}

/// A frame's own attributes and those of all frames.
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

/// METHOD: other rescale types, as those of multi-energy CT, are no Hounsfield units (PS3.3,
/// C.7.6.16.2.9); a group of pixel value transformation has to tell.
fn expect_hu(attributes: &InMemDicomObject) -> Result<(), Problem> {
    match header::required(attributes, tags::RESCALE_TYPE, header::text)?.as_str() {
        "HU" => Ok(()),
        other => Err(Problem::value(tags::RESCALE_TYPE, other, "HU")),
    }
}

/// Where each frame's pixels are, once it is seen that they are all there.
fn places(elements: &Elements, n_frames: usize) -> Result<Vec<FramePlace>, Problem> {
    let pixels = elements.pixels.ok_or_else(|| Problem::Missing(name(tags::PIXEL_DATA)))?;
    let size = header::size(&elements.values)?;
    let voxels_of_frame = (size[0] * size[1]) as u64;
    let n_voxels = voxels_of_frame * n_frames as u64;
    match syntax::packing(&elements.transfer_syntax)? {
        Packing::Plain => {
            let offset = header::plain_offset(elements, pixels, n_voxels, || {
                format!("{n_frames} x {} x {}", size[0], size[1])
            })?;
            let place = |at| FramePlace::at(offset + 2 * voxels_of_frame * at);
            Ok((0..n_frames as u64).map(place).collect())
        }
        Packing::Deflated => Err(Problem::value(
            tags::NUMBER_OF_FRAMES,
            format!("{n_frames} in a deflated file"),
            "another transfer syntax",
        )),
        Packing::Encapsulated(_) => {
            header::check_compressed(pixels, size)?;
            if n_voxels > MAX_COMPRESSED_VOXELS {
                let found = format!("of {n_frames} x {} x {} voxels", size[0], size[1]);
                let expected = format!("at most {MAX_COMPRESSED_VOXELS}, as it is compressed");
                return Err(Problem::value(tags::PIXEL_DATA, found, expected));
            }
            let frames = &elements.frames;
            let tables = (frames.offsets.as_deref(), frames.lengths.as_deref());
            let fragments = frames.fragments.of_frames(n_frames, tables)?;
            let place = |fragments| FramePlace { fragments, ..FramePlace::at(pixels.offset) };
            Ok(fragments.into_iter().map(place).collect())
        }
    }
}
