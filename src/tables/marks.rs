//! `marks`: one row for each reader's mark.

use super::mask_box;
use arrow::datatypes::{DataType, Field, Schema};
use nodulus_formats::volume::PlacedMask;
use nodulus_store::schema::{column, list, nullable, nullable_axes};
use nodulus_store::{Row, TableSpec};
use serde::{Deserialize, Serialize};

/// What a reader marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    /// A nodule of 3 mm or more, with its outline.
    Nodule,
    /// A nodule under 3 mm, as a point.
    SmallNodule,
    /// Another finding of 3 mm or more, as a point.
    NonNodule,
}

impl MarkKind {
    /// Name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nodule => "nodule",
            Self::SmallNodule => "small_nodule",
            Self::NonNodule => "non_nodule",
        }
    }
}

/// A closed line on one slice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MarkContour {
    /// Position of the slice, LPS.
    pub z_mm: f64,
    /// Whether the line surrounds nodule, rather than a hole in it.
    pub inclusion: bool,
    /// Pixel centres (i, j), one after the other: i0, j0, i1, j1, …
    pub points: Vec<[i64; 2]>,
}

/// A reader's mark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each column is described in `schema`")]
pub struct Mark {
    pub mark_id: String,
    pub cohort: String,
    pub series_instance_uid: String,
    pub patient_id: String,
    pub reading_session: i64,
    pub reader: Option<String>,
    pub reader_nodule_id: String,
    pub kind: String,
    pub centroid_i: Option<f64>,
    pub centroid_j: Option<f64>,
    pub centroid_k: Option<f64>,
    pub centroid_x_mm: Option<f64>,
    pub centroid_y_mm: Option<f64>,
    pub centroid_z_mm: Option<f64>,
    pub n_voxels: Option<i64>,
    pub volume_mm3: Option<f64>,
    pub diameter_mm: Option<f64>,
    pub subtlety: Option<i64>,
    pub internal_structure: Option<i64>,
    pub calcification: Option<i64>,
    pub sphericity: Option<i64>,
    pub margin: Option<i64>,
    pub lobulation: Option<i64>,
    pub spiculation: Option<i64>,
    pub texture: Option<i64>,
    pub malignancy: Option<i64>,
    pub contours: Vec<MarkContour>,
    pub bbox_i: Option<i64>,
    pub bbox_j: Option<i64>,
    pub bbox_k: Option<i64>,
    pub bbox_size_i: Option<i64>,
    pub bbox_size_j: Option<i64>,
    pub bbox_size_k: Option<i64>,
    #[serde(with = "serde_bytes")]
    pub mask_bits: Option<Vec<u8>>,
    pub irregularities: Vec<String>,
    pub source_path: String,
}

impl Mark {
    /// The mark's mask in its scan; `None` for points, and for outlines without a voxel.
    ///
    /// # Errors
    ///
    /// Fails if box and bits do not fit each other.
    pub fn placed(&self) -> Result<Option<PlacedMask>, mask_box::Error> {
        let all = |[i, j, k]: [Option<i64>; 3]| Some([i?, j?, k?]);
        let start = all([self.bbox_i, self.bbox_j, self.bbox_k]);
        let size = all([self.bbox_size_i, self.bbox_size_j, self.bbox_size_k]);
        let (Some(start), Some(size), Some(bits)) = (start, size, &self.mask_bits) else {
            return Ok(None);
        };
        mask_box::placed(start, size, bits).map(Some)
    }

    /// The reader's ratings, in the order of [`RATINGS`].
    pub const fn ratings(&self) -> [Option<i64>; RATINGS.len()] {
        [
            self.subtlety,
            self.internal_structure,
            self.calcification,
            self.sphericity,
            self.margin,
            self.lobulation,
            self.spiculation,
            self.texture,
            self.malignancy,
        ]
    }
}

impl Row for Mark {
    const TABLE: &'static TableSpec = &TableSpec {
        schema_version: 3,
        pixel_columns: &["mask_bits"],
        id_columns: &["mark_id", "series_instance_uid", "patient_id"],
        row_group_rows: 4096,
        ..TableSpec::new("marks", "one reader's mark", schema)
    };
}

/// Names of the nine ratings, in LIDC's order.
pub const RATINGS: [&str; 9] = [
    "subtlety",
    "internal_structure",
    "calcification",
    "sphericity",
    "margin",
    "lobulation",
    "spiculation",
    "texture",
    "malignancy",
];

/// Columns of `marks`.
pub fn schema() -> Schema {
    use DataType::{Binary, Boolean, Float64, Int64, Utf8};
    let ijk = ["i", "j", "k"];
    let mut fields = vec![
        column("mark_id", Utf8, "stable id of the mark"),
        column("cohort", Utf8, "name of the cohort in the pipeline file"),
        column("series_instance_uid", Utf8, "series that was read"),
        column("patient_id", Utf8, "patient of the series"),
        column(
            "reading_session",
            Int64,
            "reader's session within the series, from 0; never identifies a person",
        ),
        nullable(
            "reader",
            Utf8,
            "name that the pipeline file gives the reader; null where it gives none",
        ),
        column("reader_nodule_id", Utf8, "the reader's own id"),
        column(
            "kind",
            Utf8,
            "nodule (3 mm or more, outlined), small_nodule (a point) or non_nodule (a point)",
        ),
    ];
    fields.extend(nullable_axes(
        "centroid_",
        &ijk,
        "",
        &Float64,
        "mean voxel index of the mask, or the point; null where that has no place in the scan",
    ));
    fields.extend(nullable_axes("centroid_", &["x", "y", "z"], "_mm", &Float64, "the same, LPS"));
    fields.extend([
        nullable("n_voxels", Int64, "voxels in the mask; null for points"),
        nullable("volume_mm3", Float64, "volume of the mask"),
        nullable("diameter_mm", Float64, "diameter of the sphere of equal volume"),
    ]);
    fields.extend(RATINGS.map(|name| nullable(name, Int64, "reader's rating, as in LIDC's XML")));
    let points = list(fixed_points());
    let contour = DataType::Struct(
        vec![
            Field::new("z_mm", Float64, false),
            Field::new("inclusion", Boolean, false),
            Field::new("points", points, false),
        ]
        .into(),
    );
    fields.push(column(
        "contours",
        list(contour),
        "lines as drawn: z, inclusion or hole, pixel centres (i, j)",
    ));
    fields.extend(nullable_axes("bbox_", &ijk, "", &Int64, "first voxel of the mask's box"));
    fields.extend(nullable_axes("bbox_size_", &ijk, "", &Int64, "size of the mask's box"));
    fields.extend([
        nullable(
            "mask_bits",
            Binary,
            "the box's voxels, packed bits, k then j then i, least significant bit first",
        ),
        column(
            "irregularities",
            list(Utf8),
            "what is unusual about the mark and was settled by rule (docs/annotations.md), sorted",
        ),
        column("source_path", Utf8, "file that holds the mark, relative to the cohort's root"),
    ]);
    Schema::new(fields)
}

fn fixed_points() -> DataType {
    nodulus_store::schema::fixed_list(DataType::Int64, 2)
}
