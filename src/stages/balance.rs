//! Balance: `rois` → `samples`.

use super::Task;
use crate::tables::{Output, Sample, Split, Table, hash, parquet, shard, store};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Outputs read.
pub const READS: &[Output] = &[Output::Table(Table::Rois)];
/// Outputs written.
pub const WRITES: &[Output] = &[Output::Table(Table::Samples)];
/// Raised when the stage's results change.
pub const VERSION: u32 = 1;

/// Settings: `[balance]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Slices without nodule for each slice with it.
    pub ratio: f64,
    /// Decides which patients go into which split.
    pub seed: u64,
    /// Folds for cross-validation of the patients that are not in test.
    pub folds: usize,
    /// Shares of patients in validation and test.
    pub split: Shares,
    /// Shares of cohorts with their own, by the cohort's name.
    pub splits: BTreeMap<String, Shares>,
}

/// Shares of patients; the rest train.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shares {
    /// Share of patients in validation.
    pub validation: f64,
    /// Share of patients in test.
    pub test: f64,
}

impl Default for Config {
    fn default() -> Self {
        let split = Shares { validation: 0.1, test: 0.2 };
        Self { ratio: 1.0, seed: 1, folds: 5, split, splits: BTreeMap::new() }
    }
}

/// The columns of `rois` that balancing needs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Slice {
    /// Id of the slice.
    pub roi_id: String,
    /// Nodule at the centre.
    pub nodule_id: String,
    /// Name of the cohort.
    pub cohort: String,
    /// The patient.
    pub patient_id: String,
    /// Whether the slice shows the nodule.
    pub has_nodule: bool,
    /// Slices to the nearest one that shows it.
    pub distance_to_nodule_slices: i64,
}

/// The columns of `rois` that splitting needs.
#[derive(Deserialize)]
struct Patient {
    cohort: String,
    patient_id: String,
}

/// Chooses the samples of every pending shard.
///
/// # Errors
///
/// Fails if a share is not one, or the store cannot be read or written to.
pub fn run(config: &Config, task: &Task<'_>) -> Result<(), Error> {
    let rois = task.table(Table::Rois)?;
    let mut patients = BTreeSet::new();
    for batch in rois.columns::<Patient>(Table::Rois, &["cohort", "patient_id"]) {
        patients.extend(batch?.into_iter().map(|p| (p.cohort, p.patient_id)));
    }
    let assigned = assign(config, &patients)?;
    let total = task.job.spec().n_shards;
    for shard in task.job.pending() {
        let mut slices: Vec<Slice> = Vec::new();
        let columns = [
            "roi_id",
            "nodule_id",
            "cohort",
            "patient_id",
            "has_nodule",
            "distance_to_nodule_slices",
        ];
        for batch in rois.shard_columns(shard, Table::Rois, &columns) {
            slices.extend(batch?);
        }
        let writer = task.job.shard(shard)?;
        let mut samples = writer.part::<Sample>()?;
        samples.write(transform(config, &assigned, &slices))?;
        writer.commit(vec![samples.finish()?], Vec::new())?;
        task.cases(shard + 1, total);
    }
    Ok(())
}

/// The samples of some nodules' slices: every slice with the nodule, and the nearest ones without
/// it until there are `ratio` times as many.
///
/// Nodules come by id; their slices nearest first, then by id.
pub fn transform(
    config: &Config,
    assigned: &BTreeMap<String, Assignment>,
    slices: &[Slice],
) -> Vec<Sample> {
    let mut by_nodule: BTreeMap<&str, Vec<&Slice>> = BTreeMap::new();
    for slice in slices {
        by_nodule.entry(&slice.nodule_id).or_default().push(slice);
    }
    let mut samples = Vec::new();
    for mut slices in by_nodule.into_values() {
        slices.sort_by_key(|s| (s.distance_to_nodule_slices, &s.roi_id));
        let n_nodule = slices.iter().filter(|s| s.has_nodule).count();
        let n_empty = (n_nodule as f64 * config.ratio).round() as usize;
        let (filled, empty): (Vec<&Slice>, Vec<&Slice>) =
            slices.into_iter().partition(|s| s.has_nodule);
        for slice in filled.into_iter().chain(empty.into_iter().take(n_empty)) {
            if let Some(assignment) = assigned.get(&slice.patient_id) {
                samples.push(Sample {
                    roi_id: slice.roi_id.clone(),
                    nodule_id: slice.nodule_id.clone(),
                    cohort: slice.cohort.clone(),
                    patient_id: slice.patient_id.clone(),
                    role: if slice.has_nodule { "nodule" } else { "adjacent_empty" }.to_owned(),
                    split: assignment.split.name().to_owned(),
                    fold: assignment.fold,
                });
            }
        }
    }
    samples
}

/// What a patient's slices are used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Split, one for each patient, whatever cohorts the patient is in.
    pub split: Split,
    /// Fold, `None` in test.
    pub fold: Option<i64>,
}

