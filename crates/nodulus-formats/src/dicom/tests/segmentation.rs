//! Segmentations that the DICOM library wrote.
#![expect(clippy::float_cmp, reason = "numbers are read exactly as they were written")]

use super::elements::{bytes_of, item, number, sequence, text};
use crate::dicom::annotation::object::{AnnotationObject, parse};
use crate::dicom::element::data_set::DicomFile;
use crate::dicom::{Problem, Segmentation};
use dicom_core::value::{PixelFragmentSequence, PrimitiveValue};
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use flate2::Compression;
use flate2::read::DeflateEncoder;
use std::io::Read;

/// Three frames of 3 × 3 pixels, the last one of segment 2, with these pixel data.
fn segmentation(kind: &str, class: &str, bits: u16, pixels: &[u8]) -> InMemDicomObject {
    let mut object = InMemDicomObject::new_empty();
    text(&mut object, tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100");
    text(&mut object, tags::SOP_CLASS_UID, VR::UI, class);
    text(&mut object, tags::SOP_INSTANCE_UID, VR::UI, "1.2.3");
    text(&mut object, tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.5");
    let series = item(|o| text(o, tags::SERIES_INSTANCE_UID, VR::UI, "1.4"));
    sequence(&mut object, tags::REFERENCED_SERIES_SEQUENCE, vec![series]);
    text(&mut object, tags::SEGMENTATION_TYPE, VR::CS, kind);
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, 3),
        (tags::COLUMNS, 3),
        (tags::BITS_ALLOCATED, bits),
        (tags::BITS_STORED, bits),
        (tags::HIGH_BIT, bits - 1),
        (tags::PIXEL_REPRESENTATION, 0),
        (tags::MAXIMUM_FRACTIONAL_VALUE, 200),
    ] {
        number(&mut object, tag, value);
    }
    text(&mut object, tags::NUMBER_OF_FRAMES, VR::IS, "3");
    let segment = |n: u16, label: &'static [u8]| {
        item(|o| {
            number(o, tags::SEGMENT_NUMBER, n);
            let label: String = label.iter().map(|byte| char::from(*byte)).collect();
            text(o, tags::SEGMENT_LABEL, VR::LO, &label);
        })
    };
    sequence(
        &mut object,
        tags::SEGMENT_SEQUENCE,
        vec![segment(1, b"Nodule \xfc"), segment(2, b"b")],
    );
    let shared = item(|o| {
        let measures = item(|o| {
            text(o, tags::PIXEL_SPACING, VR::DS, "0.8\\0.7");
            text(o, tags::SPACING_BETWEEN_SLICES, VR::DS, "2.5");
        });
        sequence(o, tags::PIXEL_MEASURES_SEQUENCE, vec![measures]);
        let orientation =
            item(|o| text(o, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0"));
        sequence(o, tags::PLANE_ORIENTATION_SEQUENCE, vec![orientation]);
    });
    sequence(&mut object, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]);
    let frames = [(1, "1\\2\\3"), (1, "1\\2\\5.5"), (2, "1\\2\\5.5")].map(|(segment, position)| {
        item(|o| {
            let plane = item(|o| text(o, tags::IMAGE_POSITION_PATIENT, VR::DS, position));
            sequence(o, tags::PLANE_POSITION_SEQUENCE, vec![plane]);
            let of = item(|o| number(o, tags::REFERENCED_SEGMENT_NUMBER, segment));
            sequence(o, tags::SEGMENT_IDENTIFICATION_SEQUENCE, vec![of]);
        })
    });
    sequence(&mut object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, frames.to_vec());
    let vr = if bits == 16 { VR::OW } else { VR::OB };
    object.put(DataElement::new(tags::PIXEL_DATA, vr, PrimitiveValue::from(pixels.to_vec())));
    object
}

/// Nine bits for each frame: pixel (2, 2) of frame 1, (0, 0) and (1, 0) of frame 2, (1, 1) of frame 3.
const BITS: [u8; 4] = [0x00, 0b0000_0111, 0b0100_0000, 0x00];

pub(super) fn binary() -> InMemDicomObject {
    segmentation("BINARY", uids::SEGMENTATION_STORAGE, 1, &BITS)
}

pub(super) fn read(bytes: Vec<u8>) -> Result<Segmentation, Problem> {
    match parse(&DicomFile::new(bytes)?, 0.5)? {
        AnnotationObject::Segmentation(segmentation) => Ok(segmentation),
        AnnotationObject::StructureSet(_) => panic!("a structure set"),
    }
}

