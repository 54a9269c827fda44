//! What a report says: `report.json`, and the source of the page.

use super::overlay::Slice;
use crate::tables::{Comparison, RatingAgreement, Summary};
use serde::Serialize;

/// A whole report. Lists may be empty: the page then says so.
///
/// Nothing here depends on the day, the machine or the folder, so that one run has one report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Content {
    /// Title of the page.
    pub title: String,
    /// Key of the run.
    pub run_id: String,
    /// Version of the program.
    pub tool_version: String,
    /// Name and version of the metrics' definitions.
    pub metric_definition: String,
    /// Tables that the report was made from, in data-flow order.
    pub sources: Vec<Source>,
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
    /// Nodules to look at.
    pub examples: Vec<Example>,
}

/// A table that the report was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// Name of the table.
    pub table: String,
    /// Key of the version.
    pub key: String,
    /// Folder of its files, relative to the store.
    pub path: String,
    /// Rows.
    pub n_rows: u64,
}

/// How many of something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// What is counted.
    pub name: String,
    /// How many.
    pub n: u64,
}

/// What became of a cohort on its way to the samples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cohort {
    /// Name in the pipeline file.
    pub name: String,
    /// Layout of its files.
    pub layout: String,
    /// Patients with a scan.
    pub n_patients: u64,
    /// Scans that could be read.
    pub n_scans: u64,
    /// Scans among them that were left out.
    pub n_excluded: u64,
    /// Why scans were left out; a scan may have several reasons.
    pub exclusions: Vec<Count>,
    /// Files and marks that ingest left out, by rule.
    pub left_out: Vec<Count>,
    /// Marks, by kind.
    pub marks: Vec<Count>,
    /// Nodules joined from the marks.
    pub n_nodules: u64,
    /// Nodules among them with two marks of one reader or more.
    pub n_more_marks_than_readers: u64,
    /// Nodules among them whose region has larger pixels, so that they fit.
    pub n_resampled: u64,
    /// Nodules among them that end at their region's border.
    pub n_cropped: u64,
    /// Slices of the nodules' regions.
    pub n_roi_slices: u64,
    /// Slices among them that show another nodule too, or in place of it.
    pub n_shared_slices: u64,
    /// What is in one split whole: `patient` or `lesion`.
    pub split_by: Vec<String>,
    /// Slices chosen for learning, by split.
    pub samples: Vec<SplitCount>,
    /// Spacings and thickness of the scans that later stages use, diameters of the nodules.
    pub histograms: Vec<Histogram>,
}

/// What a histogram is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Quantity {
    /// Distance between slices.
    #[serde(rename = "spacing_k_mm")]
    SliceSpacing,
    /// Distance between columns.
    #[serde(rename = "spacing_i_mm")]
    PixelSpacing,
    /// DICOM `SliceThickness`.
    #[serde(rename = "slice_thickness_mm")]
    SliceThickness,
    /// Mean of the diameters of a nodule's marks.
    #[serde(rename = "diameter_mm")]
    Diameter,
}

/// How a quantity is spread over a cohort; every cohort of a report has the same bars.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Histogram {
    /// Column of `scans` or `nodules`.
    pub quantity: Quantity,
    /// Scans or nodules with a value.
    pub n: u64,
    /// Scans or nodules without.
    pub n_unknown: u64,
    /// Least value; none without one.
    pub min: Option<f64>,
    /// Median; none without a value.
    pub median: Option<f64>,
    /// Greatest value; none without one.
    pub max: Option<f64>,
    /// Where the first bar starts.
    pub start: f64,
    /// How wide a bar is.
    pub width: f64,
    /// Values in each bar; empty without a value.
    pub counts: Vec<u64>,
}

/// A split's share of a cohort.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SplitCount {
    /// `train`, `validation` or `test`.
    pub split: String,
    /// Patients.
    pub n_patients: u64,
    /// Nodules.
    pub n_nodules: u64,
    /// Slices.
    pub n_slices: u64,
    /// Slices among them without any nodule.
    pub n_empty_slices: u64,
}

/// How far the readers of a cohort agree.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Readers {
    /// Name of the cohort.
    pub cohort: String,
    /// Nodules of the cohort.
    pub n_nodules: u64,
    /// Nodules among them whose readers, two or more, were compared in pairs.
    pub n_compared: u64,
    /// Dice, `IoU` and surface distance of the pairs.
    pub pairwise: Vec<Pairwise>,
    /// Rows of `rating_agreement`, for the ratings that two readers gave to any nodule.
    pub ratings: Vec<RatingAgreement>,
}

/// A metric between readers, over nodules: of each the mean over its pairs of readers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pairwise {
    /// Column of `nodule_metrics` with the same metric.
    pub metric: String,
    /// Nodules with two or more readers.
    pub n_nodules: u64,
    /// Mean over nodules; none without one.
    pub mean: Option<f64>,
    /// Standard deviation over nodules; none under two.
    pub sd: Option<f64>,
    /// Median over nodules; none without one.
    pub median: Option<f64>,
    /// Lower end of the mean's 95% bootstrap interval, by patient; none under two patients.
    pub ci_low: Option<f64>,
    /// Upper end of it.
    pub ci_high: Option<f64>,
}

/// How far readers agree on the nodules that the models were scored on.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Ceiling {
    /// Nodules that the models were scored on.
    pub n_nodules: u64,
    /// Nodules among them that two or more readers marked.
    pub n_several_readers: u64,
    /// Dice, `IoU` and surface distance of the pairs; empty where no nodule has one.
    pub pairwise: Vec<Pairwise>,
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
pub struct Evaluation {
    /// Split, `test` as a rule.
    pub split: String,
    /// Patients.
    pub n_patients: u64,
    /// Nodules.
    pub n_nodules: u64,
}

/// A model, or the best single threshold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Model {
    /// Id in the tables.
    pub model_id: String,
    /// What it is, in a few words.
    pub label: String,
}

/// A nodule's scores by one model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NoduleScore {
    /// The nodule.
    pub nodule_id: String,
    /// The model.
    pub model_id: String,
    /// `scored`, `missed`, `spurious` or `both_empty`.
    pub outcome: String,
    /// Diameter of the nodule.
    pub diameter_mm: f64,
    /// Dice, where defined.
    pub dice: Option<f64>,
}

/// A nodule to look at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Example {
    /// Why it is shown: `best`, `median` or `worst`.
    pub rank: String,
    /// The nodule.
    pub nodule_id: String,
    /// The model that predicted.
    pub model_id: String,
    /// Dice over the nodule's whole region, where defined.
    pub dice: Option<f64>,
    /// 95th percentile Hausdorff distance over the region, where defined.
    pub hausdorff_95_mm: Option<f64>,
    /// Diameter of the nodule.
    pub diameter_mm: f64,
    /// Position of the slice, LPS.
    pub z_mm: f64,
    /// The slice; not part of `report.json`.
    #[serde(skip)]
    pub slice: Slice,
}
