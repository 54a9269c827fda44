//! Series that are no scan by their headers, whatever faults their slices have.

use super::samples;
use crate::dicom::{Error, Tolerances, UnreadableSeries, read_facts, read_series};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::DefaultDicomObject;
use fs_err as fs;
use std::path::{Path, PathBuf};

fn set(object: &mut DefaultDicomObject, tag: Tag, vr: VR, value: &str) {
    object.put_element(DataElement::new(tag, vr, PrimitiveValue::from(value)));
}

/// Writes a slice at each position, all with different voxels.
fn write(folder: &Path, positions: &[[f64; 3]]) -> Vec<PathBuf> {
    let first = samples::write(folder, &samples::volume()).remove(0);
    let write = |(n, position): (usize, &[f64; 3])| {
        let file = folder.join(format!("image-{n}.dcm"));
        fs::copy(&first, &file).unwrap();
        samples::edit(&file, |object| {
            let position = position.map(|mm| mm.to_string()).join("\\");
            set(object, tags::IMAGE_POSITION_PATIENT, VR::DS, &position);
            set(object, tags::SOP_INSTANCE_UID, VR::UI, &format!("2.25.100.{n}"));
            let pixels = PrimitiveValue::U8(vec![n as u8; 12].into());
            object.put_element(DataElement::new(tags::PIXEL_DATA, VR::OW, pixels));
        });
        file
    };
    positions.iter().enumerate().map(write).collect()
}

fn refused(files: &[PathBuf]) -> Error {
    read_facts(files, &Tolerances::default()).unwrap_err()
}

