//! `rois`: one row for each axial slice of a nodule's region.

use super::schema::{axes, column};
use super::{Row, Table};
use arrow::datatypes::{DataType, Schema};
use serde::{Deserialize, Serialize};

/// An axial slice of a nodule's region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each column is described in `schema`")]
pub struct Roi {
    pub roi_id: String,
    pub nodule_id: String,
    pub cohort: String,
    pub series_instance_uid: String,
    pub patient_id: String,
    pub slice_index: i64,
    pub z_mm: f64,
    pub start_i: i64,
    pub start_j: i64,
    pub height: i64,
    pub width: i64,
    pub spacing_i_mm: f64,
    pub spacing_j_mm: f64,
    pub spacing_k_mm: f64,
    #[serde(with = "serde_bytes")]
    pub hu: Vec<u8>,
    pub norm_low_hu: f64,
    pub norm_high_hu: f64,
    #[serde(with = "serde_bytes")]
    pub mask_bits: Vec<u8>,
    #[serde(with = "serde_bytes")]
    pub other_mask_bits: Vec<u8>,
    pub n_mask_pixels: i64,
    pub has_nodule: bool,
    pub distance_to_nodule_slices: i64,
    pub padded: bool,
}

impl Row for Roi {
    const TABLE: Table = Table::Rois;
}

impl Roi {
    /// The pixels, row by row (j, then i); `None` where their number is not height × width.
    pub fn pixels_hu(&self) -> Option<Vec<i16>> {
        let n = usize::try_from(self.height.checked_mul(self.width)?).ok()?;
        (self.hu.len() == n.checked_mul(2)?)
            .then(|| self.hu.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect())
    }
}

/// Columns of `rois`.
pub fn schema() -> Schema {
    use DataType::{Binary, Boolean, Float64, Int64, Utf8};
    let mut fields = vec![
        column("roi_id", Utf8, "stable id: the nodule's id and the slice's index"),
        column("nodule_id", Utf8, "nodule at the centre"),
        column("cohort", Utf8, "name of the cohort in the pipeline file"),
        column("series_instance_uid", Utf8, "series that was cropped"),
        column("patient_id", Utf8, "patient of the series"),
        column("slice_index", Int64, "index k of the slice in the series"),
        column("z_mm", Float64, "position z of the slice's first pixel, LPS"),
        column(
            "start_i",
            Int64,
            "column of the region's first pixel in the slice; negative where padded",
        ),
        column(
            "start_j",
            Int64,
            "row of the region's first pixel in the slice; negative where padded",
        ),
        column("height", Int64, "pixels along j"),
        column("width", Int64, "pixels along i"),
    ];
    fields.extend(axes(
        "spacing_",
        &["i", "j", "k"],
        "_mm",
        &Float64,
        "distance between voxel centres",
    ));
    fields.extend([
        column("hu", Binary, "pixels in Hounsfield units: little-endian 16-bit integers, row by row"),
        column("norm_low_hu", Float64, "value that normalises to 0"),
        column("norm_high_hu", Float64, "value that normalises to 1"),
        column("mask_bits", Binary, "consensus mask of the nodule, packed bits, row by row, least significant bit first"),
        column("other_mask_bits", Binary, "mask of the scan's other nodules in the region, packed as mask_bits: learnt as nodule, left out of metrics"),
        column("n_mask_pixels", Int64, "pixels in the mask"),
        column("has_nodule", Boolean, "whether the mask has any pixel"),
        column("distance_to_nodule_slices", Int64, "slices to the nearest one with the nodule, 0 on those"),
        column("padded", Boolean, "whether the region reaches past the image"),
    ]);
    Schema::new(fields)
}
