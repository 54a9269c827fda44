//! Writes a volume as the files of a CT series.

use super::new_object::{IMPLEMENTATION_CLASS_UID, decimal};
use crate::dicom::date::Date;
use crate::dicom::error::{Error, Problem};
use crate::uid::is_uid;
use crate::volume::Volume;
use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use fs_err as fs;
use ndarray::ArrayView2;
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// The attributes of a series to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSeries<'a> {
    /// DICOM `SeriesInstanceUID`.
    pub series_instance_uid: &'a str,
    /// DICOM `StudyInstanceUID`.
    pub study_instance_uid: &'a str,
    /// DICOM `FrameOfReferenceUID`.
    pub frame_of_reference_uid: &'a str,
    /// DICOM `SOPInstanceUID` of each slice, in the order of k.
    pub sop_instance_uids: &'a [String],
    /// DICOM `PatientID`.
    pub patient_id: &'a str,
    /// DICOM `PatientName`; may be empty.
    pub patient_name: &'a str,
    /// DICOM `PatientBirthDate`; empty if unknown.
    pub patient_birth_date: Option<Date>,
    /// DICOM `StudyDate`; empty if unknown.
    pub study_date: Option<Date>,
    /// DICOM `SliceThickness`; the spacing is that of the volume.
    pub slice_thickness_mm: f64,
    /// DICOM `Manufacturer`.
    pub manufacturer: &'a str,
    /// DICOM `ManufacturerModelName`.
    pub model: &'a str,
    /// DICOM `ConvolutionKernel`.
    pub kernel: &'a str,
    /// DICOM `KVP`, kV.
    pub kvp: f64,
    /// DICOM `XRayTubeCurrent`, mA.
    pub tube_current: u32,
    /// HU for one step of a stored value.
    pub rescale_slope: f64,
    /// HU of a stored 0.
    pub rescale_intercept: f64,
    /// The direction in which `InstanceNumber` ascends.
    pub numbering: Numbering,
}

/// The direction in which `InstanceNumber` ascends; files are named by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Numbering {
    /// Along k: 1 at k = 0.
    #[default]
    AlongK,
    /// Against k: 1 at the last slice, as on many scans from head to foot.
    AgainstK,
}

/// Writes one file for each slice into a folder, which is created if necessary; returns the paths in the order of k.
///
/// The files are CT Image Storage in explicit VR little endian, with 16 bits, signed. The same series always gives
/// the same bytes. Decimal strings have 16 characters, so positions are precise to 1e-10 mm.
///
/// # Errors
///
/// Fails if the number of UIDs is not the number of slices, a UID is invalid, a dimension exceeds 65,535, a value of
/// the volume has no stored value, or a file cannot be written.
pub fn write_series(
    folder: &Path,
    series: &NewSeries<'_>,
    volume: &Volume<i16>,
) -> Result<Vec<PathBuf>, Error> {
    check(series, volume)?;
    fs::create_dir_all(folder)?;
    let n_slices = series.sop_instance_uids.len();
    let results: Vec<_> = (0..n_slices)
        .into_par_iter()
        .map(|k| {
            let number = match series.numbering {
                Numbering::AlongK => k + 1,
                Numbering::AgainstK => n_slices - k,
            };
            let file = folder.join(format!("{number:06}.dcm"));
            write_slice(&file, series, volume, k, number)?;
            Ok(file)
        })
        .collect();
    results.into_iter().collect()
}

fn check(series: &NewSeries<'_>, volume: &Volume<i16>) -> Result<(), Error> {
    let refuse = |attribute, found: String, expected: String| {
        let series_instance_uid = series.series_instance_uid.to_owned();
        Err(Error::Unwritable { series_instance_uid, attribute, found, expected })
    };
    let [columns, rows, n_slices] = volume.geometry().size();
    if series.sop_instance_uids.len() != n_slices {
        let found = series.sop_instance_uids.len().to_string();
        return refuse(
            "the number of SOPInstanceUIDs",
            found,
            format!("{n_slices}, one for each slice"),
        );
    }
    let own =
        [series.series_instance_uid, series.study_instance_uid, series.frame_of_reference_uid];
    let slices = series.sop_instance_uids.iter().map(String::as_str);
    if let Some(bad) = own.into_iter().chain(slices).find(|uid| !is_uid(uid)) {
        let expected = "numbers joined by dots, at most 64 characters".to_owned();
        return refuse("a UID", format!("`{bad}`"), expected);
    }
    if columns.max(rows) > usize::from(u16::MAX) {
        return refuse("the size", format!("{columns} x {rows}"), "at most 65535".to_owned());
    }
    if !(series.rescale_slope.is_finite() && series.rescale_slope > 0.0) {
        let found = series.rescale_slope.to_string();
        return refuse("RescaleSlope", found, "a number over 0".to_owned());
    }
    Ok(())
}

