//! The tables of nodulus, one file for each, and the registry of all tables and other outputs.

pub mod mask_box;
pub mod ratings;
mod metric_columns;
mod component_columns;
pub mod scans;
pub mod marks;
pub mod nodules;
pub mod reader_agreement;
pub mod rating_agreement;
pub mod rois;
pub mod samples;
pub mod leak;
pub mod doubts;
pub mod scan_identity;
pub mod training_log;
pub mod predictions;
pub mod outside_predictions;
pub mod slice_metrics;
pub mod nodule_metrics;
pub mod reader_metrics;
pub mod summary;
pub mod comparisons;
pub mod scores;
pub mod score_exclusions;
pub mod growth;
pub mod drift;
pub mod receipts;
pub mod exclusions;
pub mod passed_over;
pub mod failures;
pub mod output;

pub use comparisons::Comparison;
pub use component_columns::ComponentColumns;
pub use doubts::Doubt;
pub use drift::Drift;
pub use exclusions::Exclusion;
pub use failures::Failure;
pub use growth::Growth;
pub use marks::{Mark, MarkKind};
pub use metric_columns::MetricColumns;
pub use nodule_metrics::NoduleMetrics;
pub use nodules::Nodule;
pub use nodulus_store::Error;
pub use output::{Output, SOURCES};
pub use outside_predictions::OutsidePrediction;
pub use passed_over::PassedOverFile;
pub use predictions::{Prediction, SliceProbability};
pub use rating_agreement::RatingAgreement;
pub use ratings::{PairAgreement, PerRating, RATINGS, RatingDistribution, Scale};
pub use reader_agreement::ReaderAgreement;
pub use reader_metrics::ReaderMetric;
pub use receipts::Receipt;
pub use rois::{Neighbours, Oversize, Roi};
pub use samples::{Role, Sample, Split, SplitBy};
pub use scans::Scan;
pub use score_exclusions::ScoreExclusion;
pub use scores::Score;
pub use slice_metrics::SliceMetrics;
pub use summary::Summary;
pub use training_log::TrainingLog;

use arrow::datatypes::Schema;
use nodulus_store::{Row as _, TableSpec};
use std::fmt;

/// A table of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// See [`outside_predictions`].
    OutsidePredictions,
    /// See [`slice_metrics`].
    SliceMetrics,
    /// See [`nodule_metrics`].
    NoduleMetrics,
    /// See [`reader_metrics`].
    ReaderMetrics,
    /// See [`summary`].
    Summary,
    /// See [`comparisons`].
    Comparisons,
    /// See [`exclusions`].
    Exclusions,
    /// See [`passed_over`].
    PassedOver,
    /// See [`failures`].
    Failures,
    /// See [`scores`].
    Scores,
    /// See [`score_exclusions`].
    ScoreExclusions,
    /// See [`growth`].
    Growth,
    /// See [`drift`].
    Drift,
    /// See [`receipts`].
    Receipts,
}

impl Table {
    /// The tables that the stages write, in data-flow order.
    pub const OF_STAGES: [Self; 18] = [
        Self::Scans,
        Self::Marks,
        Self::Nodules,
        Self::ReaderAgreement,
        Self::RatingAgreement,
        Self::Rois,
        Self::Samples,
        Self::TrainingLog,
        Self::Predictions,
        Self::OutsidePredictions,
        Self::SliceMetrics,
        Self::NoduleMetrics,
        Self::ReaderMetrics,
        Self::Summary,
        Self::Comparisons,
        Self::Exclusions,
        Self::PassedOver,
        Self::Failures,
    ];

    /// Every table: those of the stages, then those of the nightly job.
    pub const ALL: [Self; 23] = {
        let mut all = [Self::Scores; 23];
        let mut n = 0;
        while n < Self::OF_STAGES.len() {
            all[n] = Self::OF_STAGES[n];
            n += 1;
        }
        all[19] = Self::ScoreExclusions;
        all[20] = Self::Growth;
        all[21] = Self::Drift;
        all[22] = Self::Receipts;
        all
    };

    /// The table as a value for the store: its name, columns and layout.
    pub const fn spec(self) -> &'static TableSpec {
        match self {
            Self::Scans => Scan::TABLE,
            Self::Marks => Mark::TABLE,
            Self::Nodules => Nodule::TABLE,
            Self::ReaderAgreement => ReaderAgreement::TABLE,
            Self::RatingAgreement => RatingAgreement::TABLE,
            Self::Rois => Roi::TABLE,
            Self::Samples => Sample::TABLE,
            Self::TrainingLog => TrainingLog::TABLE,
            Self::Predictions => Prediction::TABLE,
            Self::OutsidePredictions => OutsidePrediction::TABLE,
            Self::SliceMetrics => SliceMetrics::TABLE,
            Self::NoduleMetrics => NoduleMetrics::TABLE,
            Self::ReaderMetrics => ReaderMetric::TABLE,
            Self::Summary => Summary::TABLE,
            Self::Comparisons => Comparison::TABLE,
            Self::Exclusions => Exclusion::TABLE,
            Self::PassedOver => PassedOverFile::TABLE,
            Self::Failures => Failure::TABLE,
            Self::Scores => Score::TABLE,
            Self::ScoreExclusions => ScoreExclusion::TABLE,
            Self::Growth => Growth::TABLE,
            Self::Drift => Drift::TABLE,
            Self::Receipts => Receipt::TABLE,
        }
    }

    /// Name of the table's folder.
    pub const fn name(self) -> &'static str {
        self.spec().name
    }

    /// The table with a name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    /// The table's columns.
    pub fn schema(self) -> Schema {
        (self.spec().schema)()
    }
}

impl From<Table> for &'static TableSpec {
    fn from(table: Table) -> Self {
        table.spec()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::DataType;

    /// pyarrow before 26 reads no column of lists of a fixed length that has nulls.
    #[test]
    fn lists_of_a_fixed_length_are_never_null() {
        for table in Table::ALL {
            for field in table.schema().fields() {
                let is_fixed = matches!(field.data_type(), DataType::FixedSizeList(..));
                assert!(!(is_fixed && field.is_nullable()), "{table}: {}", field.name());
            }
        }
    }
}
