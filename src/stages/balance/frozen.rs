//! The frozen lists of test patients: one for each way to choose them, in the store.

use super::assign::FrozenTests;
use super::config::Config;
use super::of_each_nodule;
use crate::tables::{Output, Sample, Split, Table};
use nodulus_store::{Error, Store, hash};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The lists by cohort; none before the first run.
///
/// # Errors
///
/// Fails if the record cannot be read.
pub(super) fn read(config: &Config, store: &Store) -> Result<FrozenTests, Error> {
    Ok(store.read_record(&path(config)?)?.unwrap_or_default())
}

/// Keeps the lists.
///
/// # Errors
///
/// Fails if the store cannot be written to.
pub(super) fn write(config: &Config, store: &Store, frozen: &FrozenTests) -> Result<(), Error> {
    store.write_record(&path(config)?, frozen)
}

fn path(config: &Config) -> Result<PathBuf, Error> {
    let how: BTreeMap<&str, Option<usize>> = config
        .splits
        .iter()
        .map(|(cohort, shares)| (cohort.as_str(), shares.test_lesions))
        .chain([("", config.split.test_lesions)])
        .collect();
    let key = hash::key(&json!([config.seed, config.split_by, how]))
        .map_err(|source| Error::Record { path: PathBuf::from("balance"), source })?;
    Ok(Path::new(Table::Samples.name()).join("frozen").join(format!("{key}.json")))
}

/// What a reader of the store's current results has to know of its frozen lists, a line for each.
///
/// # Errors
///
/// Fails if the lists or `samples` cannot be read.
pub fn warnings(config: &Config, store: &Store) -> Result<Vec<String>, Error> {
    let frozen = read(config, store)?;
    let samples = store.current(Output::Table(Table::Samples))?;
    match samples.filter(|_| !frozen.is_empty()) {
        Some(samples) => Ok(gone(config, &frozen, &of_each_nodule(&samples)?)),
        None => Ok(Vec::new()),
    }
}

/// Most names in a line.
const MOST: usize = 5;

/// A line for each cohort of which a list names somebody who is there no longer, or that has fewer test lesions than the
/// settings ask for. `samples` have one sample of each nodule.
pub(super) fn gone(config: &Config, frozen: &FrozenTests, samples: &[Sample]) -> Vec<String> {
    let mut lines = Vec::new();
    for (cohort, list) in frozen {
        let shares = config.splits.get(cohort).copied().unwrap_or(config.split);
        let Some(wanted) = shares.test_lesions else { continue };
        let of_cohort = || samples.iter().filter(|sample| sample.cohort == *cohort);
        let n_found = of_cohort().filter(|sample| sample.split == Split::Test.name()).count();
        let names = |sample: &'_ Sample| {
            [&sample.patient_id, &sample.series_instance_uid, &sample.nodule_id].map(Clone::clone)
        };
        let there: BTreeSet<String> = of_cohort().flat_map(names).collect();
        let gone: Vec<&String> = list.difference(&there).collect();
        if gone.is_empty() && n_found >= wanted {
            continue;
        }
        let named: Vec<String> = gone.iter().take(MOST).map(|name| format!("`{name}`")).collect();
        let more = match gone.len().saturating_sub(MOST) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        let why = if gone.is_empty() {
            "nodules of its frozen list of test patients are gone".to_owned()
        } else {
            let named = named.join(", ");
            format!("{named}{more} of its frozen list of {} test patients are gone", list.len())
        };
        lines.push(format!(
            "cohort `{cohort}` has {n_found} test lesions, `test_lesions` is {wanted}: {why}; figures of before are of other \
             patients"
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::config::Shares;
    use super::*;

    fn sample(patient: &str, nodule: &str, split: &str) -> Sample {
        Sample {
            roi_id: nodule.to_owned(),
            nodule_id: nodule.to_owned(),
            cohort: "c".to_owned(),
            series_instance_uid: format!("series of {patient}"),
            patient_id: patient.to_owned(),
            role: "nodule".to_owned(),
            split_by: "patient".to_owned(),
            split: split.to_owned(),
            fold: None,
        }
    }

    #[test]
    fn who_is_gone_from_the_list_is_named() {
        let split = Shares { validation: 0.0, test: 0.0, test_lesions: Some(3) };
        let config = Config { split, ..Config::default() };
        let list = ["p", "q"].map(str::to_owned).into();
        let frozen = FrozenTests::from([("c".to_owned(), list)]);
        let all = [
            sample("p", "1", "test"),
            sample("p", "2", "test"),
            sample("q", "3", "test"),
            sample("r", "4", "train"),
        ];
        assert_eq!(gone(&config, &frozen, &all), [""; 0]);
        let without_q = [&all[..2], &all[3..]].concat();
        assert_eq!(
            gone(&config, &frozen, &without_q),
            [
                "cohort `c` has 2 test lesions, `test_lesions` is 3: `q` of its frozen list of 2 test patients are gone; figures \
              of before are of other patients"
            ]
        );
        // A new nodule of `p` makes up for the number and not for the patient.
        let more = [without_q, vec![sample("p", "5", "test")]].concat();
        assert_eq!(gone(&config, &frozen, &more).len(), 1);
        let fewer = gone(&config, &frozen, &all[1..]);
        assert!(fewer[0].contains("is 3: nodules of its frozen list"), "{fewer:?}");
        // Without a number of lesions there is no list that counts.
        assert_eq!(gone(&Config::default(), &frozen, &all[3..]), [""; 0]);
    }
}
