//! Balance: `scans`, `rois` → `samples`.

pub(super) mod config;
mod error;
mod choose;
mod exact_sum;
mod assign;
mod digests;
mod frozen;
mod nodule_samples;
mod nnunet_splits;
mod reached;
mod same_image;
mod units;
mod unnamed;

pub use assign::{Assignment, FrozenTests, assign};
use choose::slices;
pub use choose::{Slice, transform};
pub use config::{AssignmentRule, Config, FoldsFrom, Shares};
pub(in crate::stages) use digests::{Group, digests, digests_of};
pub use error::Error;
pub use frozen::warnings;
pub use nnunet_splits::{FoldCases, TwoFolds, nnunet_splits};
pub use nodule_samples::of_each_nodule;
use nodule_samples::samples_of_nodules;
pub use units::{Lesion, ScanSubset, Subsets, Unit, UnitError, Units, luna16_subset, units};

use crate::stages::spec::StageSpec;
use crate::stages::task::{Event, Task};
use crate::tables::{Output, Sample, Scan, Split, Table};
use nodulus_store::{FailedCase, Job};
use reached::Reached;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The stage.
pub const SPEC: StageSpec = StageSpec {
    name: "balance",
    description: "choose samples and split patients",
    example: "--set balance.ratio=2",
    reads: &[Output::Table(Table::Scans), Output::Table(Table::Rois)],
    writes: &[Output::Table(Table::Samples)],
    version: 5,
    needs_images: true,
    is_sharded: true,
    is_on: |_| true,
    settings: |config| serde_json::to_value(&config.balance),
    outside_weights: |_| None,
    outside_files: None,
    check: None,
    contents: None,
    decide: Some(|config, task| Ok(decide(&config.balance, task)?)),
    run: |config, task, job| Ok(run(&config.balance, task, job)?),
    reduction: None,
};

/// For each shard the split and fold of its units, and the problems of those that are in no split.
///
/// # Errors
///
/// Fails if a number of test lesions cannot be met, or the store cannot be read or written to.
fn decide(config: &Config, task: &Task<'_>) -> Result<Option<Vec<Value>>, Error> {
    if task.is_incomplete && !follows_from_ids(config) {
        return Ok(None);
    }
    let (splits, lesions) = splits(config, task)?;
    let frozen =
        if task.plans_only { FrozenTests::new() } else { frozen::read(config, task.store)? };
    if !frozen.is_empty() {
        for line in frozen::gone(config, &frozen, &samples_of_nodules(config, &splits, &lesions)) {
            (task.progress)(Event::Note(format!("warning: {line}")));
        }
    }
    let n_shards = task.table(Table::Rois)?.manifest.n_shards();
    let mut units: Vec<BTreeMap<&str, Value>> = vec![BTreeMap::new(); n_shards];
    for (nodule_id, (shard, _)) in &lesions {
        let Some(unit) = splits.units.of_nodule.get(nodule_id) else { continue };
        let problem = splits.units.units.get(unit).and_then(|unit| unit.problem.as_ref());
        let decision = match splits.assigned.get(unit) {
            Some(assigned) => json!([assigned.split.name(), assigned.fold]),
            None => json!(problem.map(ToString::to_string)),
        };
        if let Some(of_shard) = units.get_mut(*shard) {
            of_shard.insert(unit, decision);
        }
    }
    let decision = |units: BTreeMap<&str, Value>| {
        if units.is_empty() { Value::Null } else { json!(units) }
    };
    Ok(Some(units.into_iter().map(decision).collect()))
}

/// Whether each unit's split follows from its id alone, whichever other units there are.
pub fn follows_from_ids(config: &Config) -> bool {
    let mut shares = config.splits.values().chain([&config.split]);
    config.assignment == AssignmentRule::Stable && shares.all(|s| s.test_lesions.is_none())
}

/// Each nodule with regions, with the first of its shards.
type Lesions = BTreeMap<String, (usize, Lesion)>;

