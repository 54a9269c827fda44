//! Reads the headers of all scans and masks, and groups those that would be refused by their cause.

use super::sources::{self, series_list};
use crate::stages::ingest;
use nodulus_formats::cohort::{self, Refusal, SeriesIn};
use nodulus_formats::dicom;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;

/// What the headers of all cohorts show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HeaderReport {
    /// Number of scans whose headers are in order.
    pub n_readable: usize,
    /// Number of files that are left aside.
    pub n_passed_over: usize,
    /// Causes of refusals, the most frequent first.
    pub refused: Vec<RefusedScans>,
}

/// Scans and masks that are refused for one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedScans {
    /// The cause.
    pub cause: &'static str,
    /// Number of scans, masks, or files that may belong to any scan.
    pub n: usize,
    /// The setting that would admit them, if there is one.
    pub setting: Option<&'static str>,
    /// What is wrong with the first of them.
    pub example: String,
}

/// Reads the headers of the scans and masks of all cohorts that have images; nothing is written.
///
/// # Errors
///
/// Fails if a cohort's files cannot be listed.
pub fn check(config: &ingest::Config) -> Result<HeaderReport, sources::Error> {
    let list = series_list(config)?;
    let mut report = HeaderReport::default();
    let mut by_cause: BTreeMap<&'static str, Vec<Refusal>> = BTreeMap::new();
    for cohort in config.cohorts.iter().filter(|cohort| cohort.source.has_images()) {
        let series_in =
            SeriesIn { dicom_folder: &|_, files| dicom::series_uids(files), reads: &|_, _| None };
        let cases = cohort::cases(&cohort.location(None), &series_in)
            .map_err(|source| sources::Error::Cohort { cohort: cohort.name.clone(), source })?;
        let checks =
            cases.par_iter().map(|case| ingest::check_case(config, list.as_ref(), cohort, case));
        for check in checks.collect::<Vec<_>>() {
            report.n_readable += check.n_readable;
            report.n_passed_over += check.n_passed_over;
            for refusal in check.refusals {
                by_cause.entry(refusal.cause).or_default().push(refusal);
            }
        }
        report.n_passed_over += cases.iter().map(|case| case.passed_over.len()).sum::<usize>();
    }
    let group = |(cause, mut refusals): (&'static str, Vec<Refusal>)| {
        refusals.sort();
        let (n, first) = (refusals.len(), refusals.into_iter().next());
        let (setting, example) =
            first.map(|first| (first.setting, first.message)).unwrap_or_default();
        RefusedScans { cause, n, setting, example }
    };
    report.refused = by_cause.into_iter().map(group).collect();
    report.refused.sort_by_key(|refused| std::cmp::Reverse(refused.n));
    Ok(report)
}
