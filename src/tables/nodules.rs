//! `nodules`: one row for each physical nodule, merged from the readers' marks.

use super::{PerRating, RatingDistribution, mask_box};
use nodulus_formats::volume::PlacedMask;
use nodulus_store::{Row, TableSpec, columns};
use serde::{Deserialize, Serialize};

columns! {
    /// A physical nodule.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[cfg_attr(test, derive(Default))]
    pub struct Nodule {
        /// stable id, from the ids of its marks
        pub nodule_id: String,
        /// name of the cohort in the pipeline file
        pub cohort: String,
        /// series that was read
        pub series_instance_uid: String,
        /// patient of the series
        pub patient_id: String,
        /// rule that merged the marks: linkage, luna16 or overlap
        pub merge_rule: String,
        /// marks merged into the nodule
        pub n_marks: i64,
        /// reading sessions that the marks come from
        pub n_readers: i64,
        /// readers who marked a nodule under 3 mm there, and outlined none
        pub n_small: i64,
        /// readers who marked a non-nodule there, and no nodule
        pub n_non_nodule: i64,
        /// whether a reader marked it more than once, so that two nodules may have been merged
        pub more_marks_than_readers: bool,
        /// mean of the marks' centroids, voxel index; weighted as LUNA16 did under the rule luna16, along i
        pub centroid_i: f64,
        /// mean of the marks' centroids, voxel index; weighted as LUNA16 did under the rule luna16, along j
        pub centroid_j: f64,
        /// mean of the marks' centroids, voxel index; weighted as LUNA16 did under the rule luna16, along k
        pub centroid_k: f64,
        /// position of the centroid, LPS; x and y are null where the image's orientation is unknown, along x
        pub centroid_x_mm: Option<f64>,
        /// position of the centroid, LPS; x and y are null where the image's orientation is unknown, along y
        pub centroid_y_mm: Option<f64>,
        /// position of the centroid, LPS; x and y are null where the image's orientation is unknown, along z
        pub centroid_z_mm: Option<f64>,
        /// mean of the marks' equivalent diameters; weighted as LUNA16 did under the rule luna16
        pub diameter_mm: f64,
        /// volume of the consensus mask; 0 where no voxel has enough readers
        pub volume_mm3: f64,
        /// share of consensus_n_readers whose masks must include a voxel of the consensus mask
        pub consensus_level: f64,
        /// readers that the share refers to: marking (those who marked the nodule) or all (the scan's sessions)
        pub consensus_denominator: String,
        /// number of these readers
        pub consensus_n_readers: i64,
        /// number of readers whose masks must include a voxel; a reader's mask is the union of the reader's marks
        pub consensus_n_needed: i64,
        /// first voxel of the consensus mask's box, or of the union's where the consensus mask is empty, along i
        pub bbox_i: i64,
        /// first voxel of the consensus mask's box, or of the union's where the consensus mask is empty, along j
        pub bbox_j: i64,
        /// first voxel of the consensus mask's box, or of the union's where the consensus mask is empty, along k
        pub bbox_k: i64,
        /// size of the consensus mask's box; 0 where the mask is empty, along i
        pub bbox_size_i: i64,
        /// size of the consensus mask's box; 0 where the mask is empty, along j
        pub bbox_size_j: i64,
        /// size of the consensus mask's box; 0 where the mask is empty, along k
        pub bbox_size_k: i64,
        /// consensus mask in its box, packed bits, k then j then i, least significant bit first
        #[serde(with = "serde_bytes")]
        pub mask_bits: Vec<u8>,
        /// volume of the union of the marks' masks
        pub union_volume_mm3: f64,
        /// first voxel of the union's box, along i
        pub union_bbox_i: i64,
        /// first voxel of the union's box, along j
        pub union_bbox_j: i64,
        /// first voxel of the union's box, along k
        pub union_bbox_k: i64,
        /// size of the union's box, along i
        pub union_bbox_size_i: i64,
        /// size of the union's box, along j
        pub union_bbox_size_j: i64,
        /// size of the union's box, along k
        pub union_bbox_size_k: i64,
        /// union of the marks' masks in its box, packed like mask_bits
        #[serde(with = "serde_bytes")]
        pub union_mask_bits: Vec<u8>,
        /// number of readers whose masks include each voxel of the union's box, one byte each, k then j then i
        #[serde(with = "serde_bytes")]
        pub reader_counts: Vec<u8>,
        /// ids of the marks, sorted
        pub mark_ids: Vec<String>,
        /// ids of the marks of nodules under 3 mm that are near it, sorted; a reader may have outlined it too
        pub small_mark_ids: Vec<String>,
        /// ids of the marks of non-nodules that are near it, sorted; a reader may have outlined it too
        pub non_nodule_mark_ids: Vec<String>,
        /// the marks in groups in which no reader has two, sorted; null where no reader marked twice
        pub alternative_mark_ids: Option<Vec<Vec<String>>>,
        /// statistics of the marks' ratings
        #[serde(flatten)]
        pub ratings: PerRating<RatingDistribution>,
        /// solid, part_solid or ground_glass, where the median of texture is 5, between, or 1; null where no mark is rated
        pub texture_type: Option<String>,
    }
}

impl Nodule {
    /// The consensus mask in its scan; empty if no voxel has enough readers.
    ///
    /// # Errors
    ///
    /// Fails if the bits do not fit the box.
    pub fn placed(&self) -> Result<PlacedMask, mask_box::Error> {
        let start = [self.bbox_i, self.bbox_j, self.bbox_k];
        let size = [self.bbox_size_i, self.bbox_size_j, self.bbox_size_k];
        mask_box::placed(start, size, &self.mask_bits)
    }

    /// The union of the readers' masks in its scan.
    ///
    /// # Errors
    ///
    /// Fails if the bits do not fit the box.
    pub fn placed_union(&self) -> Result<PlacedMask, mask_box::Error> {
        let start = [self.union_bbox_i, self.union_bbox_j, self.union_bbox_k];
        let size = [self.union_bbox_size_i, self.union_bbox_size_j, self.union_bbox_size_k];
        mask_box::placed(start, size, &self.union_mask_bits)
    }
}

impl Nodule {
    /// Number of readers whose masks include a voxel; 0 outside the union's box.
    pub fn n_readers_at(&self, voxel: [usize; 3]) -> u8 {
        let start = [self.union_bbox_i, self.union_bbox_j, self.union_bbox_k];
        let size = [self.union_bbox_size_i, self.union_bbox_size_j, self.union_bbox_size_k];
        let at: [Option<usize>; 3] = std::array::from_fn(|a| {
            let at = i64::try_from(voxel[a]).ok()?.checked_sub(start[a])?;
            usize::try_from(at).ok().filter(|_| at < size[a])
        });
        let [Some(i), Some(j), Some(k)] = at else { return 0 };
        let [ni, nj, _] = size.map(|n| usize::try_from(n).unwrap_or(0));
        self.reader_counts.get((k * nj + j) * ni + i).copied().unwrap_or(0)
    }
}

impl Row for Nodule {
    const TABLE: &'static TableSpec = &TableSpec {
        schema_version: 4,
        pixel_columns: &["mask_bits", "union_mask_bits", "reader_counts"],
        id_columns: &["nodule_id", "series_instance_uid", "patient_id"],
        row_group_rows: 4096,
        ..TableSpec::new::<Self>("nodules", "a physical nodule")
    };
}
