//! The models and their results for single nodules.

use crate::tables::NoduleMetrics;
use nodulus_formats::volume::Mask;
use serde::Serialize;

/// A model, or the baseline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReportModel {
    /// Id in the tables.
    pub model_id: String,
    /// Short description.
    pub label: String,
    /// Keys of its `predictions`.
    pub predictions: Vec<String>,
    /// Keys of the weights that predicted; several where the models of folds predict together.
    pub checkpoints: Vec<String>,
}

/// The result of a model for a nodule: a row of `nodule_metrics`, and the nodule's diameter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NoduleResult {
    /// Diameter of the nodule; not a number, null in JSON, where unknown.
    pub diameter_mm: f64,
    /// Every column of the row.
    #[serde(flatten)]
    pub row: NoduleMetrics,
}

/// Agreement of a model's volumes with the readers' (Bland and Altman), mm³: predicted minus reference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VolumeAgreement {
    /// The model.
    pub model_id: String,
    /// Nodules; a missed one differs by its whole volume.
    pub n: u64,
    /// Mean difference; none without a nodule.
    pub mean_mm3: Option<f64>,
    /// Lower end of the mean's 95% interval, by patient.
    pub ci_low_mm3: Option<f64>,
    /// Upper end of it.
    pub ci_high_mm3: Option<f64>,
    /// Why there is no interval; none where there is one.
    pub ci_missing_reason: Option<String>,
    /// Standard deviation of the differences; none under two nodules.
    pub sd_mm3: Option<f64>,
    /// Lower 95% limit of agreement; none under two nodules.
    pub lower_limit_mm3: Option<f64>,
    /// Upper 95% limit of agreement.
    pub upper_limit_mm3: Option<f64>,
}

/// Calibration of a model's probability that a slice shows nodule, or that a pixel is nodule, by bins. AUC, Brier score and
/// calibration errors are rows of `summary`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibration {
    /// The model.
    pub model_id: String,
    /// Slices or pixels.
    pub n: u64,
    /// Bins of equal width from 0 to 1.
    pub bins: Vec<CalibrationBin>,
}

/// The slices or pixels whose probability lies in a bin.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CalibrationBin {
    /// Lower end; except for 0, it belongs to the bin before.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Slices or pixels.
    pub n: u64,
    /// Mean of their probabilities; none without any.
    pub mean_probability: Option<f64>,
    /// Share of them that show or are nodule; none without any.
    pub share_with_nodule: Option<f64>,
}

/// A shown nodule with the prediction of each model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShownCase {
    /// Why it is shown: `best`, `median` or `worst` by Dice.
    pub rank: String,
    /// The model by whose Dice it is ranked.
    pub ranked_by: String,
    /// The nodule.
    pub nodule_id: String,
    /// Diameter of the nodule.
    pub diameter_mm: f64,
    /// Position of the slice, LPS.
    pub z_mm: f64,
    /// Models' predictions, in the order of the models.
    pub predictions: Vec<CasePrediction>,
    /// The slice; not part of `report.json`.
    #[serde(skip)]
    pub picture: SlicePicture,
}

/// An axial slice with its reference.
#[derive(Clone, Debug, PartialEq)]
pub struct SlicePicture {
    /// Pixels along i and j.
    pub size: [usize; 2],
    /// Distance between pixel centres along i and j.
    pub spacing_mm: [f64; 2],
    /// Hounsfield units, row by row.
    pub hu: Vec<i16>,
    /// Values shown as black and as white.
    pub window_hu: [f64; 2],
    /// Mask of the readers.
    pub reference: Mask,
}

/// A model's prediction of a shown nodule; metrics are over the nodule's whole region.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CasePrediction {
    /// The model.
    pub model_id: String,
    /// Dice, where defined.
    pub dice: Option<f64>,
    /// Hausdorff distance, where defined.
    pub hausdorff_mm: Option<f64>,
    /// 95th percentile Hausdorff distance, where defined.
    pub hausdorff_95_mm: Option<f64>,
    /// Average symmetric surface distance, where defined.
    pub assd_mm: Option<f64>,
    /// Volume of the prediction.
    pub predicted_volume_mm3: f64,
    /// Volume of the readers' consensus.
    pub reference_volume_mm3: f64,
    /// The mask on the slice; not part of `report.json`.
    #[serde(skip)]
    pub mask: Mask,
}
