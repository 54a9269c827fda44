//! Series are written and read back, or refused.

use super::samples;
use crate::dicom::write::series::{NewSeries, Numbering, write_series};
use crate::dicom::{
    CtSeries, Date, Error, Irregularities, SeriesInfo, SeriesLabels, SliceLabels, Tolerances,
    read_series,
};
use crate::volume::Geometry;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use fs_err as fs;
use proptest::prelude::*;
use std::path::{Path, PathBuf};

fn read(files: &[PathBuf]) -> Result<CtSeries, Error> {
    read_series(files, &Tolerances::default())
}

#[test]
fn a_refused_series_keeps_its_measurements() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = samples::write(folder.path(), &samples::volume());
    // Without the second of four slices, the gaps are 5 and 2.5 mm: neither is the rule.
    files.remove(1);
    let Err(Error::Refused { series, reason }) = read(&files) else { panic!("not refused") };
    assert_eq!(series.info.series_instance_uid, samples::SERIES);
    assert_eq!((series.n_slices, series.info.n_missing_slices), (3, None));
    assert!(matches!(*reason, Error::UnevenSpacing { .. }), "{reason}");
    let wide = Tolerances { slice_gap: 0.5, off_grid: 1.0, ..Tolerances::default() };
    assert!(read_series(&files, &wide).is_ok());
}

pub(super) fn refused(files: &[PathBuf]) -> String {
    match read(files).unwrap_err() {
        Error::Refused { reason, .. } => reason.to_string(),
        other => other.to_string(),
    }
}

fn set(file: &Path, tag: Tag, vr: VR, value: impl Into<PrimitiveValue>) {
    samples::edit(file, |object| {
        object.put_element(DataElement::new(tag, vr, value.into()));
    });
}

#[test]
fn a_written_series_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let volume = samples::volume();
    let uids = samples::uids(4);
    for numbering in [Numbering::AlongK, Numbering::AgainstK] {
        let new = NewSeries { numbering, ..samples::series(&uids) };
        let mut files = write_series(folder.path(), &new, &volume).unwrap();
        files.rotate_left(1);
        files.swap(0, 1);
        let series = read(&files).unwrap();
        assert_eq!(series.volume, volume);
        assert_eq!(series.sop_instance_uids, uids);
        let info = SeriesInfo {
            series_instance_uid: samples::SERIES.to_owned(),
            study_instance_uid: "2.25.11".to_owned(),
            frame_of_reference_uid: Some("2.25.12".to_owned()),
            patient_id: "P-7".to_owned(),
            acquired_on: Date::new(2026, 1, 31),
            slice_thickness_mm: Some(3.0),
            slice_gap_max_deviation_mm: Some(0.0),
            grid_residual_mm: Some(0.0),
            tilt_deg: None,
            labels: SeriesLabels {
                series_number: Some(1),
                acquisition_number: Some(1),
                image_type: Some("ORIGINAL\\PRIMARY\\AXIAL".to_owned()),
                rescale_type: Some("HU".to_owned()),
                ..SeriesLabels::default()
            },
            of_slices: SliceLabels {
                descriptions: vec![(None, 4)],
                image_types: vec![(Some("ORIGINAL\\PRIMARY\\AXIAL".to_owned()), 4)],
                kernels: vec![(Some("SOFT".to_owned()), 4)],
                kvps: vec![(Some(120.0), 4)],
                patient_names: vec![(Some("Muster^Max".to_owned()), 4)],
                patient_issuers: vec![(None, 4)],
            },
            irregularities: Irregularities::default(),
            n_missing_slices: Some(0),
            n_duplicate_slices: 0,
            manufacturer: Some("Maker".to_owned()),
            model: Some("Ümlaut 1".to_owned()),
            kernel: Some("SOFT".to_owned()),
            kvp: Some(120.0),
            tube_current: Some(250.0),
            transfer_syntax: "1.2.840.10008.1.2.1".to_owned(),
        };
        assert_eq!(series.info, info);
    }
}

#[test]
fn an_oblique_volume_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    // Rotated about x by 0.3 rad, then about z by 0.2 rad.
    let ((a, b), (c, d)) = (0.3f64.sin_cos(), 0.2f64.sin_cos());
    let direction = [d, -c * b, c * a, c, d * b, -d * a, 0.0, a, b];
    let geometry =
        Geometry::new([3, 2, 5], [0.6, 0.7, 1.1], [-100.3, 7.0, 400.0], direction).unwrap();
    let volume = samples::on(geometry);
    let found = read(&samples::write(folder.path(), &volume)).unwrap().volume;
    assert_eq!(found.voxels(), volume.voxels());
    for corner in [[0.0, 0.0, 0.0], [2.0, 1.0, 4.0]] {
        let pairs = found.geometry().voxel_to_patient(corner).into_iter();
        for (found, expected) in pairs.zip(geometry.voxel_to_patient(corner)) {
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
    }
}

