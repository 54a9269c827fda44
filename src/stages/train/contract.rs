//! The contract of the weights: how their regions were made, and whom they learn from.

use super::config::{Config, Phase};
use super::error::Error;
use super::examples::Selection;
use crate::stages::Task;
use crate::tables::scan_identity::{ScanIdentity, identities, named};
use crate::tables::{Sample, Split, Table};
use nodulus_nets::{
    Contract, HuWindow, IdentityKind, TrainedOn, TrainedOnSummary, TrainedPhase, TrainedRegion,
    TrainedSpacing, TrainedWindow, TrainingUse,
};
use nodulus_store::Version;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The columns of `rois` that a contract needs.
#[derive(Deserialize)]
struct RegionFacts {
    nodule_id: String,
    cohort: String,
    spacing_i_mm: f64,
    spacing_j_mm: f64,
    spacing_k_mm: f64,
    norm_low_hu: f64,
    norm_high_hu: f64,
}

const REGION_FACTS: &[&str] = &[
    "nodule_id",
    "cohort",
    "spacing_i_mm",
    "spacing_j_mm",
    "spacing_k_mm",
    "norm_low_hu",
    "norm_high_hu",
];

/// The list of those who train and validate weights. `training` is the key of the training, `initial` the weights that it
/// starts from.
///
/// The second value is whether the initial weights name nobody whom they were trained on, although they may have been.
///
/// # Errors
///
/// Fails if a test patient is among those of the initial weights and `is_allowed` is not set, or a file cannot be read.
pub(super) fn trained_on(
    config: &Config,
    task: &Task<'_>,
    training: &str,
    initial: Option<&Path>,
    is_allowed: bool,
) -> Result<(TrainedOn, bool), Error> {
    let mut list = TrainedOn::new(training);
    let samples = task.table(Table::Samples)?.rows::<Sample>();
    let test = add_own(&mut list, config, task.table(Table::Scans)?, samples)?;
    let Some(initial) = initial else { return Ok((list, false)) };
    let without_patients = config.initial.as_ref().is_some_and(|initial| initial.without_patients);
    let Some(before) = TrainedOn::of_weights(initial)? else {
        return Ok((list, !without_patients));
    };
    if !is_allowed {
        refuse_seen(&test, &before, "")?;
    }
    list.inherit(&before);
    let unlisted =
        nodulus_nets::contract(initial)?.is_some_and(|c| c.trained_on.has_unlisted_initial);
    Ok((list, unlisted))
}

/// Adds the scans that a training learns from and is validated on to its list, and returns those of the test split.
fn add_own(
    list: &mut TrainedOn,
    config: &Config,
    scans: &Version,
    samples: impl Iterator<Item = Result<Vec<Sample>, nodulus_store::Error>>,
) -> Result<BTreeSet<ScanIdentity>, Error> {
    let uses =
        [(Split::Train, TrainingUse::Training), (Split::Validation, TrainingUse::Validation)];
    let selections: Vec<(TrainingUse, Selection)> = config
        .phases
        .iter()
        .flat_map(|phase| {
            uses.map(|(split, used_for)| (used_for, Selection::of(config, phase, split)))
        })
        .collect();
    let scans = identities(scans)?;
    let mut test: BTreeSet<ScanIdentity> = BTreeSet::new();
    // A scan has many samples and is hashed once for each use.
    let mut added: BTreeSet<(ScanIdentity, TrainingUse)> = BTreeSet::new();
    for batch in samples {
        for sample in batch? {
            let scan = ScanIdentity::of_sample(&sample, &scans);
            for (used_for, _) in selections.iter().filter(|(_, s)| s.holds(&sample)) {
                if added.insert((scan.clone(), *used_for)) {
                    scan.add_to(list, *used_for);
                }
            }
            if sample.split == Split::Test.name() {
                test.insert(scan);
            }
        }
    }
    Ok(test)
}

/// The list of those whom a training will be trained on, without those of its initial weights. `samples` have at least one
/// sample of each nodule.
///
/// # Errors
///
/// Fails if `scans` cannot be read.
pub fn foreseen_list(
    config: &Config,
    scans: &Version,
    samples: &[Sample],
) -> Result<TrainedOn, Error> {
    let mut list = TrainedOn::new("");
    add_own(&mut list, config, scans, std::iter::once(Ok(samples.to_vec())))?;
    Ok(list)
}

/// Fails if initial weights saw a patient who is to be tested: one of the test split, or of a fold, which `is_of_a_fold`
/// says of a sample; none of a fold where nothing is cross-validated.
///
/// # Errors
///
/// Fails at such patients, or if a table or the list beside the weights cannot be read.
pub fn check_initial(
    initial: &Path,
    scans: &Version,
    samples: impl Iterator<Item = Result<Vec<Sample>, nodulus_store::Error>>,
    is_of_a_fold: Option<&dyn Fn(&Sample) -> bool>,
) -> Result<(), Error> {
    let Some(before) = TrainedOn::of_weights(initial)? else { return Ok(()) };
    let scans = identities(scans)?;
    let mut test: BTreeSet<ScanIdentity> = BTreeSet::new();
    for batch in samples {
        let is_tested = |sample: &Sample| {
            sample.split == Split::Test.name()
                || is_of_a_fold.is_some_and(|is_of_a_fold| is_of_a_fold(sample))
        };
        let tested = batch?.into_iter().filter(is_tested);
        test.extend(tested.map(|sample| ScanIdentity::of_sample(&sample, &scans)));
    }
    let of_folds =
        if is_of_a_fold.is_some() { " (those of folds that are predicted included)" } else { "" };
    refuse_seen(&test, &before, of_folds)
}

