//! Models before and after.

use serde::Serialize;

/// Comparison with an earlier version of `nodule_metrics`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Before {
    /// Key of the earlier version.
    pub key: String,
    /// Models that both versions have, by id.
    pub models: Vec<BeforeAfter>,
    /// Models without a nodule that both versions measured.
    pub without_pair: Vec<String>,
}

/// A model's Dice over the nodules of both versions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BeforeAfter {
    /// The model.
    pub model_id: String,
    /// Nodules of both versions.
    pub n_nodules: u64,
    /// Their patients.
    pub n_patients: u64,
    /// Mean Dice in the earlier version.
    pub dice_before: f64,
    /// Mean Dice in this one.
    pub dice_after: f64,
    /// Lower end of the mean difference's 95% interval, by patient; none where it cannot be trusted.
    pub ci_low: Option<f64>,
    /// Upper end of it.
    pub ci_high: Option<f64>,
    /// Why there is no interval.
    pub ci_missing_reason: Option<String>,
    /// Two-sided test of the mean difference, by patient; none for too few patients.
    pub p: Option<f64>,
    /// Why there is no test.
    pub p_missing_reason: Option<String>,
}
