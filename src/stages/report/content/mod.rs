//! What a report says: `report.json`, and the source of the page.

mod cohorts;
mod models;

pub use cohorts::{Ceiling, Cohort, Count, Histogram, Pairwise, Quantity, Readers, SplitCount};
pub use models::{
    Calibration, CalibrationBin, Case, CasePrediction, Model, NoduleScore, SlicePicture,
    VolumeAgreement,
};

use crate::stages::infer::THRESHOLD;
use crate::tables::{Comparison, Summary};
use nodulus_metrics::Metric;
use serde::Serialize;

/// The subgroup that holds every nodule.
pub(super) const ALL: &str = "all";

/// A whole report. Lists may be empty: the page then says so.
///
/// Nothing here depends on the day, the machine or the folder, so that one run has one report.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(Default))]
pub struct Content {
    /// Version of the report's code, raised when this shape changes.
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
    pub cohorts: Vec<Cohort>,
    /// How far readers agree, cohort by cohort, in the same order.
    pub readers: Vec<Readers>,
    /// Failed cases, by stage in data-flow order; stages without one are left out.
    pub failures: Vec<StageFailures>,
    /// Epochs, in the order in which they ran.
    pub training: Vec<Epoch>,
    /// What was evaluated.
    pub evaluation: Evaluation,
    /// Models, in the order in which they are shown.
    pub models: Vec<Model>,
    /// Rows of `summary`; those with the subgroup `all` make the main table.
    pub summary: Vec<Summary>,
    /// How far readers agree on the nodules that the models were scored on.
    pub ceiling: Ceiling,
    /// Paired comparisons between models.
    pub comparisons: Vec<Comparison>,
    /// Scores of each nodule by each model.
    pub nodules: Vec<NoduleScore>,
    /// How far predicted volumes agree with the readers', a row for each model.
    pub volumes: Vec<VolumeAgreement>,
    /// What each model's probability that a slice holds nodule is worth; models without one are left out.
    pub calibration: Vec<Calibration>,
    /// Nodules to look at.
    pub cases: Vec<Case>,
    /// Everything that the report rests on, in data-flow order.
    pub provenance: Vec<Source>,
}

impl Content {
    /// A row of `summary` over all nodules.
    pub(super) fn of_all(&self, model_id: &str, metric: &str) -> Option<&Summary> {
        self.summary
            .iter()
            .find(|row| row.model_id == model_id && row.metric == metric && row.subgroup == ALL)
    }

    /// Ids of the models, highest mean Dice first, the threshold last.
    pub(super) fn ranking(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = self.models.iter().map(|model| &*model.model_id).collect();
        let dice = |id: &str| {
            let row = self.of_all(id, Metric::Dice.name());
            row.and_then(|row| row.mean).unwrap_or(f64::NEG_INFINITY)
        };
        ids.sort_by(|a, b| {
            (*a == THRESHOLD).cmp(&(*b == THRESHOLD)).then(dice(b).total_cmp(&dice(a)))
        });
        ids
    }
}

/// An output of the store that the report rests on, or what came from outside it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Source {
    /// Name of the table, `checkpoint`, `sources` or `initial weights`.
    pub name: String,
    /// Key of the version.
    pub key: String,
    /// SHA-256 over its content.
    pub content_sha256: String,
    /// How it was made; none of what came from outside.
    pub made: Option<Made>,
}

/// How an output was made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Made {
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
}

/// The cases that a stage could not do.
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
    /// Model that the run's weights predicted as; none where they predicted nothing themselves.
    pub model_id: Option<String>,
    /// Name of the phase.
    pub phase: String,
    /// Epoch within the phase, from 1.
    pub epoch: u64,
    /// Fold held out, where one is.
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

/// What was evaluated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(Default))]
pub struct Evaluation {
    /// Split, `test` as a rule.
    pub split: String,
    /// Patients.
    pub n_patients: u64,
    /// Nodules.
    pub n_nodules: u64,
}
