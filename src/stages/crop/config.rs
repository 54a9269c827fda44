//! Settings of the stage: `[crop]`.

use crate::tables::Neighbours;
use nodulus_nets::HuWindow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How each nodule's region is cut out of its scan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Crop")]
pub struct Config {
    /// Side of a region in pixels; without it, that of the weights of `infer.checkpoint`, else 128.
    #[schemars(range(min = 16, max = 1024), extend("multipleOf" = 16))]
    pub size: Option<usize>,
    /// Number of slices that are added on each side of the nodule's own.
    #[schemars(range(max = 1000))]
    pub margin_slices: usize,
    /// Distance between a region's pixels along i and j; without it, that of the weights of `infer.checkpoint`, else
    /// the scan's own spacing, as in the paper.
    #[schemars(range(min = 0.05, max = 10))]
    pub spacing_mm: Option<f64>,
    /// Treatment of a nodule that is larger than its region.
    pub oversize: WhenOversize,
    /// Largest share of a region's pixels that may hold no data; a region ends before a slice with more, as where the scan
    /// ends.
    #[schemars(range(min = 0, max = 1))]
    pub max_no_data: f64,
    /// Treatment of the scan's other nodules in a region, in training.
    pub neighbours: Neighbours,
    /// Hounsfield units of pixels outside the image; without it, that of the weights of `infer.checkpoint`, else -1000.
    #[schemars(extend("examples" = [-1000]))]
    pub padding_hu: Option<i16>,
    /// Window of Hounsfield units that is normalised to 0..1; without it, that of the weights of `infer.checkpoint`,
    /// else -1000 to 400.
    pub window: Option<Window>,
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

/// The side of a region where neither the settings nor weights say another.
const SIZE: usize = 128;

/// The padding where neither the settings nor weights say another.
///
/// METHOD: air, as outside the body.
const PADDING_HU: i16 = -1000;

/// The window where neither the settings nor weights say another.
///
/// METHOD: chosen; the paper's copy of LUNA16 was stored as 0..255 (model.md).
const WINDOW: Window = Window { low_hu: -1000.0, high_hu: 400.0 };

impl Config {
    /// Side of a region in pixels.
    pub fn size(&self) -> usize {
        self.size.unwrap_or(SIZE)
    }

    /// Hounsfield units of pixels outside the image.
    pub fn padding_hu(&self) -> i16 {
        self.padding_hu.unwrap_or(PADDING_HU)
    }

    /// The window that the settings state for a cohort.
    pub fn stated_window(&self, cohort: &str) -> Option<Window> {
        self.windows.get(cohort).copied().or(self.window)
    }

    /// The window of a cohort.
    pub fn window(&self, cohort: &str) -> Window {
        self.stated_window(cohort).unwrap_or(WINDOW)
    }

    /// The settings with nothing left open.
    #[must_use]
    pub fn settled(&self) -> Self {
        Self {
            size: Some(self.size()),
            padding_hu: Some(self.padding_hu()),
            window: Some(self.window.unwrap_or(WINDOW)),
            ..self.clone()
        }
    }
}

impl Default for Window {
    fn default() -> Self {
        WINDOW
    }
}

impl From<HuWindow> for Window {
    fn from(HuWindow { low_hu, high_hu }: HuWindow) -> Self {
        Self { low_hu, high_hu }
    }
}

impl From<Window> for HuWindow {
    fn from(Window { low_hu, high_hu }: Window) -> Self {
        Self { low_hu, high_hu }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            size: None,
            margin_slices: 3,
            spacing_mm: None,
            oversize: WhenOversize::Error,
            // METHOD: chosen; the nodule is in the middle, and its own pixels must have data whatever this share.
            max_no_data: 0.5,
            // METHOD: nodules look the same to the network, whichever is at the centre; one that is
            // background in a neighbour's region would be learnt both ways.
            neighbours: Neighbours::Include,
            padding_hu: None,
            window: None,
            windows: BTreeMap::new(),
        }
    }
}
