//! Assigns a split and a fold to each unit.

use super::config::{AssignmentRule, Config, Shares};
use super::error::Error;
use super::exact_sum::first_with_sum;
use super::units::Unit;
use crate::tables::Split;
use nodulus_store::hash;
use std::collections::{BTreeMap, BTreeSet};

/// Split and fold of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Split; the same in every cohort of the unit.
    pub split: Split,
    /// Fold, `None` in test.
    pub fold: Option<i64>,
}

/// Units in test of each cohort that asks for a number of test lesions, as they were first chosen.
pub type FrozenTests = BTreeMap<String, BTreeSet<String>>;

/// Gives each unit a split and a fold; units with a problem get none. Test units of a cohort in `frozen` are those of its
/// list, and `frozen` gets the lists that are chosen now.
///
/// METHOD: with `assignment = "stable"` a unit's split and fold follow from hashes of its names and the seed alone, against the
/// shares as thresholds, so that a cohort that grows moves nobody; the shares are met on average. With `"exact"` units
/// are split in the order of the hash until the shares are met exactly.
///
/// METHOD: a unit of several cohorts goes to the strictest split that any of them gives (test, then validation), so that
/// it is in one split only. The fold is LUNA16's subset where the unit lies in one, and the lowest where its scans lie in
/// several (LIDC-IDRI-0332's two do): a patient of two folds would be learnt from and tested. Other units follow another hash.
///
/// # Errors
///
/// Fails if a cohort's `test_lesions` cannot be met.
pub fn assign(
    config: &Config,
    units: &BTreeMap<String, Unit>,
    frozen: &mut FrozenTests,
) -> Result<BTreeMap<String, Assignment>, Error> {
    let mut cohorts: BTreeMap<&str, Vec<Candidate<'_>>> = BTreeMap::new();
    for (id, unit) in units.iter().filter(|(_, unit)| unit.problem.is_none()) {
        let seed = config.seed.to_string();
        let order = lowest_hash(id, unit, |name| hash::sha256_parts([&seed, name]));
        for (cohort, n_lesions) in &unit.n_lesions {
            let (names, series) = (&unit.names, &unit.series);
            let candidate =
                Candidate { order: order.clone(), id, names, n_lesions: *n_lesions, series };
            cohorts.entry(cohort).or_default().push(candidate);
        }
    }
    let mut splits: BTreeMap<&str, Split> = BTreeMap::new();
    for (cohort, mut candidates) in cohorts {
        candidates.sort();
        let shares = config.splits.get(cohort).copied().unwrap_or(config.split);
        let in_test = in_test(config, cohort, shares, &candidates, frozen)?;
        for (candidate, split) in candidates.iter().zip(splits_of(
            config.assignment,
            shares,
            &candidates,
            in_test.as_deref(),
        )) {
            let strictest = splits.get(candidate.id).map_or(split, |other| split.max(*other));
            splits.insert(candidate.id, strictest);
        }
    }
    let folds = folds(config, units, &splits);
    Ok(splits
        .into_iter()
        .map(|(id, split)| {
            let fold = subset(units, id).or_else(|| folds.get(id).copied());
            let fold = fold.filter(|_| split != Split::Test);
            (id.to_owned(), Assignment { split, fold })
        })
        .collect())
}

/// The folds of units that lie in none of LUNA16's subsets.
fn folds<'a>(
    config: &Config,
    units: &BTreeMap<String, Unit>,
    splits: &BTreeMap<&'a str, Split>,
) -> BTreeMap<&'a str, i64> {
    let n_folds = config.folds.max(1) as u64;
    let mut dealt: Vec<(String, &str)> = splits
        .iter()
        .filter(|(id, split)| **split != Split::Test && subset(units, id).is_none())
        .filter_map(|(id, _)| Some((*id, units.get(*id)?)))
        .map(|(id, unit)| {
            let seed = config.seed.to_string();
            (lowest_hash(id, unit, |name| hash::sha256_parts(["fold", &seed, name])), id)
        })
        .collect();
    dealt.sort();
    let fold = |n: usize, order: &str| match config.assignment {
        AssignmentRule::Stable => first_bits(order) % n_folds,
        AssignmentRule::Exact => n as u64 % n_folds,
    };
    dealt.iter().enumerate().map(|(n, (order, id))| (*id, fold(n, order) as i64)).collect()
}

