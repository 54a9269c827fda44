//! Objects are written and read back; and points are read from objects that the DICOM library wrote.

use super::{multi_frame, samples};
use crate::dicom::annotation::object::{AnnotationObject, parse};
use crate::dicom::annotation::point::{PointPosition, PointSet};
use crate::dicom::annotation::read_points;
use crate::dicom::element::data_set::DicomFile;
use crate::dicom::write::new_object::{Item, item, put, put_code, put_decimals, put_items};
use crate::dicom::{
    Creation, CtSeries, NewContour, NewObject, NewRoi, NewSegment, Pseudonyms, Segmentation,
    SourceSeries, Tolerances, read_series, segmentation, structure_set,
};
use crate::volume::{Geometry, Mask, PlacedMask};
use dicom_core::value::PrimitiveValue;
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const CREATION: Creation<'_> =
    Creation { date: "20261124", time: "125227", algorithm: "unet-0123456789ab", version: "0.1.0" };

/// 7 × 5 pixels and 4 slices, rotated about the head.
fn geometry() -> Geometry {
    let direction = [0.6, -0.8, 0.0, 0.8, 0.6, 0.0, 0.0, 0.0, 1.0];
    Geometry::new([7, 5, 4], [0.5, 0.75, 2.5], [-10.0, 20.0, -99.5], direction).unwrap()
}

/// A series with [`geometry`]; its files exist as long as the folder.
fn series() -> (tempfile::TempDir, Vec<PathBuf>, CtSeries) {
    let folder = tempfile::tempdir().unwrap();
    let files = samples::write(folder.path(), &samples::on(geometry()));
    let series = read_series(&files, &Tolerances::default()).unwrap();
    (folder, files, series)
}

fn source(files: &[PathBuf], series: &CtSeries) -> SourceSeries {
    SourceSeries::read(files, &series.sop_instance_uids, series.volume.geometry()).unwrap()
}

fn box_of(start: [usize; 3], size: [usize; 3]) -> PlacedMask {
    PlacedMask { start, mask: Mask::from_fn(size, |_, _, _| true) }
}

fn segments(masks: &[PlacedMask]) -> Vec<NewSegment<'_>> {
    let label = |n: usize| format!("Nodule {}", n + 1);
    let segment = |(n, mask)| NewSegment { label: label(n), tracking_id: "nod_ä", mask };
    masks.iter().enumerate().map(segment).collect()
}

