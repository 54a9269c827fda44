//! Faults that are read past and counted, and values that are not HU; `tests/python/dicom_kinds.py` compares with peers.

use super::multi_frame::{enhanced, put, refused};
use super::samples::{self, edit};
use crate::dicom::{CtSeries, PassedOverRule, SeriesInfo, Tolerances, list_series, read_series};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::DefaultDicomObject;
use fs_err as fs;
use std::path::{Path, PathBuf};

fn read(files: &[PathBuf]) -> CtSeries {
    read_series(files, &Tolerances::default()).unwrap()
}

/// Reads the sample series after a change to each file; it must have the same voxels and geometry.
fn tolerated(change: impl Fn(&Path)) -> CtSeries {
    let folder = tempfile::tempdir().unwrap();
    let files = samples::write(folder.path(), &samples::volume());
    for file in &files {
        change(file);
    }
    let [found] = &list_series(&files, &[]).series[..] else { panic!("not listed") };
    let series = read(&found.files);
    assert_eq!(series.volume, samples::volume());
    series
}

fn with_element(tag: Tag, vr: VR, value: impl Into<PrimitiveValue>) -> CtSeries {
    let value = value.into();
    tolerated(|file| {
        edit(file, |object| {
            object.put_element(DataElement::new(tag, vr, value.clone()));
        });
    })
}

/// A change of the bytes of a file.
fn with_bytes(change: impl Fn(Vec<u8>) -> Vec<u8>) -> CtSeries {
    tolerated(|file| fs::write(file, change(fs::read(file).unwrap())).unwrap())
}

fn faults(series: &CtSeries) -> Vec<String> {
    series.info.irregularities.texts()
}

/// Where an element with a short header begins.
fn find(bytes: &[u8], tag: Tag, vr: [u8; 2]) -> usize {
    let [g, e] = [tag.group(), tag.element()].map(u16::to_le_bytes);
    let header = [&g[..], &e, &vr].concat();
    bytes.windows(header.len()).position(|window| window == header).unwrap()
}

#[test]
fn attributes_that_no_voxel_needs_are_null_if_they_are_not_valid() {
    let series = with_element(tags::KVP, VR::DS, "80\\140");
    assert_eq!((series.info.kvp, faults(&series)), (None, vec!["attribute KVP: 4".to_owned()]));
    let series = with_element(tags::SLICE_THICKNESS, VR::DS, "2.5mm");
    assert_eq!(series.info.slice_thickness_mm, None);
    assert_eq!(faults(&series), ["attribute SliceThickness: 4"]);
    for (tag, value, name) in [
        (tags::SLICE_THICKNESS, "-2.5", "SliceThickness"),
        (tags::SLICE_THICKNESS, "0", "SliceThickness"),
        (tags::SPACING_BETWEEN_SLICES, "1e9", "SpacingBetweenSlices"),
        (tags::KVP, "0", "KVP"),
        (tags::X_RAY_TUBE_CURRENT, "-1", "XRayTubeCurrent"),
    ] {
        let series = with_element(tag, VR::DS, value);
        assert_eq!(faults(&series), [format!("attribute {name}: 4")], "{value}");
        let SeriesInfo { slice_thickness_mm, kvp, tube_current, .. } = series.info;
        let values = [slice_thickness_mm, kvp, tube_current];
        assert!(values.into_iter().flatten().all(|value| value > 1.0), "{values:?}");
    }
    let series = with_element(tags::SERIES_NUMBER, VR::IS, "3a");
    assert_eq!(faults(&series), ["attribute SeriesNumber: 4"]);
    // A number is a number in any representation that holds one.
    let series = with_element(tags::KVP, VR::FL, 120f32);
    assert_eq!((series.info.kvp, faults(&series)), (Some(120.0), Vec::new()));
    let series = with_element(tags::KVP, VR::OB, PrimitiveValue::from(vec![1u8, 2]));
    assert_eq!((series.info.kvp, faults(&series)), (None, vec!["attribute KVP: 4".to_owned()]));
    assert_eq!(faults(&with_element(tags::NUMBER_OF_FRAMES, VR::IS, "01")), [] as [&str; 0]);
    assert_eq!(faults(&with_element(tags::MODALITY, VR::CS, "")), ["attribute Modality: 4"]);
}

