//! `rois`: one row for each axial slice of a nodule's region.

use nodulus_store::{Row, TableSpec, columns};
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

/// How a nodule that is larger than its region was handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oversize {
    /// The region was resampled to larger pixels, so that the nodule fits.
    Resampled,
    /// The mask is cut at the region's border.
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

columns! {
    /// An axial slice of a nodule's region.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Roi {
        /// stable id: the nodule's id and the slice's index
        pub roi_id: String,
        /// nodule at the centre
        pub nodule_id: String,
        /// name of the cohort in the pipeline file
        pub cohort: String,
        /// series that was cropped
        pub series_instance_uid: String,
        /// patient of the series
        pub patient_id: String,
        /// index k of the slice in the series
        pub slice_index: i64,
        /// position z of the slice's first pixel, LPS
        pub z_mm: f64,
        /// column of the region's first pixel in the slice: whole unless resampled, negative outside the image
        pub start_i: f64,
        /// row of the region's first pixel in the slice: whole unless resampled, negative outside the image
        pub start_j: f64,
        /// columns of the scan's slices: pixels of the region past the last one are padding
        pub n_columns: i64,
        /// rows of the scan's slices: pixels of the region past the last one are padding
        pub n_rows: i64,
        /// pixels along j
        pub height: i64,
        /// pixels along i
        pub width: i64,
        /// distance between the region's pixel centres, along i
        pub spacing_i_mm: f64,
        /// distance between the region's pixel centres, along j
        pub spacing_j_mm: f64,
        /// distance between the region's pixel centres, along k
        pub spacing_k_mm: f64,
        /// distance between the scan's voxel centres, along i
        pub native_spacing_i_mm: f64,
        /// distance between the scan's voxel centres, along j
        pub native_spacing_j_mm: f64,
        /// centre of the region's first pixel, LPS, along x
        pub origin_x_mm: f64,
        /// centre of the region's first pixel, LPS, along y
        pub origin_y_mm: f64,
        /// centre of the region's first pixel, LPS, along z
        pub origin_z_mm: f64,
        /// 3×3 matrix, row by row; its columns are the unit vectors of i, j, k
        pub direction: Vec<f64> as [f64; 9],
        /// pixels in Hounsfield units: little-endian 16-bit integers, row by row
        #[serde(with = "serde_bytes")]
        pub hu: Vec<u8>,
        /// HU that normalise to 0
        pub norm_low_hu: f64,
        /// HU that normalise to 1
        pub norm_high_hu: f64,
        /// consensus mask of the nodule, packed bits, row by row, least significant bit first
        #[serde(with = "serde_bytes")]
        pub mask_bits: Vec<u8>,
        /// mask of the scan's other nodules in the region, packed like mask_bits; metrics ignore its pixels
        #[serde(with = "serde_bytes")]
        pub other_mask_bits: Vec<u8>,
        /// how the other nodules' pixels are learnt: include (as nodule) or ignore (not at all)
        pub neighbours: String,
        /// other nodules with a pixel in the region on this slice
        pub n_other_nodules: i64,
        /// number of readers whose masks of the nodule include each pixel, one byte each, row by row; empty where no reader marked a pixel of the slice
        #[serde(with = "serde_bytes")]
        pub reader_counts: Vec<u8>,
        /// number of readers that the consensus is a share of
        pub n_readers: i64,
        /// pixels in the mask
        pub n_mask_pixels: i64,
        /// pixels of the nodule on this slice that lie outside the region; 0 unless cropped
        pub n_cut_pixels: i64,
        /// resampled or cropped where the nodule is larger than the region; null where it fits
        pub oversize: Option<String>,
        /// whether the mask has any pixel
        pub has_nodule: bool,
        /// distance to the nearest slice with the nodule, in slices; 0 on slices with the nodule
        pub distance_to_nodule_slices: i64,
        /// whether part of the region lies outside the image
        pub padded: bool,
        /// pixels of the region in the image that hold no data, such as filler past the field of view
        pub n_no_data_pixels: i64,
        /// pixels without data, packed like mask_bits; they are not learnt from and in no predicted mask
        #[serde(with = "serde_bytes")]
        pub no_data_bits: Vec<u8>,
    }
}

impl Row for Roi {
    const TABLE: &'static TableSpec = &TableSpec {
        schema_version: 4,
        pixel_columns: &["hu", "mask_bits", "other_mask_bits", "no_data_bits", "reader_counts"],
        // Compression with zstd saves at most half of `hu`, which is noisy, and makes writing three times slower
        // (`docs/benchmarks.md`).
        uncompressed_columns: &["hu"],
        id_columns: &["roi_id", "nodule_id", "patient_id"],
        row_group_rows: 128,
        ..TableSpec::new::<Self>("rois", "an axial slice of a nodule's region")
    };
}

impl Roi {
    /// Whether a slice counts as one with a nodule where a classifier of slices is judged; `None` where it does not count.
    ///
    /// METHOD: a slice is true where it shows the nodule of its region. A slice that shows only other nodules is
    /// skipped: the network learns it as true, and the reference calls it neither.
    pub fn truth(has_nodule: bool, n_other_nodules: i64) -> Option<bool> {
        (has_nodule || n_other_nodules == 0).then_some(has_nodule)
    }

    /// The pixels in HU as (j, i) rows; `None` if their number is not height × width.
    pub fn pixels_hu(&self) -> Option<Vec<i16>> {
        let n = usize::try_from(self.height.checked_mul(self.width)?).ok()?;
        (self.hu.len() == n.checked_mul(2)?)
            .then(|| self.hu.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect())
    }
}