fn object_of(made: &NewObject) -> InMemDicomObject {
    let file = dicom_object::from_reader(&made.bytes[..]).unwrap();
    let meta = file.meta();
    assert_eq!(meta.media_storage_sop_instance_uid(), made.sop_instance_uid);
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
    assert_ne!(other.sop_instance_uid, made.sop_instance_uid);
    let by = Creation { algorithm: "unet-2", ..CREATION };
    let other = segmentation(&source, &by, &segments(&masks)).unwrap().unwrap();
    assert_ne!(other.sop_instance_uid, made.sop_instance_uid);
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

fn points_of(object: Item) -> Result<PointSet, String> {
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let mut bytes = Vec::new();
    object.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
    read_points::parse(&DicomFile::new(bytes).unwrap()).map_err(|problem| problem.to_string())
}

fn content(value_type: &str, below: Vec<Item>) -> Item {
    let mut made = item([(tags::VALUE_TYPE, value_type)]);
    if !below.is_empty() {
        put_items(&mut made, tags::CONTENT_SEQUENCE, below);
    }
    made
}

fn graphic(mut item: Item, kind: &str, numbers: &[f32]) -> Item {
    put(&mut item, tags::GRAPHIC_TYPE, kind);
    put(&mut item, tags::GRAPHIC_DATA, PrimitiveValue::F32(numbers.into()));
    item
}

fn in_patient(kind: &str, numbers: &[f32]) -> Item {
    let mut made = graphic(content("SCOORD3D", Vec::new()), kind, numbers);
    put(&mut made, tags::REFERENCED_FRAME_OF_REFERENCE_UID, "2.25.12");
    made
}

fn image(frame: &str) -> Item {
    let mut referenced = item([
        (tags::REFERENCED_SOP_CLASS_UID, uids::CT_IMAGE_STORAGE),
        (tags::REFERENCED_SOP_INSTANCE_UID, "2.25.100.2"),
    ]);
    if !frame.is_empty() {
        put(&mut referenced, tags::REFERENCED_FRAME_NUMBER, frame);
    }
    let mut made = content("IMAGE", Vec::new());
    put_items(&mut made, tags::REFERENCED_SOP_SEQUENCE, vec![referenced]);
    made
}

fn certainty(percent: &str) -> Item {
    let mut measured = item([(tags::NUMERIC_VALUE, percent)]);
    put_code(&mut measured, tags::MEASUREMENT_UNITS_CODE_SEQUENCE, ("%", "UCUM", "Percent"));
    let mut made = content("NUM", Vec::new());
    let name = ("111012", "DCM", "Certainty of Finding");
    put_code(&mut made, tags::CONCEPT_NAME_CODE_SEQUENCE, name);
    put_items(&mut made, tags::MEASURED_VALUE_SEQUENCE, vec![measured]);
    made
}

fn report(below: Vec<Item>) -> Item {
    let mut made = content("CONTAINER", below);
    put(&mut made, tags::SOP_CLASS_UID, uids::COMPREHENSIVE3_DSR_STORAGE);
    put(&mut made, tags::SOP_INSTANCE_UID, "1.2.3");
    made
}

#[test]
fn points_of_reports_are_read_with_what_they_mark() {
    let mut finding =
        content("CODE", vec![certainty("87.5"), in_patient("POINT", &[1.0, 2.0, -3.5])]);
    put_code(&mut finding, tags::CONCEPT_CODE_SEQUENCE, ("27925004", "SCT", "Nodule"));
    let mut reference = item([]);
    // The path of the first item below the root.
    let path = PrimitiveValue::U32([1, 1][..].into());
    put(&mut reference, tags::REFERENCED_CONTENT_ITEM_IDENTIFIER, path);
    let on_image = |below| graphic(content("SCOORD", below), "POINT", &[3.5, 1.25]);
    let group = content(
        "CONTAINER",
        vec![
            on_image(vec![reference]),
            on_image(vec![image("1")]),
            on_image(Vec::new()),
            in_patient("ELLIPSOID", &[0.0; 18]),
            content("NUM", vec![in_patient("POINT", &[0.0; 3])]),
        ],
    );
    let found = points_of(report(vec![image(""), finding, group])).unwrap();
    assert_eq!(found.referenced.frames_of_reference, BTreeSet::from(["2.25.12".to_owned()]));
    assert_eq!(found.instances, BTreeSet::from(["2.25.100.2".to_owned()]));
    let [a, b, c] = &found.points[..] else { panic!("{found:?}") };
    assert_eq!((a.label.as_str(), a.confidence), ("1.2.2", Some(0.875)));
    assert_eq!(a.finding.as_deref(), Some("27925004, SCT"));
    assert_eq!((b.label.as_str(), b.confidence, &b.finding), ("1.3.1", None, &None));
    let expected = [
        "content item 1.3.3 is a point on 0 images",
        "content item 1.3.4 is a graphic of type ELLIPSOID",
        "content item 1.3.5.1 is a point of an item NUM",
    ];
    assert_eq!(found.skipped, expected);

    let (_folder, files, series) = series();
    let source = source(&files, &series);
    assert_eq!(a.position.in_patient(&source), Some([1.0, 2.0, -3.5]));
    let on_slice = geometry().voxel_to_patient([3.0, 0.75, 2.0]);
    for point in [b, c] {
        let found = point.position.in_patient(&source).unwrap();
        assert!((0..3).all(|a| (found[a] - on_slice[a]).abs() < 1e-9), "{found:?} {on_slice:?}");
    }
    let elsewhere = PointPosition::Patient {
        point_mm: [0.0; 3],
        frame_of_reference_uid: Some("1.9".to_owned()),
    };
    assert_eq!(elsewhere.in_patient(&source), None);
    let frame = PointPosition::Image {
        sop_instance_uid: "2.25.100.2".to_owned(),
        frame: Some(2),
        ij: [0.0; 2],
    };
    assert_eq!(frame.in_patient(&source), None);
}

#[test]
fn invalid_points_are_refused_by_attribute() {
    let refused = |below: Item| points_of(report(vec![below])).unwrap_err();
    let short = refused(in_patient("POINT", &[1.0, 2.0]));
    assert!(
        short.contains("GraphicData (0070,0022) is [1.0, 2.0], expected 3 finite numbers"),
        "{short}"
    );
    let many = refused(in_patient("POINT", &[1.0; 17]));
    assert!(many.contains("68 bytes"), "{many}");
    assert!(refused(in_patient("POINT", &[f32::NAN, 0.0, 0.0])).contains("3 finite numbers"));
    let frame = refused(graphic(content("SCOORD", vec![image("0")]), "POINT", &[0.0; 2]));
    assert!(
        frame.contains("ReferencedFrameNumber (0008,1160) is 0, expected one number from 1"),
        "{frame}"
    );
    let mut nowhere = item([]);
    let path = PrimitiveValue::U32([1, 7][..].into());
    put(&mut nowhere, tags::REFERENCED_CONTENT_ITEM_IDENTIFIER, path);
    let nowhere = refused(graphic(content("SCOORD", vec![nowhere]), "POINT", &[0.0; 2]));
    assert!(nowhere.contains("[1, 7], expected the path of a content item"), "{nowhere}");
    let mut text = report(Vec::new());
    put(&mut text, tags::SOP_CLASS_UID, uids::BASIC_TEXT_SR_STORAGE);
    assert!(points_of(text).unwrap_err().contains("or Chest CAD SR Storage"));
    let mut set = item([(tags::SOP_CLASS_UID, uids::RT_STRUCTURE_SET_STORAGE)]);
    put(&mut set, tags::SOP_INSTANCE_UID, "1.2.3");
    let mut contour =
        item([(tags::CONTOUR_GEOMETRIC_TYPE, "POINT"), (tags::NUMBER_OF_CONTOUR_POINTS, "1")]);
    put_decimals(&mut contour, tags::CONTOUR_DATA, &[1.5, -2.0, 3.0]);
    let mut contours = item([(tags::REFERENCED_ROI_NUMBER, "4")]);
    put_items(&mut contours, tags::CONTOUR_SEQUENCE, vec![contour]);
    put_items(&mut set, tags::ROI_CONTOUR_SEQUENCE, vec![contours]);
    let roi = item([(tags::ROI_NUMBER, "4"), (tags::ROI_NAME, "Herd")]);
    put_items(&mut set, tags::STRUCTURE_SET_ROI_SEQUENCE, vec![roi]);
    let found = points_of(set).unwrap();
    assert_eq!(found.points.len(), 1);
    assert_eq!(found.points[0].label, "region 4");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn reading_points_of_any_bytes_does_not_panic(
        at in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let finding = content("CODE", vec![certainty("50"), in_patient("POINT", &[1.0, 2.0, -3.5])]);
        let object = report(vec![finding, graphic(content("SCOORD", vec![image("1")]), "POINT", &[1.0; 2])]);
        let meta = FileMetaTableBuilder::new().transfer_syntax(uids::IMPLICIT_VR_LITTLE_ENDIAN);
        let mut bytes = Vec::new();
        object.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
        for (index, value) in at {
            let n = index.index(bytes.len());
            bytes[n] = value;
        }
        // Neither a point nor an error is expected, only no panic.
        let _ = DicomFile::new(bytes).and_then(|whole| read_points::parse(&whole));
    }
}
