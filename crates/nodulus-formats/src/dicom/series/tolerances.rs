//! How far slices may be off an even grid.

use super::tilt::Tilt;
use crate::image_file::ImageRules;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far slices may be off an even grid before their series is refused.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tolerances {
    /// Deviation of a gap between slices from the median gap, as a share of it.
    ///
    /// METHOD: 1%. Of the 1,018 series of LIDC-IDRI, 1,014 deviate by less than 0.001%, and the other four by 60% or
    /// more.
    #[schemars(range(min = 0, max = 1000))]
    pub slice_gap: f64,
    /// Distance of a slice from its position on the even grid, as a share of the gap; and from the normal, as a share
    /// of a voxel.
    ///
    /// METHOD: a tenth, because contours are drawn on whole voxels.
    #[schemars(range(min = 0, max = 1000))]
    pub off_grid: f64,
    /// What is done with slices that a tilted gantry shifts sideways; a setting of the stage `ingest`, as what `score`
    /// writes lies on the slices as they are.
    #[serde(skip)]
    pub tilt: Tilt,
    /// What is put right in image files: MetaImage, NIfTI and NRRD.
    pub image_files: ImageRules,
}

impl Default for Tolerances {
    fn default() -> Self {
        Self {
            slice_gap: 0.01,
            off_grid: 0.1,
            tilt: Tilt::Refuse,
            image_files: ImageRules::default(),
        }
    }
}
