//! Holds what is to be predicted against what the weights were trained on: refuses it, or notes the doubts.

use super::config::Config;
use super::error::Error;
use super::nodules::is_wanted;
use super::preprocessing::Preprocessing;
use crate::stages::config::Config as Settings;
use crate::stages::task::{Event, Task};
use crate::tables::scan_identity::{ScanIdentity, identities, named};
use crate::tables::{Doubt, Prediction, Roi, Sample, Table};
use nodulus_nets::{self as model, Contract, HuWindow, IdentityKind, TrainedOn, TrainingUse};
use nodulus_store::Version;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The doubts about each nodule to predict; nodules without any are left out.
pub(super) type NoduleDoubts = BTreeMap<String, BTreeSet<Doubt>>;

/// The number of slices of each scan, by cohort and series.
#[derive(Debug, Default)]
pub(in crate::stages) struct ScanSlices(BTreeMap<(String, String), i64>);

/// The columns of `scans` that say how long they are.
#[derive(Deserialize)]
struct ScanLength {
    cohort: String,
    series_instance_uid: String,
    n_slices: i64,
}

/// Reads the number of slices of each scan.
///
/// # Errors
///
/// Fails if `scans` cannot be read.
pub(in crate::stages) fn scan_slices(scans: &Version) -> Result<ScanSlices, nodulus_store::Error> {
    let mut slices = ScanSlices::default();
    let columns = ["cohort", "series_instance_uid", "n_slices"];
    for batch in scans.columns::<ScanLength>(&columns) {
        let of_scan = |scan: ScanLength| ((scan.cohort, scan.series_instance_uid), scan.n_slices);
        slices.0.extend(batch?.into_iter().map(of_scan));
    }
    Ok(slices)
}

impl ScanSlices {
    /// The number of slices of a region's scan; no end where the scan is unknown.
    pub(in crate::stages) fn of(&self, roi: &Roi) -> i64 {
        let scan = (roi.cohort.clone(), roi.series_instance_uid.clone());
        self.0.get(&scan).copied().unwrap_or(i64::MAX)
    }
}

/// Doubts that only predicting brings up: for each model, how many nodules have each of them, and how many there are.
#[derive(Debug, Default)]
pub(super) struct Found(BTreeMap<String, (usize, BTreeMap<Doubt, usize>)>);

impl Found {
    /// The doubts that are known only once a nodule is predicted.
    const DOUBTS: [Doubt; 2] = [Doubt::TunedOnScored, Doubt::MaskAtRegionEnd];

    /// Adds the rows of a nodule, those of one model after the other.
    pub(super) fn add(&mut self, rows: &[Prediction]) {
        for of_model in rows.chunk_by(|a, b| a.model_id == b.model_id) {
            let Some(first) = of_model.first() else { continue };
            let (n, with) = self.0.entry(first.model_id.clone()).or_default();
            *n += 1;
            let has = |doubt: &Doubt| first.doubts.iter().any(|name| name == doubt.name());
            for doubt in Self::DOUBTS.into_iter().filter(has) {
                *with.entry(doubt).or_default() += 1;
            }
        }
    }

    /// A line for each model and doubt.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        self.0.iter().flat_map(|(model_id, (n, with))| {
            let text = |(doubt, with): (&Doubt, &usize)| doubt.sentence(model_id, *with, *n);
            with.iter().map(move |found| format!("warning: {}", text(found)))
        })
    }
}

/// The columns of `rois` that say how a region was made.
#[derive(Deserialize)]
struct RegionFacts {
    nodule_id: String,
    cohort: String,
    height: i64,
    width: i64,
    spacing_i_mm: f64,
    spacing_j_mm: f64,
    spacing_k_mm: f64,
    norm_low_hu: f64,
    norm_high_hu: f64,
}

const REGION_FACTS: &[&str] = &[
    "nodule_id",
    "cohort",
    "height",
    "width",
    "spacing_i_mm",
    "spacing_j_mm",
    "spacing_k_mm",
    "norm_low_hu",
    "norm_high_hu",
];

