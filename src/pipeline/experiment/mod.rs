//! Runs experiments: rows of settings over one pipeline file, each trained, predicted and measured, in one store.
//!
//! Outputs that rows share are made once and found again: an experiment that was stopped resumes at its row, fold and
//! epoch.

mod error;
mod table;
mod file;

use super::config::Config;
use super::outside_weights::weights_file;
use super::runner::{self, ChosenVersions, Options, RunEvent};
use crate::stages::{Event, Stage, infer, train};
use crate::tables::{Output, Sample, Table};
pub use error::Error;
pub use file::{Experiment, Row};
use nodulus_nets::{Device, WEIGHTS_FILE};
use nodulus_store::{InputRef, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
pub use table::{Cell, Line, LineKind, METRICS, ensemble};

/// The resources of an experiment.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// Settings that replace those of the files.
    pub sets: &'a [String],
    /// The store.
    pub store: &'a Store,
    /// Where networks run.
    pub device: &'a Device,
    /// Bytes of memory for scans.
    pub max_memory: u64,
    /// Receives the progress.
    pub progress: &'a (dyn Fn(RunEvent) + Sync),
}

/// Trains, predicts and measures every row, writes the report, and returns the table. The caller holds the store's lock.
///
/// The caller has called [`Experiment::check`]. Afterwards the store's current `nodule_metrics`, `summary`, `comparisons` and report cover all rows.
///
/// # Errors
///
/// Fails at the first row that stops; finished outputs stay and are not made again.
pub fn run(experiment: &Experiment, means: &Means<'_>) -> Result<Vec<Line>, Error> {
    let mut weights: BTreeMap<&str, PathBuf> = BTreeMap::new();
    let (mut predictions, mut logs) = (Vec::new(), Vec::new());
    let mut shared: Option<Vec<serde_json::Value>> = None;
    for (number, row) in experiment.rows.iter().enumerate() {
        let name = toml::Value::String(row.name.clone());
        let mut added = vec![("infer.model_id", name)];
        if let Some(path) = row.from.as_deref().and_then(|from| weights.get(from)) {
            let path = path.to_string_lossy().into_owned();
            added.push(("train.initial.checkpoint", path.into()));
        }
        let config = experiment.config(number, means.sets, means.store.root(), &added)?;
        let step = |config: &Config, stages: &[Stage], chosen: &ChosenVersions| {
            go(config, means, stages, chosen)
                .map_err(|source| Error::Run { row: row.name.clone(), source })
        };
        let (before, settings) = before_training(&config);
        if shared.as_ref() != Some(&settings) {
            step(&config, &before, &ChosenVersions::new())?;
            check_initials(experiment, means, number, &settings)?;
            shared = Some(settings);
        }
        if row.from.is_some() {
            check_initial(experiment, means, row, &config)?;
        }
        (means.progress)(RunEvent::Stage(Stage::Train, Event::Note(format!("row `{}`", row.name))));
        // The baseline depends on no row: it predicts once, with the first one that is measured.
        let is_first = experiment.rows[..number].iter().all(|row| !row.scored);
        let no_baseline = ("infer.region_growing", false.into());
        if experiment.folds && row.scored {
            let mut folds = Vec::new();
            for fold in 0..config.balance.folds {
                let fold = toml::Value::Integer(fold as i64);
                let mut added = added.clone();
                added.extend([("train.fold", fold.clone()), ("infer.fold", fold)]);
                added.push(no_baseline.clone());
                let config = experiment.config(number, means.sets, means.store.root(), &added)?;
                step(&config, &[Stage::Train, Stage::Infer], &ChosenVersions::new())?;
                logs.push(current(means.store, Output::Table(Table::TrainingLog))?);
                folds.push(current(means.store, Output::Checkpoint)?);
                predictions.push(current(means.store, Output::Table(Table::Predictions))?);
            }
            added.push(("infer.model_id", ensemble(&row.name).into()));
            added.extend((!is_first).then_some(no_baseline));
            let config = experiment.config(number, means.sets, means.store.root(), &added)?;
            step(&config, &[Stage::Infer], &ChosenVersions::from([(Output::Checkpoint, folds)]))?;
            predictions.push(current(means.store, Output::Table(Table::Predictions))?);
            continue;
        }
        step(&config, &[Stage::Train], &ChosenVersions::new())?;
        logs.push(current(means.store, Output::Table(Table::TrainingLog))?);
        let version = means.store.require(Output::Checkpoint)?;
        if let Some(file) = version.file(WEIGHTS_FILE)? {
            weights.insert(&row.name, file);
        }
        if row.scored {
            added.extend((!is_first).then_some(no_baseline));
            let config = experiment.config(number, means.sets, means.store.root(), &added)?;
            step(&config, &[Stage::Infer], &ChosenVersions::new())?;
            predictions.push(current(means.store, Output::Table(Table::Predictions))?);
        }
    }
    let Some(last) = experiment.rows.last() else { return Ok(Vec::new()) };
    let title = toml::Value::String(experiment.title.clone());
    let config = experiment.config(
        experiment.rows.len() - 1,
        means.sets,
        means.store.root(),
        &[("report.title", title)],
    )?;
    let chosen = ChosenVersions::from([
        (Output::Table(Table::Predictions), predictions),
        (Output::Table(Table::TrainingLog), logs),
    ]);
    go(&config, means, &[Stage::Evaluate, Stage::Report], &chosen)
        .map_err(|source| Error::Run { row: last.name.clone(), source })?;
    let scored = experiment.rows.iter().filter(|row| row.scored);
    let rows: Vec<_> = scored.map(|row| (row.name.as_str(), &row.paper)).collect();
    table::read(&rows, experiment.folds, means.store)
}

