//! What passes between stages: one file for each table, and the store that keeps them.

pub mod schema;
pub mod mask_box;
pub mod scans;
pub mod marks;
pub mod nodules;
pub mod reader_agreement;
pub mod rating_agreement;
pub mod rois;
pub mod samples;
pub mod leak;
pub mod training_log;
pub mod predictions;
pub mod slice_metrics;
pub mod nodule_metrics;
pub mod summary;
pub mod comparisons;
pub mod scores;
pub mod growth;
pub mod drift;
pub mod exclusions;
pub mod failures;
pub mod output;
pub mod parquet;
pub mod foreign;
pub mod hash;
pub mod durable;
pub mod clock;
pub mod lock;
pub mod manifest;
pub mod shard;
pub mod job;
pub mod store;
pub mod partitions;

pub use comparisons::Comparison;
pub use drift::Drift;
pub use exclusions::Exclusion;
pub use failures::Failure;
pub use growth::Growth;
pub use marks::{Mark, MarkKind};
pub use nodule_metrics::NoduleMetrics;
pub use nodules::Nodule;
pub use output::Output;
pub use predictions::Prediction;
pub use rating_agreement::RatingAgreement;
pub use reader_agreement::ReaderAgreement;
pub use rois::{Neighbours, Oversize, Roi};
pub use samples::{Role, Sample, Split, SplitBy};
pub use scans::Scan;
pub use scores::Score;
pub use slice_metrics::SliceMetrics;
pub use summary::Summary;
pub use training_log::TrainingLog;

use arrow::datatypes::Schema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A table of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// See [`scans`].
    Scans,
    /// See [`marks`].
    Marks,
    /// See [`nodules`].
    Nodules,
    /// See [`reader_agreement`].
    ReaderAgreement,
    /// See [`rating_agreement`].
    RatingAgreement,
    /// See [`rois`].
    Rois,
    /// See [`samples`].
    Samples,
    /// See [`training_log`].
    TrainingLog,
    /// See [`predictions`].
    Predictions,
    /// See [`slice_metrics`].
    SliceMetrics,
    /// See [`nodule_metrics`].
    NoduleMetrics,
    /// See [`summary`].
    Summary,
    /// See [`comparisons`].
    Comparisons,
    /// See [`exclusions`].
    Exclusions,
    /// See [`failures`].
    Failures,
    /// See [`scores`].
    Scores,
    /// See [`growth`].
    Growth,
    /// See [`drift`].
    Drift,
}

/// The row type of a table; its field names are the table's column names.
pub trait Row: Serialize + DeserializeOwned + 'static {
    /// The table that these rows make up.
    const TABLE: Table;
}

impl Table {
    /// The tables that the stages write, in data-flow order.
    pub const OF_STAGES: [Self; 15] = [
        Self::Scans,
        Self::Marks,
        Self::Nodules,
        Self::ReaderAgreement,
        Self::RatingAgreement,
        Self::Rois,
        Self::Samples,
        Self::TrainingLog,
        Self::Predictions,
        Self::SliceMetrics,
        Self::NoduleMetrics,
        Self::Summary,
        Self::Comparisons,
        Self::Exclusions,
        Self::Failures,
    ];

    /// Every table: those of the stages, then those of the nightly job.
    pub const ALL: [Self; 18] = {
        let mut all = [Self::Scores; 18];
        let mut n = 0;
        while n < Self::OF_STAGES.len() {
            all[n] = Self::OF_STAGES[n];
            n += 1;
        }
        all[16] = Self::Growth;
        all[17] = Self::Drift;
        all
    };

