//! `nodules`: one row for each physical nodule, merged from the readers' marks.

use super::marks::RATINGS;
use super::mask_box;
use arrow::datatypes::{DataType, Field, Schema};
use nodulus_formats::volume::PlacedMask;
use nodulus_store::schema::{axes, column, list, nullable, nullable_axes};
use nodulus_store::{Row, TableSpec};
use serde::{Deserialize, Serialize};

/// A physical nodule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Default))]
#[expect(missing_docs, reason = "each column is described in `schema`")]
pub struct Nodule {
    pub nodule_id: String,
    pub cohort: String,
    pub series_instance_uid: String,
    pub patient_id: String,
    pub merge_rule: String,
    pub n_marks: i64,
    pub n_readers: i64,
    pub more_marks_than_readers: bool,
    pub centroid_i: f64,
    pub centroid_j: f64,
    pub centroid_k: f64,
    pub centroid_x_mm: Option<f64>,
    pub centroid_y_mm: Option<f64>,
    pub centroid_z_mm: Option<f64>,
    pub diameter_mm: f64,
    pub volume_mm3: f64,
    pub consensus_level: f64,
    pub consensus_denominator: String,
    pub consensus_n_readers: i64,
    pub consensus_n_needed: i64,
    pub bbox_i: i64,
    pub bbox_j: i64,
    pub bbox_k: i64,
    pub bbox_size_i: i64,
    pub bbox_size_j: i64,
    pub bbox_size_k: i64,
    #[serde(with = "serde_bytes")]
    pub mask_bits: Vec<u8>,
    pub union_volume_mm3: f64,
    pub union_bbox_i: i64,
    pub union_bbox_j: i64,
    pub union_bbox_k: i64,
    pub union_bbox_size_i: i64,
    pub union_bbox_size_j: i64,
    pub union_bbox_size_k: i64,
    #[serde(with = "serde_bytes")]
    pub union_mask_bits: Vec<u8>,
    pub mark_ids: Vec<String>,
    pub alternative_mark_ids: Option<Vec<Vec<String>>>,
    pub subtlety: Option<f64>,
    pub subtlety_median: Option<f64>,
    pub subtlety_sd: Option<f64>,
    pub subtlety_n: i64,
    pub internal_structure: Option<f64>,
    pub internal_structure_median: Option<f64>,
    pub internal_structure_sd: Option<f64>,
    pub internal_structure_n: i64,
    pub calcification: Option<f64>,
    pub calcification_median: Option<f64>,
    pub calcification_sd: Option<f64>,
    pub calcification_n: i64,
    pub sphericity: Option<f64>,
    pub sphericity_median: Option<f64>,
    pub sphericity_sd: Option<f64>,
    pub sphericity_n: i64,
    pub margin: Option<f64>,
    pub margin_median: Option<f64>,
    pub margin_sd: Option<f64>,
    pub margin_n: i64,
    pub lobulation: Option<f64>,
    pub lobulation_median: Option<f64>,
    pub lobulation_sd: Option<f64>,
    pub lobulation_n: i64,
    pub spiculation: Option<f64>,
    pub spiculation_median: Option<f64>,
    pub spiculation_sd: Option<f64>,
    pub spiculation_n: i64,
    pub texture: Option<f64>,
    pub texture_median: Option<f64>,
    pub texture_sd: Option<f64>,
    pub texture_n: i64,
    pub malignancy: Option<f64>,
    pub malignancy_median: Option<f64>,
    pub malignancy_sd: Option<f64>,
    pub malignancy_n: i64,
    pub nodule_type: Option<String>,
}

impl Nodule {
    /// The consensus mask in its scan; without voxels where too few readers have any in common.
    ///
    /// # Errors
    ///
    /// Fails if box and bits do not fit each other.
    pub fn placed(&self) -> Result<PlacedMask, mask_box::Error> {
        let start = [self.bbox_i, self.bbox_j, self.bbox_k];
        let size = [self.bbox_size_i, self.bbox_size_j, self.bbox_size_k];
        mask_box::placed(start, size, &self.mask_bits)
    }

    /// The union of the readers' masks in its scan.
    ///
    /// # Errors
    ///
    /// Fails if box and bits do not fit each other.
    pub fn placed_union(&self) -> Result<PlacedMask, mask_box::Error> {
        let start = [self.union_bbox_i, self.union_bbox_j, self.union_bbox_k];
        let size = [self.union_bbox_size_i, self.union_bbox_size_j, self.union_bbox_size_k];
        mask_box::placed(start, size, &self.union_mask_bits)
    }
}