/// Whether each candidate is in test, where a list or an exact number says so; `None` where a share decides.
fn in_test(
    config: &Config,
    cohort: &str,
    shares: Shares,
    candidates: &[Candidate<'_>],
    frozen: &mut FrozenTests,
) -> Result<Option<Vec<bool>>, Error> {
    let Some(wanted) = shares.test_lesions else { return Ok(None) };
    if let Some(list) = frozen.get(cohort) {
        return Ok(Some(candidates.iter().map(|c| c.is_on(list)).collect()));
    }
    let sizes: Vec<usize> = candidates.iter().map(|c| c.n_lesions).collect();
    let in_test = first_with_sum(&sizes, wanted).ok_or_else(|| Error::TestLesions {
        cohort: cohort.to_owned(),
        wanted,
        found: sizes.iter().sum(),
    })?;
    if config.assignment == AssignmentRule::Stable {
        let list = candidates.iter().zip(&in_test).filter(|(_, in_test)| **in_test);
        frozen.insert(cohort.to_owned(), list.map(|(c, _)| c.id.to_owned()).collect());
    }
    Ok(Some(in_test))
}

fn subset(units: &BTreeMap<String, Unit>, id: &str) -> Option<i64> {
    units.get(id).and_then(|unit| unit.subsets.first().copied())
}

/// A unit of a cohort, in the order in which splits are filled.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate<'a> {
    order: String,
    id: &'a str,
    names: &'a BTreeSet<String>,
    n_lesions: usize,
    series: &'a BTreeSet<String>,
}

impl Candidate<'_> {
    fn is_on(&self, list: &BTreeSet<String>) -> bool {
        let mut names = self.names.iter().chain(self.series);
        list.contains(self.id) || names.any(|name| list.contains(name))
    }
}

/// The lowest hash of a unit's names.
///
/// METHOD: low hashes go to test, so that a person in whom two patients turn out to be one is in the stricter of their splits:
/// nobody leaves test.
fn lowest_hash(id: &str, unit: &Unit, hash: impl Fn(&str) -> String) -> String {
    unit.names.iter().map(|name| hash(name)).min().unwrap_or_else(|| hash(id))
}

