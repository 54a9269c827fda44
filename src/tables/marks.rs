//! `marks`: one row for each reader's mark.

use super::{PerRating, mask_box};
use arrow::datatypes::DataType;
use nodulus_formats::volume::PlacedMask;
use nodulus_imaging::irregularity::Irregularity;
use nodulus_store::{ColumnValue, Row, TableSpec, columns, struct_type};
use serde::{Deserialize, Serialize};

/// Kind of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    /// A nodule of 3 mm or more, with its outline.
    Nodule,
    /// A nodule under 3 mm, as a point.
    SmallNodule,
    /// A structure of 3 mm or more that is not a nodule, as a point.
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

columns! {
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
}

impl ColumnValue for MarkContour {
    fn data_type() -> DataType {
        struct_type::<Self>()
    }
}

columns! {
    /// A reader's mark.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[cfg_attr(test, derive(Default))]
    pub struct Mark {
        /// stable id of the mark
        pub mark_id: String,
        /// name of the cohort in the pipeline file
        pub cohort: String,
        /// series that was read
        pub series_instance_uid: String,
        /// patient of the series
        pub patient_id: String,
        /// reader's session within the series, from 0; never identifies a person
        pub reading_session: i64,
        /// name that the pipeline file gives the reader; null where it gives none
        pub reader: Option<String>,
        /// the reader's own id
        pub reader_nodule_id: String,
        /// nodule (3 mm or more, outlined), small_nodule (a point) or non_nodule (a point)
        pub kind: String,
        /// mean voxel index of the mask, or index of the point; null where it has no position in the scan, along i
        pub centroid_i: Option<f64>,
        /// mean voxel index of the mask, or index of the point; null where it has no position in the scan, along j
        pub centroid_j: Option<f64>,
        /// mean voxel index of the mask, or index of the point; null where it has no position in the scan, along k
        pub centroid_k: Option<f64>,
        /// position of the centroid, LPS, along x
        pub centroid_x_mm: Option<f64>,
        /// position of the centroid, LPS, along y
        pub centroid_y_mm: Option<f64>,
        /// position of the centroid, LPS, along z
        pub centroid_z_mm: Option<f64>,
        /// voxels in the mask; null for points
        pub n_voxels: Option<i64>,
        /// voxels of the mask that LUNA16 drew, the listed points of a slice together; null where no reader drew lines
        pub n_voxels_luna16: Option<i64>,
        /// voxels that either this mask or LUNA16's holds, but not both; null where no reader drew lines
        pub n_voxels_differ: Option<i64>,
        /// volume of the mask
        pub volume_mm3: Option<f64>,
        /// diameter of the sphere of equal volume
        pub diameter_mm: Option<f64>,
        /// the reader's ratings
        #[serde(flatten)]
        pub ratings: PerRating<Option<i64>>,
        /// lines as drawn: z, inclusion or hole, pixel centres (i, j)
        pub contours: Vec<MarkContour>,
        /// first voxel of the mask's box, along i
        pub bbox_i: Option<i64>,
        /// first voxel of the mask's box, along j
        pub bbox_j: Option<i64>,
        /// first voxel of the mask's box, along k
        pub bbox_k: Option<i64>,
        /// size of the mask's box, along i
        pub bbox_size_i: Option<i64>,
        /// size of the mask's box, along j
        pub bbox_size_j: Option<i64>,
        /// size of the mask's box, along k
        pub bbox_size_k: Option<i64>,
        /// the box's voxels, packed bits, k then j then i, least significant bit first
        #[serde(with = "serde_bytes")]
        pub mask_bits: Option<Vec<u8>>,
        /// rules that were applied to an irregular mark (docs/annotations.md), sorted
        pub irregularities: Vec<String>,
        /// path of the mark's file when it was read, relative to the cohort's root
        pub source_path: String,
    }
}

impl Mark {
    /// Whether the mark's session reads another scan.
    pub fn is_of_other_scan(&self) -> bool {
        self.irregularities.iter().any(|name| name == Irregularity::OtherScan.name())
    }

    /// The mark's mask in its scan; `None` for a point and for an outline without voxels.
    ///
    /// # Errors
    ///
    /// Fails if the bits do not fit the box.
    pub fn placed(&self) -> Result<Option<PlacedMask>, mask_box::Error> {
        let all = |[i, j, k]: [Option<i64>; 3]| Some([i?, j?, k?]);
        let start = all([self.bbox_i, self.bbox_j, self.bbox_k]);
        let size = all([self.bbox_size_i, self.bbox_size_j, self.bbox_size_k]);
        let (Some(start), Some(size), Some(bits)) = (start, size, &self.mask_bits) else {
            return Ok(None);
        };
        mask_box::placed(start, size, bits).map(Some)
    }
}

impl Row for Mark {
    const TABLE: &'static TableSpec = &TableSpec {
        schema_version: 4,
        pixel_columns: &["mask_bits"],
        id_columns: &["mark_id", "series_instance_uid", "patient_id"],
        row_group_rows: 4096,
        volatile_columns: &["source_path"],
        ..TableSpec::new::<Self>("marks", "one reader's mark")
    };
}