/// The stages before training, and their settings: rows with the same ones have the same samples.
fn before_training(config: &Config) -> (Vec<Stage>, Vec<serde_json::Value>) {
    let stages: Vec<Stage> = config.stages().filter(|stage| *stage < Stage::Train).collect();
    let settings = stages.iter().filter_map(|stage| (stage.spec().settings)(config).ok());
    let settings = settings.collect();
    (stages, settings)
}

/// Checks the initial weights of a row and of those after it with the same samples, which are made now, so that nothing is
/// trained in vain. Weights that an earlier row trains are checked once they are there.
fn check_initials(
    experiment: &Experiment,
    means: &Means<'_>,
    first: usize,
    shared: &[serde_json::Value],
) -> Result<(), Error> {
    for (number, row) in experiment.rows.iter().enumerate().skip(first) {
        let config = experiment.config(number, means.sets, means.store.root(), &[])?;
        if before_training(&config).1 != shared {
            break;
        }
        if row.from.is_none() {
            check_initial(experiment, means, row, &config)?;
        }
    }
    Ok(())
}

/// Fails if the weights that a row starts from saw patients that the row predicts, and that is not allowed.
fn check_initial(
    experiment: &Experiment,
    means: &Means<'_>,
    row: &Row,
    config: &Config,
) -> Result<(), Error> {
    let initial = config.train.as_ref().and_then(|train| train.initial.as_ref());
    let Some(initial) = initial.filter(|_| !config.infer.allow_training_patients) else {
        return Ok(());
    };
    let samples = means.store.require(Output::Table(Table::Samples))?;
    let scans = means.store.require(Output::Table(Table::Scans))?;
    let file = weights_file(&initial.checkpoint)
        .map_err(|source| Error::InitialStore { row: row.name.clone(), source })?;
    let has_folds = experiment.folds && row.scored;
    let is_of_a_fold = |sample: &Sample| infer::is_of_a_fold(&config.infer, sample);
    let is_of_a_fold: Option<&dyn Fn(&Sample) -> bool> =
        if has_folds { Some(&is_of_a_fold) } else { None };
    train::check_initial(&file, &scans, samples.rows(), is_of_a_fold)
        .map_err(|source| Error::Initial { row: row.name.clone(), source })
}

fn current(store: &Store, output: Output) -> Result<InputRef, nodulus_store::Error> {
    Ok(store.require(output)?.manifest.as_input())
}

fn go(
    config: &Config,
    means: &Means<'_>,
    stages: &[Stage],
    chosen: &ChosenVersions,
) -> Result<(), runner::Error> {
    let options = Options {
        force: &BTreeSet::new(),
        stages,
        device: means.device,
        max_memory: means.max_memory,
        chosen,
        keep: &BTreeSet::new(),
        retry_failed: false,
    };
    runner::run(config, means.store, &options, means.progress).map(|_| ())
}