/// The split of each candidate: test first, then validation, then training.
fn splits_of(
    rule: AssignmentRule,
    shares: Shares,
    candidates: &[Candidate<'_>],
    in_test: Option<&[bool]>,
) -> Vec<Split> {
    let count = |share: f64| (candidates.len() as f64 * share).round() as usize;
    let test_share = if in_test.is_some() { 0.0 } else { shares.test };
    let mut n_validation = count(shares.validation);
    let split = |(n, candidate): (usize, &Candidate<'_>)| {
        let position = first_bits(&candidate.order) as f64 / 2f64.powi(64);
        let tests = match (in_test, rule) {
            (Some(in_test), _) => in_test.get(n).copied().unwrap_or(false),
            (None, AssignmentRule::Stable) => position < test_share,
            (None, AssignmentRule::Exact) => n < count(shares.test),
        };
        if tests {
            return Split::Test;
        }
        let validates = match rule {
            AssignmentRule::Stable => position < test_share + shares.validation,
            AssignmentRule::Exact => n_validation > 0,
        };
        n_validation = n_validation.saturating_sub(1);
        if validates { Split::Validation } else { Split::Train }
    };
    candidates.iter().enumerate().map(split).collect()
}

/// The first 64 bits of a hash.
fn first_bits(hash: &str) -> u64 {
    hash.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exactly(
        config: &Config,
        units: &BTreeMap<String, Unit>,
    ) -> Result<BTreeMap<String, Assignment>, Error> {
        let config = Config { assignment: AssignmentRule::Exact, ..config.clone() };
        assign(&config, units, &mut FrozenTests::new())
    }

    fn unit(cohorts: &[(&str, usize)]) -> Unit {
        let n_lesions = cohorts.iter().map(|(cohort, n)| ((*cohort).to_owned(), *n)).collect();
        Unit { n_lesions, ..Unit::default() }
    }

    fn test_lesions(wanted: usize) -> Config {
        let split = Shares { validation: 0.0, test: 0.0, test_lesions: Some(wanted) };
        Config { split, ..Config::default() }
    }

    #[test]
    fn no_units_give_no_splits() {
        assert!(exactly(&Config::default(), &BTreeMap::new()).unwrap().is_empty());
    }

    #[test]
    fn the_clinical_protocol_holds_out_11_of_56_lesions_and_folds_the_rest() {
        // 40 patients with one lesion to three.
        let sizes = (0..40).map(|n| {
            if n < 28 {
                1
            } else if n < 36 {
                2
            } else {
                3
            }
        });
        let units: BTreeMap<String, Unit> = sizes
            .enumerate()
            .map(|(n, size)| (format!("p{n}"), unit(&[("clinical", size)])))
            .collect();
        let n_lesions = |ids: &mut dyn Iterator<Item = &String>| -> usize {
            ids.map(|id| units[id].n_lesions["clinical"]).sum()
        };
        assert_eq!(n_lesions(&mut units.keys()), 56);
        for seed in 0..20 {
            let config = Config { seed, ..test_lesions(11) };
            let assigned = exactly(&config, &units).unwrap();
            let of = |split| assigned.iter().filter(move |(_, a)| a.split == split);
            assert_eq!(n_lesions(&mut of(Split::Test).map(|(id, _)| id)), 11);
            assert_eq!(n_lesions(&mut of(Split::Train).map(|(id, _)| id)), 45);
            let folds: BTreeSet<_> = of(Split::Train).map(|(_, a)| a.fold).collect();
            assert_eq!(folds, (0..5).map(Some).collect());
        }
    }

    #[test]
    fn a_number_of_lesions_that_no_patients_have_is_refused() {
        let units = BTreeMap::from([
            ("p".to_owned(), unit(&[("c", 2)])),
            ("q".to_owned(), unit(&[("c", 4)])),
        ]);
        assert_eq!(
            exactly(&test_lesions(3), &units).unwrap_err().to_string(),
            "no patients of cohort `c` have 3 lesions together, of 6 in all: give another \
             `test_lesions`, or a share `test`"
        );
        for wanted in [0, 2, 4, 6] {
            let test = exactly(&test_lesions(wanted), &units).unwrap();
            let in_test = test.iter().filter(|(_, a)| a.split == Split::Test);
            let n: usize = in_test.map(|(id, _)| units[id].n_lesions["c"]).sum();
            assert_eq!(n, wanted);
        }
    }

    #[test]
    fn a_subset_is_the_fold_and_a_unit_with_a_problem_is_in_none() {
        let placed = |subset| Unit { subsets: BTreeSet::from([subset]), ..unit(&[("luna16", 1)]) };
        let mut units: BTreeMap<String, Unit> =
            (0..10).map(|n| (format!("p{n}"), placed(n))).collect();
        units.insert("clinical".to_owned(), unit(&[("clinical", 1)]));
        let two = Unit { subsets: BTreeSet::from([4, 9]), ..unit(&[("luna16", 2)]) };
        units.insert("two".to_owned(), two);
        let problem = Some(super::super::units::UnitError::NoSubset("x".to_owned()));
        units.insert("odd".to_owned(), Unit { problem, ..unit(&[("luna16", 1)]) });
        let split = Shares { validation: 0.0, test: 0.0, test_lesions: None };
        let assigned = exactly(&Config { split, ..Config::default() }, &units).unwrap();
        for n in 0..10 {
            assert_eq!(assigned[&format!("p{n}")].fold, Some(n));
        }
        assert_eq!((assigned["clinical"].fold, assigned.get("odd")), (Some(0), None));
        assert_eq!(assigned["two"].fold, Some(4));
    }

    fn lesions(ids: impl Iterator<Item = u32>) -> BTreeMap<String, Unit> {
        ids.map(|id| (format!("p{id}"), unit(&[("c", 1 + (id % 2) as usize)]))).collect()
    }

    #[test]
    fn stable_shares_are_met_on_average() {
        let units = lesions(0..4000);
        let config = Config::default();
        let assigned = assign(&config, &units, &mut FrozenTests::new()).unwrap();
        let share = |split| {
            assigned.values().filter(|a| a.split == split).count() as f64 / units.len() as f64
        };
        assert!((share(Split::Test) - 0.2).abs() < 0.03, "{}", share(Split::Test));
        assert!((share(Split::Validation) - 0.1).abs() < 0.02, "{}", share(Split::Validation));
        let folds: BTreeSet<_> = assigned.values().filter_map(|a| a.fold).collect();
        assert_eq!(folds, (0..5).collect());
    }

    #[test]
    fn a_frozen_list_stays_as_the_cohort_grows() {
        let mut frozen = FrozenTests::new();
        let config = test_lesions(11);
        let tests = |assigned: BTreeMap<String, Assignment>| -> BTreeSet<String> {
            let tests = assigned.into_iter().filter(|(_, a)| a.split == Split::Test);
            tests.map(|(id, _)| id).collect()
        };
        let before = tests(assign(&config, &lesions(0..40), &mut frozen).unwrap());
        assert_eq!(frozen["c"], before);
        let after = tests(assign(&config, &lesions(0..90), &mut frozen).unwrap());
        assert_eq!(after, before);
    }

    #[test]
    fn who_gets_a_name_stays_on_a_frozen_list() {
        let config = test_lesions(1);
        let unit = |name: &str| Unit {
            names: BTreeSet::from([name.to_owned()]),
            series: BTreeSet::from(["1.1".to_owned()]),
            n_lesions: BTreeMap::from([("c".to_owned(), 1)]),
            ..Unit::default()
        };
        let mut frozen = FrozenTests::new();
        for name in ["1.1", "LIDC-1"] {
            let units = BTreeMap::from([(name.to_owned(), unit(name))]);
            assert_eq!(assign(&config, &units, &mut frozen).unwrap()[name].split, Split::Test);
        }
        assert!(frozen["c"].contains("1.1"));
    }

    proptest! {
        #[test]
        fn growth_moves_nobody(seed: u64, before in 1u32..60, more in 1u32..60) {
            let config = Config { seed, ..Config::default() };
            let of = |n| assign(&config, &lesions(0..n), &mut FrozenTests::new()).unwrap();
            let (before, after) = (of(before), of(before + more));
            for (id, assignment) in &before {
                prop_assert_eq!(after.get(id), Some(assignment));
            }
        }

        /// Two patients who turn out to be one person go to the stricter of their splits.
        #[test]
        fn a_link_moves_nobody_out_of_test(seed: u64, a in 0u32..60, b in 0u32..60) {
            let split = Shares { validation: 0.2, test: 0.4, test_lesions: None };
            let config = Config { seed, split, ..Config::default() };
            let of = |units| assign(&config, &units, &mut FrozenTests::new()).unwrap();
            let apart = of(lesions(0..60));
            let [first, second] = [a, b].map(|n| format!("p{n}"));
            let names = BTreeSet::from([first.clone(), second.clone()]);
            let id = names.first().unwrap().clone();
            let mut linked = lesions((0..60).filter(|n| *n != a && *n != b));
            linked.insert(id.clone(), Unit { names, ..unit(&[("c", 2)]) });
            let linked = of(linked);
            let strictest = apart[&first].split.max(apart[&second].split);
            prop_assert_eq!(linked[&id].split, strictest);
            for (other, assignment) in linked.iter().filter(|(other, _)| **other != id) {
                prop_assert_eq!(apart.get(other), Some(assignment));
            }
        }

        #[test]
        fn shares_are_met_and_a_unit_of_two_cohorts_is_in_one_split(seed: u64, n in 1usize..60) {
            let share = Shares { validation: 0.0, test: 0.5, test_lesions: None };
            let config = Config {
                seed,
                splits: BTreeMap::from([("b".to_owned(), share)]),
                ..Config::default()
            };
            let all = |cohorts: &[(&str, usize)]| -> BTreeMap<String, Unit> {
                (0..n).map(|n| (format!("p{n}"), unit(cohorts))).collect()
            };
            let assigned = exactly(&config, &all(&[("a", 1)])).unwrap();
            let count = |split| assigned.values().filter(|a| a.split == split).count();
            prop_assert_eq!(count(Split::Test), (n as f64 * 0.2).round() as usize);
            prop_assert_eq!(count(Split::Validation), (n as f64 * 0.1).round() as usize);
            prop_assert!(assigned.values().all(|a| a.fold.is_none() == (a.split == Split::Test)));

            let strict = exactly(&config, &all(&[("a", 1), ("b", 2)])).unwrap();
            for (id, a) in &assigned {
                prop_assert!(strict[id].split >= a.split);
            }
        }
    }
}
