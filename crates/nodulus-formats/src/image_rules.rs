//! What image files are allowed to lack, and how it is put right.

use crate::voxel_encoding::ValueRules;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is put right in image files: MetaImage, NIfTI and NRRD; otherwise such a file is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImageRules {
    /// Whether HU that are not whole numbers are rounded to the nearest one, a step of 1 HU.
    pub round_hu: bool,
    /// HU of voxels that are not a number (NaN), as outside the field of view.
    #[schemars(range(min = -32768, max = 32767), extend("examples" = [-1024]))]
    pub nan_hu: Option<i16>,
    /// Whether HU past -32768 to 32767 become the nearest of these.
    pub clamp_hu: bool,
    /// Whether voxels that the file does not place (NIfTI without form codes, NRRD without a space) lie from 0 along
    /// the patient's axes, as in ITK.
    pub unplaced: bool,
}

/// How a file of images or labels is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadRules {
    pub(crate) values: ValueRules,
    /// Whether a file that does not place its voxels is read.
    pub(crate) unplaced: bool,
    /// Share of a voxel by which voxels may lie off a grid with right angles.
    pub(crate) off_grid: f64,
}

/// METHOD: a tenth of a voxel, as slices of a DICOM series may be off their grid: contours are drawn on whole voxels.
pub(crate) const OFF_GRID: f64 = 0.1;

impl Default for ReadRules {
    fn default() -> Self {
        Self { values: ValueRules::default(), unplaced: false, off_grid: OFF_GRID }
    }
}

impl From<&ImageRules> for ReadRules {
    fn from(rules: &ImageRules) -> Self {
        let ImageRules { round_hu: round, nan_hu, clamp_hu: clamp, unplaced } = *rules;
        let nan = nan_hu.map(f64::from);
        Self { values: ValueRules { round, nan, clamp }, unplaced, off_grid: OFF_GRID }
    }
}
