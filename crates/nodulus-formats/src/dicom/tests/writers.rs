//! Objects are written and read back.

use super::{multi_frame, samples};
use crate::dicom::annotation::object::{AnnotationObject, parse};
use crate::dicom::element::data_set::DicomFile;
use crate::dicom::write::new_object::put;
use crate::dicom::{
    Author, Creation, CtSeries, NewContour, NewMeasurements, NewObject, NewPicture, NewRoi,
    NewSegment, Pseudonyms, SegmentMaker, Segmentation, SourceSeries, Tolerances, read_series,
    rejection_note, report, secondary_capture, segmentation, structure_set,
};
use crate::volume::{Geometry, Mask, PlacedMask};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const CREATION: Creation<'_> = Creation {
    date: "20261124",
    time: "125227",
    author: Author::Network,
    algorithm: "unet-0123456789ab",
    version: "0.1.0",
    number: 1,
    replaces: None,
};

/// 7 × 5 pixels and 4 slices, rotated about the head.
pub(super) fn geometry() -> Geometry {
    let direction = [0.6, -0.8, 0.0, 0.8, 0.6, 0.0, 0.0, 0.0, 1.0];
    Geometry::new([7, 5, 4], [0.5, 0.75, 2.5], [-10.0, 20.0, -99.5], direction).unwrap()
}

/// A series with [`geometry`]; its files exist as long as the folder.
pub(super) fn series() -> (tempfile::TempDir, Vec<PathBuf>, CtSeries) {
    let folder = tempfile::tempdir().unwrap();
    let files = samples::write(folder.path(), &samples::on(geometry()));
    let series = read_series(&files, &Tolerances::default()).unwrap();
    (folder, files, series)
}

pub(super) fn source(files: &[PathBuf], series: &CtSeries) -> SourceSeries {
    SourceSeries::read(files, &series.sop_instance_uids, series.volume.geometry()).unwrap()
}

fn box_of(start: [usize; 3], size: [usize; 3]) -> PlacedMask {
    PlacedMask { start, mask: Mask::from_fn(size, |_, _, _| true) }
}

fn segments(masks: &[PlacedMask]) -> Vec<NewSegment<'_>> {
    let label = |n: usize| format!("Nodule {}", n + 1);
    let segment = |(n, mask)| NewSegment {
        label: label(n),
        description: None,
        maker: SegmentMaker::Network,
        tracking_id: "nod_ä",
        mask,
    };
    masks.iter().enumerate().map(segment).collect()
}

fn object_of(made: &NewObject) -> InMemDicomObject {
    let file = dicom_object::from_reader(&made.bytes[..]).unwrap();
    let meta = file.meta();
    assert_eq!(meta.media_storage_sop_instance_uid(), made.reference.sop_instance_uid);
    file.into_inner()
}

fn text(item: &InMemDicomObject, tag: dicom_core::Tag) -> String {
    item.element(tag).unwrap().to_str().unwrap().into_owned()
}

fn segmentation_of(made: &NewObject) -> Segmentation {
    match parse(&DicomFile::new(made.bytes.clone()).unwrap(), 0.5).unwrap() {
        AnnotationObject::Segmentation(segmentation) => segmentation,
        AnnotationObject::StructureSet(_) => panic!("a segmentation"),
    }
}

/// The voxels of each segment, by its number.
fn voxels(found: &Segmentation, geometry: &Geometry) -> BTreeMap<u16, BTreeSet<[usize; 3]>> {
    let of_frame = |(frame, mask): &(usize, PlacedMask)| -> Vec<[usize; 3]> {
        let plane = &found.planes[*frame];
        let [i, j, k] = geometry.patient_to_voxel(plane.position_mm);
        assert!(i.abs() < 1e-9 && j.abs() < 1e-9 && (k - k.round()).abs() < 1e-9);
        assert_eq!(plane.size, [7, 5]);
        mask.voxels().map(|[i, j, _]| [i, j, k.round() as usize]).collect()
    };
    let segments = found.segments.iter();
    segments.map(|s| (s.number, s.frames.iter().flat_map(of_frame).collect())).collect()
}