impl Row for Nodule {
    const TABLE: &'static TableSpec = &TableSpec {
        schema_version: 2,
        pixel_columns: &["mask_bits", "union_mask_bits"],
        id_columns: &["nodule_id", "series_instance_uid", "patient_id"],
        row_group_rows: 4096,
        ..TableSpec::new("nodules", "a physical nodule", schema)
    };
}

/// Columns of `nodules`.
pub fn schema() -> Schema {
    use DataType::{Boolean, Float64, Int64, Utf8};
    let ijk = ["i", "j", "k"];
    let mut fields = vec![
        column("nodule_id", Utf8, "stable id, from the ids of its marks"),
        column("cohort", Utf8, "name of the cohort in the pipeline file"),
        column("series_instance_uid", Utf8, "series that was read"),
        column("patient_id", Utf8, "patient of the series"),
        column("merge_rule", Utf8, "rule by which marks were joined: linkage, luna16 or overlap"),
        column("n_marks", Int64, "marks joined"),
        column("n_readers", Int64, "distinct reading sessions among them"),
        column(
            "more_marks_than_readers",
            Boolean,
            "whether a reader marked it more than once: two nodules may have been joined",
        ),
    ];
    fields.extend(axes(
        "centroid_",
        &ijk,
        "",
        &Float64,
        "mean of the marks' centroids, voxel index; under the rule luna16 a mean with its weights",
    ));
    fields.extend(nullable_axes(
        "centroid_",
        &["x", "y", "z"],
        "_mm",
        &Float64,
        "the same, LPS; x and y are null where the image's orientation is unknown",
    ));
    fields.push(column(
        "diameter_mm",
        Float64,
        "mean of the marks' equivalent diameters; under the rule luna16 a mean with its weights",
    ));
    fields.extend(mask_columns());
    fields.extend([
        column("mark_ids", list(Utf8), "marks joined, sorted"),
        nullable(
            "alternative_mark_ids",
            list(list(Utf8)),
            "the marks in groups without two of one reader, sorted; null where no reader marked twice",
        ),
    ]);
    for name in RATINGS {
        let (median, sd, n) = (format!("{name}_median"), format!("{name}_sd"), format!("{name}_n"));
        fields.extend([
            nullable(name, Float64, "mean of the marks' ratings; null where none rates"),
            nullable(&median, Float64, "median of the marks' ratings; null where none rates"),
            nullable(&sd, Float64, "standard deviation (n - 1) of them; null under two"),
            column(&n, Int64, "marks that rate"),
        ]);
    }
    fields.push(nullable(
        "nodule_type",
        Utf8,
        "solid, part_solid, ground_glass, calcified or cavitary, from the mean ratings",
    ));
    Schema::new(fields)
}

/// The consensus, how it was taken, and the union.
fn mask_columns() -> Vec<Field> {
    use DataType::{Binary, Float64, Int64, Utf8};
    let ijk = ["i", "j", "k"];
    let mut fields = vec![
        column(
            "volume_mm3",
            Float64,
            "volume of the consensus mask; 0 where no voxel has enough readers",
        ),
        column(
            "consensus_level",
            Float64,
            "share of consensus_n_readers that must hold a voxel of the consensus mask",
        ),
        column(
            "consensus_denominator",
            Utf8,
            "whom the share is of: marking (readers who marked it) or all (the scan's sessions)",
        ),
        column("consensus_n_readers", Int64, "readers that the share is of"),
        column(
            "consensus_n_needed",
            Int64,
            "readers that must hold a voxel; a reader's mask is the union of its marks",
        ),
    ];
    fields.extend(axes(
        "bbox_",
        &ijk,
        "",
        &Int64,
        "first voxel of the consensus mask's box; of the union's where that has no voxel",
    ));
    fields.extend(axes(
        "bbox_size_",
        &ijk,
        "",
        &Int64,
        "size of the consensus mask's box; 0 where that has no voxel",
    ));
    fields.extend([
        column(
            "mask_bits",
            Binary,
            "consensus mask in its box, packed bits, k then j then i, least significant bit first",
        ),
        column("union_volume_mm3", Float64, "volume of the union of the marks' masks"),
    ]);
    fields.extend(axes("union_bbox_", &ijk, "", &Int64, "first voxel of the union's box"));
    fields.extend(axes("union_bbox_size_", &ijk, "", &Int64, "size of the union's box"));
    fields.push(column("union_mask_bits", Binary, "union in its box, packed like mask_bits"));
    fields
}