#[test]
fn an_unknown_representation_is_that_of_the_dictionary() {
    for (tag, bytes) in [
        (tags::PIXEL_SPACING, b"0.75\\0.5".to_vec()),
        (tags::ROWS, vec![2, 0]),
        (tags::CONVOLUTION_KERNEL, b"SOFT".to_vec()),
        (tags::SERIES_INSTANCE_UID, b"2.25.10\0".to_vec()),
    ] {
        let series = with_element(tag, VR::UN, PrimitiveValue::from(bytes));
        assert_eq!(faults(&series), ["unknown_representation: 4"], "{tag}");
        assert_eq!(series.info.kernel.as_deref(), Some("SOFT"));
    }
}

#[test]
fn files_are_read_without_a_preamble_and_with_elements_in_any_order() {
    let series = with_bytes(|bytes| bytes[132..].to_vec());
    assert_eq!(faults(&series), ["no_preamble: 4"]);
    let series = with_bytes(|bytes| bytes[128..].to_vec());
    assert_eq!(faults(&series), ["no_preamble: 4"]);
    let data_set = |bytes: &[u8]| find(bytes, tags::IMAGE_TYPE, *b"CS");
    let series = with_bytes(|bytes| bytes[data_set(&bytes)..].to_vec());
    assert_eq!(faults(&series), ["no_preamble: 4", "no_transfer_syntax: 4"]);
    // An element with a value of two bytes moves to the beginning, or behind the pixels.
    for (tag, vr) in [(tags::ROWS, b"US"), (tags::MODALITY, b"CS")] {
        let moved = |mut bytes: Vec<u8>, to: Option<usize>| {
            let at = find(&bytes, tag, *vr);
            let element: Vec<u8> = bytes.drain(at..at + 10).collect();
            let to = to.unwrap_or(bytes.len());
            bytes.splice(to..to, element);
            bytes
        };
        let series = with_bytes(|bytes| {
            let start = data_set(&bytes);
            moved(bytes, Some(start))
        });
        // Of two elements out of order, the one that comes too late is counted.
        assert_eq!(faults(&series), ["element_order: 4"]);
        let series = with_bytes(|bytes| moved(bytes, None));
        assert_eq!(series.info.series_instance_uid, samples::SERIES);
    }
}

#[test]
fn bytes_after_the_pixels_are_ignored_unless_they_are_a_frame() {
    let folder = tempfile::tempdir().unwrap();
    for (n, expected) in [(2, true), (10, true), (12, false)] {
        let files = samples::write(folder.path(), &samples::volume());
        for file in &files {
            edit(file, |object| {
                let pixels = object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap();
                let pixels = [&pixels[..], &vec![9; n]].concat();
                let value = PrimitiveValue::from(pixels);
                object.put_element(DataElement::new(tags::PIXEL_DATA, VR::OW, value));
            });
        }
        let series = read_series(&files, &Tolerances::default());
        assert_eq!(series.is_ok(), expected, "{n}");
        if let Ok(series) = series {
            assert_eq!(series.volume, samples::volume());
            assert_eq!(faults(&series), ["excess_pixel_bytes: 4"]);
        }
    }
}

#[test]
fn one_value_several_times_is_that_value() {
    let series = with_element(tags::RESCALE_SLOPE, VR::DS, "1\\1.0");
    assert_eq!(faults(&series), ["repeated_value RescaleSlope: 4"]);
    let series = with_element(tags::RESCALE_INTERCEPT, VR::DS, "-1024\\-1024");
    assert_eq!(faults(&series), ["repeated_value RescaleIntercept: 4"]);
    assert_eq!(faults(&with_element(tags::NUMBER_OF_FRAMES, VR::IS, "1.0")), [] as [&str; 0]);
    assert_eq!(faults(&with_element(tags::MODALITY, VR::CS, "ct")), [] as [&str; 0]);
}

/// A file's bytes with an element again, with another value of the same length.
fn doubled(bytes: &[u8], tag: Tag, vr: [u8; 2], change: impl Fn(&mut [u8])) -> Vec<u8> {
    let at = find(bytes, tag, vr);
    let end = at + 8 + usize::from(u16::from_le_bytes([bytes[at + 6], bytes[at + 7]]));
    let mut second = bytes[at..end].to_vec();
    change(&mut second[8..]);
    [&bytes[..end], &second, &bytes[end..]].concat()
}