/// The split and fold of every unit.
fn splits(config: &Config, task: &Task<'_>) -> Result<(Splits, Lesions), Error> {
    let rois = task.table(Table::Rois)?;
    let mut subsets = Subsets::default();
    let columns = ["cohort", "series_instance_uid", "source", "path"];
    for batch in task.table(Table::Scans)?.columns::<ScanSubset>(&columns) {
        batch?.into_iter().for_each(|scan| subsets.add(scan));
    }
    let mut lesions = Lesions::new();
    for shard in 0..rois.manifest.n_shards() {
        for batch in rois.shard_columns::<RoiOwner>(shard, OWNER_COLUMNS) {
            for RoiOwner { nodule_id, cohort, patient_id, series_instance_uid } in batch? {
                let lesion = || Lesion { cohort, patient_id, series_instance_uid };
                lesions.entry(nodule_id).or_insert_with(|| (shard, lesion()));
            }
        }
    }
    same_image::check(task.table(Table::Scans)?, lesions.values().map(|(_, lesion)| lesion))?;
    let mut units = units(config, lesions.iter().map(|(id, (_, lesion))| (id, lesion)), &subsets);
    let earlier = unnamed::read(task.store)?;
    let mut series = earlier.clone();
    let named_since = unnamed::keep(config, &mut units.units, &mut series);
    if series != earlier && !task.plans_only {
        unnamed::write(task.store, &series)?;
    }
    let before = frozen::read(config, task.store)?;
    let mut frozen = before.clone();
    let assigned = assign(config, &units.units, &mut frozen)?;
    if frozen != before && !task.plans_only {
        frozen::write(config, task.store, &frozen)?;
    }
    Ok((Splits { units, assigned, named_since }, lesions))
}

/// A line for each split that has a share of a cohort's patients and none of its units.
fn empty_splits(config: &Config, splits: &Splits) -> Vec<String> {
    let mut found: BTreeMap<&str, BTreeSet<Split>> = BTreeMap::new();
    for (id, unit) in &splits.units.units {
        for cohort in unit.n_lesions.keys() {
            found.entry(cohort).or_default().extend(splits.assigned.get(id).map(|a| a.split));
        }
    }
    let mut lines = Vec::new();
    for (cohort, found) in found {
        let shares = config.splits.get(cohort).copied().unwrap_or(config.split);
        for (split, share) in [(Split::Validation, shares.validation), (Split::Test, shares.test)] {
            if share > 0.0 && shares.test_lesions.is_none() && !found.contains(&split) {
                let split = split.name();
                lines.push(format!(
                    "no patient of cohort `{cohort}` is in {split}, though {share} of them should be: \
                     there are few; another `balance.seed`, or `balance.assignment = \"exact\"`, gives some"
                ));
            }
        }
    }
    lines
}

/// Chooses the samples of every pending shard.
///
/// # Errors
///
/// Fails if a number of test lesions cannot be met, or the store cannot be read or written to; a
/// patient who fits in no fold becomes a row of `failures`.
pub fn run(config: &Config, task: &Task<'_>, job: &Job) -> Result<(), Error> {
    let work = job.work()?;
    let total = work.n_left();
    if total == 0 {
        return Ok(());
    }
    let (scans, rois) = (task.table(Table::Scans)?, task.table(Table::Rois)?);
    let (splits, lesions) = splits(config, task)?;
    let mut failures = failures(&splits.units, &lesions);
    let mut reached = Reached::default();
    for (n, writer) in work.enumerate() {
        let mut writer = writer?;
        let shard = writer.number();
        let rows = transform(config, &splits, &slices(rois, shard)?);
        reached.add(config.ratio, &rows);
        let nodules = rois.shard_record(shard)?.digests;
        writer.set_digests(digests::of_shard(
            &scans.all_shard_rows::<Scan>(shard)?,
            &rows,
            &nodules,
        )?);
        let mut samples = writer.part::<Sample>()?;
        samples.write(rows)?;
        let failures = failures.remove(&shard).unwrap_or_default();
        writer.commit(vec![samples.finish()?], failures)?;
        task.cases(n + 1, total);
    }
    (task.progress)(Event::Note(reached.to_string()));
    let lines = splits.units.of_several_subsets().chain(splits.of_names_since());
    for line in empty_splits(config, &splits).into_iter().chain(lines) {
        (task.progress)(Event::Note(line));
    }
    Ok(())
}