/// Fails if a scan is in the list of initial weights.
fn refuse_seen(
    test: &BTreeSet<ScanIdentity>,
    before: &TrainedOn,
    of_folds: &'static str,
) -> Result<(), Error> {
    let seen: BTreeMap<&str, IdentityKind> = test
        .iter()
        .filter_map(|scan| Some((scan.patient_id.as_str(), scan.seen_by([before], false)?.by)))
        .collect();
    if seen.is_empty() {
        return Ok(());
    }
    let n_patients = test.iter().map(|scan| &scan.patient_id).collect::<BTreeSet<_>>().len();
    Err(Error::InitialLeak { n: seen.len(), n_patients, of_folds, patients: named(&seen) })
}

/// The contract.
///
/// # Errors
///
/// Fails if a table cannot be read, or does not say how its regions were made.
pub(super) fn contract(
    config: &Config,
    task: &Task<'_>,
    list: &TrainedOn,
    has_unlisted_initial: bool,
) -> Result<Contract, Error> {
    let last = config.phases.last().map_or(&[][..], |phase| &phase.cohorts);
    let samples = task.table(Table::Samples)?;
    let learnt = |phase: &Phase| -> Result<BTreeSet<String>, Error> {
        let selection = Selection::of(config, phase, Split::Train);
        let mut nodules = BTreeSet::new();
        for batch in samples.rows::<Sample>() {
            let held = batch?.into_iter().filter(|sample| selection.holds(sample));
            nodules.extend(held.map(|sample| sample.nodule_id));
        }
        Ok(nodules)
    };
    let of_last = config.phases.last().map(learnt).transpose()?.unwrap_or_default();
    let mut of_any = of_last.clone();
    for phase in config.phases.iter().rev().skip(1) {
        of_any.extend(learnt(phase)?);
    }
    let rois = task.table(Table::Rois)?;
    let mut windows: Vec<TrainedWindow> = Vec::new();
    let none = [f64::INFINITY, f64::NEG_INFINITY];
    let mut spacing = TrainedSpacing { in_plane_mm: none, slices_mm: none };
    let widen = |range: &mut [f64; 2], mm: f64| *range = [range[0].min(mm), range[1].max(mm)];
    for batch in rois.columns::<RegionFacts>(REGION_FACTS) {
        for roi in batch?.into_iter().filter(|roi| of_any.contains(&roi.nodule_id)) {
            let window = HuWindow { low_hu: roi.norm_low_hu, high_hu: roi.norm_high_hu };
            let is_known = |w: &TrainedWindow| w.cohort == roi.cohort && w.window.is_same(window);
            if !windows.iter().any(is_known) {
                let is_of_last_phase = last.contains(&roi.cohort);
                windows.push(TrainedWindow { cohort: roi.cohort, window, is_of_last_phase });
            }
            if of_last.contains(&roi.nodule_id) {
                widen(&mut spacing.in_plane_mm, roi.spacing_i_mm);
                widen(&mut spacing.in_plane_mm, roi.spacing_j_mm);
                widen(&mut spacing.slices_mm, roi.spacing_k_mm);
            }
        }
    }
    windows.sort_by(|a, b| {
        let by_window = || {
            a.window
                .low_hu
                .total_cmp(&b.window.low_hu)
                .then(a.window.high_hu.total_cmp(&b.window.high_hu))
        };
        b.is_of_last_phase
            .cmp(&a.is_of_last_phase)
            .then_with(|| a.cohort.cmp(&b.cohort))
            .then_with(by_window)
    });
    let phase = |phase: &Phase| TrainedPhase {
        name: phase.name.clone(),
        cohorts: phase.cohorts.clone(),
        schedule: phase.schedule.clone(),
    };
    // How the regions were cut is the setting of the stage that cut them.
    let cut = &rois.manifest.config;
    let padding_hu = cut["padding_hu"].as_i64().and_then(|hu| i16::try_from(hu).ok());
    Ok(Contract {
        windows,
        region: TrainedRegion {
            size: config.model.image_size,
            spacing_mm: cut["spacing_mm"].as_f64(),
            padding_hu: padding_hu.ok_or(Error::Padding)?,
        },
        spacing,
        phases: config.phases.iter().map(phase).collect(),
        trained_on: TrainedOnSummary {
            sha256: list.sha256(),
            n_training_patients: list.n_own(TrainingUse::Training, IdentityKind::Patient),
            n_validation_patients: list.n_own(TrainingUse::Validation, IdentityKind::Patient),
            has_unlisted_initial,
        },
    })
}