#[test]
fn a_segmentation_names_its_series_and_codes() {
    let (_folder, files, series) = series();
    let source = source(&files, &series);
    let empty = PlacedMask { start: [0; 3], mask: Mask::empty([2, 2, 2]) };
    // Slices 1 and 3 have voxels, the one between them has none.
    let mut gap = box_of([1, 1, 1], [2, 2, 3]);
    for (i, j) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        gap.mask.set(i, j, 1, false);
    }
    let masks = [gap, empty, box_of([2, 2, 3], [1, 1, 1])];
    let made = segmentation(&source, &CREATION, &segments(&masks)).unwrap().unwrap();
    assert_eq!(segmentation(&source, &CREATION, &segments(&masks)).unwrap().unwrap(), made);
    let found = segmentation_of(&made);
    assert_eq!(found.referenced.series, BTreeSet::from([samples::SERIES.to_owned()]));
    assert_eq!(found.referenced.frames_of_reference, BTreeSet::from(["2.25.12".to_owned()]));
    assert_eq!(found.spacing_between_slices_mm, Some(2.5));
    let labels: Vec<_> = found.segments.iter().map(|s| (s.number, s.label.as_str())).collect();
    assert_eq!(labels, [(1, "Nodule 1"), (2, "Nodule 3")]);
    let object = object_of(&made);
    assert_eq!(text(&object, tags::NUMBER_OF_FRAMES), "3");
    assert_eq!(text(&object, tags::SEGMENTS_OVERLAP), "YES");
    assert_eq!(text(&object, tags::PATIENT_ID), "P-7");
    assert_eq!(text(&object, tags::CONTENT_TIME), "125227");
    let items = |tag| object.element(tag).unwrap().items().unwrap();
    let segment = &items(tags::SEGMENT_SEQUENCE)[1];
    assert_eq!(text(segment, tags::TRACKING_ID), "nod_ä");
    let indices: Vec<Vec<u32>> = items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)
        .iter()
        .map(|frame| {
            let content = &frame.element(tags::FRAME_CONTENT_SEQUENCE).unwrap().items().unwrap()[0];
            content.element(tags::DIMENSION_INDEX_VALUES).unwrap().to_multi_int().unwrap()
        })
        .collect();
    assert_eq!(indices, [[1, 1], [1, 2], [2, 2]]);
    // Other content gives another instance, and so does another model.
    let other = segmentation(&source, &CREATION, &segments(&masks[..1])).unwrap().unwrap();
    assert_ne!(other.reference.sop_instance_uid, made.reference.sop_instance_uid);
    let by = Creation { algorithm: "unet-2", ..CREATION };
    let other = segmentation(&source, &by, &segments(&masks)).unwrap().unwrap();
    assert_ne!(other.reference.sop_instance_uid, made.reference.sop_instance_uid);
}

#[test]
fn data_that_make_no_object_are_refused() {
    let (_folder, files, series) = series();
    let mut source = source(&files, &series);
    let off = [box_of([0, 0, 3], [1, 1, 2])];
    let error = segmentation(&source, &CREATION, &segments(&off)).unwrap_err().to_string();
    assert!(error.contains("to voxel [1, 1, 5], expected within [7, 5, 4] voxels"), "{error}");
    assert_eq!(segmentation(&source, &CREATION, &[]).unwrap(), None);
    assert_eq!(structure_set(&source, &CREATION, &[]).unwrap(), None);
    let roi = |k| {
        let contours = vec![NewContour { k, points_ij: vec![[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]] }];
        NewRoi { number: 1, name: "Nodule 1".to_owned(), contours }
    };
    let error = structure_set(&source, &CREATION, &[roi(4)]).unwrap_err().to_string();
    assert!(error.contains("the slice of a contour is 4, expected less than 4"), "{error}");
    source.frame_of_reference_uid = None;
    let error = structure_set(&source, &CREATION, &[roi(0)]).unwrap_err().to_string();
    assert!(error.contains("FrameOfReferenceUID is missing"), "{error}");
    // The files lack a slice.
    let error = SourceSeries::read(&files[1..], &series.sop_instance_uids, &geometry());
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("none of the 3 that were read, expected one with SOPInstanceUID"),
        "{error}"
    );
}