/// A sample of each nodule with regions, with its split and fold, as [`run`] would make them; for a plan.
///
/// # Errors
///
/// As [`run`].
pub fn foreseen(config: &Config, task: &Task<'_>) -> Result<Vec<Sample>, Error> {
    let (splits, lesions) = splits(config, task)?;
    Ok(samples_of_nodules(config, &splits, &lesions))
}

/// A row for each unit with a problem, by the shard of its first nodule.
fn failures(units: &Units, lesions: &Lesions) -> BTreeMap<usize, Vec<FailedCase>> {
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (nodule, unit) in &units.of_nodule {
        let of_nodule = lesions.get(nodule).map_or(0, |(shard, _)| *shard);
        let of_unit = first.entry(unit).or_insert(of_nodule);
        *of_unit = of_nodule.min(*of_unit);
    }
    let mut failures: BTreeMap<usize, Vec<FailedCase>> = BTreeMap::new();
    for (id, shard) in first {
        if let Some(problem) = units.units.get(id).and_then(|unit| unit.problem.as_ref()) {
            let failed = FailedCase::new("balance", id, problem, None);
            failures.entry(shard).or_default().push(failed);
        }
    }
    failures
}

/// The split and fold of each nodule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Splits {
    /// The unit of each nodule.
    pub units: Units,
    /// The split and fold of each unit.
    pub assigned: BTreeMap<String, Assignment>,
    /// The units that a file has named since an earlier run split them by a series.
    pub named_since: Vec<String>,
}

impl Splits {
    fn of(&self, nodule_id: &str) -> Option<Assignment> {
        self.assigned.get(self.units.of_nodule.get(nodule_id)?).copied()
    }

    /// A line for each unit that a file has named since an earlier run split it.
    fn of_names_since(&self) -> impl Iterator<Item = String> {
        self.named_since.iter().filter_map(|id| {
            let split = self.assigned.get(id)?.split.name();
            Some(format!(
                "patient `{id}` was split by a series before a file named the patient: both count, and the stricter split, \
                 {split}, holds"
            ))
        })
    }
}

/// The columns of `rois` with whose slice it is.
#[derive(Deserialize)]
struct RoiOwner {
    nodule_id: String,
    cohort: String,
    series_instance_uid: String,
    patient_id: String,
}

const OWNER_COLUMNS: &[&str] = &["nodule_id", "cohort", "series_instance_uid", "patient_id"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patient_without_a_fold_is_one_failure_in_the_first_shard() {
        let problem = Some(UnitError::NoSubset("x.mhd".to_owned()));
        let units = Units {
            of_nodule: ["a", "b"].map(|nodule| (nodule.to_owned(), "p".to_owned())).into(),
            units: BTreeMap::from([("p".to_owned(), Unit { problem, ..Unit::default() })]),
        };
        let lesion = Lesion {
            cohort: "luna16".to_owned(),
            patient_id: "p".to_owned(),
            series_instance_uid: "1.1".to_owned(),
        };
        let lesions =
            Lesions::from([("a".to_owned(), (2, lesion.clone())), ("b".to_owned(), (1, lesion))]);
        let failures = failures(&units, &lesions);
        let n: Vec<usize> = (0..4).map(|shard| failures.get(&shard).map_or(0, Vec::len)).collect();
        assert_eq!(n, [0, 1, 0, 0]);
        assert_eq!(failures[&1][0].case_id, "p");
        let none = Splits { units, ..Splits::default() };
        assert_eq!(none.of("a"), None);
    }
}
