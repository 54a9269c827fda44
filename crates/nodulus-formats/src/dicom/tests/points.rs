//! Points are read from reports and structure sets that the DICOM library wrote.

use super::writers::{geometry, series, source};
use crate::dicom::annotation::point::{Examined, PointPosition, PointSet};
use crate::dicom::annotation::read_points;
use crate::dicom::element::data_set::DicomFile;
use crate::dicom::write::new_object::{Item, item, put, put_code, put_decimals, put_items};
use dicom_core::Tag;
use dicom_core::value::PrimitiveValue;
use dicom_dictionary_std::{tags, uids};
use dicom_object::FileMetaTableBuilder;
use proptest::prelude::*;
use std::collections::BTreeSet;

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
fn findings_without_a_point_are_told() {
    let coded = |mut made: Item, name: &'static str, value: &'static str| {
        put_code(&mut made, tags::CONCEPT_NAME_CODE_SEQUENCE, (name, "DCM", "Name"));
        if !value.is_empty() {
            put_code(&mut made, tags::CONCEPT_CODE_SEQUENCE, (value, "DCM", "Value"));
        }
        made
    };
    let group = |below| coded(content("CONTAINER", below), "125007", "");
    let finding = || coded(content("CODE", Vec::new()), "121071", "1");
    let point = || in_patient("POINT", &[1.0, 2.0, 3.0]);
    let volume = || content("NUM", Vec::new());
    let summary = |value| coded(content("CODE", Vec::new()), "111017", value);
    let found = |below| points_of(report(vec![content("CONTAINER", below)])).unwrap();
    let without = |below| found(below).without_point;
    // Nothing was found.
    let text = |relationship| {
        let mut made = content("TEXT", Vec::new());
        put(&mut made, tags::RELATIONSHIP_TYPE, relationship);
        made
    };
    let detections = |value| coded(content("CODE", Vec::new()), "111064", value);
    for below in [
        Vec::new(),
        vec![summary("111241")],
        vec![detections("111222"), summary("111241")],
        vec![text("HAS OBS CONTEXT")],
    ] {
        assert!(without(below).is_empty());
    }
    // A group, with measurements or with text alone; one whose name is damaged; a detector's finding; a number; a reporter's
    // text; a summary that some were found, or that algorithms failed or did not run.
    for below in [
        vec![group(vec![finding(), volume()]), summary("111242")],
        vec![group(vec![content("TEXT", Vec::new())])],
        vec![content("CONTAINER", vec![finding(), volume()])],
        vec![coded(content("CODE", Vec::new()), "111059", "1")],
        vec![volume()],
        vec![text("CONTAINS")],
        vec![content("TEXT", Vec::new())],
        vec![detections("111225")],
        vec![summary("111242")],
        vec![summary("111243")],
    ] {
        assert_eq!(without(below), ["content item 1.1.1"]);
    }
    // Beside findings with a point.
    let below = vec![
        group(vec![finding(), point()]),
        group(vec![finding(), content("NUM", vec![point()])]),
        summary("111242"),
        volume(),
    ];
    let found = found(below);
    assert_eq!(
        (found.points.len(), &found.without_point[..]),
        (1, &["content item 1.1.2".to_owned()][..])
    );
}

/// Adds a series with an instance to the evidence of a report.
fn add_evidence(report: &mut Item, evidence: Tag, series: &[(&str, &str, &str)]) {
    let series = series.iter().map(|(series, class, instance)| {
        let image = item([
            (tags::REFERENCED_SOP_CLASS_UID, *class),
            (tags::REFERENCED_SOP_INSTANCE_UID, *instance),
        ]);
        let mut made = item([(tags::SERIES_INSTANCE_UID, *series)]);
        put_items(&mut made, tags::REFERENCED_SOP_SEQUENCE, vec![image]);
        made
    });
    let mut study = item([]);
    put_items(&mut study, tags::REFERENCED_SERIES_SEQUENCE, series.collect());
    put_items(report, evidence, vec![study]);
}

#[test]
fn a_report_says_of_one_series_that_nothing_was_found() {
    const CURRENT: Tag = tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE;
    const OTHER: Tag = tags::PERTINENT_OTHER_EVIDENCE_SEQUENCE;
    let ct = uids::CT_IMAGE_STORAGE;
    let empty = || report(vec![content("CONTAINER", Vec::new())]);
    let examined = |made: Item| points_of(made).unwrap().examined;
    let one = |uid: &str| Examined::Series(uid.to_owned());
    let two = [("1.1", ct, "1.1.1"), ("1.2", ct, "2.25.100.2")];
    let unknown = |made: Item, why: &str| match examined(made) {
        Examined::Unknown(found) => assert!(found.contains(why), "{found}"),
        known @ Examined::Series(_) => panic!("{known:?}"),
    };

    // Beside a segmentation, and beside what is compared with it.
    let mut made = empty();
    let seg = ("1.3", uids::SEGMENTATION_STORAGE, "1.3.1");
    add_evidence(&mut made, CURRENT, &[two[0], seg]);
    add_evidence(&mut made, OTHER, &two[1..]);
    let found = points_of(made).unwrap();
    assert_eq!(found.examined, one("1.1"));
    assert_eq!(found.referenced.series, BTreeSet::from(["1.1", "1.3"].map(str::to_owned)));
    // Of several series, the one whose image is an item.
    let mut made = empty();
    add_evidence(&mut made, CURRENT, &two);
    unknown(made, "it references 2 series, and does not say which was examined");
    let mut made = report(vec![image("")]);
    add_evidence(&mut made, CURRENT, &two);
    assert_eq!(examined(made), one("1.2"));
    let mut made = empty();
    add_evidence(&mut made, OTHER, &two[..1]);
    assert_eq!(points_of(made.clone()).unwrap().referenced.series.len(), 1);
    unknown(made, "no CT series of its procedure");
    // A report that may still get findings.
    for (tag, value, why) in [
        (tags::COMPLETION_FLAG, "PARTIAL", "not complete (CompletionFlag)"),
        (tags::PRELIMINARY_FLAG, "PRELIMINARY", "preliminary (PreliminaryFlag)"),
    ] {
        let mut made = empty();
        add_evidence(&mut made, CURRENT, &two[..1]);
        put(&mut made, tag, value);
        unknown(made, why);
    }
    // One that has lost its content.
    let lost = points_of(report(Vec::new())).unwrap_err();
    assert!(lost.contains("ContentSequence"), "{lost}");
}

#[test]
fn a_structure_set_that_has_lost_its_regions_is_refused() {
    let set = || {
        let mut set = item([(tags::SOP_CLASS_UID, uids::RT_STRUCTURE_SET_STORAGE)]);
        put(&mut set, tags::SOP_INSTANCE_UID, "1.2.3");
        set
    };
    let lost = points_of(set()).unwrap_err();
    assert!(lost.contains("StructureSetROISequence"), "{lost}");
    let mut empty = set();
    put_items(&mut empty, tags::STRUCTURE_SET_ROI_SEQUENCE, Vec::new());
    assert_eq!(points_of(empty.clone()).unwrap().points, []);
    let observation = item([(tags::REFERENCED_ROI_NUMBER, "1")]);
    put_items(&mut empty, tags::RTROI_OBSERVATIONS_SEQUENCE, vec![observation]);
    assert!(points_of(empty).unwrap_err().contains("StructureSetROISequence"));
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