#[test]
fn frames_of_one_file_are_named_by_their_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let file = multi_frame::enhanced(folder.path(), |_| {});
    let files = [file];
    let series = read_series(&files, &Tolerances::default()).unwrap();
    let source = source(&files, &series);
    let masks = [box_of([0, 0, 2], [2, 1, 2])];
    let made = segmentation(&source, &CREATION, &segments(&masks)).unwrap().unwrap();
    let object = object_of(&made);
    let references = object.element(tags::REFERENCED_SERIES_SEQUENCE).unwrap().items().unwrap();
    let instances = references[0].element(tags::REFERENCED_INSTANCE_SEQUENCE).unwrap();
    assert_eq!(instances.items().unwrap().len(), 1);
    let groups = object.element(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).unwrap();
    let frames: Vec<String> = groups
        .items()
        .unwrap()
        .iter()
        .map(|frame| {
            let derivation =
                &frame.element(tags::DERIVATION_IMAGE_SEQUENCE).unwrap().items().unwrap()[0];
            let image =
                &derivation.element(tags::SOURCE_IMAGE_SEQUENCE).unwrap().items().unwrap()[0];
            assert_eq!(text(image, tags::REFERENCED_SOP_CLASS_UID), "1.2.840.10008.5.1.4.1.1.2.1");
            text(image, tags::REFERENCED_FRAME_NUMBER)
        })
        .collect();
    assert_eq!(frames, ["3", "4"]);
}

#[test]
fn pseudonyms_replace_the_identity_of_the_patient() {
    let (_folder, files, _) = series();
    for file in &files {
        samples::edit(file, |object| {
            put(object, tags::PATIENT_NAME, "Mustermann^Erika");
            put(object, tags::STUDY_DATE, "20240131");
            put(object, tags::PATIENT_BIRTH_DATE, "19561104");
            put(object, tags::STUDY_DESCRIPTION, "Thorax Mustermann");
        });
    }
    let series = read_series(&files, &Tolerances::default()).unwrap();
    let source = source(&files, &series);
    let masks = [box_of([1, 1, 1], [2, 2, 1])];
    let plain = segmentation(&source, &CREATION, &segments(&masks)).unwrap().unwrap();
    let plain = object_of(&plain);
    assert_eq!(text(&plain, tags::PATIENT_NAME), "Mustermann^Erika");
    assert_eq!(text(&plain, tags::STUDY_DESCRIPTION), "Thorax Mustermann");
    let uid = |uid: &str| format!("{uid}.9");
    for replaced in [true, false] {
        let uid: Option<&dyn Fn(&str) -> String> = if replaced { Some(&uid) } else { None };
        let pseudonyms = Pseudonyms { patient_id: "N1".to_owned(), shift_days: -31, uid };
        let hidden = source.clone().deidentified(&pseudonyms);
        let made = segmentation(&hidden, &CREATION, &segments(&masks)).unwrap().unwrap();
        let bytes = String::from_utf8_lossy(&made.bytes).into_owned();
        for part in ["Mustermann", "Erika", "P-7", "20240131", "19561104", "20261124", "125227"] {
            assert!(!bytes.contains(part), "{part}");
        }
        assert_eq!(bytes.contains("2.25.12\0"), !replaced);
        let object = object_of(&made);
        assert_eq!(text(&object, tags::PATIENT_NAME), "Pseudonym^N1");
        assert_eq!(text(&object, tags::PATIENT_ID), "N1");
        assert_eq!(text(&object, tags::STUDY_DATE), "20231231");
        assert_eq!(text(&object, tags::CONTENT_DATE), "20261024");
        assert_eq!(text(&object, tags::PATIENT_IDENTITY_REMOVED), "YES");
        let codes = object.element(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE).unwrap();
        assert_eq!(codes.items().unwrap().len(), if replaced { 2 } else { 3 });
    }
}

