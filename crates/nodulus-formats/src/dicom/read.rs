//! Files of a series to a volume.

use super::date::Date;
use super::header::{self, Slice};
use super::open::OpenSeries;
use super::stack::{Stack, Tolerances};
use super::{Error, frame};
use crate::volume::{LoadedSlices, SliceRanges, Volume};
use ndarray::Array3;
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// What a series' headers say; where slices differ, the one at k = 0.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesInfo {
    /// DICOM `SeriesInstanceUID`.
    pub series_instance_uid: String,
    /// DICOM `StudyInstanceUID`.
    pub study_instance_uid: String,
    /// DICOM `FrameOfReferenceUID`.
    pub frame_of_reference_uid: Option<String>,
    /// DICOM `PatientID`, may be empty.
    pub patient_id: String,
    /// DICOM `AcquisitionDate`, else that of `AcquisitionDateTime`, else `StudyDate`; `None` where none
    /// of them is a date.
    pub acquired_on: Option<Date>,
    /// Greatest DICOM `SliceThickness` of the slices, which is not the spacing.
    pub slice_thickness_mm: Option<f64>,
    /// Largest deviation of a slice gap from the spacing along k; `None` where it was not measured,
    /// as the series is refused for something else.
    pub slice_gap_max_deviation_mm: Option<f64>,
    /// Slices that the spacing leaves room for and no file fills: 0, or the series is refused; `None`
    /// where that was not measured.
    pub n_missing_slices: Option<usize>,
    /// Identical slices at one position that were left out.
    pub n_duplicate_slices: usize,
    /// DICOM `Manufacturer`.
    pub manufacturer: Option<String>,
    /// DICOM `ManufacturerModelName`.
    pub model: Option<String>,
    /// DICOM `ConvolutionKernel`, several joined by `\`.
    pub kernel: Option<String>,
    /// DICOM `KVP`, kV.
    pub kvp: Option<f64>,
    /// DICOM `XRayTubeCurrent`, mA.
    pub tube_current: Option<f64>,
    /// UID of the transfer syntax.
    pub transfer_syntax: String,
}

/// A CT series.
#[derive(Clone, Debug)]
pub struct CtSeries {
    /// What its headers say.
    pub info: SeriesInfo,
    /// Hounsfield units; what `PixelPaddingValue` marks is rescaled like any other voxel.
    pub volume: Volume<i16>,
    /// DICOM `SOPInstanceUID` of each slice, in the order of k.
    pub sop_instance_uids: Vec<String>,
}

/// What is known of a series whose slices make up no volume.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusedSeries {
    /// What its headers say; where slices differ, the first one read.
    pub info: SeriesInfo,
    /// Voxels along i and j of that slice.
    pub size: [usize; 2],
    /// Slices.
    pub n_slices: usize,
    /// Spacing along i and j of that slice.
    pub spacing_mm: [f64; 2],
    /// Median gap, where it was measured.
    pub spacing_k_mm: Option<f64>,
}

impl RefusedSeries {
    fn new(slices: &[Slice], first: &Slice, reason: &Error) -> Self {
        let (spacing_k_mm, deviation, n_missing) = match reason {
            Error::MissingSlices { gap_mm, spacing_mm, n_missing, .. } => {
                (Some(*spacing_mm), Some((gap_mm - spacing_mm).abs()), Some(*n_missing))
            }
            Error::UnevenSpacing { gap_mm, spacing_mm, .. } => {
                (Some(*spacing_mm), Some((gap_mm - spacing_mm).abs()), None)
            }
            Error::Drift { spacing_mm, .. } => (Some(*spacing_mm), None, None),
            _ => (None, None, None),
        };
        let thickness = slices.iter().filter_map(|slice| slice.thickness_mm);
        let info = SeriesInfo {
            slice_gap_max_deviation_mm: deviation,
            n_missing_slices: n_missing,
            ..info(first, thickness.reduce(f64::max))
        };
        let (size, spacing_mm) = (first.size, first.spacing_mm);
        Self { info, size, n_slices: slices.len(), spacing_mm, spacing_k_mm }
    }
}

