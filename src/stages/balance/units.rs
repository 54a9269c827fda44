//! The units that stay in one split: persons, or nodules.

use super::config::{Config, FoldsFrom};
use crate::tables::SplitBy;
use nodulus_formats::cohort::Layout;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A nodule with regions, and its patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lesion {
    /// Name of the cohort.
    pub cohort: String,
    /// Patient of the series.
    pub patient_id: String,
    /// Series of the scan.
    pub series_instance_uid: String,
}

/// A person, or a single nodule where `split_by` is `lesion`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// Names that its split follows from: a nodule's id, or the ids of a person's patients and the series by which an
    /// earlier run split them.
    pub names: BTreeSet<String>,
    /// Its series. One may have been the name of the person as long as no file named another.
    pub series: BTreeSet<String>,
    /// Number of its nodules, by cohort.
    pub n_lesions: BTreeMap<String, usize>,
    /// LUNA16's subsets that its scans lie in, of which the lowest is its fold; often empty.
    pub subsets: BTreeSet<i64>,
    /// Why it fits in no fold.
    pub problem: Option<UnitError>,
}

/// A unit fits in no fold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// A scan lies in no subset, and others of its cohort do.
    #[error(
        "scan `{0}` lies in none of LUNA16's folders subset0 to subset9, and others of its cohort do; \
         `balance.folds_from = \"hash\"` makes other folds"
    )]
    NoSubset(String),
}

/// All units, and the unit of each nodule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Units {
    /// Unit of each nodule, by the nodule's id.
    pub of_nodule: BTreeMap<String, String>,
    /// Each unit, by its id.
    pub units: BTreeMap<String, Unit>,
}

/// Finds the units of nodules, given by the nodule's id.
///
/// METHOD: patients with one id are one person, and so are patients that share a series: LUNA16's files name no patient,
/// while LIDC-IDRI's files of the same series do.
pub fn units<'a>(
    config: &Config,
    lesions: impl Iterator<Item = (&'a String, &'a Lesion)> + Clone,
    subsets: &Subsets,
) -> Units {
    let persons = persons(lesions.clone().map(|(_, lesion)| lesion));
    let mut found = Units::default();
    for (nodule_id, lesion) in lesions {
        let own = BTreeSet::from([nodule_id.as_str()]);
        let names = match config.split_by {
            SplitBy::Lesion => &own,
            SplitBy::Patient => persons.get(lesion.patient_id.as_str()).unwrap_or(&own),
        };
        let id = names.first().map_or(nodule_id.as_str(), |first| first);
        found.of_nodule.insert(nodule_id.clone(), id.to_owned());
        let unit = found.units.entry(id.to_owned()).or_insert_with(|| Unit {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Unit::default()
        });
        unit.series.insert(lesion.series_instance_uid.clone());
        *unit.n_lesions.entry(lesion.cohort.clone()).or_default() += 1;
        if config.folds_from == FoldsFrom::Subsets && subsets.cohorts.contains(&lesion.cohort) {
            let key = (lesion.cohort.clone(), lesion.series_instance_uid.clone());
            match subsets.scans.get(&key) {
                Some((_, Some(subset))) => {
                    unit.subsets.insert(*subset);
                }
                Some((path, None)) => unit.problem = Some(UnitError::NoSubset(path.clone())),
                None => unit.problem = Some(UnitError::NoSubset(key.1)),
            }
        }
    }
    found
}

impl Units {
    /// A line for each unit whose scans lie in several of LUNA16's subsets.
    pub(super) fn of_several_subsets(&self) -> impl Iterator<Item = String> {
        self.units.iter().filter_map(|(id, unit)| {
            let fold = unit.subsets.first().filter(|_| unit.problem.is_none())?;
            let subsets: Vec<String> = unit.subsets.iter().map(ToString::to_string).collect();
            (subsets.len() > 1).then(|| {
                format!(
                    "the scans of patient `{id}` lie in LUNA16's subsets {}: all of them count as of subset {fold}, so that the \
                     patient is in one fold",
                    subsets.join(" and ")
                )
            })
        })
    }
}

