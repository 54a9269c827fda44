//! Structure sets that the DICOM library wrote.

use super::elements::{bytes_of, item, sequence, text};
use crate::dicom::annotation::object::{AnnotationObject, parse};
use crate::dicom::element::data_set::DicomFile;
use crate::dicom::{Problem, StructureSet};
use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

pub(super) fn structures() -> InMemDicomObject {
    let mut object = InMemDicomObject::new_empty();
    text(&mut object, tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192");
    text(&mut object, tags::SOP_CLASS_UID, VR::UI, uids::RT_STRUCTURE_SET_STORAGE);
    text(&mut object, tags::SOP_INSTANCE_UID, VR::UI, "1.2.3");
    let series = item(|o| text(o, tags::SERIES_INSTANCE_UID, VR::UI, "1.4"));
    let study = item(|o| sequence(o, tags::RT_REFERENCED_SERIES_SEQUENCE, vec![series]));
    let frame = item(|o| {
        text(o, tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.5");
        sequence(o, tags::RT_REFERENCED_STUDY_SEQUENCE, vec![study]);
    });
    sequence(&mut object, tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE, vec![frame]);
    let names = [(7, "Knoten ß"), (9, "Lunge")];
    let rois = names.map(|(n, name)| {
        item(|o| {
            text(o, tags::ROI_NUMBER, VR::IS, &n.to_string());
            text(o, tags::REFERENCED_FRAME_OF_REFERENCE_UID, VR::UI, "1.5");
            text(o, tags::ROI_NAME, VR::LO, name);
        })
    });
    sequence(&mut object, tags::STRUCTURE_SET_ROI_SEQUENCE, rois.to_vec());
    let contour = item(|o| {
        text(o, tags::CONTOUR_GEOMETRIC_TYPE, VR::CS, "CLOSED_PLANAR");
        text(o, tags::NUMBER_OF_CONTOUR_POINTS, VR::IS, "3");
        text(o, tags::CONTOUR_DATA, VR::DS, "1\\2\\3\\-1.5e1\\ 2.25 \\3\\0\\0\\3 ");
    });
    let contours = item(|o| {
        sequence(o, tags::CONTOUR_SEQUENCE, vec![contour]);
        text(o, tags::REFERENCED_ROI_NUMBER, VR::IS, "7");
    });
    sequence(&mut object, tags::ROI_CONTOUR_SEQUENCE, vec![contours]);
    let observation = item(|o| {
        text(o, tags::REFERENCED_ROI_NUMBER, VR::IS, "9");
        text(o, tags::RTROI_INTERPRETED_TYPE, VR::CS, "ORGAN");
    });
    sequence(&mut object, tags::RTROI_OBSERVATIONS_SEQUENCE, vec![observation]);
    object
}

fn read_structures(object: InMemDicomObject, syntax: &str) -> Result<StructureSet, Problem> {
    match parse(&DicomFile::new(bytes_of(object, syntax))?, 0.5)? {
        AnnotationObject::StructureSet(structures) => Ok(structures),
        AnnotationObject::Segmentation(_) => panic!("a segmentation"),
    }
}

#[test]
fn regions_have_their_names_types_and_contours() {
    for syntax in [uids::IMPLICIT_VR_LITTLE_ENDIAN, uids::EXPLICIT_VR_LITTLE_ENDIAN] {
        let found = read_structures(structures(), syntax).unwrap();
        assert!(found.referenced.series.contains("1.4"));
        assert!(found.referenced.frames_of_reference.contains("1.5"));
        let [nodule, lung] = &found.rois[..] else { panic!("{:?}", found.rois) };
        assert_eq!(
            (nodule.name.as_str(), nodule.number, nodule.interpreted_type.as_str()),
            ("Knoten ß", Some(7), "")
        );
        assert_eq!(
            nodule.contours[0].points_mm,
            [[1.0, 2.0, 3.0], [-15.0, 2.25, 3.0], [0.0, 0.0, 3.0]]
        );
        assert_eq!((lung.name.as_str(), lung.interpreted_type.as_str()), ("Lunge", "ORGAN"));
        assert!(lung.contours.is_empty());
    }
}

#[test]
fn what_is_wrong_with_a_region_is_its_defect() {
    let defects = |change: fn(&mut InMemDicomObject)| -> Vec<(Option<i64>, Option<String>)> {
        let mut object = structures();
        change(&mut object);
        let found = read_structures(object, uids::IMPLICIT_VR_LITTLE_ENDIAN).unwrap();
        found.rois.into_iter().map(|roi| (roi.number, roi.defect)).collect()
    };
    let orphan = defects(|o| sequence(o, tags::STRUCTURE_SET_ROI_SEQUENCE, Vec::new()));
    let [(Some(7), Some(defect))] = &orphan[..] else { panic!("{orphan:?}") };
    assert!(defect.starts_with("ReferencedROINumber (3006,0084) is 7"), "{defect}");
    let double = defects(|o| {
        let roi = |n: &'static str| item(move |o| text(o, tags::ROI_NUMBER, VR::IS, n));
        let unnumbered = item(|o| text(o, tags::ROI_NAME, VR::LO, "x"));
        sequence(
            o,
            tags::STRUCTURE_SET_ROI_SEQUENCE,
            vec![roi("7"), roi("7"), roi("8"), unnumbered],
        );
    });
    let [(Some(7), Some(a)), (Some(7), Some(b)), (Some(8), None), (None, Some(c))] = &double[..]
    else {
        panic!("{double:?}")
    };
    assert!(a.starts_with("ROINumber (3006,0022) is 7 twice") && a == b, "{a}");
    assert_eq!(c, "ROINumber (3006,0022) is missing");
    // Contours of a number that no region has, or without one: they may be those of any region without contours.
    let mut with_number = defects(|o| {
        let contours = item(|o| {
            let contour = item(|o| {
                text(o, tags::CONTOUR_GEOMETRIC_TYPE, VR::CS, "CLOSED_PLANAR");
                text(o, tags::NUMBER_OF_CONTOUR_POINTS, VR::IS, "1");
                text(o, tags::CONTOUR_DATA, VR::DS, "1\\2\\3");
            });
            sequence(o, tags::CONTOUR_SEQUENCE, vec![contour]);
            text(o, tags::REFERENCED_ROI_NUMBER, VR::IS, "77");
        });
        sequence(o, tags::ROI_CONTOUR_SEQUENCE, vec![contours]);
    });
    assert_eq!(with_number.pop().unwrap().0, Some(77));
    let expected = "it has no contours, and contours of number 77 belong to no region";
    assert_eq!(with_number, [7, 9].map(|n| (Some(n), Some(expected.to_owned()))));
    let without_number = defects(|o| {
        let contours = item(|o| sequence(o, tags::CONTOUR_SEQUENCE, vec![item(|_| ())]));
        sequence(o, tags::ROI_CONTOUR_SEQUENCE, vec![contours]);
    });
    let expected = "it has no contours, and contours without a number belong to no region";
    assert_eq!(without_number, [7, 9].map(|n| (Some(n), Some(expected.to_owned()))));
    let with_points = |points: &'static str| {
        item(|o| {
            let contour = item(|o| {
                text(o, tags::CONTOUR_GEOMETRIC_TYPE, VR::CS, "CLOSED_PLANAR");
                text(o, tags::NUMBER_OF_CONTOUR_POINTS, VR::IS, "1");
                text(o, tags::CONTOUR_DATA, VR::DS, points);
            });
            sequence(o, tags::CONTOUR_SEQUENCE, vec![contour]);
            text(o, tags::REFERENCED_ROI_NUMBER, VR::IS, "7");
        })
    };
    for (points, expected) in [
        ("1\\2", "ContourData (3006,0050) is 2 numbers, expected 3 for each of 1 points"),
        ("1\\2\\nan", "ContourData (3006,0050) is `1\\2\\nan`, expected decimal numbers"),
        ("", "ContourData (3006,0050) is 0 numbers"),
    ] {
        let mut object = structures();
        sequence(&mut object, tags::ROI_CONTOUR_SEQUENCE, vec![with_points(points)]);
        let found = read_structures(object, uids::IMPLICIT_VR_LITTLE_ENDIAN).unwrap();
        let [nodule, lung] = &found.rois[..] else { panic!("{:?}", found.rois) };
        assert!(nodule.contours.is_empty() && lung.defect.is_none());
        assert!(nodule.defect.as_ref().unwrap().starts_with(expected), "{:?}", nodule.defect);
    }
}
