//! Series that stood for patients whom no file named, kept in the store so that a name that comes later moves nobody.

use super::config::{AssignmentRule, Config};
use super::units::Unit;
use crate::tables::{SplitBy, Table};
use nodulus_store::{Error, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// UIDs of series by which a run of this store has split a patient.
pub(super) type UnnamedSeries = BTreeSet<String>;

/// The series of earlier runs; none before the first.
///
/// # Errors
///
/// Fails if the record cannot be read.
pub(super) fn read(store: &Store) -> Result<UnnamedSeries, Error> {
    Ok(store.read_record(&path())?.unwrap_or_default())
}

/// Keeps the series.
///
/// # Errors
///
/// Fails if the store cannot be written to.
pub(super) fn write(store: &Store, series: &UnnamedSeries) -> Result<(), Error> {
    store.write_record(&path(), series)
}

fn path() -> PathBuf {
    Path::new(Table::Samples.name()).join("frozen/unnamed_series.json")
}

/// Gives persons the names by which an earlier run split them, and adds those by which this one does. Returns the persons
/// whom a file has named since.
///
/// METHOD: a patient whom no file names is split by the UID of the series. When a file names the person later, the UID still
/// counts beside the name, and the stricter split holds: a patient who was tested is not learnt from. Files alone cannot tell
/// that this happened, so the store keeps the UIDs. A store that had the name from the start goes by the name.
pub(super) fn keep(
    config: &Config,
    units: &mut BTreeMap<String, Unit>,
    earlier: &mut UnnamedSeries,
) -> Vec<String> {
    let mut named = Vec::new();
    if config.assignment != AssignmentRule::Stable || config.split_by != SplitBy::Patient {
        return named;
    }
    for (id, unit) in units {
        let without_name: Vec<&String> = unit.names.intersection(&unit.series).collect();
        let since: Vec<&String> =
            unit.series.intersection(earlier).filter(|uid| !unit.names.contains(*uid)).collect();
        let since: Vec<String> = since.into_iter().cloned().collect();
        let is_named = without_name.len() < unit.names.len();
        earlier.extend(without_name.into_iter().cloned());
        if !since.is_empty() {
            unit.names.extend(since);
            if is_named {
                named.push(id.clone());
            }
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::super::assign::{Assignment, FrozenTests, assign};
    use super::super::config::Shares;
    use super::*;
    use crate::tables::Split;
    use proptest::prelude::*;

    fn unit(name: &str, series: &str) -> BTreeMap<String, Unit> {
        let unit = Unit {
            names: BTreeSet::from([name.to_owned()]),
            series: BTreeSet::from([series.to_owned()]),
            n_lesions: BTreeMap::from([("c".to_owned(), 1)]),
            ..Unit::default()
        };
        BTreeMap::from([(name.to_owned(), unit)])
    }

    fn assigned(
        config: &Config,
        mut units: BTreeMap<String, Unit>,
        earlier: &mut UnnamedSeries,
    ) -> Assignment {
        keep(config, &mut units, earlier);
        let assigned = assign(config, &units, &mut FrozenTests::new()).unwrap();
        assigned.into_values().next().unwrap()
    }

    #[test]
    fn only_series_that_stood_for_a_patient_are_kept_and_only_for_persons() {
        let mut earlier = UnnamedSeries::new();
        let config = Config::default();
        assert_eq!(keep(&config, &mut unit("LIDC-1", "1.1"), &mut earlier), [""; 0]);
        assert!(earlier.is_empty());
        assert_eq!(keep(&config, &mut unit("1.1", "1.1"), &mut earlier), [""; 0]);
        assert_eq!(earlier, BTreeSet::from(["1.1".to_owned()]));
        let mut named = unit("LIDC-1", "1.1");
        assert_eq!(keep(&config, &mut named, &mut earlier), ["LIDC-1"]);
        assert_eq!(named["LIDC-1"].names, ["1.1", "LIDC-1"].map(str::to_owned).into());
        let exact = Config { assignment: AssignmentRule::Exact, ..Config::default() };
        let by_lesion = Config { split_by: SplitBy::Lesion, ..Config::default() };
        for config in [exact, by_lesion] {
            let mut named = unit("LIDC-1", "1.1");
            assert_eq!(keep(&config, &mut named, &mut earlier), [""; 0]);
            assert_eq!(named, unit("LIDC-1", "1.1"));
        }
    }

    proptest! {
        #[test]
        fn a_name_that_comes_later_takes_nobody_out_of_test(seed: u64, n in 0u32..1000) {
            let split = Shares { validation: 0.2, test: 0.4, test_lesions: None };
            let config = Config { seed, split, ..Config::default() };
            let (name, uid) = (format!("p{n}"), format!("1.{n}"));
            let mut earlier = UnnamedSeries::new();
            let before = assigned(&config, unit(&uid, &uid), &mut earlier);
            let after = assigned(&config, unit(&name, &uid), &mut earlier);
            let by_name = assigned(&config, unit(&name, &uid), &mut UnnamedSeries::new());
            prop_assert_eq!(after.split, before.split.max(by_name.split));
            // And once named, it stays, also where a file names nobody again.
            prop_assert_eq!(assigned(&config, unit(&name, &uid), &mut earlier), after);
            prop_assert!(after.fold.is_none() == (after.split == Split::Test));
        }
    }
}
