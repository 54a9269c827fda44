//! What came in, and how far its readers agree.

use crate::tables::RatingAgreement;
use serde::Serialize;

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