#[test]
fn a_report_holds_numbers_that_16_characters_do_not() {
    let (_folder, files, series) = series();
    let source = source(&files, &series);
    let nodule = NewMeasurements {
        tracking_id: "n-1",
        segment: None,
        reading_session: None,
        position_mm: [1.0, -2.5, 3.0],
        volume_mm3: 1000.0 / 3.0,
        equivalent_diameter_mm: None,
        long_axis_mm: Some(7.5),
        short_axis_mm: None,
        mean_hu: None,
        probability: None,
        ratings: None,
    };
    let made = report(&source, &CREATION, None, std::slice::from_ref(&nodule)).unwrap();
    assert_eq!(report(&source, &CREATION, None, std::slice::from_ref(&nodule)).unwrap(), made);
    let object = object_of(&made);
    let items = |of: &InMemDicomObject, tag| of.element(tag).unwrap().items().unwrap().to_vec();
    let containers = items(&object, tags::CONTENT_SEQUENCE);
    let group = containers.iter().find_map(|of| {
        let within = of.element(tags::CONTENT_SEQUENCE).ok()?.items()?;
        within.iter().find(|of| of.element(tags::CONTENT_TEMPLATE_SEQUENCE).is_ok()).cloned()
    });
    let numbers = items(&group.unwrap(), tags::CONTENT_SEQUENCE);
    let numbers: Vec<_> = numbers
        .iter()
        .filter_map(|of| of.element(tags::MEASURED_VALUE_SEQUENCE).ok()?.items()?.first().cloned())
        .collect();
    let [volume, axis] = &numbers[..] else { panic!("{numbers:?}") };
    assert_eq!(text(volume, tags::NUMERIC_VALUE), "333.333333333333");
    let exact = volume.element(tags::FLOATING_POINT_VALUE).unwrap().to_float64().unwrap();
    assert_eq!(exact.to_bits(), nodule.volume_mm3.to_bits());
    assert_eq!(text(axis, tags::NUMERIC_VALUE), "7.5");
    assert!(axis.element(tags::FLOATING_POINT_VALUE).is_err());
}

#[test]
fn a_picture_that_is_not_one_is_refused() {
    let (_folder, files, series) = series();
    let source = source(&files, &series);
    let refused = |size, n_bytes: usize, slices: &[usize]| {
        let rgb = vec![0; n_bytes];
        let picture = NewPicture { size, rgb: &rgb, slices };
        secondary_capture(&source, &CREATION, &picture).unwrap_err().to_string()
    };
    let bytes = refused([3, 2], 17, &[]);
    assert!(bytes.contains("of a picture is 17, expected 18 of 3 x 2 pixels"), "{bytes}");
    let slice = refused([1, 1], 3, &[3, 4]);
    assert!(slice.contains("the slice of a picture is 4, expected less than 4"), "{slice}");
    let size = refused([70_000, 0], 0, &[]);
    assert!(size.contains("the size of a picture is 70000 x 0, expected at most 65535"), "{size}");
    assert_eq!(rejection_note(&source, &CREATION, &[]).unwrap(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn the_voxels_are_read_back(
        boxes in prop::collection::vec((0usize..6, 0usize..4, 0usize..3, any::<[bool; 16]>()), 1..5),
    ) {
        let (_folder, files, series) = series();
        let source = source(&files, &series);
        let masks: Vec<PlacedMask> = boxes.iter().map(|(i, j, k, bools)| PlacedMask {
            start: [*i, *j, *k],
            mask: Mask::from_fn([1 + i % 2, 2, 2 - k / 3], |i, j, k| bools[(k * 2 + j) * 2 + i]),
        }).filter(|placed| (0..3).all(|a| placed.end()[a] <= [7, 5, 4][a])).collect();
        let expected: BTreeMap<u16, BTreeSet<[usize; 3]>> = (1..).zip(
            masks.iter().filter(|placed| !placed.mask.is_empty()).map(|placed| placed.voxels().collect()),
        ).collect();
        match segmentation(&source, &CREATION, &segments(&masks)).unwrap() {
            None => prop_assert!(expected.is_empty()),
            Some(made) => {
                prop_assert_eq!(voxels(&segmentation_of(&made), &geometry()), expected);
            }
        }
    }
}