/// The names of the person behind each patient id: all ids that share a series, directly or through other ids.
///
/// METHOD: the UID of a series stands for a patient whom the files do not name. Where they name the person elsewhere, the UID
/// is no name of theirs, so that a cohort that adds it changes no split.
pub(super) fn persons<'a>(
    lesions: impl Iterator<Item = &'a Lesion> + Clone,
) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut patients: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut series: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for lesion in lesions {
        patients.entry(&lesion.patient_id).or_default().insert(&lesion.series_instance_uid);
        series.entry(&lesion.series_instance_uid).or_default().insert(&lesion.patient_id);
    }
    let mut persons: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for first in patients.keys() {
        if persons.contains_key(first) {
            continue;
        }
        let mut ids: BTreeSet<&str> = BTreeSet::new();
        let mut reached = vec![*first];
        while let Some(patient) = reached.pop() {
            if ids.insert(patient) {
                let scans = patients.get(patient).into_iter().flatten();
                reached.extend(scans.filter_map(|scan| series.get(scan)).flatten());
            }
        }
        let named: BTreeSet<&str> =
            ids.iter().copied().filter(|id| !series.contains_key(id)).collect();
        let names = if named.is_empty() { ids.clone() } else { named };
        persons.extend(ids.into_iter().map(|id| (id, names.clone())));
    }
    persons
}

/// The columns of `scans` that tell a scan's subset of LUNA16.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ScanSubset {
    /// Name of the cohort.
    pub cohort: String,
    /// The series.
    pub series_instance_uid: String,
    /// Layout of the files.
    pub source: String,
    /// Image file or folder, relative to the cohort's root.
    pub path: Option<String>,
}

/// LUNA16's subset of each scan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subsets {
    /// Path and subset of each scan of LUNA16's layout, by cohort and series.
    scans: BTreeMap<(String, String), (String, Option<i64>)>,
    /// Cohorts with a scan in a subset.
    cohorts: BTreeSet<String>,
}

impl Subsets {
    /// Adds a scan.
    pub fn add(&mut self, scan: ScanSubset) {
        let Some(path) = scan.path.filter(|_| scan.source == Layout::Luna16.source()) else {
            return;
        };
        let subset = luna16_subset(&path);
        if subset.is_some() {
            self.cohorts.insert(scan.cohort.clone());
        }
        self.scans.insert((scan.cohort, scan.series_instance_uid), (path, subset));
    }
}