#[test]
fn an_element_that_is_there_twice_has_one_value() {
    let same = with_bytes(|bytes| doubled(&bytes, tags::RESCALE_SLOPE, *b"DS", |_| {}));
    assert_eq!(faults(&same), [] as [&str; 0]);
    // No voxel depends on the description.
    let to_x = |value: &mut [u8]| value[0] = b'x';
    let series = with_bytes(|bytes| doubled(&bytes, tags::MANUFACTURER, *b"LO", to_x));
    assert_eq!(series.info.manufacturer, None);
    assert_eq!(faults(&series), ["attribute Manufacturer: 4"]);
    let refused_with = |tag, vr, change: fn(&mut [u8])| {
        let folder = tempfile::tempdir().unwrap();
        let files = samples::write(folder.path(), &samples::volume());
        fs::write(&files[2], doubled(&fs::read(&files[2]).unwrap(), tag, vr, change)).unwrap();
        read_series(&files, &Tolerances::default()).unwrap_err().to_string()
    };
    let error = refused_with(tags::RESCALE_INTERCEPT, *b"DS", |value| value[1] = b'2');
    let expected = "RescaleIntercept (0028,1052) is there twice, `-1024` and `-2024`, expected one";
    assert!(error.contains(expected), "{error}");
    let error = refused_with(tags::ROWS, *b"US", |value| value[0] = 1);
    assert!(error.contains("Rows (0028,0010) is there twice, `2` and `1`, expected"), "{error}");
}

#[test]
fn axes_that_are_almost_unit_vectors_are_made_so() {
    let series =
        with_element(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "0.9999\\0\\0\\0\\0.9999\\0");
    assert_eq!(faults(&series), ["orientation: 1"]);
}

#[test]
fn a_screen_save_is_set_aside_and_a_slice_without_a_position_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = samples::write(folder.path(), &samples::volume());
    let other = folder.path().join("save.dcm");
    fs::copy(&files[1], &other).unwrap();
    files.push(other.clone());
    let change = |image_type: &'static str| {
        edit(&other, |object| {
            object.remove_element(tags::IMAGE_POSITION_PATIENT);
            put(object, tags::IMAGE_TYPE, VR::CS, image_type);
        });
    };
    change("DERIVED\\SECONDARY\\OTHER");
    let series = read(&files);
    assert_eq!(series.volume, samples::volume());
    let [aside] = &series.aside[..] else { panic!("{:?}", series.aside) };
    assert_eq!((aside.rule, &aside.path), (PassedOverRule::ScreenSave, &other));
    change("ORIGINAL\\PRIMARY\\AXIAL");
    edit(&other, |object| {
        object.remove_element(tags::IMAGE_ORIENTATION_PATIENT);
        object.remove_element(tags::PIXEL_SPACING);
    });
    let error = read_series(&files, &Tolerances::default()).unwrap_err().to_string();
    assert!(error.contains("save.dcm`: ImagePositionPatient (0020,0032) is missing"), "{error}");
}

#[test]
fn values_that_are_not_hu_are_refused_by_name() {
    let refused_with = |tag: Tag, vr: VR, value: &'static str| {
        let folder = tempfile::tempdir().unwrap();
        let files = samples::write(folder.path(), &samples::volume());
        for file in &files {
            edit(file, |object| {
                if tag != tags::RESCALE_TYPE {
                    object.remove_element(tags::RESCALE_TYPE);
                }
                put(object, tag, vr, value);
            });
        }
        super::series::refused(&files)
    };
    for (value, expected) in [
        ("MGML", "concentrations in mg/ml (RescaleType is `MGML`)"),
        ("Z_EFF", "effective atomic numbers"),
        ("ED", "electron densities"),
        ("HU_MOD", "modified Hounsfield units"),
        ("PCT", "percentages"),
        ("US", "an unspecified quantity"),
        ("vendor", "another quantity (RescaleType is `vendor`)"),
    ] {
        let error = refused_with(tags::RESCALE_TYPE, VR::LO, value);
        assert!(error.contains(expected), "{error}");
    }
    let error = refused_with(tags::MULTIENERGY_CT_ACQUISITION, VR::CS, "YES");
    assert!(error.contains("an unnamed quantity of multi-energy CT"), "{error}");
    let image_type = "DERIVED\\PRIMARY\\AXIAL\\ELECTRON_DENSITY";
    let error = refused_with(tags::IMAGE_TYPE, VR::CS, image_type);
    assert!(error.contains("electron densities (ImageType is `ELECTRON_DENSITY`)"), "{error}");
    assert!(error.contains("expected Hounsfield units"), "{error}");
}

