//! A small series for tests, and changes to its files.

use crate::dicom::date::Date;
use crate::dicom::element::syntax::Packing;
use crate::dicom::series::pixels::PixelFormat;
use crate::dicom::series::slice::{FrameLocation, SliceHeader};
use crate::dicom::series::told_values::ToldValues;
use crate::dicom::series_info::SeriesLabels;
use crate::dicom::write::series::{NewSeries, Numbering, write_series};
use crate::volume::{Geometry, Volume};
use dicom_object::DefaultDicomObject;
use ndarray::Array3;
use std::path::{Path, PathBuf};

pub(crate) const SERIES: &str = "2.25.10";

/// Signed pixels of 16 bits with the intercept -1024.
pub(crate) const PLAIN: PixelFormat = PixelFormat {
    packing: Packing::Plain,
    data_set: 0,
    big_endian: false,
    bits_allocated: 16,
    bits_stored: 16,
    high_bit: 15,
    stated_high_bit: None,
    signed: true,
    slope: 1.0,
    intercept: -1024.0,
    padding: None,
};

/// 3 columns, 2 rows, 4 slices; every voxel differs.
pub(crate) fn volume() -> Volume<i16> {
    let geometry =
        Geometry::new([3, 2, 4], [0.5, 0.75, 2.5], [-10.0, 20.0, -99.5], Geometry::AXIAL).unwrap();
    on(geometry)
}

/// A volume for a geometry of up to 10 columns and rows.
pub(crate) fn on(geometry: Geometry) -> Volume<i16> {
    let [ni, nj, nk] = geometry.size();
    let hu = |(k, j, i)| (100 * k + 10 * j + i) as i16 - 1000;
    Volume::new(geometry, Array3::from_shape_fn((nk, nj, ni), hu)).unwrap()
}

pub(crate) fn uids(n_slices: usize) -> Vec<String> {
    (0..n_slices).map(|k| format!("2.25.100.{k}")).collect()
}

pub(crate) fn series(sop_instance_uids: &[String]) -> NewSeries<'_> {
    NewSeries {
        series_instance_uid: SERIES,
        study_instance_uid: "2.25.11",
        frame_of_reference_uid: "2.25.12",
        sop_instance_uids,
        patient_id: "P-7",
        patient_name: "Muster^Max",
        patient_birth_date: Date::new(1940, 2, 29),
        study_date: Date::new(2026, 1, 31),
        slice_thickness_mm: 3.0,
        manufacturer: "Maker",
        model: "Ümlaut 1",
        kernel: "SOFT",
        kvp: 120.0,
        tube_current: 250,
        rescale_slope: 1.0,
        rescale_intercept: -1024.0,
        numbering: Numbering::AlongK,
    }
}

/// Writes a series; returns its files in the order of k.
pub(crate) fn write(folder: &Path, volume: &Volume<i16>) -> Vec<PathBuf> {
    let uids = uids(volume.geometry().size()[2]);
    write_series(folder, &series(&uids), volume).unwrap()
}

/// Changes a file with the DICOM library, which shares no code with the reader.
pub(crate) fn edit(file: &Path, change: impl FnOnce(&mut DefaultDicomObject)) {
    let mut object = dicom_object::open_file(file).unwrap();
    change(&mut object);
    object.write_to_file(file).unwrap();
}

/// A slice without a file, named by a number.
pub(crate) fn slice_at(number: usize, position_mm: [f64; 3]) -> SliceHeader {
    SliceHeader {
        file: number.to_string().into(),
        location: FrameLocation::at(0),
        series_instance_uid: SERIES.to_owned(),
        study_instance_uid: "2.25.11".to_owned(),
        frame_of_reference_uid: Some("2.25.12".to_owned()),
        sop_class_uid: "1.2.840.10008.5.1.4.1.1.2".to_owned(),
        sop_instance_uid: format!("2.25.100.{number}"),
        patient_id: "P-7".to_owned(),
        patient_name: None,
        patient_issuer: None,
        acquired_on: None,
        size: [3, 2],
        spacing_mm: [0.5, 0.75],
        position_mm,
        orientation: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        thickness_mm: Some(3.0),
        spacing_between_slices_mm: None,
        position_step_mm: [1e-6; 3],
        told_apart: ToldValues::none(),
        is_only_compressed: false,
        uncompressed_type: None,
        labels: SeriesLabels::default(),
        temporal_position: None,
        quantity: None,
        irregular: Vec::new(),
        manufacturer: None,
        model: None,
        kernel: None,
        kvp: None,
        tube_current: None,
        transfer_syntax: "1.2.840.10008.1.2.1".to_owned(),
        pixels: PLAIN,
    }
}
