//! Settings of the stage: `[crop]`.

use crate::tables::Neighbours;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How each nodule's region is cut out of its scan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Crop")]
pub struct Config {
    /// Side of a region in pixels.
    #[schemars(range(min = 16, max = 1024), extend("multipleOf" = 16))]
    pub size: usize,
    /// Number of slices that are added on each side of the nodule's own.
    #[schemars(range(max = 1000))]
    pub margin_slices: usize,
    /// Distance between a region's pixels along i and j; without it, the scan's own spacing, as in
    /// the paper.
    #[schemars(range(min = 0.05, max = 10))]
    pub spacing_mm: Option<f64>,
    /// Treatment of a nodule that is larger than its region.
    pub oversize: WhenOversize,
    /// Treatment of the scan's other nodules in a region, in training.
    pub neighbours: Neighbours,
    /// Hounsfield units of pixels outside the image.
    pub padding_hu: i16,
    /// Window of Hounsfield units that is normalised to 0..1.
    pub window: Window,
    /// Windows of single cohorts, instead of `window`, by the cohort's name.
    pub windows: BTreeMap<String, Window>,
}

/// Treatment of a nodule that is larger than its region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenOversize {
    /// The nodule gets no region and is a row of `failures`.
    Error,
    /// The region's pixels are made larger until the nodule fits.
    Resample,
    /// The nodule's mask is cut at the region's border.
    Crop,
}

/// A window of Hounsfield units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Value that becomes 0.
    #[schemars(range(min = -32768, max = 32767), extend("examples" = [-1000.0]))]
    pub low_hu: f64,
    /// Value that becomes 1.
    #[schemars(range(min = -32768, max = 32767), extend("examples" = [400.0]))]
    pub high_hu: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            size: 128,
            margin_slices: 3,
            spacing_mm: None,
            oversize: WhenOversize::Error,
            // METHOD: nodules look the same to the network, whichever is at the centre; one that is
            // background in a neighbour's region would be learnt both ways.
            neighbours: Neighbours::Include,
            // METHOD: air, as outside the body.
            padding_hu: -1000,
            // METHOD: chosen; the paper's copy of LUNA16 was stored as 0..255 (model.md).
            window: Window { low_hu: -1000.0, high_hu: 400.0 },
            windows: BTreeMap::new(),
        }
    }
}