#[test]
fn the_day_of_acquisition_takes_precedence_over_that_of_the_study() {
    let folder = tempfile::tempdir().unwrap();
    let files = samples::write(folder.path(), &samples::volume());
    let acquired_on = || read(&files).unwrap().info.acquired_on;
    set(&files[0], tags::ACQUISITION_DATE_TIME, VR::DT, "20260202235959.5");
    assert_eq!(acquired_on(), Date::new(2026, 2, 2));
    set(&files[0], tags::ACQUISITION_DATE, VR::DA, "20260201");
    assert_eq!(acquired_on(), Date::new(2026, 2, 1));
    for file in &files {
        for tag in [tags::ACQUISITION_DATE, tags::STUDY_DATE] {
            set(file, tag, VR::DA, "20261301");
        }
        set(file, tags::ACQUISITION_DATE_TIME, VR::DT, "");
    }
    assert_eq!(acquired_on(), None);
}

#[test]
fn other_uncompressed_syntaxes_give_the_same_volume() {
    let folder = tempfile::tempdir().unwrap();
    let volume = samples::volume();
    for uid in ["1.2.840.10008.1.2", "1.2.840.10008.1.2.2"] {
        let files = samples::write(folder.path(), &volume);
        for file in &files {
            samples::edit(file, |object| {
                let pixels = object.element(tags::PIXEL_DATA).unwrap();
                let words = pixels.to_multi_int::<u16>().unwrap();
                let words = PrimitiveValue::U16(words.into_iter().collect());
                object.put_element(DataElement::new(tags::PIXEL_DATA, VR::OW, words));
                object.meta_mut().transfer_syntax = uid.to_owned();
            });
        }
        let series = read(&files).unwrap();
        assert_eq!(series.volume, volume, "{uid}");
        assert_eq!(series.info.transfer_syntax, uid);
        assert_eq!(series.info.model.as_deref(), Some("Ümlaut 1"));
    }
}

#[test]
fn each_slice_has_its_own_rescaling() {
    let folder = tempfile::tempdir().unwrap();
    let files = samples::write(folder.path(), &samples::volume());
    set(&files[1], tags::RESCALE_INTERCEPT, VR::DS, "-1000");
    set(&files[2], tags::RESCALE_SLOPE, VR::DS, "2.0");
    let voxels = read(&files).unwrap().volume.into_voxels();
    // Stored values are 24, then 124 + 12, 224 + 12, 324 + 12 at row 1, column 2.
    assert_eq!(voxels[[0, 0, 0]], -1000);
    assert_eq!(voxels[[1, 1, 2]], 136 - 1000);
    assert_eq!(voxels[[2, 1, 2]], 2 * 236 - 1024);
    assert_eq!(voxels[[3, 1, 2]], 336 - 1024);
}

#[test]
fn padding_is_signed_like_the_pixels_and_monochrome1_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let files = samples::write(folder.path(), &samples::volume());
    // 63536 and -2000 are the same bits; the first voxel has them.
    let paddings = [PrimitiveValue::from(63536u16), PrimitiveValue::from(-2000i16)];
    for (vr, padding) in [VR::US, VR::SS].into_iter().zip(paddings) {
        set(&files[1], tags::PIXEL_PADDING_VALUE, vr, padding);
        set(&files[1], tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME1");
        samples::edit(&files[1], |object| {
            let pixels = object.element(tags::PIXEL_DATA).unwrap();
            let mut words = pixels.to_multi_int::<u16>().unwrap();
            words[0] = 63536;
            let words = PrimitiveValue::U16(words.into_iter().collect());
            object.put_element(DataElement::new(tags::PIXEL_DATA, VR::OW, words));
        });
        let mut expected = samples::volume().into_voxels();
        expected[[1, 0, 0]] = -3024;
        assert_eq!(read(&files).unwrap().volume.into_voxels(), expected);
        // As an unsigned value it would be 62512 HU, in either representation of the padding.
        for file in &files {
            set(file, tags::PIXEL_REPRESENTATION, VR::US, 0u16);
        }
        let series = read(&files).unwrap();
        assert_eq!(series.volume.voxels()[[1, 0, 0]], -32768);
        assert_eq!(series.info.irregularities.texts(), ["padding_voxels: 1"]);
        for file in &files {
            set(file, tags::PIXEL_REPRESENTATION, VR::US, 1u16);
        }
    }
}

#[test]
fn repeated_slices_are_counted_and_contradictions_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = samples::write(folder.path(), &samples::volume());
    let copy = folder.path().join("copy.dcm");
    fs::copy(&files[2], &copy).unwrap();
    set(&copy, tags::SOP_INSTANCE_UID, VR::UI, "2.25.99");
    files.push(copy.clone());
    let series = read(&files).unwrap();
    assert_eq!(series.info.n_duplicate_slices, 1);
    assert_eq!(series.volume, samples::volume());
    assert_eq!(series.sop_instance_uids, samples::uids(4));
    set(&copy, tags::RESCALE_INTERCEPT, VR::DS, "-1023");
    let error = refused(&files);
    assert!(error.contains("000003.dcm` and `") && error.contains("-94.5000 mm"), "{error}");
    set(&copy, tags::IMAGE_TYPE, VR::CS, "DERIVED\\PRIMARY\\LOCALIZER");
    assert_eq!(read(&files).unwrap().info.n_duplicate_slices, 0);
    let error = refused(&files[4..]);
    assert!(error.starts_with("no CT slice among 1 files of `"), "{error}");
}

