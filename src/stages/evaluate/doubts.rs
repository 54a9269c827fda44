//! Doubts about predictions: refused, summed up, and put into words.

use super::config::SeedMean;
use super::outside;
use super::subgroups::{ALL, Subgroups};
use crate::stages::task::Task;
use crate::tables::{Comparison, Doubt, Output, Summary, Table};
use nodulus_formats::cohort::Layout;
use nodulus_metrics::Outcome;
use nodulus_store::Version;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The columns that tell of doubts, of `predictions` and `nodule_metrics`.
#[derive(Deserialize)]
struct DoubtsOfRow {
    nodule_id: String,
    model_id: String,
    doubts: Vec<String>,
}

const DOUBTS: &[&str] = &["nodule_id", "model_id", "doubts"];

/// Predictions cannot be measured.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The weights saw patients that they predict.
    #[error(
        "{n} nodules of `predictions` are of patients that the weights of `{model_id}` were trained or validated on: predict \
         other patients, or allow it with `--allow-training-patients` (`infer.allow_training_patients = true`): tables, report and \
         messages then say so"
    )]
    TrainingPatients {
        /// The model.
        model_id: String,
        /// Number of nodules.
        n: usize,
    },
    /// A table cannot be read.
    #[error(transparent)]
    Tables(#[from] crate::tables::Error),
}

/// Fails if weights predicted patients that they were trained or validated on, unless that is allowed.
pub(super) fn check(task: &Task<'_>, is_allowed: bool) -> Result<(), Error> {
    if is_allowed {
        return Ok(());
    }
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for version in task.inputs(Output::Table(Table::Predictions))? {
        for batch in version.columns::<DoubtsOfRow>(DOUBTS) {
            for row in batch? {
                let is_seen = [Doubt::TrainingPatient, Doubt::ValidationPatient]
                    .iter()
                    .any(|doubt| row.doubts.iter().any(|name| name == doubt.name()));
                if is_seen {
                    seen.entry(row.model_id).or_default().insert(row.nodule_id);
                }
            }
        }
    }
    match seen.into_iter().next() {
        None => Ok(()),
        Some((model_id, nodules)) => Err(Error::TrainingPatients { model_id, n: nodules.len() }),
    }
}

/// The doubts of each model in each subgroup.
#[derive(Debug, Default)]
pub(super) struct SubgroupDoubts(BTreeMap<(String, String), BTreeSet<String>>);

impl SubgroupDoubts {
    /// Adds those of the nodules of a shard.
    pub(super) fn add(
        &mut self,
        task: &Task<'_>,
        shard: usize,
        subgroups: &Subgroups,
    ) -> Result<(), crate::tables::Error> {
        let metrics = task.table(Table::NoduleMetrics)?;
        for batch in metrics.shard_columns::<DoubtsOfRow>(shard, DOUBTS) {
            for row in batch?.into_iter().filter(|row| !row.doubts.is_empty()) {
                for subgroup in subgroups.of(&row.nodule_id) {
                    let key = (row.model_id.clone(), subgroup.to_owned());
                    self.0.entry(key).or_default().extend(row.doubts.iter().cloned());
                }
            }
        }
        Ok(())
    }

    /// Adds those of means over seeds: those of any of their models.
    pub(super) fn add_means(&mut self, means: &[SeedMean]) {
        for mean in means {
            let of = self.0.iter().filter(|((model, _), _)| mean.of.contains(model));
            let of: Vec<_> =
                of.map(|((_, subgroup), doubts)| (subgroup.clone(), doubts.clone())).collect();
            for (subgroup, doubts) in of {
                self.0.entry((mean.model.clone(), subgroup)).or_default().extend(doubts);
            }
        }
    }

    /// Those of a row of `summary`.
    pub(super) fn of(&self, row: &Summary) -> Vec<String> {
        self.of_models([&row.model_id], &row.subgroup)
    }

    /// Those of a row of `comparisons`: of either model.
    pub(super) fn of_comparison(&self, row: &Comparison) -> Vec<String> {
        self.of_models([&row.model_id, &row.baseline_id], ALL)
    }

    fn of_models<'a>(
        &self,
        models: impl IntoIterator<Item = &'a String>,
        subgroup: &str,
    ) -> Vec<String> {
        let of_model = |model: &String| self.0.get(&(model.clone(), subgroup.to_owned()));
        let doubts: BTreeSet<&String> = models.into_iter().filter_map(of_model).flatten().collect();
        doubts.into_iter().cloned().collect()
    }
}