#[test]
fn images_again_and_again_at_a_few_positions_are_no_scan() {
    let at = |heights: Vec<f64>| heights.into_iter().map(|z| [-10.0, 20.0, z]).collect::<Vec<_>>();
    let repeated = |heights: &[f64], n: usize| heights.repeat(n);
    let steps = |mm: f64| (0..12).map(|n| -100.0 + mm * f64::from(n)).collect::<Vec<f64>>();
    let all = "all 12 slices lie at one position, as in bolus tracking";
    for (positions, expected) in [
        (at(repeated(&[-100.0], 12)), all),
        (at(repeated(&[-100.0, -99.9988], 6)), all),
        (at(repeated(&[-100.0, -99.9, -100.0, -100.1], 3)), all),
        (at(steps(0.01)), all),
        (at(steps(0.0004)), all),
        // The image before the agent lies elsewhere.
        (at([vec![-95.0], repeated(&[-100.0], 11)].concat()), "the 12 slices lie at 2 positions"),
        (at(repeated(&[-100.0, -90.0], 6)), "the 12 slices lie at 2 positions"),
        (at(repeated(&[-100.0, -97.5, -95.0, -92.5], 5)), "the 20 slices lie at 4 positions"),
        // To and fro, with a table that jitters.
        (at(repeated(&[-100.0, -90.0, -100.1, -90.1], 3)), "the 12 slices lie at 2 positions"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let files = write(folder.path(), &positions);
        let error = refused(&files);
        assert_eq!(error.no_scan(), Some("one_position"), "{positions:?}: {error:?}");
        let Error::Refused { reason, .. } = error else { panic!("{error}") };
        assert!(reason.to_string().starts_with(expected), "{positions:?}: {reason}");
    }
    // Two phases of a scan of six slices, and slices that are close, are scans, with a fault or without one.
    for (positions, is_read) in
        [(at((0..6).map(f64::from).collect::<Vec<_>>().repeat(2)), false), (at(steps(0.5)), true)]
    {
        let folder = tempfile::tempdir().unwrap();
        let read = read_series(&write(folder.path(), &positions), &Tolerances::default());
        assert_eq!(read.is_ok(), is_read, "{positions:?}");
        assert!(read.err().is_none_or(|error| error.no_scan().is_none()));
    }
}

#[test]
fn bolus_tracking_whose_images_differ_is_no_scan() {
    let folder = tempfile::tempdir().unwrap();
    let files = write(folder.path(), &[[-10.0, 20.0, -100.0]; 5]);
    let original = fs::read(&files[2]).unwrap();
    for (tag, vr, value) in [
        (tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.3"),
        (tags::PIXEL_SPACING, VR::DS, "0.9\\0.9"),
        (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\0\\-1"),
    ] {
        samples::edit(&files[2], |object| set(object, tag, vr, value));
        assert_eq!(refused(&files).no_scan(), Some("one_position"), "{value}");
        fs::write(&files[2], &original).unwrap();
    }
}

#[test]
fn a_few_images_from_different_sides_are_scout_views() {
    let folder = tempfile::tempdir().unwrap();
    let files = write(folder.path(), &[[0.0, 0.0, 0.0], [1.0, 1.0, 0.0]]);
    for (file, axes) in files.iter().zip(["1\\0\\0\\0\\0\\-1", "0\\1\\0\\0\\0\\-1"]) {
        samples::edit(file, |object| set(object, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, axes));
    }
    let error = refused(&files);
    assert_eq!(error.no_scan(), Some("localizer"));
    // More of them are reformats, or damaged.
    let many = write(folder.path(), &[0, 1, 2, 3, 4, 5].map(|z| [0.0, 0.0, f64::from(z)]));
    samples::edit(&many[3], |object| {
        set(object, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\0\\-1");
    });
    assert_eq!(refused(&many).no_scan(), None);
}

#[test]
fn a_quantity_that_is_not_hu_comes_before_faults() {
    let folder = tempfile::tempdir().unwrap();
    let files = samples::write(folder.path(), &samples::volume());
    for file in &files {
        samples::edit(file, |object| set(object, tags::RESCALE_TYPE, VR::LO, "ED"));
    }
    samples::edit(&files[1], |object| {
        let rows = PrimitiveValue::from(1u16);
        object.put_element(DataElement::new(tags::ROWS, VR::US, rows));
        let pixels = PrimitiveValue::U8(vec![0; 6].into());
        object.put_element(DataElement::new(tags::PIXEL_DATA, VR::OW, pixels));
    });
    assert_eq!(refused(&files).no_scan(), Some("not_hu"));
}

#[test]
fn an_outline_tells_what_a_series_is_that_cannot_be_read() {
    type Fault = fn(&mut DefaultDicomObject);
    let folder = tempfile::tempdir().unwrap();
    let files = samples::write(folder.path(), &samples::volume());
    let mip = "DERIVED\\SECONDARY\\AXIAL\\MIP";
    let original = fs::read(&files[0]).unwrap();
    let faults: [Fault; 4] = [
        |object| _ = object.remove_element(tags::RESCALE_SLOPE),
        |object| _ = object.remove_element(tags::PIXEL_SPACING),
        |object| {
            let bits = PrimitiveValue::from(32u16);
            object.put_element(DataElement::new(tags::BITS_ALLOCATED, VR::US, bits));
        },
        |object| _ = object.remove_element(tags::PIXEL_DATA),
    ];
    for fault in faults {
        samples::edit(&files[0], |object| {
            set(object, tags::IMAGE_TYPE, VR::CS, mip);
            set(object, tags::RESCALE_TYPE, VR::LO, "MGML");
            fault(object);
        });
        assert_eq!(refused(&files[..1]).no_scan(), None);
        let found = outlined(&files[..1]);
        let [outline] = &found.outlines[..] else { panic!() };
        assert_eq!(outline.info.labels.image_type.as_deref(), Some(mip));
        assert_eq!(outline.info.series_instance_uid, samples::SERIES);
        assert_eq!(found.no_scan.as_ref().and_then(Error::no_scan), Some("not_hu"));
        fs::write(&files[0], &original).unwrap();
    }
    samples::edit(&files[0], |object| {
        set(object, tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100");
        set(object, tags::SERIES_DESCRIPTION, VR::LO, "H\u{f6}he");
    });
    let found = outlined(&files);
    let description = found.outlines[0].info.labels.series_description.as_deref();
    assert_eq!(description, Some("H\u{f6}he"));
    assert!(found.outlines.len() == 4 && found.no_scan.is_none());
}

fn outlined(files: &[PathBuf]) -> UnreadableSeries {
    let error = read_facts(files, &Tolerances::default()).err().unwrap_or_else(no_error);
    UnreadableSeries::new(error, files, |error| error)
}

/// An error of a series that can be read, whose outline is asked for all the same.
fn no_error() -> Error {
    Error::OnePosition { n_slices: 0 }
}

#[test]
fn images_that_cannot_be_read_are_no_scan_by_where_they_lie() {
    type Fault = fn(&mut DefaultDicomObject);
    let faults: [Fault; 4] = [
        |object| {
            object.remove_element(tags::RESCALE_SLOPE);
            object.remove_element(tags::RESCALE_INTERCEPT);
        },
        |object| _ = object.remove_element(tags::PIXEL_SPACING),
        |object| {
            let bits = PrimitiveValue::from(32u16);
            object.put_element(DataElement::new(tags::BITS_ALLOCATED, VR::US, bits));
        },
        // As a file that is cut off within its pixels.
        |object| {
            let pixels = PrimitiveValue::U8(vec![0; 4].into());
            object.put_element(DataElement::new(tags::PIXEL_DATA, VR::OW, pixels));
        },
    ];
    let at = |heights: &[f64]| heights.iter().map(|z| [-10.0, 20.0, *z]).collect::<Vec<_>>();
    let rows: Vec<f64> = (0..8).map(|n| 5.0 * f64::from(n)).collect();
    let axes = ["1\\0\\0\\0\\0\\-1", "0\\1\\0\\0\\0\\-1"];
    for fault in faults {
        for (positions, expected) in [
            (at(&[-100.0; 6]), Some("one_position")),
            (at(&[-100.0]), Some("single_slice")),
            (at(&[-100.0, -90.0].repeat(4)), Some("one_position")),
            (at(&rows.repeat(3)), Some("one_position")),
            (at(&rows), None),
            (at(&rows.repeat(2)), None),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let files = write(folder.path(), &positions);
            samples::edit(&files[0], |object| {
                fault(object);
                object.remove_element(tags::SPACING_BETWEEN_SLICES);
            });
            let found = outlined(&files);
            let no_scan = found.no_scan.as_ref().and_then(Error::no_scan);
            assert_eq!(no_scan, expected, "{positions:?}: {}", found.error);
        }
        let folder = tempfile::tempdir().unwrap();
        let views = write(folder.path(), &at(&[0.0, 5.0]));
        for (file, axes) in views.iter().zip(axes) {
            samples::edit(file, |object| {
                set(object, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, axes);
                fault(object);
            });
        }
        let no_scan = outlined(&views).no_scan;
        assert_eq!(no_scan.as_ref().and_then(Error::no_scan), Some("localizer"));
    }
}

#[test]
fn images_with_colours_are_no_slices() {
    for model in ["PALETTE COLOR", "RGB", "YBR_FULL_422"] {
        let folder = tempfile::tempdir().unwrap();
        let files = samples::write(folder.path(), &samples::volume());
        for file in &files {
            samples::edit(file, |object| {
                set(object, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, model);
            });
        }
        assert_eq!(refused(&files).no_scan(), Some("screen_save"), "{model}");
    }
}

#[test]
fn a_derived_image_without_a_position_that_is_like_its_slices_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let files = samples::write(folder.path(), &samples::volume());
    let image_type = |file: &Path, text: &str| {
        samples::edit(file, |object| set(object, tags::IMAGE_TYPE, VR::CS, text));
    };
    for file in &files {
        image_type(file, "DERIVED\\PRIMARY\\AXIAL");
    }
    samples::edit(&files[3], |object| _ = object.remove_element(tags::IMAGE_POSITION_PATIENT));
    let error = refused(&files).to_string();
    assert!(error.contains("ImagePositionPatient (0020,0032) is missing"), "{error}");
    // A page of the dose is of another kind.
    image_type(&files[3], "DERIVED\\SECONDARY\\SCREEN SAVE");
    let read = read_series(&files, &Tolerances::default()).unwrap();
    assert_eq!((read.volume.geometry().size()[2], read.aside.len()), (3, 1));
}
