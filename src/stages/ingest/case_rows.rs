//! The rows of one case.

use super::cohort_settings::Cohort;
use super::sources::SourceCase;
use crate::stages::memory::NotWorked;
use crate::tables::exclusions::{Exclusion, ExclusionRule};
use crate::tables::{Mark, PassedOverFile, Scan};
use nodulus_formats::cohort;
use nodulus_formats::dicom::{self, PassedOver};
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
    pub(super) fn failed(source: &SourceCase, error: &(dyn std::error::Error + 'static)) -> Self {
        let case = &source.case.case_id;
        let failure = FailedCase::new("ingest", case, error, Some(case.clone()));
        Self { failures: vec![failure], ..Self::default() }
    }

    /// The row of a case that needs more memory than there is, or at which the program panicked.
    pub(super) fn not_worked(source: &SourceCase, error: &NotWorked) -> Self {
        let case = &source.case.case_id;
        let failed = error.failed("ingest", case, Some(case.clone()));
        Self { failures: vec![failed], ..Self::default() }
    }

    /// Number of its rows in each table of the stage, in the order of the outputs, and of its failures.
    pub(super) fn n_rows(&self) -> Vec<u64> {
        let Self { scans, marks, exclusions, passed_over, failures } = self;
        let n = [scans.len(), marks.len(), exclusions.len(), passed_over.len(), failures.len()];
        n.map(|n| n as u64).to_vec()
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.scans.extend(other.scans);
        self.marks.extend(other.marks);
        self.exclusions.extend(other.exclusions);
        self.passed_over.extend(other.passed_over);
        self.failures.extend(other.failures);
    }
}

/// The row of a file that is left aside.
pub(super) fn passed_over_row(
    cohort: &Cohort,
    source: &SourceCase,
    found: &PassedOver,
) -> PassedOverFile {
    PassedOverFile {
        stage: "ingest".to_owned(),
        cohort: cohort.name.clone(),
        case_id: source.case.case_id.clone(),
        series_instance_uid: found.series_instance_uid.clone(),
        rule: found.rule.name().to_owned(),
        what: found.what.clone(),
        path: cohort::relative(&cohort.root, &found.path),
    }
}

/// The row of a DICOM file that may be a slice and cannot be read as far as its series.
pub(super) fn damaged_row(
    cohort: &Cohort,
    source: &SourceCase,
    error: &dicom::Error,
) -> FailedCase {
    let path = match error {
        dicom::Error::File { file, .. } => cohort::relative(&cohort.root, file),
        _ => source.case.case_id.clone(),
    };
    FailedCase::new("ingest", &source.case.case_id, error, Some(path))
}

/// The row of a mask whose scan cannot be read: the mask itself is not at fault.
pub(super) fn of_failed_scan(cohort: &Cohort, source: &SourceCase, path: &str) -> Exclusion {
    let reason = "the scan of this mask cannot be read; `failures` says why".to_owned();
    let case = &source.case.case_id;
    let rule = ExclusionRule::ScanNotIncluded;
    Exclusion::new(rule, Some(&cohort.name), None, case, reason).of_file(path)
}
