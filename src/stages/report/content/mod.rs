//! The content of a report: `report.json`, and the source of the page.

mod before;
mod cohorts;
mod models;
mod weights;

pub use before::{Before, BeforeAfter};
pub use cohorts::{
    Ceiling, CohortReaders, CohortSummary, Count, Histogram, HistogramQuantity, Pairwise,
    SplitCount,
};
pub use models::{
    Calibration, CalibrationBin, CasePrediction, NoduleResult, ReportModel, ShownCase,
    SlicePicture, VolumeAgreement,
};

pub use weights::{ModelWeights, TrainedPhase};

use crate::stages::infer::REGION_GROWING;
use crate::tables::{Comparison, Summary};
use nodulus_metrics::Metric;
use nodulus_store::InputRef;
use serde::Serialize;

/// The subgroup that holds every nodule.
pub(super) const ALL: &str = "all";

/// The content of a report. Lists may be empty; the page then says so.
///
/// Nothing here depends on the day, the machine or the folder, so that a run always gives the same report.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(Default))]
pub struct ReportContent {
    /// Version of the report's code; raised when this structure changes.
    pub report_version: u32,
    /// Title of the page.
    pub title: String,
    /// Key of the run.
    pub run_id: String,
    /// Version of the program.
    pub tool_version: String,
    /// Name and version of the metrics' definitions.
    pub metric_definition: String,
    /// Cohorts, in the order of the pipeline file.
    pub cohorts: Vec<CohortSummary>,
    /// Agreement of readers in each cohort, in the same order.
    pub readers: Vec<CohortReaders>,
    /// Failed cases by stage, in data-flow order; stages without any are skipped.
    pub failures: Vec<StageFailures>,
    /// Epochs, in the order in which they ran.
    pub training: Vec<Epoch>,
    /// What a reader has to know before the figures, each in a sentence.
    pub warnings: Vec<String>,
    /// The evaluated nodules.
    pub evaluation: Evaluation,
    /// Models, in the order in which they appear.
    pub models: Vec<ReportModel>,
    /// The weights that predicted, in the order of the models.
    pub weights: Vec<ModelWeights>,
    /// Rows of `summary`; those with the subgroup `all` make the main table.
    pub summary: Vec<Summary>,
    /// Agreement of readers on the nodules that the models are evaluated on.
    pub ceiling: Ceiling,
    /// Paired comparisons between models.
    pub comparisons: Vec<Comparison>,
    /// Comparison with an earlier version; none where the settings name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Before>,
    /// Metrics of each nodule for each model.
    pub nodules: Vec<NoduleResult>,
    /// Agreement of predicted volumes with the readers', one row for each model.
    pub volumes: Vec<VolumeAgreement>,
    /// Calibration of each model's probability that a slice shows nodule; models without one are skipped.
    pub calibration: Vec<Calibration>,
    /// Calibration of the probabilities of pixels, of the models that have them.
    pub pixel_calibration: Vec<Calibration>,
    /// The shown nodules.
    pub cases: Vec<ShownCase>,
    /// Everything that the report was made from, in data-flow order.
    pub provenance: Vec<ReportSource>,
}

impl ReportContent {
    /// A row of `summary` over all nodules.
    pub(super) fn of_all(&self, model_id: &str, metric: &str) -> Option<&Summary> {
        self.summary
            .iter()
            .find(|row| row.model_id == model_id && row.metric == metric && row.subgroup == ALL)
    }

    /// Ids of the models, highest mean Dice first, region growing last.
    pub(super) fn ranking(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = self.models.iter().map(|model| &*model.model_id).collect();
        let dice = |id: &str| {
            let row = self.of_all(id, Metric::Dice.name());
            row.and_then(|row| row.mean).unwrap_or(f64::NEG_INFINITY)
        };
        ids.sort_by(|a, b| {
            (*a == REGION_GROWING).cmp(&(*b == REGION_GROWING)).then(dice(b).total_cmp(&dice(a)))
        });
        ids
    }
}

/// An output of the store that the report was made from, or something from outside the store.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReportSource {
    /// Name of the table, `checkpoint`, `sources` or `initial weights`.
    pub name: String,
    /// Key of the version.
    pub key: String,
    /// SHA-256 over its content.
    pub content_sha256: String,
    /// How it was made; none for what comes from outside the store.
    pub made: Option<SourceVersion>,
}

/// How an output was made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SourceVersion {
    /// Folder of its files, relative to the store.
    pub path: String,
    /// Rows.
    pub n_rows: u64,
    /// Stage that made it.
    pub stage: String,
    /// Version of that stage's code.
    pub stage_version: u32,
    /// Version of its columns.
    pub schema_version: u32,
    /// Version of the program that made it.
    pub tool_version: String,
    /// The stage's settings, its seed among them.
    pub settings: serde_json::Value,
    /// The inputs of another content beside which the user kept it; often none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub newer_inputs: Vec<InputRef>,
}

/// The failed cases of a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StageFailures {
    /// Name of the stage.
    pub stage: String,
    /// Failed cases.
    pub n: u64,
    /// Causes, most frequent first.
    pub causes: Vec<Count>,
}

/// An epoch: `training_log` without its times.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Epoch {
    /// Key of the training run.
    pub run_id: String,
    /// Model that predicted with the run's weights; none where they did not predict themselves.
    pub model_id: Option<String>,
    /// Name of the phase.
    pub phase: String,
    /// Epoch within the phase, from 1.
    pub epoch: u64,
    /// Fold held out, if any.
    pub fold: Option<u64>,
    /// Learning rate.
    pub learning_rate: f64,
    /// Mean loss.
    pub loss: f64,
    /// Mean Dice over the training slices with nodule.
    pub dice: Option<f64>,
    /// Mean Dice over the validation slices with nodule.
    pub validation_dice: Option<f64>,
}

/// The evaluated nodules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(Default))]
pub struct Evaluation {
    /// Split, usually `test`.
    pub split: String,
    /// Patients.
    pub n_patients: u64,
    /// Nodules.
    pub n_nodules: u64,
}
