//! `rois`: one row for each axial slice of a nodule's region.

use arrow::datatypes::{DataType, Schema};
use nodulus_store::schema::{axes, column, fixed_list, nullable};
use nodulus_store::{Row, TableSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is learnt from a scan's other nodules in a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Neighbours {
    /// They are nodule.
    Include,
    /// Nothing: their pixels have no part in the loss.
    Ignore,
}

impl Neighbours {
    /// Name in pipeline files and in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Include => "include",
            Self::Ignore => "ignore",
        }
    }

    /// The rule with a name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Include, Self::Ignore].into_iter().find(|rule| rule.name() == name)
    }
}

/// What became of a nodule that is larger than its region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oversize {
    /// Pixels were made larger until it fitted.
    Resampled,
    /// Its mask ends at the region's border.
    Cropped,
}

impl Oversize {
    /// Name in the tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resampled => "resampled",
            Self::Cropped => "cropped",
        }
    }
}

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
    pub start_i: f64,
    pub start_j: f64,
    pub height: i64,
    pub width: i64,
    pub spacing_i_mm: f64,
    pub spacing_j_mm: f64,
    pub spacing_k_mm: f64,
    pub native_spacing_i_mm: f64,
    pub native_spacing_j_mm: f64,
    pub origin_x_mm: f64,
    pub origin_y_mm: f64,
    pub origin_z_mm: f64,
    pub direction: Vec<f64>,
    #[serde(with = "serde_bytes")]
    pub hu: Vec<u8>,
    pub norm_low_hu: f64,
    pub norm_high_hu: f64,
    #[serde(with = "serde_bytes")]
    pub mask_bits: Vec<u8>,
    #[serde(with = "serde_bytes")]
    pub other_mask_bits: Vec<u8>,
    pub neighbours: String,
    pub n_other_nodules: i64,
    pub n_mask_pixels: i64,
    pub n_cut_pixels: i64,
    pub oversize: Option<String>,
    pub has_nodule: bool,
    pub distance_to_nodule_slices: i64,
    pub padded: bool,
}

impl Row for Roi {
    const TABLE: &'static TableSpec = &TableSpec {
        schema_version: 2,
        pixel_columns: &["hu", "mask_bits", "other_mask_bits"],
        // The noise of a CT leaves zstd no more than half of `hu` to save, at a third of the speed of
        // writing it (`docs/benchmarks.md`).
        uncompressed_columns: &["hu"],
        id_columns: &["roi_id", "nodule_id", "patient_id"],
        row_group_rows: 128,
        ..TableSpec::new("rois", "an axial slice of a nodule's region", schema)
    };
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
            Float64,
            "column of the slice at which the region's first pixel lies: whole unless resampled, negative where padded",
        ),
        column(
            "start_j",
            Float64,
            "row of the slice at which the region's first pixel lies: whole unless resampled, negative where padded",
        ),
        column("height", Int64, "pixels along j"),
        column("width", Int64, "pixels along i"),
    ];
    fields.extend(axes(
        "spacing_",
        &["i", "j", "k"],
        "_mm",
        &Float64,
        "distance between the region's pixel centres",
    ));
    fields.extend(axes(
        "native_spacing_",
        &["i", "j"],
        "_mm",
        &Float64,
        "distance between the scan's voxel centres",
    ));
    fields.extend(axes(
        "origin_",
        &["x", "y", "z"],
        "_mm",
        &Float64,
        "centre of the region's first pixel, LPS",
    ));
    fields.extend([
        column(
            "direction",
            fixed_list(Float64, 9),
            "3×3 matrix, row by row; its columns are the unit vectors of i, j, k",
        ),
        column("hu", Binary, "pixels in Hounsfield units: little-endian 16-bit integers, row by row"),
        column("norm_low_hu", Float64, "value that normalises to 0"),
        column("norm_high_hu", Float64, "value that normalises to 1"),
        column("mask_bits", Binary, "consensus mask of the nodule, packed bits, row by row, least significant bit first"),
        column("other_mask_bits", Binary, "mask of the scan's other nodules in the region, packed as mask_bits: left out of metrics"),
        column("neighbours", Utf8, "what is learnt from the other nodules' pixels: include (they are nodule) or ignore (nothing)"),
        column("n_other_nodules", Int64, "other nodules with a pixel in the region on this slice"),
        column("n_mask_pixels", Int64, "pixels in the mask"),
        column("n_cut_pixels", Int64, "pixels of the scan on this slice that are of the nodule and past the region; 0 unless cropped"),
        nullable("oversize", Utf8, "resampled or cropped where the nodule is larger than the region; null where it fits"),
        column("has_nodule", Boolean, "whether the mask has any pixel"),
        column("distance_to_nodule_slices", Int64, "slices to the nearest one with the nodule, 0 on those"),
        column("padded", Boolean, "whether the region reaches past the image"),
    ]);
    Schema::new(fields)
}
