//! Runs experiments: rows of settings over one pipeline file, each trained, predicted and measured, in one store.
//!
//! Outputs that rows share are made once and found again: an experiment that was stopped resumes at its row, seed,
//! fold and epoch.

mod error;
mod table;
mod seeds;
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
use table::of_seed;
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
    let mut made = Made::default();
    let mut shared: Option<Vec<serde_json::Value>> = None;
    for (number, row) in experiment.rows.iter().enumerate() {
        for seed in experiment.trainings() {
            let mut added = experiment.of_training(row, seed);
            if let Some(path) = row.from.as_deref().and_then(|from| made.weights.get(&(from, seed)))
            {
                let path = path.to_string_lossy().into_owned();
                added.push(("train.initial.checkpoint", path.into()));
            }
            let config = experiment.config(number, means.sets, means.store.root(), &added)?;
            let (before, settings) = before_training(&config);
            if shared.as_ref() != Some(&settings) {
                go(&config, means, &before, &ChosenVersions::new())
                    .map_err(|source| Error::Run { row: row.name.clone(), source })?;
                check_initials(experiment, means, number, &settings)?;
                shared = Some(settings);
            }
            if row.from.is_some() {
                check_initial(experiment, means, row, &config)?;
            }
            train_and_predict(experiment, means, Training { number, row, seed, added }, &mut made)?;
        }
    }
    let Some(last) = experiment.rows.last() else { return Ok(Vec::new()) };
    let title = toml::Value::String(experiment.title.clone());
    let mut added = vec![("report.title", title)];
    added.extend(seed_means(experiment).map(|of_rows| ("evaluate.seed_means", of_rows)));
    let config =
        experiment.config(experiment.rows.len() - 1, means.sets, means.store.root(), &added)?;
    let chosen = ChosenVersions::from([
        (Output::Table(Table::Predictions), made.predictions),
        (Output::Table(Table::TrainingLog), made.logs),
    ]);
    go(&config, means, &[Stage::Evaluate, Stage::Report], &chosen)
        .map_err(|source| Error::Run { row: last.name.clone(), source })?;
    let scored = experiment.rows.iter().filter(|row| row.scored);
    let rows: Vec<_> = scored.map(|row| (row.name.as_str(), &row.paper)).collect();
    table::read(&rows, experiment.folds, experiment.several_seeds(), means.store)
}

/// What the rows so far have made.
#[derive(Default)]
struct Made<'a> {
    /// Weights of each row and seed that other rows can start from.
    weights: BTreeMap<(&'a str, Option<u64>), PathBuf>,
    predictions: Vec<InputRef>,
    logs: Vec<InputRef>,
}

/// One training of a row.
struct Training<'a> {
    /// Position of the row.
    number: usize,
    row: &'a Row,
    seed: Option<u64>,
    /// The settings that it adds to the row's.
    added: Vec<(&'static str, toml::Value)>,
}

/// Trains a row with one seed and predicts with its weights, by fold where rows have folds.
fn train_and_predict<'a>(
    experiment: &Experiment,
    means: &Means<'_>,
    training: Training<'a>,
    made: &mut Made<'a>,
) -> Result<(), Error> {
    let Training { number, row, seed, mut added } = training;
    let id = experiment.model_id(row, seed);
    let step = |added: &[(&str, toml::Value)], stages: &[Stage], chosen: &ChosenVersions| {
        let config = experiment.config(number, means.sets, means.store.root(), added)?;
        go(&config, means, stages, chosen).map_err(|source| Error::Run { row: id.clone(), source })
    };
    (means.progress)(RunEvent::Stage(Stage::Train, Event::Note(format!("row `{id}`"))));
    // The baseline depends on no row: it predicts once, with the first training that is measured.
    let is_first = experiment.rows[..number].iter().all(|row| !row.scored)
        && seed == experiment.seeds().first().copied();
    let no_baseline = ("infer.region_growing", toml::Value::from(false));
    if experiment.folds && row.scored {
        let config = experiment.config(number, means.sets, means.store.root(), &added)?;
        let mut folds = Vec::new();
        for fold in 0..config.balance.folds {
            let fold = toml::Value::Integer(fold as i64);
            let mut added = added.clone();
            added.extend([("train.fold", fold.clone()), ("infer.fold", fold)]);
            added.push(no_baseline.clone());
            step(&added, &[Stage::Train, Stage::Infer], &ChosenVersions::new())?;
            made.logs.push(current(means.store, Output::Table(Table::TrainingLog))?);
            folds.push(current(means.store, Output::Checkpoint)?);
            made.predictions.push(current(means.store, Output::Table(Table::Predictions))?);
        }
        added.push(("infer.model_id", ensemble(&id).into()));
        added.extend((!is_first).then_some(no_baseline));
        step(&added, &[Stage::Infer], &ChosenVersions::from([(Output::Checkpoint, folds)]))?;
        made.predictions.push(current(means.store, Output::Table(Table::Predictions))?);
        return Ok(());
    }
    step(&added, &[Stage::Train], &ChosenVersions::new())?;
    made.logs.push(current(means.store, Output::Table(Table::TrainingLog))?);
    let version = means.store.require(Output::Checkpoint)?;
    if let Some(file) = version.file(WEIGHTS_FILE)? {
        made.weights.insert((row.name.as_str(), seed), file);
    }
    if row.scored {
        added.extend((!is_first).then_some(no_baseline));
        step(&added, &[Stage::Infer], &ChosenVersions::new())?;
        made.predictions.push(current(means.store, Output::Table(Table::Predictions))?);
    }
    Ok(())
}

/// The means over seeds of the measured rows, as `evaluate.seed_means`; `None` for one training of each row.
fn seed_means(experiment: &Experiment) -> Option<toml::Value> {
    let seeds = experiment.several_seeds();
    let mean = |row: &Row, of: fn(&str) -> String| {
        let models = seeds.iter().map(|seed| toml::Value::from(of(&of_seed(&row.name, *seed))));
        let mut table = toml::Table::new();
        table.insert("model".to_owned(), of(&row.name).into());
        table.insert("of".to_owned(), toml::Value::Array(models.collect()));
        toml::Value::Table(table)
    };
    let mut of_rows = Vec::new();
    for row in experiment.rows.iter().filter(|row| row.scored) {
        of_rows.push(mean(row, str::to_owned));
        if experiment.folds {
            of_rows.push(mean(row, ensemble));
        }
    }
    (!seeds.is_empty()).then_some(toml::Value::Array(of_rows))
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