/// Reads the files of one CT series, given in any order.
///
/// Slices are ordered by `ImagePositionPatient` along their normal, i × j; i is the direction of a
/// row, j that of a column, k ascends along the normal. The spacing along k is the median gap.
/// A frame of an enhanced CT is a slice like any other. Localizers are passed over; a slice that repeats another, voxel for voxel, is left out and
/// counted. Headers are read first, then pixels straight into the volume: at most one slice a thread
/// is held beside it.
///
/// # Errors
///
/// Fails if there is no slice; if a file is neither CT Image, Enhanced CT nor Legacy Converted Enhanced
/// CT Storage in a transfer syntax that is read, is cut off or malformed, or lacks an attribute; if slices differ in series,
/// study, patient, frame of reference, size, spacing or orientation; if they are missing, unevenly
/// spaced, or shifted sideways (a tilted gantry); if two at one position differ; if a single slice
/// has no `SpacingBetweenSlices`; or if a value does not fit into 16 bits. What slices have against
/// each other, rather than one file, is an [`Error::Refused`].
pub fn read_series(files: &[PathBuf], tolerances: &Tolerances) -> Result<CtSeries, Error> {
    let open = OpenSeries::open(files, tolerances)?;
    let volume = whole(open.read_slices(&SliceRanges::all())?);
    Ok(CtSeries { info: open.info, volume, sop_instance_uids: open.sop_instance_uids })
}

/// Reads some slices of one CT series: the headers of all its files, as [`read_series`], and the
/// voxels of the slices k of `wanted` alone. Those past its end are left out.
///
/// # Errors
///
/// Fails as [`read_series`] does; of slices that are not wanted no voxel is checked.
pub fn read_slices(
    files: &[PathBuf],
    tolerances: &Tolerances,
    wanted: &SliceRanges,
) -> Result<LoadedSlices<i16>, Error> {
    OpenSeries::open(files, tolerances)?.read_slices(wanted)
}

/// Headers of the slices among the files; one or more.
pub(super) fn read_headers(files: &[PathBuf]) -> Result<Vec<Slice>, Error> {
    let headers: Vec<_> = files.par_iter().map(|file| header::read(file)).collect();
    let mut slices = Vec::new();
    for header in headers {
        slices.extend(header?);
    }
    if slices.is_empty() {
        let folder = files.first().and_then(|file| file.parent()).unwrap_or(Path::new(""));
        return Err(Error::NoSlices { n_files: files.len(), folder: folder.to_owned() });
    }
    Ok(slices)
}

/// A refusal of slices, with what is known of them.
pub(super) fn refused(slices: &[Slice], reason: Error) -> Error {
    match (reason, slices.first()) {
        (Error::File { file, problem }, _) => Error::File { file, problem },
        (reason, Some(first)) => {
            let series = Box::new(RefusedSeries::new(slices, first, &reason));
            Error::Refused { series, reason: Box::new(reason) }
        }
        (reason, None) => reason,
    }
}

/// Voxels of the wanted slices.
pub(super) fn read_voxels(
    stack: &Stack<'_>,
    wanted: &SliceRanges,
) -> Result<LoadedSlices<i16>, Error> {
    let [columns, rows, n_slices] = stack.geometry.size();
    let wanted = wanted.within(&(0..n_slices));
    let slices: Vec<&Slice> = wanted.iter().flatten().map(|k| stack.slices[k]).collect();
    // Every slice's pixels were seen to be in its file, so that this is not more than was read; of a
    // compressed slice, no more than 4096 x 4096 voxels.
    let mut voxels = vec![0i16; columns * rows * slices.len()];
    let results: Vec<_> = voxels
        .par_chunks_mut(columns * rows)
        .zip(&slices)
        .map_init(Vec::new, |raw, (hu, slice)| frame::read(slice, raw, hu))
        .collect();
    results.into_iter().collect::<Result<(), _>>()?;
    let voxels = Array3::from_shape_vec((slices.len(), rows, columns), voxels)
        .expect("as many voxels as the slices have");
    Ok(LoadedSlices::new(stack.geometry, &wanted, voxels).expect("the slices' own shape"))
}

/// Refuses a slice that lies where a loaded one does and is not the same.
pub(super) fn check_duplicates(stack: &Stack<'_>, loaded: &LoadedSlices<i16>) -> Result<(), Error> {
    let [columns, rows, _] = stack.geometry.size();
    let (mut raw, mut hu) = (Vec::new(), vec![0; columns * rows]);
    for &(slice, k) in &stack.duplicates {
        let Some(kept) = loaded.slice(k) else { continue };
        frame::read(slice, &mut raw, &mut hu)?;
        if !kept.iter().eq(&hu) {
            let along = stack.geometry.axis(2).into_iter().zip(slice.position_mm);
            return Err(Error::Conflict {
                file: stack.slices[k].name(),
                other: slice.name(),
                position_mm: along.map(|(a, b)| a * b).sum(),
            });
        }
    }
    Ok(())
}