/// The columns of `nodule_metrics` that warnings are made of.
#[derive(Deserialize)]
struct Measured {
    nodule_id: String,
    model_id: String,
    outcome: String,
    doubts: Vec<String>,
}

/// The columns of `nodules` that say which scan they are in.
#[derive(Deserialize)]
struct NoduleScan {
    nodule_id: String,
    cohort: String,
    series_instance_uid: String,
}

/// The columns of `scans` that say whose they are.
#[derive(Deserialize)]
struct ScanPatient {
    cohort: String,
    source: String,
    patient_id: String,
    series_instance_uid: String,
}

/// What a reader of the results has to know, each in a sentence: doubts about the predictions of a model, empty masks, nodules
/// that models of other programs have more or lack, and scans of LUNA16 whose patients are unknown. A table that is missing, or was made by an earlier version of the
/// program, gives none.
///
/// # Errors
///
/// Fails if a table cannot be read.
pub fn warnings(
    scans: Option<&Version>,
    nodules: Option<&Version>,
    metrics: Option<&Version>,
) -> Result<Vec<String>, nodulus_store::Error> {
    let mut warnings = Vec::new();
    let of_now = |version: &&Version, table: Table| {
        version.manifest.schema_version == table.spec().schema_version
    };
    if let Some(scans) = scans.filter(|version| of_now(version, Table::Scans)) {
        warnings.extend(unknown_patients(scans)?);
    }
    let nodules = nodules.filter(|version| of_now(version, Table::Nodules));
    let metrics = metrics.filter(|version| of_now(version, Table::NoduleMetrics));
    if let (Some(nodules), Some(metrics)) = (nodules, metrics) {
        let mut scan_of: BTreeMap<String, (String, String)> = BTreeMap::new();
        let columns = ["nodule_id", "cohort", "series_instance_uid"];
        for batch in nodules.columns::<NoduleScan>(&columns) {
            for NoduleScan { nodule_id, cohort, series_instance_uid } in batch? {
                scan_of.insert(nodule_id, (cohort, series_instance_uid));
            }
        }
        let mut models: BTreeMap<String, Vec<Measured>> = BTreeMap::new();
        let columns = ["nodule_id", "model_id", "outcome", "doubts"];
        for batch in metrics.columns::<Measured>(&columns) {
            for row in batch? {
                models.entry(row.model_id.clone()).or_default().push(row);
            }
        }
        for (model_id, rows) in &models {
            warnings.extend(of_model(model_id, rows, &scan_of));
        }
        warnings.extend(outside::warnings(metrics)?);
    }
    Ok(warnings)
}

/// METHOD: an empty mask for every nodule of a scan, or for more than half of all nodules, is seldom a fault of the network:
/// more often the regions are not what it was trained on.
fn of_model(
    model_id: &str,
    rows: &[Measured],
    scan_of: &BTreeMap<String, (String, String)>,
) -> Vec<String> {
    let n = rows.len();
    let with = |doubt: Doubt| {
        rows.iter().filter(|row| row.doubts.iter().any(|name| name == doubt.name())).count()
    };
    let doubts = Doubt::ALL.into_iter().map(|doubt| (doubt, with(doubt)));
    let mut warnings: Vec<String> = doubts
        .filter(|(_, with)| *with > 0)
        .map(|(doubt, with)| doubt.sentence(model_id, with, n))
        .collect();
    let is_empty = |row: &Measured| row.outcome == Outcome::Missed.name();
    let n_empty = rows.iter().filter(|row| is_empty(row)).count();
    if 2 * n_empty > n {
        warnings.push(format!(
            "`{model_id}`: the mask of {n_empty} of {n} nodules is empty; check the window, and whether the weights suit the \
             scans"
        ));
        return warnings;
    }
    let mut scans: BTreeMap<&(String, String), bool> = BTreeMap::new();
    for row in rows {
        if let Some(scan) = scan_of.get(&row.nodule_id) {
            *scans.entry(scan).or_insert(true) &= is_empty(row);
        }
    }
    let empty: Vec<&str> =
        scans.iter().filter(|(_, empty)| **empty).map(|((_, series), _)| &**series).collect();
    if let Some(first) = empty.first() {
        warnings.push(format!(
            "`{model_id}`: the mask of every nodule is empty in {} of {} scans, the first is `{first}`",
            empty.len(),
            scans.len()
        ));
    }
    warnings
}

