//! Cohorts and the agreement of their readers.

use crate::tables::RatingAgreement;
use serde::Serialize;
use std::collections::BTreeMap;

/// A count with its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// What is counted.
    pub name: String,
    /// How many.
    pub n: u64,
}

impl Count {
    /// Counts in the order of their names.
    pub(in crate::stages::report) fn list(counts: BTreeMap<String, u64>) -> Vec<Self> {
        counts.into_iter().map(|(name, n)| Self { name, n }).collect()
    }
}

/// Counts of a cohort, from its files to its samples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CohortSummary {
    /// Name in the pipeline file.
    pub name: String,
    /// Layout of its files.
    pub layout: String,
    /// Patients with a scan.
    pub n_patients: u64,
    /// Scans that could be read.
    pub n_scans: u64,
    /// Scans among them that are excluded.
    pub n_excluded: u64,
    /// Reasons of exclusion; a scan may have several.
    pub exclusions: Vec<Count>,
    /// Files and marks that ingest excluded, by rule.
    pub left_out: Vec<Count>,
    /// Marks, by kind.
    pub marks: Vec<Count>,
    /// Nodules merged from the marks.
    pub n_nodules: u64,
    /// Nodules among them with several marks of one reader.
    pub n_more_marks_than_readers: u64,
    /// Nodules among them whose region is resampled to larger pixels, so that they fit.
    pub n_resampled: u64,
    /// Nodules among them that are cut off at the border of their region.
    pub n_cropped: u64,
    /// Slices of the nodules' regions.
    pub n_roi_slices: u64,
    /// Slices among them that show another nodule.
    pub n_shared_slices: u64,
    /// Unit that is never divided between splits: `patient` or `lesion`.
    pub split_by: Vec<String>,
    /// Samples, by split.
    pub samples: Vec<SplitCount>,
    /// Spacings and thickness of the scans that later stages use, diameters of the nodules.
    pub histograms: Vec<Histogram>,
}

/// Quantity of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum HistogramQuantity {
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

/// Distribution of a quantity over a cohort. All cohorts of a report have the same bars.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Histogram {
    /// Column of `scans` or `nodules`.
    pub quantity: HistogramQuantity,
    /// Scans or nodules with a value.
    pub n: u64,
    /// Scans or nodules without.
    pub n_unknown: u64,
    /// Minimum; none without a value.
    pub min: Option<f64>,
    /// Median; none without a value.
    pub median: Option<f64>,
    /// Maximum; none without a value.
    pub max: Option<f64>,
    /// Start of the first bar.
    pub start: f64,
    /// Width of a bar.
    pub width: f64,
    /// Values in each bar; empty without a value.
    pub counts: Vec<u64>,
}

/// Counts of a split of a cohort.
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

/// Agreement of the readers of a cohort.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CohortReaders {
    /// Name of the cohort.
    pub cohort: String,
    /// Nodules of the cohort.
    pub n_nodules: u64,
    /// Nodules among them with several readers, who were compared in pairs.
    pub n_compared: u64,
    /// Dice, `IoU` and surface distance of the pairs.
    pub pairwise: Vec<Pairwise>,
    /// Rows of `rating_agreement`, for the ratings that two readers gave to any nodule.
    pub ratings: Vec<RatingAgreement>,
}

/// A metric between readers over nodules, where each nodule has the mean over its pairs of readers.
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
    /// Lower end of the mean's 95% interval, by patient.
    pub ci_low: Option<f64>,
    /// Upper end of it.
    pub ci_high: Option<f64>,
    /// Why there is no interval; none where there is one.
    pub ci_missing_reason: Option<String>,
}

/// Agreement of readers on the nodules that the models are evaluated on.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Ceiling {
    /// Nodules that the models are evaluated on.
    pub n_nodules: u64,
    /// Nodules among them that two or more readers marked.
    pub n_several_readers: u64,
    /// Dice, `IoU` and surface distance of the pairs; empty where no nodule has one.
    pub pairwise: Vec<Pairwise>,
}
