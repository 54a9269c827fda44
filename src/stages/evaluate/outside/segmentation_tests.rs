//! Masks in DICOM SEG.

use super::mask_folder::MaskFolder;
use crate::stages::crop::test_rows::roi;
use crate::tables::Roi;
use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, Length, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use std::path::Path;

fn item(elements: &[(Tag, VR, PrimitiveValue)]) -> InMemDicomObject {
    let mut object = InMemDicomObject::new_empty();
    for (tag, vr, value) in elements {
        object.put(DataElement::new(*tag, *vr, value.clone()));
    }
    object
}

fn sequence(object: &mut InMemDicomObject, tag: Tag, items: Vec<InMemDicomObject>) {
    object.put(DataElement::new(tag, VR::SQ, DataSetSequence::new(items, Length::UNDEFINED)));
}

/// Writes a binary segmentation of frames of 4 × 2 pixels of 1 mm, each with a segment, a position and its bits.
fn write(path: &Path, n_segments: u16, frames: &[(u16, &str, u8)]) {
    let text = |value: &str| PrimitiveValue::from(value);
    let number = |value: u16| PrimitiveValue::from(value);
    let pixels: Vec<u8> = frames.iter().map(|frame| frame.2).collect();
    let mut object = item(&[
        (tags::SOP_CLASS_UID, VR::UI, text(uids::SEGMENTATION_STORAGE)),
        (tags::SOP_INSTANCE_UID, VR::UI, text("1.2.3")),
        (tags::FRAME_OF_REFERENCE_UID, VR::UI, text("1.5")),
        (tags::SEGMENTATION_TYPE, VR::CS, text("BINARY")),
        (tags::SAMPLES_PER_PIXEL, VR::US, number(1)),
        (tags::ROWS, VR::US, number(2)),
        (tags::COLUMNS, VR::US, number(4)),
        (tags::BITS_ALLOCATED, VR::US, number(1)),
        (tags::BITS_STORED, VR::US, number(1)),
        (tags::HIGH_BIT, VR::US, number(0)),
        (tags::PIXEL_REPRESENTATION, VR::US, number(0)),
        (tags::NUMBER_OF_FRAMES, VR::IS, text(&frames.len().to_string())),
        (tags::PIXEL_DATA, VR::OB, PrimitiveValue::from(pixels)),
    ]);
    let segment = |n: u16| {
        item(&[
            (tags::SEGMENT_NUMBER, VR::US, number(n)),
            (tags::SEGMENT_LABEL, VR::LO, text("Nodule")),
        ])
    };
    sequence(&mut object, tags::SEGMENT_SEQUENCE, (1..=n_segments).map(segment).collect());
    let mut shared = InMemDicomObject::new_empty();
    let measures = [(tags::PIXEL_SPACING, VR::DS, text("1\\1"))];
    sequence(&mut shared, tags::PIXEL_MEASURES_SEQUENCE, vec![item(&measures)]);
    let axes = [(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, text("1\\0\\0\\0\\1\\0"))];
    sequence(&mut shared, tags::PLANE_ORIENTATION_SEQUENCE, vec![item(&axes)]);
    sequence(&mut object, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]);
    let groups = frames.iter().map(|(segment, position, _)| {
        let mut group = InMemDicomObject::new_empty();
        let position = [(tags::IMAGE_POSITION_PATIENT, VR::DS, text(position))];
        sequence(&mut group, tags::PLANE_POSITION_SEQUENCE, vec![item(&position)]);
        let of = [(tags::REFERENCED_SEGMENT_NUMBER, VR::US, number(*segment))];
        sequence(&mut group, tags::SEGMENT_IDENTIFICATION_SEQUENCE, vec![item(&of)]);
        group
    });
    sequence(&mut object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, groups.collect());
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    object.with_meta(meta).unwrap().write_to_file(path).unwrap();
}

#[test]
fn a_segmentation_of_one_segment_is_the_mask_of_the_nodule_it_is_named_after() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n.dcm");
    // Three slices of 4 × 2 pixels, 2.5 mm apart.
    let slice = |k: i64| Roi {
        slice_index: k,
        width: 4,
        height: 2,
        spacing_k_mm: 2.5,
        origin_z_mm: 2.5 * k as f64,
        ..roi(&[0; 8], &[true; 8], &[0])
    };
    let slices = [2, 3, 4].map(slice);
    let read = || MaskFolder::open(folder.path()).unwrap().read("n", slices.iter());
    // A slice without a frame has no voxel.
    write(&path, 1, &[(1, "0\\0\\10", 0b1000_0000), (1, "0\\0\\5", 0b0000_0110)]);
    let found: Vec<[usize; 3]> = read().unwrap().unwrap().voxels().collect();
    assert_eq!(found, [[1, 0, 0], [2, 0, 0], [3, 1, 2]]);

    write(&path, 1, &[(1, "0\\0\\11", 1)]);
    let error = nodulus_faults::in_words(&read().unwrap_err());
    assert!(error.contains("n.dcm` does not lie on the slices of its nodule's region"), "{error}");
    write(&path, 2, &[(1, "0\\0\\5", 1), (2, "0\\0\\5", 2)]);
    let error = read().unwrap_err().to_string();
    assert!(
        error.contains("n.dcm` has 2 segments, expected one, the nodule that the file is"),
        "{error}"
    );
}