/// A sentence for each cohort of LUNA16 with series whose patients are unknown.
fn unknown_patients(scans: &Version) -> Result<Vec<String>, nodulus_store::Error> {
    let luna16 = Layout::Luna16.source();
    // A cohort of 100,000 scans of other sources need not be read.
    let of_config = scans.manifest.config["cohorts"].as_array();
    if of_config.is_some_and(|cohorts| cohorts.iter().all(|cohort| cohort["source"] != luna16)) {
        return Ok(Vec::new());
    }
    let mut cohorts: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    let columns = ["cohort", "source", "patient_id", "series_instance_uid"];
    for batch in scans.columns::<ScanPatient>(&columns) {
        for scan in batch?.into_iter().filter(|scan| scan.source == luna16) {
            let [unknown, all] = cohorts.entry(scan.cohort).or_default();
            *all += 1;
            *unknown += usize::from(scan.patient_id == scan.series_instance_uid);
        }
    }
    let of_cohort = |(cohort, [unknown, all]): (String, [usize; 2])| {
        (unknown > 0).then(|| {
            format!(
                "cohort `{cohort}`: {unknown} of {all} series are not in the list of LIDC-IDRI's patients, so each counts as a \
                 patient of its own and splits are by scan"
            )
        })
    };
    Ok(cohorts.into_iter().filter_map(of_cohort).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(nodule: &str, outcome: Outcome, doubts: &[Doubt]) -> Measured {
        Measured {
            nodule_id: nodule.to_owned(),
            model_id: "m".to_owned(),
            outcome: outcome.name().to_owned(),
            doubts: doubts.iter().map(|doubt| doubt.name().to_owned()).collect(),
        }
    }

    fn scans(of: &[(&str, &str)]) -> BTreeMap<String, (String, String)> {
        let scan = |(nodule, series): &(&str, &str)| {
            ((*nodule).to_owned(), ("c".to_owned(), (*series).to_owned()))
        };
        of.iter().map(scan).collect()
    }

    #[test]
    fn a_comparison_has_the_doubts_of_both_models() {
        let of = |model: &str, subgroup: &str, doubts: &[&str]| {
            let doubts = doubts.iter().map(|doubt| (*doubt).to_owned()).collect();
            ((model.to_owned(), subgroup.to_owned()), doubts)
        };
        let doubts = SubgroupDoubts(BTreeMap::from([
            of("m", ALL, &["training_patient", "other_spacing"]),
            of("z", ALL, &["other_spacing", "unlisted_patients"]),
            of("z", "size=3-6 mm", &["validation_patient"]),
        ]));
        let both = |models: [&str; 2]| doubts.of_models(&models.map(str::to_owned), ALL);
        assert_eq!(both(["m", "z"]), ["other_spacing", "training_patient", "unlisted_patients"]);
        assert_eq!(both(["z", "reader"]), ["other_spacing", "unlisted_patients"]);
        assert!(both(["region_growing", "reader"]).is_empty());

        let mut doubts = doubts;
        let of = ["m", "z"].map(str::to_owned).into();
        doubts.add_means(&[SeedMean { model: "mean".to_owned(), of }]);
        let of_mean = |subgroup: &str| doubts.of_models([&"mean".to_owned()], subgroup);
        assert_eq!(of_mean(ALL), ["other_spacing", "training_patient", "unlisted_patients"]);
        assert_eq!(of_mean("size=3-6 mm"), ["validation_patient"]);
    }

    #[test]
    fn doubts_are_counted_and_empty_masks_are_named() {
        let scan_of = scans(&[("a", "1.1"), ("b", "1.1"), ("c", "1.2"), ("d", "1.3")]);
        let rows = [
            row("a", Outcome::Measured, &[Doubt::TrainingPatient, Doubt::OtherSpacing]),
            row("b", Outcome::Missed, &[Doubt::OtherSpacing]),
            row("c", Outcome::Missed, &[]),
            row("d", Outcome::Measured, &[]),
        ];
        assert_eq!(
            of_model("m", &rows, &scan_of),
            [
                "`m`: 1 of 4 nodules are of patients that the weights learnt from: their figures say nothing about new patients",
                "`m`: 2 of 4 nodules have a spacing outside the range of the scans that the weights learnt from",
                "`m`: the mask of every nodule is empty in 1 of 3 scans, the first is `1.2`",
            ]
        );
        let most = of_model("m", &rows[1..], &scan_of);
        assert!(most.last().unwrap().starts_with("`m`: the mask of 2 of 3 nodules is empty"));
        assert!(of_model("m", &rows[3..], &scan_of).is_empty());
    }
}
