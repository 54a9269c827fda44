//! Each model before and after, on the nodules of an earlier version of `nodule_metrics`.

use crate::stages::Task;
use crate::stages::report::content::{Before, BeforeAfter};
use crate::stages::report::error::Error;
use crate::tables::{NoduleMetrics, Output, Table};
use nodulus_metrics::Metric;
use nodulus_metrics::interval::{MIN_PATIENTS_OF_TEST, too_few_patients};
use nodulus_metrics::paired::paired;
use nodulus_store::{Store, Version};
use std::collections::{BTreeMap, BTreeSet};

/// The earlier version that the settings name.
///
/// # Errors
///
/// Fails if the store has no such version, naming those it has.
pub fn version(store: &Store, key: &str) -> Result<Version, Error> {
    let output = Output::Table(Table::NoduleMetrics);
    let missing = || -> Result<Error, Error> {
        let known = store.version_keys(output)?;
        let store = store.root().to_owned();
        Ok(Error::NoEarlierVersion { store, key: key.to_owned(), known })
    };
    match store.version(output, key)? {
        Some(version) => Ok(version),
        None => Err(missing()?),
    }
}

/// Dice before and after of each model of both, by the model's id.
///
/// METHOD: only nodules that both versions have: the same nodule id, which stands for the same scan and the same marks. A
/// nodule that a model missed counts with 0 in both.
pub(super) fn before(
    task: &Task<'_>,
    key: &str,
    now: &[NoduleMetrics],
    seed: u64,
) -> Result<Before, Error> {
    let earlier = version(task.store, key)?;
    let dice = |row: &NoduleMetrics| row.metrics.value(Metric::Dice);
    let mut then: BTreeMap<(String, String), f64> = BTreeMap::new();
    let mut models_before: BTreeSet<String> = BTreeSet::new();
    for batch in earlier.rows::<NoduleMetrics>() {
        for row in batch? {
            models_before.insert(row.model_id.clone());
            if let Some(dice) = dice(&row) {
                then.insert((row.model_id, row.nodule_id), dice);
            }
        }
    }
    let mut pairs: BTreeMap<&str, Vec<(&str, f64, f64)>> = BTreeMap::new();
    for row in now {
        let before = then.get(&(row.model_id.clone(), row.nodule_id.clone()));
        if let (Some(before), Some(after)) = (before, dice(row)) {
            pairs.entry(&row.model_id).or_default().push((&row.patient_id, *before, after));
        }
    }
    let models_now: BTreeSet<String> = now.iter().map(|row| row.model_id.clone()).collect();
    let of_model = |(model_id, pairs): (&str, Vec<(&str, f64, f64)>)| {
        let differences: Vec<(&str, f64)> =
            pairs.iter().map(|(patient, before, after)| (*patient, after - before)).collect();
        let found = paired(&differences, [-1.0, 1.0], seed);
        let mean = |value: fn(&(&str, f64, f64)) -> f64| {
            pairs.iter().map(value).sum::<f64>() / pairs.len() as f64
        };
        BeforeAfter {
            model_id: model_id.to_owned(),
            n_nodules: pairs.len() as u64,
            n_patients: found.n_patients,
            dice_before: mean(|pair| pair.1),
            dice_after: mean(|pair| pair.2),
            ci_low: found.interval.low(),
            ci_high: found.interval.high(),
            ci_missing_reason: found.interval.missing_reason(),
            p: found.test.map(|test| test.p),
            p_missing_reason: found.test.is_none().then(|| too_few_patients(MIN_PATIENTS_OF_TEST)),
        }
    };
    let models: Vec<BeforeAfter> = pairs.into_iter().map(of_model).collect();
    let has_pair = |id: &&String| models.iter().any(|model| model.model_id == **id);
    let without_pair =
        models_before.union(&models_now).filter(|id| !has_pair(id)).cloned().collect();
    Ok(Before { key: key.to_owned(), models, without_pair })
}
