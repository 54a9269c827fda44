//! Slices of `rois`, and the extent of a nodule's region.

use serde::Deserialize;

/// The columns of `rois` that this stage reads.
#[derive(Clone, Debug, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the columns of the table")]
pub struct Slice {
    pub(super) cohort: String,
    pub(super) roi_id: String,
    pub(super) nodule_id: String,
    pub(super) patient_id: String,
    pub(super) slice_index: i64,
    pub(super) height: i64,
    pub(super) width: i64,
    pub(super) spacing_i_mm: f64,
    pub(super) spacing_j_mm: f64,
    pub(super) spacing_k_mm: f64,
    pub(super) native_spacing_i_mm: f64,
    pub(super) native_spacing_j_mm: f64,
    pub(super) n_cut_pixels: i64,
    pub(super) oversize: Option<String>,
    #[serde(with = "serde_bytes")]
    pub(super) mask_bits: Vec<u8>,
    #[serde(with = "serde_bytes")]
    pub(super) other_mask_bits: Vec<u8>,
    #[serde(with = "serde_bytes")]
    pub(super) no_data_bits: Vec<u8>,
}

/// The columns of [`Slice`].
pub(super) const SLICE_COLUMNS: &[&str] = &[
    "cohort",
    "roi_id",
    "nodule_id",
    "patient_id",
    "slice_index",
    "height",
    "width",
    "spacing_i_mm",
    "spacing_j_mm",
    "spacing_k_mm",
    "native_spacing_i_mm",
    "native_spacing_j_mm",
    "n_cut_pixels",
    "oversize",
    "mask_bits",
    "other_mask_bits",
    "no_data_bits",
];

/// Size and spacing of a nodule's region.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// Voxels along i, j, k.
    pub size: [usize; 3],
    /// Spacing along i, j, k.
    pub spacing_mm: [f64; 3],
}
