//! The rows of one case.

use super::sources::SourceCase;
use crate::stages::memory::TooLarge;
use crate::tables::exclusions::Exclusion;
use crate::tables::{Mark, PassedOverFile, Scan};
use nodulus_store::FailedCase;

/// The rows of one case.
#[derive(Debug, Default)]
pub struct CaseRows {
    pub(super) scans: Vec<Scan>,
    pub(super) marks: Vec<Mark>,
    pub(super) exclusions: Vec<Exclusion>,
    pub(super) passed_over: Vec<PassedOverFile>,
    pub(super) failures: Vec<FailedCase>,
}

impl CaseRows {
    /// The row of a case that could not be read.
    pub(super) fn failed(source: &SourceCase, error: &dyn std::error::Error) -> Self {
        let case = &source.case.case_id;
        let failure = FailedCase::new("ingest", case, error, Some(case.clone()));
        Self { failures: vec![failure], ..Self::default() }
    }

    /// The row of a case that needs more memory than there is.
    pub(super) fn too_large(source: &SourceCase, error: &TooLarge) -> Self {
        let mut rows = Self::failed(source, error);
        rows.failures =
            rows.failures.into_iter().map(|failed| failed.needing(error.needed_bytes())).collect();
        rows
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.scans.extend(other.scans);
        self.marks.extend(other.marks);
        self.exclusions.extend(other.exclusions);
        self.passed_over.extend(other.passed_over);
        self.failures.extend(other.failures);
    }
}