/// What a slice says of its series; its place among others is left open.
pub(super) fn info(slice: &Slice, slice_thickness_mm: Option<f64>) -> SeriesInfo {
    SeriesInfo {
        series_instance_uid: slice.series_instance_uid.clone(),
        study_instance_uid: slice.study_instance_uid.clone(),
        frame_of_reference_uid: slice.frame_of_reference_uid.clone(),
        patient_id: slice.patient_id.clone(),
        acquired_on: slice.acquired_on,
        slice_thickness_mm,
        slice_gap_max_deviation_mm: None,
        n_missing_slices: None,
        n_duplicate_slices: 0,
        manufacturer: slice.manufacturer.clone(),
        model: slice.model.clone(),
        kernel: slice.kernel.clone(),
        kvp: slice.kvp,
        tube_current: slice.tube_current,
        transfer_syntax: slice.transfer_syntax.clone(),
    }
}

fn whole(loaded: LoadedSlices<i16>) -> Volume<i16> {
    loaded.into_volume().expect("every slice is loaded")
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::super::write::{NewSeries, Numbering, write_series};
    use super::*;
    use crate::volume::Geometry;
    use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
    use dicom_dictionary_std::tags;
    use fs_err as fs;
    use proptest::prelude::*;

    fn read(files: &[PathBuf]) -> Result<CtSeries, Error> {
        read_series(files, &Tolerances::default())
    }

    #[test]
    fn a_refused_series_keeps_what_was_measured() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = samples::write(folder.path(), &samples::volume());
        // Without the second of four slices the gaps are 5 and 2.5 mm: neither is the rule.
        files.remove(1);
        let Err(Error::Refused { series, reason }) = read(&files) else { panic!("not refused") };
        assert_eq!(series.info.series_instance_uid, samples::SERIES);
        assert_eq!((series.n_slices, series.info.n_missing_slices), (3, None));
        assert!(matches!(*reason, Error::UnevenSpacing { .. }), "{reason}");
        let wide = Tolerances { slice_gap: 0.5, off_grid: 1.0 };
        assert!(read_series(&files, &wide).is_ok());
    }

    fn refused(files: &[PathBuf]) -> String {
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
    fn what_is_written_is_read() {
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
    fn an_oblique_volume_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        // About x by 0.3 rad, then about z by 0.2 rad.
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
    fn the_day_of_acquisition_comes_before_that_of_the_study() {
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
    fn padding_has_the_sign_of_the_pixels_and_display_changes_nothing() {
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
            // Without a sign it would be 62512 HU, whichever way it is written.
            for file in &files {
                set(file, tags::PIXEL_REPRESENTATION, VR::US, 0u16);
            }
            let error = refused(&files);
            let told = "column 0, row 0 is 62512 HU, PixelPaddingValue, expected -32768 to 32767";
            assert!(error.contains(told), "{error}");
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
    fn what_is_no_ct_slice_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let cases: [(Tag, VR, PrimitiveValue, &str); 14] = [
            (tags::MODALITY, VR::CS, "MR".into(), "Modality (0008,0060) is MR, expected CT"),
            (tags::SOP_CLASS_UID, VR::UI, "1.2.3".into(), "is 1.2.3, expected CT Image, Enhanced"),
            (tags::NUMBER_OF_FRAMES, VR::IS, "2".into(), "is 2, expected 1"),
            (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "RGB".into(), "expected MONOCHROME1 or"),
            (tags::SAMPLES_PER_PIXEL, VR::US, 3u16.into(), "is 3, expected 1"),
            (tags::BITS_ALLOCATED, VR::US, 8u16.into(), "is 8, expected 16"),
            (tags::BITS_STORED, VR::US, 17u16.into(), "is 17, expected 1 to 16"),
            (tags::HIGH_BIT, VR::US, 11u16.into(), "is 11, expected 15 to 15"),
            (tags::PIXEL_REPRESENTATION, VR::US, 2u16.into(), "is 2, expected 0 or 1"),
            (tags::ROWS, VR::US, 65535u16.into(), "is 12 bytes, expected 393210 bytes"),
            (tags::PIXEL_SPACING, VR::DS, "0.7".into(), "is `0.7`, expected 2 decimal numbers"),
            (tags::PIXEL_SPACING, VR::DS, "0\\1".into(), "is [0.0, 1.0], expected two distances"),
            (tags::IMAGE_POSITION_PATIENT, VR::DS, "1\\2\\nan".into(), "expected 3 decimal"),
            (tags::RESCALE_SLOPE, VR::DS, "".into(), "RescaleSlope (0028,1053) is missing"),
        ];
        for (tag, vr, value, expected) in cases {
            let files = samples::write(folder.path(), &samples::volume());
            set(&files[1], tag, vr, value);
            let error = refused(&files);
            assert!(error.contains("000002.dcm`: ") && error.contains(expected), "{error}");
        }
        let files = samples::write(folder.path(), &samples::volume());
        let mut bytes = fs::read(&files[0]).unwrap();
        // Name JPEG XL in place of explicit VR little endian: the length grows by four.
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
}