/// Pixels (i, j, frame) of each segment.
fn pixels(segmentation: &Segmentation) -> Vec<(u16, Vec<[usize; 3]>)> {
    let of = |frames: &[(usize, crate::volume::PlacedMask)]| {
        let pixels = frames.iter().flat_map(|(n, mask)| mask.voxels().map(|[i, j, _]| [i, j, *n]));
        pixels.collect()
    };
    segmentation.segments.iter().map(|segment| (segment.number, of(&segment.frames))).collect()
}

fn expected() -> Vec<(u16, Vec<[usize; 3]>)> {
    vec![(1, vec![[2, 2, 0], [0, 0, 1], [1, 0, 1]]), (2, vec![[1, 1, 2]])]
}

#[test]
fn bits_continue_from_frame_to_frame() {
    for syntax in [uids::EXPLICIT_VR_LITTLE_ENDIAN, uids::IMPLICIT_VR_LITTLE_ENDIAN] {
        let found = read(bytes_of(binary(), syntax)).unwrap();
        assert_eq!(pixels(&found), expected(), "{syntax}");
        assert_eq!(found.segments[0].label, "Nodule ü");
        assert_eq!(found.planes[2].position_mm, [1.0, 2.0, 5.5]);
        assert_eq!(
            (found.planes[0].spacing_mm, found.spacing_between_slices_mm),
            ([0.7, 0.8], Some(2.5))
        );
        assert!(found.referenced.series.contains("1.4"));
        assert!(found.referenced.frames_of_reference.contains("1.5"));
    }
}

/// One value for each pixel: that of the frame for the pixels in `expected`, `outside` for others.
pub(super) fn values(inside: [u8; 3], outside: u8) -> Vec<u8> {
    let mut values = vec![outside; 27];
    for [i, j, frame] in expected().into_iter().flat_map(|(_, pixels)| pixels) {
        values[frame * 9 + j * 3 + i] = inside[frame];
    }
    values
}

#[test]
fn fractions_count_from_the_threshold() {
    let of = |pixels: &[u8]| segmentation("FRACTIONAL", uids::SEGMENTATION_STORAGE, 8, pixels);
    let mut padded = values([100, 200, 150], 99);
    padded.push(0);
    let bytes = bytes_of(of(&padded), uids::EXPLICIT_VR_LITTLE_ENDIAN);
    assert_eq!(pixels(&read(bytes.clone()).unwrap()), expected());
    let found = match parse(&DicomFile::new(bytes).unwrap(), 0.8).unwrap() {
        AnnotationObject::Segmentation(found) => pixels(&found),
        AnnotationObject::StructureSet(_) => panic!("a structure set"),
    };
    assert_eq!(found, [(1, vec![[0, 0, 1], [1, 0, 1]]), (2, vec![])]);
    let mut none = of(&padded);
    number(&mut none, tags::MAXIMUM_FRACTIONAL_VALUE, 0);
    let error = read(bytes_of(none, uids::EXPLICIT_VR_LITTLE_ENDIAN)).unwrap_err().to_string();
    assert!(error.starts_with("MaximumFractionalValue (0062,000E) is 0"), "{error}");
}

pub(super) fn label_map(pixels: &[u8], bits: u16) -> InMemDicomObject {
    segmentation("LABELMAP", uids::LABEL_MAP_SEGMENTATION_STORAGE, bits, pixels)
}