#[test]
fn files_that_are_not_ct_slices_are_refused_by_attribute() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(Tag, VR, PrimitiveValue, &str); 20] = [
        (tags::MODALITY, VR::CS, "MR".into(), "Modality (0008,0060) is MR, expected CT"),
        (tags::SOP_CLASS_UID, VR::UI, "1.2.3".into(), "is 1.2.3, expected CT Image, Enhanced"),
        (tags::NUMBER_OF_FRAMES, VR::IS, "2".into(), "is 2, expected 1"),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME3".into(), "expected MONOCHROME1 or"),
        (tags::BITS_ALLOCATED, VR::US, 8u16.into(), "is 8, expected 16"),
        (tags::BITS_STORED, VR::US, 17u16.into(), "is 17, expected 1 to 16"),
        (tags::PIXEL_REPRESENTATION, VR::US, 2u16.into(), "is 2, expected 0 or 1"),
        (tags::ROWS, VR::US, 65535u16.into(), "is 12 bytes, expected 393210 bytes"),
        (tags::PIXEL_SPACING, VR::DS, "0.7".into(), "is `0.7`, expected 2 decimal numbers"),
        (tags::PIXEL_SPACING, VR::DS, "0\\1".into(), "is [0.0, 1.0], expected two distances"),
        (tags::IMAGE_POSITION_PATIENT, VR::DS, "1\\2\\nan".into(), "expected 3 decimal"),
        (tags::RESCALE_SLOPE, VR::DS, "".into(), "RescaleSlope (0028,1053) is missing"),
        (
            tags::PIXEL_SPACING,
            VR::DS,
            "700\\700".into(),
            "is [700.0, 700.0], expected two distances of 0.01 to 50 mm",
        ),
        (
            tags::PIXEL_SPACING,
            VR::DS,
            "1e-9\\1".into(),
            "is [1e-9, 1.0], expected two distances of 0.01 to 50 mm",
        ),
        (
            tags::IMAGE_POSITION_PATIENT,
            VR::DS,
            "1\\2\\1e7".into(),
            "is `1\\2\\1e7`, expected -1000000 to 1000000 mm",
        ),
        (tags::RESCALE_SLOPE, VR::DS, "0".into(), "is 0, expected 0.000001 to 1000000"),
        (tags::RESCALE_SLOPE, VR::DS, "-1".into(), "is -1, expected 0.000001 to 1000000"),
        (tags::RESCALE_SLOPE, VR::DS, "1e9".into(), "is 1000000000, expected 0.000001 to 1000000"),
        (
            tags::RESCALE_INTERCEPT,
            VR::DS,
            "-1e7".into(),
            "is -10000000, expected -1000000 to 1000000",
        ),
        (
            tags::FRAME_OF_REFERENCE_UID,
            VR::UT,
            "1".repeat((1 << 20) + 2).into(),
            "FrameOfReferenceUID (0020,0052) is of 1048578 bytes, expected at most 1048576",
        ),
    ];
    for (tag, vr, value, expected) in cases {
        let files = samples::write(folder.path(), &samples::volume());
        set(&files[1], tag, vr, value);
        let error = refused(&files);
        assert!(error.contains("000002.dcm`: ") && error.contains(expected), "{error}");
    }
    let files = samples::write(folder.path(), &samples::volume());
    let mut bytes = fs::read(&files[0]).unwrap();
    // JPEG XL in place of explicit VR little endian: the length grows by four.
    let at = bytes.windows(19).position(|w| w == b"1.2.840.10008.1.2.1").unwrap();
    bytes.splice(at..at + 20, *b"1.2.840.10008.1.2.4.110\0");
    bytes[at - 2] += 4;
    fs::write(&files[0], bytes).unwrap();
    let error = refused(&files);
    assert!(error.contains("transfer syntax is 1.2.840.10008.1.2.4.110 (JPEG XL)"), "{error}");
}

#[test]
fn a_truncated_file_is_an_error_at_every_length() {
    let folder = tempfile::tempdir().unwrap();
    let files = samples::write(folder.path(), &samples::volume());
    let bytes = fs::read(&files[3]).unwrap();
    for length in 0..bytes.len() {
        fs::write(&files[3], &bytes[..length]).unwrap();
        let error = refused(&files);
        assert!(error.contains("000004.dcm`: "), "{length}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn garbage_is_an_error_and_not_a_panic(
        changes in prop::collection::vec((132usize..1200, any::<u8>()), 1..8)
    ) {
        let folder = tempfile::tempdir().unwrap();
        let files = samples::write(folder.path(), &samples::volume());
        let mut bytes = fs::read(&files[1]).unwrap();
        for (at, byte) in changes {
            if let Some(old) = bytes.get_mut(at) {
                *old = byte;
            }
        }
        fs::write(&files[1], bytes).unwrap();
        if let Ok(series) = read(&files) {
            prop_assert!(series.volume.geometry().n_voxels() <= 24);
        }
    }
}