/// Holds every nodule to predict against the weights.
///
/// # Errors
///
/// Fails if the weights saw a patient to predict, or the regions are made otherwise than those that they were trained on, and
/// no setting allows it; or if neither weights nor settings state a window.
pub(super) fn doubts(
    settings: &Settings,
    task: &Task<'_>,
    weights: &[PathBuf],
) -> Result<NoduleDoubts, Error> {
    let config = &settings.infer;
    let samples = task.table(Table::Samples)?.rows::<Sample>();
    let scans_of = scans_to_predict(config, task.table(Table::Scans)?, samples)?;
    let wanted: BTreeSet<&str> = scans_of.values().flatten().map(String::as_str).collect();
    let mut doubts = NoduleDoubts::new();
    patients(config, task, weights, &scans_of, &mut doubts)?;
    regions(settings, task, weights, &wanted, &mut doubts)?;
    for doubt in Doubt::ALL {
        let n = doubts.values().filter(|of_nodule| of_nodule.contains(&doubt)).count();
        if n > 0 {
            let text = format!("warning: {n} of {} nodules {}", wanted.len(), doubt.text());
            (task.progress)(Event::Note(text));
        }
    }
    Ok(doubts)
}

/// Each scan to predict, with its nodules.
type ScansToPredict = BTreeMap<ScanIdentity, Vec<String>>;

fn scans_to_predict(
    config: &Config,
    scans: &Version,
    samples: impl Iterator<Item = Result<Vec<Sample>, nodulus_store::Error>>,
) -> Result<ScansToPredict, nodulus_store::Error> {
    let mut scans_of = ScansToPredict::new();
    let scans = identities(scans)?;
    for batch in samples {
        for sample in batch?.into_iter().filter(|sample| is_wanted(config, sample)) {
            let nodules = scans_of.entry(ScanIdentity::of_sample(&sample, &scans)).or_default();
            if nodules.last() != Some(&sample.nodule_id) {
                nodules.push(sample.nodule_id);
            }
        }
    }
    Ok(scans_of)
}

/// Fails if weights saw a patient whom `infer` would predict, unless the settings allow it. `lists` are those beside the
/// weights, `samples` have at least one sample of each nodule.
///
/// # Errors
///
/// Fails at such patients, or if `scans` cannot be read.
pub fn check_patients(
    config: &Config,
    lists: &[TrainedOn],
    scans: &Version,
    samples: &[Sample],
) -> Result<(), Error> {
    if config.allow_training_patients {
        return Ok(());
    }
    let scans_of = scans_to_predict(config, scans, std::iter::once(Ok(samples.to_vec())))?;
    let seen_by = |scan: &ScanIdentity| scan.seen_by(lists, config.fold.is_some());
    let seen = scans_of.keys().filter_map(|scan| Some((&*scan.patient_id, seen_by(scan)?.by)));
    refuse_seen(config, &seen.collect(), &scans_of).map(|_| ())
}

/// Fails if any patients were seen and that is not allowed; else who they are, for a message.
fn refuse_seen(
    config: &Config,
    seen: &BTreeMap<&str, IdentityKind>,
    scans_of: &ScansToPredict,
) -> Result<Option<String>, Error> {
    if seen.is_empty() {
        return Ok(None);
    }
    let patients: BTreeSet<&str> = scans_of.keys().map(|scan| scan.patient_id.as_str()).collect();
    let (n, n_patients, patients) = (seen.len(), patients.len(), named(seen));
    if !config.allow_training_patients {
        return Err(Error::TrainingPatients { n, n_patients, patients });
    }
    Ok(Some(format!(
        "{n} of {n_patients} patients to predict, as `--allow-training-patients` allows: {patients}"
    )))
}

