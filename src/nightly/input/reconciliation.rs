//! What became of each row of the candidates.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most files that are listed one by one.
const MAX_FILES: usize = 1000;

/// What became of a row, the best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RowOutcome {
    UnknownSeries,
    Outside,
    Duplicate,
    Matched,
}

/// Rows of candidates by what became of them. Each row counts once: `rows` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CandidateCounts {
    /// Rows, and points of DICOM files: each once, however many series its file references.
    pub rows: usize,
    /// Rows of a series of the input that are not known to lie outside it.
    pub matched: usize,
    /// Rows with a position outside their scan.
    pub outside: usize,
    /// Rows of a series that the input does not hold.
    pub unknown_series: usize,
    /// Rows that cannot be read, whose line is cut off, or whose series is no UID.
    pub malformed: usize,
    /// Rows that repeat a position of their series.
    pub duplicate: usize,
}

/// The rows of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileCounts {
    /// The redacted name of the file.
    pub file: String,
    /// Its rows.
    #[serde(flatten)]
    pub counts: CandidateCounts,
}

/// A file of candidates that cannot be read. None of its rows counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnreadableFile {
    /// The redacted name of the file.
    pub file: String,
    /// The error and its causes.
    pub cause: String,
}

/// Malformed rows of a file of which it cannot be told whose they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnplacedRows {
    /// The redacted name of the file.
    pub file: String,
    /// Their number.
    pub n_rows: usize,
    /// What is wrong with the first of them.
    pub cause: String,
}

/// The rows of all files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Reconciliation {
    /// Files that could be read.
    pub n_files: usize,
    /// Files that could not be read. The run then fails, and no result is replaced by one of other candidates.
    pub n_unreadable_files: usize,
    /// Such files, the first 1,000 in the order in which they were read.
    pub unreadable_files: Vec<UnreadableFile>,
    /// Malformed rows of which it cannot be told whose they are. The run then fails, and no result is replaced by one of other
    /// candidates.
    pub n_unplaced_rows: usize,
    /// Files with such rows, the first 1,000 in the order in which they were read.
    pub unplaced_rows: Vec<UnplacedRows>,
    /// Rows of all files.
    #[serde(flatten)]
    pub in_all: CandidateCounts,
    /// Files with rows that are not matched, the first 1,000 in the order in which they were read. All rows of other files
    /// are matched.
    pub files: Vec<FileCounts>,
    /// Such files that are not listed.
    pub n_unlisted_files: usize,
}

impl CandidateCounts {
    /// Whether every row is matched.
    fn is_matched(&self) -> bool {
        self.rows == self.matched
    }

    /// Counts a row that could be read.
    pub(super) fn add(&mut self, outcome: RowOutcome) {
        let count = match outcome {
            RowOutcome::UnknownSeries => &mut self.unknown_series,
            RowOutcome::Outside => &mut self.outside,
            RowOutcome::Duplicate => &mut self.duplicate,
            RowOutcome::Matched => &mut self.matched,
        };
        *count += 1;
    }

    fn plus(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            matched: self.matched + other.matched,
            outside: self.outside + other.outside,
            unknown_series: self.unknown_series + other.unknown_series,
            malformed: self.malformed + other.malformed,
            duplicate: self.duplicate + other.duplicate,
        }
    }
}

impl Reconciliation {
    pub(super) fn of(
        mut files: Vec<FileCounts>,
        mut unreadable_files: Vec<UnreadableFile>,
        mut unplaced_rows: Vec<UnplacedRows>,
    ) -> Self {
        let n_files = files.len();
        let in_all = files.iter().map(|file| file.counts);
        let in_all = in_all.fold(CandidateCounts::default(), CandidateCounts::plus);
        files.retain(|file| !file.counts.is_matched());
        let n_unlisted_files = files.len().saturating_sub(MAX_FILES);
        files.truncate(MAX_FILES);
        let n_unreadable_files = unreadable_files.len();
        unreadable_files.truncate(MAX_FILES);
        let n_unplaced_rows = unplaced_rows.iter().map(|rows| rows.n_rows).sum();
        unplaced_rows.truncate(MAX_FILES);
        Self {
            n_files,
            n_unreadable_files,
            unreadable_files,
            n_unplaced_rows,
            unplaced_rows,
            in_all,
            files,
            n_unlisted_files,
        }
    }
}