/// Splits the patients of each cohort in the order of a hash with the seed.
///
/// METHOD: a patient in several cohorts goes to the strictest split that any of them gives (test,
/// then validation), so that no patient is in two.
///
/// # Errors
///
/// Fails if shares are negative or sum to more than 1.
pub fn assign(
    config: &Config,
    patients: &BTreeSet<(String, String)>,
) -> Result<BTreeMap<String, Assignment>, Error> {
    let mut cohorts: BTreeMap<&str, Vec<(String, &str)>> = BTreeMap::new();
    for (cohort, patient) in patients {
        let order = hash::sha256_parts([config.seed.to_string().as_str(), patient]);
        cohorts.entry(cohort).or_default().push((order, patient));
    }
    let mut splits: BTreeMap<&str, Split> = BTreeMap::new();
    for (cohort, mut patients) in cohorts {
        let shares = config.splits.get(cohort).copied().unwrap_or(config.split);
        let valid = |share: f64| (0.0..=1.0).contains(&share);
        if !valid(shares.validation)
            || !valid(shares.test)
            || !valid(shares.validation + shares.test)
        {
            return Err(Error::Shares { cohort: cohort.to_owned(), shares });
        }
        patients.sort();
        let n_test = (patients.len() as f64 * shares.test).round() as usize;
        let n_validation = (patients.len() as f64 * shares.validation).round() as usize;
        for (n, (_, patient)) in patients.into_iter().enumerate() {
            let split = match n {
                n if n < n_test => Split::Test,
                n if n < n_test + n_validation => Split::Validation,
                _ => Split::Train,
            };
            let strictest = splits.get(patient).map_or(split, |other| split.max(*other));
            splits.insert(patient, strictest);
        }
    }
    let mut learning: Vec<(String, &str)> = splits
        .iter()
        .filter(|(_, split)| **split != Split::Test)
        .map(|(patient, _)| {
            (hash::sha256_parts(["fold", &config.seed.to_string(), patient]), *patient)
        })
        .collect();
    learning.sort();
    let folds: BTreeMap<&str, i64> = learning
        .iter()
        .enumerate()
        .map(|(n, (_, patient))| (*patient, (n % config.folds.max(1)) as i64))
        .collect();
    Ok(splits
        .into_iter()
        .map(|(patient, split)| {
            let fold = folds.get(patient).copied();
            (patient.to_owned(), Assignment { split, fold })
        })
        .collect())
}

/// The stage stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Shares are not shares.
    #[error(
        "shares of cohort `{cohort}` must lie in 0 to 1 and sum to at most 1, got validation {} and test {}",
        shares.validation, shares.test
    )]
    Shares {
        /// The cohort.
        cohort: String,
        /// Its shares.
        shares: Shares,
    },
    /// A part could not be read.
    #[error(transparent)]
    Parquet(#[from] parquet::Error),
    /// A part could not be written.
    #[error(transparent)]
    Shard(#[from] shard::Error),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] store::Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slice(nodule: &str, n: i64, distance: i64) -> Slice {
        Slice {
            roi_id: format!("{nodule}-k{n:04}"),
            nodule_id: nodule.to_owned(),
            cohort: "c".to_owned(),
            patient_id: "p".to_owned(),
            has_nodule: distance == 0,
            distance_to_nodule_slices: distance,
        }
    }

    #[test]
    fn the_nearest_empty_slices_are_kept_until_the_ratio_is_met() {
        let slices: Vec<_> =
            [3, 2, 1, 0, 0, 1, 2, 3].iter().zip(0..).map(|(d, n)| slice("n", n, *d)).collect();
        let assigned =
            BTreeMap::from([("p".to_owned(), Assignment { split: Split::Train, fold: Some(0) })]);
        let ids = |ratio| -> Vec<String> {
            let config = Config { ratio, ..Config::default() };
            transform(&config, &assigned, &slices).into_iter().map(|s| s.roi_id).collect()
        };
        assert_eq!(ids(1.0), ["n-k0003", "n-k0004", "n-k0002", "n-k0005"]);
        assert_eq!(ids(0.0), ["n-k0003", "n-k0004"]);
        assert_eq!(ids(99.0).len(), 8);
    }

    #[test]
    fn shares_that_are_none_are_refused() {
        let patients = BTreeSet::from([("c".to_owned(), "p".to_owned())]);
        for (validation, test) in [(-0.1, 0.0), (0.6, 0.6), (f64::NAN, 0.0)] {
            let config = Config { split: Shares { validation, test }, ..Config::default() };
            assert!(matches!(assign(&config, &patients), Err(Error::Shares { .. })));
        }
    }

    #[test]
    fn no_patients_give_no_splits() {
        assert!(assign(&Config::default(), &BTreeSet::new()).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn shares_are_met_and_a_patient_of_two_cohorts_is_in_one_split(seed: u64, n in 1usize..60) {
            let config = Config {
                seed,
                splits: BTreeMap::from([("b".to_owned(), Shares { validation: 0.0, test: 0.5 })]),
                ..Config::default()
            };
            let name = |n: usize| format!("p{n}");
            let only_a: BTreeSet<_> = (0..n).map(|n| ("a".to_owned(), name(n))).collect();
            let assigned = assign(&config, &only_a).unwrap();
            let count = |split| assigned.values().filter(|a| a.split == split).count();
            prop_assert_eq!(count(Split::Test), (n as f64 * 0.2).round() as usize);
            prop_assert_eq!(count(Split::Validation), (n as f64 * 0.1).round() as usize);
            prop_assert!(assigned.values().all(|a| a.fold.is_none() == (a.split == Split::Test)));

            let both: BTreeSet<_> =
                only_a.iter().cloned().chain((0..n).map(|n| ("b".to_owned(), name(n)))).collect();
            let strict = assign(&config, &both).unwrap();
            for (patient, a) in &assigned {
                prop_assert!(strict[patient].split >= a.split);
            }
        }
    }
}