/// Notes or refuses patients that the weights were trained or validated on.
///
/// METHOD: where a fold is predicted, it is the one that the weights were trained without, and whether its patients were
/// validated on makes no difference: cross-validation predicts them by design.
fn patients(
    config: &Config,
    task: &Task<'_>,
    weights: &[PathBuf],
    scans_of: &ScansToPredict,
    doubts: &mut NoduleDoubts,
) -> Result<(), Error> {
    let mut lists = Vec::new();
    let mut is_unlisted = false;
    for path in weights {
        lists.extend(TrainedOn::of_weights(path)?);
        let contract = model::contract(path)?;
        is_unlisted |= contract.is_none_or(|c| c.trained_on.has_unlisted_initial);
    }
    let mut seen: BTreeMap<&str, IdentityKind> = BTreeMap::new();
    for (scan, nodules) in scans_of {
        let doubt = match scan.seen_by(&lists, config.fold.is_some()) {
            Some(found) => {
                seen.entry(&scan.patient_id).or_insert(found.by);
                match found.seen.used_for {
                    TrainingUse::Training => Doubt::TrainingPatient,
                    TrainingUse::Validation => Doubt::ValidationPatient,
                }
            }
            None if is_unlisted => Doubt::UnlistedPatients,
            None => continue,
        };
        for nodule in nodules {
            doubts.entry(nodule.clone()).or_default().insert(doubt);
        }
    }
    if let Some(patients) = refuse_seen(config, &seen, scans_of)? {
        let text = format!("warning: the weights were trained or validated on {patients}");
        (task.progress)(Event::Note(text));
    }
    Ok(())
}

/// Notes or refuses regions that are made otherwise than those that the weights were trained on.
fn regions(
    settings: &Settings,
    task: &Task<'_>,
    weights: &[PathBuf],
    wanted: &BTreeSet<&str>,
    doubts: &mut NoduleDoubts,
) -> Result<(), Error> {
    let contracts: Vec<Option<Contract>> =
        weights.iter().map(|path| model::contract(path)).collect::<Result<_, _>>()?;
    let rois = task.table(Table::Rois)?;
    let cut = &rois.manifest.config;
    let padding_hu = cut["padding_hu"].as_i64().and_then(|hu| i16::try_from(hu).ok());
    let padding_hu = padding_hu.ok_or(Error::Padding)?;
    for batch in rois.columns::<RegionFacts>(REGION_FACTS) {
        for roi in batch?.into_iter().filter(|roi| wanted.contains(roi.nodule_id.as_str())) {
            let made = Preprocessing {
                cohort: Some(&roi.cohort),
                size: usize::try_from(roi.height.max(roi.width)).unwrap_or(0),
                window: HuWindow { low_hu: roi.norm_low_hu, high_hu: roi.norm_high_hu },
                padding_hu,
                spacing_mm: cut["spacing_mm"].as_f64(),
            };
            for contract in &contracts {
                for doubt in of_region(settings, contract.as_ref(), &made, &roi)? {
                    // A nodule has few doubts and many slices.
                    if !doubts.get(&roi.nodule_id).is_some_and(|known| known.contains(&doubt)) {
                        doubts.entry(roi.nodule_id.clone()).or_default().insert(doubt);
                    }
                }
            }
        }
    }
    Ok(())
}

fn of_region(
    settings: &Settings,
    contract: Option<&Contract>,
    made: &Preprocessing<'_>,
    roi: &RegionFacts,
) -> Result<Vec<Doubt>, Error> {
    let Some(contract) = contract else {
        return match settings.crop.stated_window(&roi.cohort) {
            Some(_) => Ok(vec![Doubt::UncheckedPreprocessing]),
            None => Err(Error::UnknownWindow { cohort: roi.cohort.clone() }),
        };
    };
    let mut doubts = Vec::new();
    if let Some(contradiction) = made.contradiction(contract, Config::NAMES) {
        let is_of_size = made.size != contract.region.size;
        if is_of_size || !settings.infer.allow_other_preprocessing {
            return Err(Error::Contradiction(contradiction));
        }
        doubts.push(Doubt::OtherPreprocessing);
    }
    if !contract.has_spacing([roi.spacing_i_mm, roi.spacing_j_mm, roi.spacing_k_mm]) {
        doubts.push(Doubt::OtherSpacing);
    }
    Ok(doubts)
}

/// The names of a nodule's doubts, for the tables.
pub(super) fn names(doubts: &NoduleDoubts, nodule_id: &str) -> Vec<String> {
    let of_nodule = doubts.get(nodule_id).into_iter().flatten();
    of_nodule.map(|doubt| doubt.name().to_owned()).collect()
}
