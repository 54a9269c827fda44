//! Writes `nodules.csv`: a row for each exported nodule, to join with other tables.

use crate::pipeline::export::Error;
use crate::pipeline::export::regions::NoduleRegion;
use fs_err::File;
use serde::Serialize;
use std::path::Path;

/// A row; positions are those of the region's first voxel, LPS.
#[derive(Serialize)]
struct NoduleRow<'a> {
    nodule_id: &'a str,
    cohort: &'a str,
    patient_id: &'a str,
    series_instance_uid: &'a str,
    split: Option<&'a str>,
    fold: Option<i64>,
    diameter_mm: f64,
    n_mask_voxels: usize,
    start_i: f64,
    start_j: f64,
    first_slice_index: i64,
    size_i: usize,
    size_j: usize,
    size_k: usize,
    spacing_i_mm: f64,
    spacing_j_mm: f64,
    spacing_k_mm: f64,
    origin_x_mm: f64,
    origin_y_mm: f64,
    origin_z_mm: f64,
    norm_low_hu: f64,
    norm_high_hu: f64,
}

/// The open file.
pub(super) struct Index {
    writer: csv::Writer<File>,
}

impl Index {
    pub(super) fn create(folder: &Path) -> Result<Self, Error> {
        let file = File::create(folder.join("nodules.csv"))?;
        Ok(Self { writer: csv::Writer::from_writer(file) })
    }

    pub(super) fn add(&mut self, region: &NoduleRegion) -> Result<(), Error> {
        let geometry = region.hu.geometry();
        let [start_i, start_j] = region.start;
        let [size_i, size_j, size_k] = geometry.size();
        let [spacing_i_mm, spacing_j_mm, spacing_k_mm] = geometry.spacing().ijk();
        let [origin_x_mm, origin_y_mm, origin_z_mm] = geometry.origin_mm();
        let [norm_low_hu, norm_high_hu] = region.window_hu;
        self.writer.serialize(NoduleRow {
            nodule_id: &region.nodule_id,
            cohort: &region.cohort,
            patient_id: &region.patient_id,
            series_instance_uid: &region.series_instance_uid,
            split: region.split.as_deref(),
            fold: region.fold,
            diameter_mm: region.diameter_mm,
            n_mask_voxels: region.mask.iter().filter(|voxel| **voxel == 1).count(),
            start_i,
            start_j,
            first_slice_index: region.first_slice,
            size_i,
            size_j,
            size_k,
            spacing_i_mm,
            spacing_j_mm,
            spacing_k_mm,
            origin_x_mm,
            origin_y_mm,
            origin_z_mm,
            norm_low_hu,
            norm_high_hu,
        })?;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<(), Error> {
        Ok(self.writer.flush()?)
    }
}