#[test]
fn an_unspecified_type_is_that_of_the_slices_of_a_converted_file_that_is_not_rescaled() {
    let folder = tempfile::tempdir().unwrap();
    let with = |class: &str, intercept: &str| {
        enhanced(folder.path(), |object: &mut DefaultDicomObject| {
            put(object, tags::SOP_CLASS_UID, VR::UI, class);
            object.update_value(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, |value| {
                let group = &mut value.items_mut().unwrap()[0];
                group.update_value(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, |value| {
                    let rescaling = &mut value.items_mut().unwrap()[0];
                    put(rescaling, tags::RESCALE_TYPE, VR::LO, "US");
                    put(rescaling, tags::RESCALE_INTERCEPT, VR::DS, intercept);
                });
            });
        })
    };
    let (legacy, own) = ("1.2.840.10008.5.1.4.1.1.2.2", "1.2.840.10008.5.1.4.1.1.2.1");
    let series = read(&[with(legacy, "0")]);
    assert_eq!(series.volume.voxels()[[0, 0, 0]], 24);
    for (class, intercept) in [(legacy, "-1024"), (own, "0")] {
        let error = refused(&with(class, intercept));
        assert!(error.contains("frame 1` holds an unspecified quantity"), "{error}");
    }
}

#[test]
fn files_that_are_no_slices_are_told_apart_from_damaged_ones() {
    let folder = tempfile::tempdir().unwrap();
    let files = samples::write(folder.path(), &samples::volume());
    let bytes = fs::read(&files[0]).unwrap();
    let others = [
        ("page.dcm", b"<html></html>".to_vec()),
        ("empty.dcm", Vec::new()),
        ("viewer.exe", vec![7; 400]),
        ("cut.dcm", bytes[..300].to_vec()),
    ];
    let mut all = files.clone();
    for (name, bytes) in others {
        all.push(folder.path().join(name));
        fs::write(&all[all.len() - 1], bytes).unwrap();
    }
    let listing = list_series(&all, &[]);
    assert_eq!(listing.series[0].files, files);
    let rules: Vec<_> = listing.passed_over.iter().map(|other| other.rule).collect();
    let (empty, not_dicom) = (PassedOverRule::Empty, PassedOverRule::NotDicom);
    assert_eq!(rules, [not_dicom, empty, not_dicom]);
    let [damaged] = &listing.damaged[..] else { panic!("{:?}", listing.damaged) };
    assert!(damaged.to_string().contains("cut.dcm`: cut off at byte 300"), "{damaged}");
}

#[test]
fn slices_that_contradict_each_other_are_named_in_no_redacted_message() {
    let folder = tempfile::tempdir().unwrap();
    let files = samples::write(folder.path(), &samples::volume());
    for (file, word) in files.iter().zip([0x7FF0_u16, 1, 0, 0]) {
        edit(file, |object| {
            for (tag, value) in
                [(tags::BITS_STORED, 12_u16), (tags::HIGH_BIT, 15), (tags::PIXEL_REPRESENTATION, 0)]
            {
                object.put_element(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
            }
            let words = PrimitiveValue::U16([word; 6][..].into());
            object.put_element(DataElement::new(tags::PIXEL_DATA, VR::OW, words));
        });
    }
    let error = read_series(&files, &Tolerances::default()).unwrap_err();
    let place = folder.path().to_str().unwrap();
    let text = error.to_string();
    assert!(
        text.contains("HighBit (0028,0102) is 15, expected 11: the pixels of this slice"),
        "{text}"
    );
    assert_eq!(text.matches(place).count(), 2, "{text}");
    let name = std::rc::Rc::new(|_: &Path| "file".to_owned());
    let text = nodulus_faults::quoted::redacted(name, || error.to_string());
    assert!(
        text.contains("those of (redacted) that 15 is right") && !text.contains(place),
        "{text}"
    );
}