fn write_slice(
    file: &Path,
    series: &NewSeries<'_>,
    volume: &Volume<i16>,
    k: usize,
    number: usize,
) -> Result<(), Error> {
    let Some(voxels) = volume.slice(k) else { return Ok(()) };
    let pixels = stored(&voxels, series).map_err(|problem| Error::file(file, problem))?;
    let mut object = attributes(series, volume, k, number);
    let [columns, rows, _] = volume.geometry().size();
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, rows as u16),
        (tags::COLUMNS, columns as u16),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 16),
        (tags::HIGH_BIT, 15),
        (tags::PIXEL_REPRESENTATION, 1),
    ] {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::from(pixels)));
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .implementation_class_uid(IMPLEMENTATION_CLASS_UID)
        .implementation_version_name("NODULUS");
    let object =
        object.with_meta(meta).map_err(|error| Error::file(file, Problem::elements(&error)))?;
    let target = fs::File::create(file)?;
    object.write_all(target).map_err(|error| Error::file(file, Problem::elements(&error)))
}

/// The attributes in text form: those that CT Image Storage requires, empty where it allows that.
fn attributes(
    series: &NewSeries<'_>,
    volume: &Volume<i16>,
    k: usize,
    number: usize,
) -> InMemDicomObject {
    let geometry = volume.geometry();
    let [si, sj, sk] = geometry.spacing().ijk();
    let decimals =
        |values: &[f64]| values.iter().map(|v| decimal(*v)).collect::<Vec<_>>().join("\\");
    let orientation = [geometry.axis(0), geometry.axis(1)].concat();
    let position = geometry.voxel_to_patient([0.0, 0.0, k as f64]);
    let date = |date: Option<Date>| date.map_or(String::new(), Date::to_dicom);
    let texts: [(Tag, VR, String); 36] = [
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192".to_owned()),
        (tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\AXIAL".to_owned()),
        (tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE.to_owned()),
        (tags::SOP_INSTANCE_UID, VR::UI, series.sop_instance_uids[k].clone()),
        (tags::STUDY_DATE, VR::DA, date(series.study_date)),
        (tags::STUDY_TIME, VR::TM, String::new()),
        (tags::ACCESSION_NUMBER, VR::SH, String::new()),
        (tags::MODALITY, VR::CS, "CT".to_owned()),
        (tags::MANUFACTURER, VR::LO, series.manufacturer.to_owned()),
        (tags::REFERRING_PHYSICIAN_NAME, VR::PN, String::new()),
        (tags::MANUFACTURER_MODEL_NAME, VR::LO, series.model.to_owned()),
        (tags::PATIENT_NAME, VR::PN, series.patient_name.to_owned()),
        (tags::PATIENT_ID, VR::LO, series.patient_id.to_owned()),
        (tags::PATIENT_BIRTH_DATE, VR::DA, date(series.patient_birth_date)),
        (tags::PATIENT_SEX, VR::CS, String::new()),
        (tags::SLICE_THICKNESS, VR::DS, decimal(series.slice_thickness_mm)),
        (tags::KVP, VR::DS, decimal(series.kvp)),
        (tags::SPACING_BETWEEN_SLICES, VR::DS, decimal(sk)),
        (tags::X_RAY_TUBE_CURRENT, VR::IS, series.tube_current.to_string()),
        (tags::CONVOLUTION_KERNEL, VR::SH, series.kernel.to_owned()),
        (tags::PATIENT_POSITION, VR::CS, "HFS".to_owned()),
        (tags::STUDY_INSTANCE_UID, VR::UI, series.study_instance_uid.to_owned()),
        (tags::SERIES_INSTANCE_UID, VR::UI, series.series_instance_uid.to_owned()),
        (tags::STUDY_ID, VR::SH, String::new()),
        (tags::SERIES_NUMBER, VR::IS, "1".to_owned()),
        (tags::ACQUISITION_NUMBER, VR::IS, "1".to_owned()),
        (tags::INSTANCE_NUMBER, VR::IS, number.to_string()),
        (tags::IMAGE_POSITION_PATIENT, VR::DS, decimals(&position)),
        (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, decimals(&orientation)),
        (tags::FRAME_OF_REFERENCE_UID, VR::UI, series.frame_of_reference_uid.to_owned()),
        (tags::POSITION_REFERENCE_INDICATOR, VR::LO, String::new()),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2".to_owned()),
        // `PixelSpacing` begins with the distance between rows, which is along j.
        (tags::PIXEL_SPACING, VR::DS, decimals(&[sj, si])),
        (tags::RESCALE_INTERCEPT, VR::DS, decimal(series.rescale_intercept)),
        (tags::RESCALE_SLOPE, VR::DS, decimal(series.rescale_slope)),
        (tags::RESCALE_TYPE, VR::LO, "HU".to_owned()),
    ];
    InMemDicomObject::from_element_iter(
        texts.map(|(tag, vr, text)| DataElement::new(tag, vr, PrimitiveValue::from(text))),
    )
}

/// The stored values of a slice, little endian.
fn stored(voxels: &ArrayView2<'_, i16>, series: &NewSeries<'_>) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::with_capacity(2 * voxels.len());
    for ((j, i), hu) in voxels.indexed_iter() {
        let stored = (f64::from(*hu) - series.rescale_intercept) / series.rescale_slope;
        let whole = stored.round();
        let fits = whole >= f64::from(i16::MIN) && whole <= f64::from(i16::MAX);
        if !fits || (stored - whole).abs() > 1e-9 {
            let found = format!("{stored} for {hu} HU at column {i}, row {j}");
            let expected = "a whole number of 16 bits";
            return Err(Problem::value(tags::PIXEL_DATA, found, expected));
        }
        bytes.extend((whole as i16).to_le_bytes());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::tests::samples;

    #[test]
    fn the_same_series_gives_the_same_bytes() {
        let volume = samples::volume();
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = samples::write(a.path(), &volume);
        let second = samples::write(b.path(), &volume);
        assert_eq!(first.len(), 4);
        for (first, second) in first.iter().zip(second) {
            assert_eq!(first.file_name(), second.file_name());
            assert_eq!(fs::read(first).unwrap(), fs::read(second).unwrap());
        }
    }

    #[test]
    fn instance_numbers_run_either_way() {
        let folder = tempfile::tempdir().unwrap();
        let uids = samples::uids(4);
        let series = NewSeries { numbering: Numbering::AgainstK, ..samples::series(&uids) };
        let files = write_series(folder.path(), &series, &samples::volume()).unwrap();
        assert!(files[0].ends_with("000004.dcm") && files[3].ends_with("000001.dcm"));
        let last = dicom_object::open_file(&files[3]).unwrap();
        assert_eq!(last.element(tags::INSTANCE_NUMBER).unwrap().to_int::<i32>().unwrap(), 1);
        assert_eq!(last.element(tags::SOP_INSTANCE_UID).unwrap().to_str().unwrap(), uids[3]);
    }

    #[test]
    fn data_that_do_not_make_up_a_series_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let uids = samples::uids(4);
        let good = samples::series(&uids);
        let refused = |series: NewSeries<'_>| {
            write_series(folder.path(), &series, &samples::volume()).unwrap_err().to_string()
        };
        let few = refused(NewSeries { sop_instance_uids: &uids[1..], ..good.clone() });
        assert!(few.ends_with("SOPInstanceUIDs is 3, expected 4, one for each slice"), "{few}");
        let uid = refused(NewSeries { study_instance_uid: "a", ..good.clone() });
        assert!(uid.contains("a UID is `a`"), "{uid}");
        let slope = refused(NewSeries { rescale_slope: 2.0, ..good.clone() });
        assert!(slope.contains(".dcm`: PixelData (7FE0,0010) is "), "{slope}");
        let intercept = refused(NewSeries { rescale_intercept: 32768.0, ..good });
        assert!(intercept.contains("a whole number of 16 bits"), "{intercept}");
    }
}
