//! `nodules`: one row for each physical nodule, merged from the readers' marks.

use super::marks::RATINGS;
use super::schema::{axes, column, list, nullable, nullable_axes};
use super::{Row, Table, mask_box};
use crate::volume::PlacedMask;
use arrow::datatypes::{DataType, Schema};
use serde::{Deserialize, Serialize};

/// A physical nodule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each column is described in `schema`")]
pub struct Nodule {
    pub nodule_id: String,
    pub cohort: String,
    pub series_instance_uid: String,
    pub patient_id: String,
    pub merge_rule: String,
    pub n_marks: i64,
    pub n_readers: i64,
    pub centroid_i: f64,
    pub centroid_j: f64,
    pub centroid_k: f64,
    pub centroid_x_mm: Option<f64>,
    pub centroid_y_mm: Option<f64>,
    pub centroid_z_mm: Option<f64>,
    pub diameter_mm: f64,
    pub volume_mm3: f64,
    pub consensus_level: f64,
    pub bbox_i: i64,
    pub bbox_j: i64,
    pub bbox_k: i64,
    pub bbox_size_i: i64,
    pub bbox_size_j: i64,
    pub bbox_size_k: i64,
    #[serde(with = "serde_bytes")]
    pub mask_bits: Vec<u8>,
    pub mark_ids: Vec<String>,
    pub subtlety: Option<f64>,
    pub internal_structure: Option<f64>,
    pub calcification: Option<f64>,
    pub sphericity: Option<f64>,
    pub margin: Option<f64>,
    pub lobulation: Option<f64>,
    pub spiculation: Option<f64>,
    pub texture: Option<f64>,
    pub malignancy: Option<f64>,
    pub nodule_type: Option<String>,
}

impl Nodule {
    /// The consensus mask in its scan; without voxels where the readers have none in common.
    ///
    /// # Errors
    ///
    /// Fails if box and bits do not fit each other.
    pub fn placed(&self) -> Result<PlacedMask, mask_box::Error> {
        let start = [self.bbox_i, self.bbox_j, self.bbox_k];
        let size = [self.bbox_size_i, self.bbox_size_j, self.bbox_size_k];
        mask_box::placed(start, size, &self.mask_bits)
    }
}

impl Row for Nodule {
    const TABLE: Table = Table::Nodules;
}

/// Columns of `nodules`.
pub fn schema() -> Schema {
    use DataType::{Binary, Float64, Int64, Utf8};
    let ijk = ["i", "j", "k"];
    let mut fields = vec![
        column("nodule_id", Utf8, "stable id, from the ids of its marks"),
        column("cohort", Utf8, "name of the cohort in the pipeline file"),
        column("series_instance_uid", Utf8, "series that was read"),
        column("patient_id", Utf8, "patient of the series"),
        column("merge_rule", Utf8, "rule by which marks were joined"),
        column("n_marks", Int64, "marks joined"),
        column("n_readers", Int64, "distinct reading sessions among them"),
    ];
    fields.extend(axes(
        "centroid_",
        &ijk,
        "",
        &Float64,
        "mean of the marks' centroids, voxel index",
    ));
    fields.extend(nullable_axes(
        "centroid_",
        &["x", "y", "z"],
        "_mm",
        &Float64,
        "mean of the marks' centroids, LPS; x and y are null where the image's orientation is unknown",
    ));
    fields.extend([
        column("diameter_mm", Float64, "mean of the marks' equivalent diameters"),
        column("volume_mm3", Float64, "volume of the consensus mask"),
        column("consensus_level", Float64, "share of the marks that must hold a voxel"),
    ]);
    fields.extend(axes("bbox_", &ijk, "", &Int64, "first voxel of the consensus mask's box"));
    fields.extend(axes("bbox_size_", &ijk, "", &Int64, "size of the consensus mask's box"));
    fields.extend([
        column(
            "mask_bits",
            Binary,
            "consensus mask in its box, packed bits, k then j then i, least significant bit first",
        ),
        column("mark_ids", list(Utf8), "marks joined, sorted"),
    ]);
    fields.extend(RATINGS.map(|name| nullable(name, Float64, "mean of the readers' ratings")));
    fields.push(nullable(
        "nodule_type",
        Utf8,
        "solid, part_solid, ground_glass, calcified or cavitary, from the ratings",
    ));
    Schema::new(fields)
}
