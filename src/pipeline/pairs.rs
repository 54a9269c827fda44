//! Lists how images and masks of `volumes` cohorts pair up, before any file is read.

use crate::stages::ingest::{self, Cohort};
use nodulus_formats::cohort::{self, Case, Layout};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The cases of a `volumes` cohort.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CohortPairs {
    /// Name of the cohort.
    pub cohort: String,
    /// Why its files cannot be listed, if so.
    pub error: Option<String>,
    /// Its cases; incomplete ones come first.
    pub pairs: Vec<Pair>,
}

/// Files that belong together; paths are relative to the cohort's root.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Pair {
    /// Whether the case is complete.
    pub state: PairState,
    /// The patient, where the path names one.
    pub patient: Option<String>,
    /// The image: a file or a folder.
    pub image: Option<String>,
    /// The masks of each reader.
    pub masks: Vec<MaskFiles>,
    /// What is missing or wrong.
    pub problem: Option<String>,
}

/// The masks of one reader.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct MaskFiles {
    /// The reader's name, where readers have names.
    pub reader: Option<String>,
    /// Mask files.
    pub files: Vec<PathBuf>,
}

/// Whether a case is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PairState {
    /// The files do not make a pair; the case fails.
    Unpaired,
    /// The image has no mask; the case fails.
    WithoutMask,
    /// Some readers have no mask.
    SomeReaders,
    /// Every reader has a mask.
    Paired,
}

/// Lists the pairs of each `volumes` cohort, in the order of the pipeline file; no file is read or written.
pub fn list(config: &ingest::Config) -> Vec<CohortPairs> {
    let cohorts = config.cohorts.iter().filter(|cohort| cohort.source == Layout::Volumes);
    let pairs = |cohort: &Cohort| {
        // The series in the folders do not matter for this layout.
        let no_series = cohort::SeriesIn {
            dicom_folder: &|_: &str, _: &[PathBuf]| BTreeSet::new(),
            reads: &|_, _| None,
        };
        let (error, cases) = match cohort::cases(&cohort.location(None), &no_series) {
            Ok(cases) => (None, cases),
            Err(error) => (Some(nodulus_faults::in_words(&error)), Vec::new()),
        };
        // What is passed over is no case of the pattern.
        let cases = cases.iter().filter(|case| case.has_scan || case.passed_over.is_empty());
        let mut pairs: Vec<Pair> = cases.map(|case| pair(cohort, case)).collect();
        pairs.sort();
        CohortPairs { cohort: cohort.name.clone(), error, pairs }
    };
    cohorts.map(pairs).collect()
}

fn pair(cohort: &Cohort, case: &Case) -> Pair {
    let patterns = cohort.mask_patterns();
    let files_of = |reader| {
        let files = case.annotations.iter().zip(&case.readers);
        let own = files.filter(move |(_, of)| **of == reader);
        own.map(|(file, _)| cohort::relative(&cohort.root, file).into()).collect::<Vec<PathBuf>>()
    };
    let masks: Vec<MaskFiles> = (0..patterns.len())
        .map(|n| MaskFiles { reader: cohort.reader(n).map(str::to_owned), files: files_of(n) })
        .collect();
    let missing: Vec<String> = masks
        .iter()
        .zip(&patterns)
        .filter(|(masks, _)| masks.files.is_empty())
        .map(|(masks, pattern)| match &masks.reader {
            None => format!("nothing fits `{pattern}`"),
            Some(reader) => format!("reader {reader}: nothing fits `{pattern}`"),
        })
        .collect();
    let state = match (&case.problem, missing.len()) {
        (Some(_), _) => PairState::Unpaired,
        (None, 0) => PairState::Paired,
        (None, n) if n == patterns.len() => PairState::WithoutMask,
        (None, _) => PairState::SomeReaders,
    };
    let missing = (!missing.is_empty()).then(|| missing.join("; "));
    Pair {
        state,
        patient: case.patient.clone(),
        image: case.has_scan.then(|| case.case_id.clone()),
        masks,
        problem: case.problem.clone().or(missing),
    }
}
