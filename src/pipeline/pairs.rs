//! How the files of each cohort of volumes pair up, before any of them is read.

use crate::stages::ingest::{self, Cohort};
use nodulus_formats::cohort::{self, Case, Layout};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The cases of a cohort of volumes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CohortPairs {
    /// Its name.
    pub cohort: String,
    /// Why its files cannot be listed, where they cannot.
    pub error: Option<String>,
    /// Its cases, sorted; those first that lack something.
    pub pairs: Vec<Pair>,
}

/// Files that are read together. Paths are relative to the cohort's root.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Pair {
    /// How it pairs up.
    pub state: State,
    /// The patient, where the path tells.
    pub patient: Option<String>,
    /// The image: a file or a folder.
    pub image: Option<String>,
    /// The masks of each reader.
    pub masks: Vec<Masks>,
    /// What is missing or wrong.
    pub problem: Option<String>,
}

/// The masks of one reader.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Masks {
    /// The reader's name, where readers have names.
    pub reader: Option<String>,
    /// Their files.
    pub files: Vec<PathBuf>,
}

/// How a case pairs up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is no pair, and fails.
    Unpaired,
    /// An image without any mask, which fails.
    WithoutMask,
    /// An image without a mask of some readers.
    SomeReaders,
    /// An image with a mask of every reader.
    Paired,
}

/// Lists the pairs of each cohort of volumes, in the pipeline file's order; nothing is read or written.
pub fn list(config: &ingest::Config) -> Vec<CohortPairs> {
    let cohorts = config.cohorts.iter().filter(|cohort| cohort.source == Layout::Volumes);
    let pairs = |cohort: &Cohort| {
        // Cases of volumes do not depend on the series in their folders.
        let no_series = |_: &str, _: &[PathBuf]| BTreeSet::new();
        let (error, cases) = match cohort::cases(&cohort.location(None), &no_series) {
            Ok(cases) => (None, cases),
            Err(error) => (Some(error.to_string()), Vec::new()),
        };
        let mut pairs: Vec<Pair> = cases.iter().map(|case| pair(cohort, case)).collect();
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
    let masks: Vec<Masks> = (0..patterns.len())
        .map(|n| Masks { reader: cohort.reader(n).map(str::to_owned), files: files_of(n) })
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
        (Some(_), _) => State::Unpaired,
        (None, 0) => State::Paired,
        (None, n) if n == patterns.len() => State::WithoutMask,
        (None, _) => State::SomeReaders,
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
