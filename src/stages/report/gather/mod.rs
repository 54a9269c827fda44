//! Reads what a report is made of, a batch of rows at a time.

mod before;
mod cases;
mod cohorts;
mod models;
mod provenance;
mod weights;

pub use before::version as earlier_version;
pub(super) use cases::cases;

use super::config::Config;
use super::content::{
    Count, Epoch, Evaluation, NoduleResult, ReportContent, ReportModel, StageFailures,
};
use super::error::Error;
use super::{readers, volumes};
use crate::stages::Task;
use crate::stages::evaluate::warnings;
use crate::tables::{NoduleMetrics, Output, Summary, Table, TrainingLog};
use models::PredictionIndex;
use nodulus_metrics::METRIC_DEFINITION;
use nodulus_store::{Job, Row};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The columns of `nodules` that describe the evaluated nodules.
#[derive(Deserialize)]
struct NoduleFacts {
    nodule_id: String,
    diameter_mm: f64,
    n_readers: i64,
}

/// The content of a report, except for the shown cases.
pub(super) fn content(
    config: &Config,
    report_version: u32,
    task: &Task<'_>,
    job: &Job,
) -> Result<ReportContent, Error> {
    let results: Vec<NoduleMetrics> = rows(task)?;
    let summary: Vec<Summary> = rows(task)?;
    let facts = facts(task, &results)?;
    let predicted = PredictionIndex::read(task)?;
    let patients: BTreeSet<&str> = results.iter().map(|row| row.patient_id.as_str()).collect();
    let nodules: BTreeSet<&str> = results.iter().map(|row| row.nodule_id.as_str()).collect();
    let (cohorts, splits) = cohorts::cohorts(task, &nodules)?;
    let n_several_readers = facts.values().filter(|nodule| nodule.n_readers > 1).count();
    let pairs = readers::pairs(task)?;
    let models = predicted.models(&results, &summary);
    // Limits of agreement are those of one prediction, and a mean over seeds is none.
    let of_results =
        |model: &&ReportModel| results.iter().any(|row| row.model_id == model.model_id);
    let evaluated: Vec<ReportModel> = models.iter().filter(of_results).cloned().collect();
    let before = config.before.as_ref();
    let before = before.map(|key| before::before(task, key, &results, config.seed)).transpose()?;
    Ok(ReportContent {
        report_version,
        title: config.title.clone(),
        run_id: job.key().to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        metric_definition: METRIC_DEFINITION.to_owned(),
        readers: readers::of_cohorts(&cohorts, &pairs, &rows(task)?, config.seed),
        cohorts,
        failures: failures(task)?,
        training: training(task, &predicted)?,
        warnings: warnings(
            Some(task.table(Table::Scans)?),
            Some(task.table(Table::Nodules)?),
            Some(task.table(Table::NoduleMetrics)?),
        )?,
        evaluation: Evaluation {
            split: splits.into_iter().collect::<Vec<_>>().join(", "),
            n_patients: patients.len() as u64,
            n_nodules: nodules.len() as u64,
        },
        volumes: volumes::agreement(&evaluated, &summary),
        calibration: predicted.calibration(&models),
        pixel_calibration: models::pixel_calibration(&models, &results),
        weights: weights::weights(task, &models)?,
        models,
        summary,
        ceiling: readers::ceiling(&nodules, n_several_readers, &pairs, config.seed),
        comparisons: rows(task)?,
        before,
        nodules: results
            .into_iter()
            .map(|row| NoduleResult { diameter_mm: diameter_mm(&facts, &row.nodule_id), row })
            .collect(),
        cases: Vec::new(),
        provenance: provenance::provenance(task, job)?,
    })
}

/// Every row of a small table.
fn rows<R: Row>(task: &Task<'_>) -> Result<Vec<R>, Error> {
    let mut rows = Vec::new();
    for batch in task.table(R::TABLE)?.rows::<R>() {
        rows.extend(batch?);
    }
    Ok(rows)
}

fn failures(task: &Task<'_>) -> Result<Vec<StageFailures>, Error> {
    let mut stages: Vec<(String, BTreeMap<String, u64>)> = Vec::new();
    for version in task.inputs {
        for failure in version.failures()? {
            if stages.last().is_none_or(|(stage, _)| *stage != failure.stage) {
                stages.push((failure.stage.clone(), BTreeMap::new()));
            }
            if let Some((_, causes)) = stages.last_mut() {
                *causes.entry(failure.cause.clone()).or_default() += 1;
            }
        }
    }
    Ok(stages
        .into_iter()
        .map(|(stage, causes)| {
            let n = causes.values().sum();
            let mut causes = Count::list(causes);
            causes.sort_by(|a, b| b.n.cmp(&a.n).then(a.name.cmp(&b.name)));
            StageFailures { stage, n, causes }
        })
        .collect())
}

/// The epochs of every training run, in the order of the runs.
fn training(task: &Task<'_>, predicted: &PredictionIndex) -> Result<Vec<Epoch>, Error> {
    let log = Output::Table(Table::TrainingLog);
    if task.optional_input(log).is_none() {
        return Ok(Vec::new());
    }
    let mut epochs = Vec::new();
    for version in task.inputs(log)? {
        for batch in version.rows::<TrainingLog>() {
            epochs.extend(batch?.into_iter().map(|row| Epoch {
                model_id: predicted.model_of_run(&row.run_id),
                run_id: row.run_id,
                phase: row.phase,
                epoch: row.epoch.unsigned_abs(),
                fold: row.fold.map(i64::unsigned_abs),
                learning_rate: row.learning_rate,
                loss: row.loss,
                dice: row.dice,
                validation_dice: row.validation_dice,
            }));
        }
    }
    Ok(epochs)
}

/// The evaluated nodules, by id.
fn facts(
    task: &Task<'_>,
    results: &[NoduleMetrics],
) -> Result<BTreeMap<String, NoduleFacts>, Error> {
    let wanted: BTreeSet<&str> = results.iter().map(|row| row.nodule_id.as_str()).collect();
    let mut facts = BTreeMap::new();
    let columns = ["nodule_id", "diameter_mm", "n_readers"];
    for batch in task.table(Table::Nodules)?.columns::<NoduleFacts>(&columns) {
        let batch = batch?.into_iter().filter(|nodule| wanted.contains(nodule.nodule_id.as_str()));
        facts.extend(batch.map(|nodule| (nodule.nodule_id.clone(), nodule)));
    }
    Ok(facts)
}

fn diameter_mm(facts: &BTreeMap<String, NoduleFacts>, nodule_id: &str) -> f64 {
    facts.get(nodule_id).map_or(f64::NAN, |nodule| nodule.diameter_mm)
}