#[test]
fn a_label_maps_values_are_numbers_of_segments() {
    let mut bytes = values([1, 1, 2], 0);
    bytes.push(0);
    let found = read(bytes_of(label_map(&bytes, 8), uids::EXPLICIT_VR_LITTLE_ENDIAN)).unwrap();
    assert_eq!(pixels(&found), expected());
    let words: Vec<u8> = values([1, 1, 2], 2).iter().flat_map(|v| [*v, 0]).collect();
    let mut padded = label_map(&words, 16);
    number(&mut padded, tags::PIXEL_PADDING_VALUE, 2);
    let found = read(bytes_of(padded, uids::IMPLICIT_VR_LITTLE_ENDIAN)).unwrap();
    assert_eq!(pixels(&found), [(1, vec![[2, 2, 0], [0, 0, 1], [1, 0, 1]])]);
    bytes[26] = 7;
    let error = read(bytes_of(label_map(&bytes, 8), uids::EXPLICIT_VR_LITTLE_ENDIAN)).unwrap_err();
    let expected =
        "PixelData (7FE0,0010) is 7 in frame 3, expected the number of a segment, or background";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn compressed_frames_are_read_or_refused_by_name() {
    // PS3.5, annex G: one segment with nine literal bytes.
    let fragment = |frame: &[u8]| {
        let mut bytes: Vec<u8> = [1u32, 64].iter().flat_map(|n| n.to_le_bytes()).collect();
        bytes.resize(64, 0);
        bytes.push(8);
        bytes.extend(frame);
        bytes
    };
    let values = values([1, 1, 2], 0);
    let fragments: Vec<_> = values.chunks(9).map(fragment).collect();
    let encapsulated = |fragments: Vec<Vec<u8>>, bits| {
        let mut object = label_map(&[], bits);
        let fragments = PixelFragmentSequence::new_fragments(fragments);
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, fragments));
        bytes_of(object, uids::RLE_LOSSLESS)
    };
    assert_eq!(pixels(&read(encapsulated(fragments.clone(), 8)).unwrap()), expected());
    let error = read(encapsulated(fragments[..2].to_vec(), 8)).unwrap_err().to_string();
    assert!(error.contains("2 fragments of 9 pixels, expected 3"), "{error}");
    let unread = bytes_of(binary(), "1.2.840.10008.1.2.4.110");
    let error = read(unread).unwrap_err().to_string();
    assert!(error.contains("JPEG XL"), "{error}");
    let error = read(bytes_of(binary(), uids::RLE_LOSSLESS)).unwrap_err().to_string();
    assert!(error.contains("of 1 bits in transfer syntax 1.2.840.10008.1.2.5"), "{error}");
}

#[test]
fn a_deflated_file_is_inflated() {
    let plain = bytes_of(binary(), uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let find = |part: &[u8]| plain.windows(part.len()).position(|window| window == part).unwrap();
    // The same meta group with the other transfer syntax, which the library cannot write; the data set begins with
    // its character set.
    let (old, start) = (b"\x14\x001.2.840.10008.1.2.1\0", find(b"\x08\0\x05\0CS"));
    let at = find(old);
    let mut bytes = plain[..at].to_vec();
    bytes.extend(b"\x16\x001.2.840.10008.1.2.1.99");
    bytes.extend(&plain[at + old.len()..start]);
    DeflateEncoder::new(&plain[start..], Compression::best()).read_to_end(&mut bytes).unwrap();
    assert_eq!(pixels(&read(bytes).unwrap()), expected());
}

#[test]
fn invalid_segmentations_are_refused_by_attribute() {
    type Change = fn(&mut InMemDicomObject);
    let changes: [(Change, &str); 9] = [
        (
            |o| text(o, tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE),
            "SOPClassUID (0008,0016) is 1.2.840.10008.5.1.4.1.1.2, expected Seg",
        ),
        (
            |o| text(o, tags::SEGMENTATION_TYPE, VR::CS, "LABELMAP"),
            "SegmentationType (0062,0001) is LABELMAP in 1.2",
        ),
        (
            |o| text(o, tags::NUMBER_OF_FRAMES, VR::IS, "2"),
            "NumberOfFrames (0028,0008) is 2, expected 3",
        ),
        (|o| number(o, tags::ROWS, 4), "PixelData (7FE0,0010) is 4 bytes, expected 5 bytes"),
        (|o| number(o, tags::BITS_ALLOCATED, 8), "BitsAllocated (0028,0100) is 8, expected 1"),
        (
            |o| {
                o.remove_element(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
            },
            "PlaneOrientationSequence (0020,9116) is missing",
        ),
        (
            |o| sequence(o, tags::SEGMENT_SEQUENCE, Vec::new()),
            "ReferencedSegmentNumber (0062,000B) is 1, expected the number of a segment",
        ),
        (
            |o| {
                o.remove_element(tags::PIXEL_DATA);
            },
            "PixelData (7FE0,0010) is missing",
        ),
        (
            |o| text(o, tags::NUMBER_OF_FRAMES, VR::IS, "x"),
            "NumberOfFrames (0028,0008) is `x`, expected an integer",
        ),
    ];
    for (change, expected) in changes {
        let mut object = binary();
        change(&mut object);
        let error =
            read(bytes_of(object, uids::EXPLICIT_VR_LITTLE_ENDIAN)).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}\nexpected: {expected}");
    }
}