    /// Name of the table's folder.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scans => "scans",
            Self::Marks => "marks",
            Self::Nodules => "nodules",
            Self::ReaderAgreement => "reader_agreement",
            Self::RatingAgreement => "rating_agreement",
            Self::Rois => "rois",
            Self::Samples => "samples",
            Self::TrainingLog => "training_log",
            Self::Predictions => "predictions",
            Self::SliceMetrics => "slice_metrics",
            Self::NoduleMetrics => "nodule_metrics",
            Self::Summary => "summary",
            Self::Comparisons => "comparisons",
            Self::Exclusions => "exclusions",
            Self::Failures => "failures",
            Self::Scores => "scores",
            Self::Growth => "growth",
            Self::Drift => "drift",
        }
    }

    /// The table with a name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    /// What one row stands for.
    pub const fn row_description(self) -> &'static str {
        match self {
            Self::Scans => "a CT series",
            Self::Marks => "one reader's mark",
            Self::Nodules => "a physical nodule",
            Self::ReaderAgreement => "a nodule that two or more readers marked",
            Self::RatingAgreement => "a rating of a cohort",
            Self::Rois => "an axial slice of a nodule's region",
            Self::Samples => "a slice chosen for learning",
            Self::TrainingLog => "an epoch",
            Self::Predictions => "a slice predicted by a model",
            Self::SliceMetrics => "a slice × model",
            Self::NoduleMetrics => "a nodule × model",
            Self::Summary => "a model × metric × subgroup",
            Self::Comparisons => "two models × metric",
            Self::Exclusions => "a thing that a rule left out",
            Self::Failures => "a case that failed",
            Self::Scores => "a nodule of a scan that the nightly job scored",
            Self::Growth => "a nodule of two scans of a patient",
            Self::Drift => "a night × quantity × model",
        }
    }

    /// The one truth about the table's columns.
    pub fn schema(self) -> Schema {
        match self {
            Self::Scans => scans::schema(),
            Self::Marks => marks::schema(),
            Self::Nodules => nodules::schema(),
            Self::ReaderAgreement => reader_agreement::schema(),
            Self::RatingAgreement => rating_agreement::schema(),
            Self::Rois => rois::schema(),
            Self::Samples => samples::schema(),
            Self::TrainingLog => training_log::schema(),
            Self::Predictions => predictions::schema(),
            Self::SliceMetrics => slice_metrics::schema(),
            Self::NoduleMetrics => nodule_metrics::schema(),
            Self::Summary => summary::schema(),
            Self::Comparisons => comparisons::schema(),
            Self::Exclusions => exclusions::schema(),
            Self::Failures => failures::schema(),
            Self::Scores => scores::schema(),
            Self::Growth => growth::schema(),
            Self::Drift => drift::schema(),
        }
    }

    /// Raised when a column is added, removed or changes meaning.
    pub const fn schema_version(self) -> u32 {
        match self {
            Self::Marks | Self::NoduleMetrics => 3,
            Self::Scans
            | Self::Nodules
            | Self::Rois
            | Self::Samples
            | Self::Predictions
            | Self::SliceMetrics
            | Self::Summary
            | Self::TrainingLog => 2,
            _ => 1,
        }
    }

    /// The column that a folder stands for, `STORE/TABLE/COLUMN=VALUE/`, where each value has a folder;
    /// readers of Hive's layout add it, and files do not have it.
    pub const fn partition_column(self) -> Option<&'static str> {
        match self {
            Self::Scores | Self::Growth | Self::Drift => Some("scored_on"),
            _ => None,
        }
    }

    /// Columns that measure the run rather than the data (seconds): left out of content hashes, so
    /// that a table's key does not depend on how fast the machine was.
    pub const fn volatile_columns(self) -> &'static [&'static str] {
        match self {
            Self::TrainingLog => &["seconds", "samples_per_second"],
            _ => &[],
        }
    }

    /// Columns of pixels, which have no statistics.
    pub const fn pixel_columns(self) -> &'static [&'static str] {
        match self {
            Self::Rois => &["hu", "mask_bits", "other_mask_bits"],
            Self::Predictions => &["probability", "mask_bits"],
            Self::Marks => &["mask_bits"],
            Self::Nodules => &["mask_bits", "union_mask_bits"],
            _ => &[],
        }
    }

    /// Columns that are stored as they are, not compressed.
    ///
    /// The noise of a CT leaves zstd no more than half of `hu` to save, at a third of the speed of
    /// writing it (`docs/benchmarks.md`).
    pub const fn plain_columns(self) -> &'static [&'static str] {
        match self {
            Self::Rois => &["hu"],
            _ => &[],
        }
    }

    /// Columns that people look rows up by: they have bloom filters.
    pub const fn id_columns(self) -> &'static [&'static str] {
        match self {
            Self::Scans => &["series_instance_uid", "patient_id"],
            Self::Marks => &["mark_id", "series_instance_uid", "patient_id"],
            Self::Nodules | Self::ReaderAgreement => {
                &["nodule_id", "series_instance_uid", "patient_id"]
            }
            Self::Rois | Self::Samples => &["roi_id", "nodule_id", "patient_id"],
            Self::Predictions | Self::SliceMetrics => &["roi_id", "nodule_id"],
            Self::NoduleMetrics => &["nodule_id"],
            Self::Exclusions | Self::Failures => &["case_id"],
            Self::Scores | Self::Growth => &["series_instance_uid", "patient_id", "nodule_id"],
            Self::RatingAgreement
            | Self::TrainingLog
            | Self::Summary
            | Self::Comparisons
            | Self::Drift => &[],
        }
    }

    /// Rows in a row group: 128 where rows hold a region's pixels.
    pub const fn row_group_rows(self) -> usize {
        match self {
            Self::Rois | Self::Predictions => 128,
            Self::Marks | Self::Nodules => 4096,
            _ => 65_536,
        }
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