/// The subset in a path: the number of its innermost folder named subset0 to subset9.
pub fn luna16_subset(path: &str) -> Option<i64> {
    let folders = Path::new(path).parent()?.iter().rev();
    folders.filter_map(|folder| folder.to_str()?.strip_prefix("subset")).find_map(|number| {
        let mut digits = number.chars();
        let digit = digits.next()?.to_digit(10)?;
        digits.next().is_none().then_some(i64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lesion(cohort: &str, patient: &str, series: &str) -> Lesion {
        Lesion {
            cohort: cohort.to_owned(),
            patient_id: patient.to_owned(),
            series_instance_uid: series.to_owned(),
        }
    }

    fn of(config: &Config, lesions: &[(&str, Lesion)], paths: &[(&str, &str)]) -> Units {
        let mut subsets = Subsets::default();
        for (series, path) in paths {
            subsets.add(ScanSubset {
                cohort: "luna16".to_owned(),
                series_instance_uid: (*series).to_owned(),
                source: "luna16".to_owned(),
                path: Some((*path).to_owned()),
            });
        }
        let lesions: BTreeMap<String, Lesion> =
            lesions.iter().map(|(id, lesion)| ((*id).to_owned(), lesion.clone())).collect();
        units(config, lesions.iter(), &subsets)
    }

    #[test]
    fn patients_who_share_a_series_are_one_person() {
        let lesions = [
            ("n1", lesion("lidc", "LIDC-1", "1.1")),
            ("n2", lesion("luna16", "1.1", "1.1")),
            ("n3", lesion("luna16", "1.2", "1.2")),
            ("n4", lesion("lidc", "LIDC-1", "1.2")),
            ("n5", lesion("lidc", "LIDC-2", "1.3")),
        ];
        let found = of(&Config::default(), &lesions, &[]);
        let units: Vec<&str> = found.of_nodule.values().map(String::as_str).collect();
        assert_eq!(units, ["LIDC-1", "LIDC-1", "LIDC-1", "LIDC-1", "LIDC-2"]);
        assert_eq!(found.units["LIDC-1"].names, BTreeSet::from(["LIDC-1".to_owned()]));
        let counts = BTreeMap::from([("lidc".to_owned(), 2), ("luna16".to_owned(), 2)]);
        assert_eq!(found.units["LIDC-1"].n_lesions, counts);
        let by_lesion = Config { split_by: SplitBy::Lesion, ..Config::default() };
        assert_eq!(of(&by_lesion, &lesions, &[]).units.len(), 5);
    }

    #[test]
    fn a_series_that_stands_for_a_patient_changes_no_name() {
        let named = [("n1", lesion("lidc", "LIDC-1", "1.1"))];
        let both = [named[0].clone(), ("n2", lesion("luna16", "1.1", "1.1"))];
        let names = |lesions: &[(&str, Lesion)]| {
            let found = of(&Config::default(), lesions, &[]);
            found.units.into_values().map(|unit| unit.names).collect::<Vec<_>>()
        };
        assert_eq!(names(&named), names(&both));
        // Two named patients who share a series: both names count.
        let two = [named[0].clone(), ("n2", lesion("b", "B-7", "1.1"))];
        assert_eq!(names(&two), [BTreeSet::from(["B-7".to_owned(), "LIDC-1".to_owned()])]);
        let unnamed = [("n1", lesion("luna16", "1.1", "1.1"))];
        assert_eq!(names(&unnamed), [BTreeSet::from(["1.1".to_owned()])]);
    }

    #[test]
    fn luna16s_folders_are_subsets_and_nothing_else_is() {
        assert_eq!(luna16_subset("subset3/1.2.mhd"), Some(3));
        assert_eq!(luna16_subset("a/subset1/subset7/1.2.mhd"), Some(7));
        for path in ["subset10/1.2.mhd", "subset/1.2.mhd", "x/subset3.mhd", "subsets/a.mhd", ""] {
            assert_eq!(luna16_subset(path), None, "{path}");
        }
    }

    #[test]
    fn a_patient_of_two_subsets_is_told_and_one_of_none_has_a_problem() {
        let lesions = [
            ("n1", lesion("luna16", "p", "1.1")),
            ("n2", lesion("luna16", "p", "1.2")),
            ("n3", lesion("luna16", "q", "1.3")),
            ("n4", lesion("luna16", "r", "1.4")),
            ("n5", lesion("clinical", "s", "1.5")),
        ];
        let paths = [
            ("1.1", "subset0/1.1.mhd"),
            ("1.2", "subset4/1.2.mhd"),
            ("1.3", "subset4/1.3.mhd"),
            ("1.4", "more/1.4.mhd"),
        ];
        let all = of(&Config::default(), &lesions, &paths);
        let found = &all.units;
        let problem =
            |unit: &str| found[unit].problem.as_ref().map_or_else(String::new, ToString::to_string);
        assert_eq!((problem("p"), &found["p"].subsets), (String::new(), &BTreeSet::from([0, 4])));
        let lines: Vec<String> = all.of_several_subsets().collect();
        let expected = "the scans of patient `p` lie in LUNA16's subsets 0 and 4: all of them count as of subset 0, so that the \
                        patient is in one fold";
        assert_eq!(lines, [expected]);
        assert_eq!((problem("q"), found["q"].subsets.len()), (String::new(), 1));
        assert!(problem("r").starts_with("scan `more/1.4.mhd` lies in none"), "{}", problem("r"));
        assert_eq!((problem("s"), found["s"].subsets.len()), (String::new(), 0));
        let hashed = Config { folds_from: FoldsFrom::Hash, ..Config::default() };
        assert!(of(&hashed, &lesions, &paths).units.values().all(|unit| unit.problem.is_none()));
        // Without any such folder, folds are hashed as well.
        let flat = of(&Config::default(), &lesions, &[("1.1", "1.1.mhd")]);
        assert!(flat.units.values().all(|unit| unit.problem.is_none()));
    }
}
