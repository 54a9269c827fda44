//! Experiments: rows of settings over one pipeline file, each trained, predicted and scored, in one store.
//!
//! What the rows have in common is made once, and what is made is found again: an experiment that was
//! stopped goes on at the row, the fold and the epoch that it had come to.

mod table;

pub use table::{Cell, Line, METRICS};

use super::config::{self, Config};
use super::runner::{self, Chosen, Options, Progress};
use crate::stages::{Event, Stage};
use crate::tables::manifest::InputRef;
use crate::tables::store::{self, Store};
use crate::tables::{Output, Table, parquet};
use nodulus_nets::{Device, WEIGHTS_FILE};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// An experiment file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// What the table shows.
    pub title: String,
    /// Pipeline file, relative to the experiment file's folder.
    pub pipeline: PathBuf,
    /// The store.
    pub store: PathBuf,
    /// Settings of all rows, by their dotted names.
    #[serde(default)]
    pub set: BTreeMap<String, toml::Value>,
    /// Whether each row is a model for each fold of `[balance] folds`, scored on the patients that it
    /// did not see; all of them together predict the test patients.
    #[serde(default)]
    pub folds: bool,
    /// The rows, in their order.
    pub rows: Vec<Row>,
}

/// A row: `[[rows]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Name in the table, and the model's id.
    pub name: String,
    /// Settings that make it what it is.
    #[serde(default)]
    pub set: BTreeMap<String, toml::Value>,
    /// An earlier row, whose weights this one starts from.
    #[serde(default)]
    pub from: Option<String>,
    /// Whether it is predicted and scored, or only trained.
    #[serde(default = "yes")]
    pub scored: bool,
    /// What the paper found, by the metric's name.
    #[serde(default)]
    pub paper: BTreeMap<String, f64>,
}

fn yes() -> bool {
    true
}

/// What an experiment may use.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// Settings in place of the files'.
    pub sets: &'a [String],
    /// The store in place of the file's.
    pub store: &'a Store,
    /// Where networks run.
    pub device: &'a Device,
    /// Bytes that scans may take in memory at once.
    pub max_memory: u64,
    /// Is told how the work goes on.
    pub progress: &'a (dyn Fn(Progress) + Sync),
}

/// An experiment stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A row's pipeline is not valid.
    #[error("row `{row}`")]
    Config {
        /// The row.
        row: String,
        /// What is wrong.
        source: config::Error,
    },
    /// A row's run stopped.
    #[error("row `{row}`")]
    Run {
        /// The row.
        row: String,
        /// What is wrong.
        source: runner::Error,
    },
    /// Rows cannot be told apart.
    #[error("two rows are named `{0}`")]
    SameName(String),
    /// A row starts from one that is not there.
    #[error("row `{row}` starts from `{from}`, which is no row before it")]
    From {
        /// The row.
        row: String,
        /// The name.
        from: String,
    },
    /// The paper's figure of something else.
    #[error("row `{row}` has the paper's `{metric}`; metrics are: {known}")]
    Paper {
        /// The row.
        row: String,
        /// The name.
        metric: String,
        /// The names there are.
        known: String,
    },
    /// There is nothing to show.
    #[error("the experiment has no row that is scored")]
    NoRows,
    /// A row trains nothing.
    #[error("row `{0}` has no `[train]` section: an experiment's rows are trained")]
    NoTraining(String),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A table could not be read.
    #[error(transparent)]
    Parquet(#[from] parquet::Error),
}

impl Error {
    /// Whether what was asked for cannot be, as written.
    pub const fn is_choice(&self) -> bool {
        !matches!(self, Self::Run { .. } | Self::Store(_) | Self::Parquet(_))
    }
}

impl Experiment {
    /// Reads an experiment file.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be read or is not valid.
    pub fn read(path: &Path) -> Result<Self, config::Error> {
        let mut experiment: Self = config::section(path, &[])?;
        experiment.pipeline = path.parent().unwrap_or(Path::new("")).join(&experiment.pipeline);
        Ok(experiment)
    }

    /// The cross-validation of a pipeline's model.
    ///
    /// # Errors
    ///
    /// Fails if the pipeline file is not valid.
    pub fn cross_validation(
        pipeline: &Path,
        sets: &[String],
        store: Option<&Path>,
    ) -> Result<Self, config::Error> {
        let config = Config::read(pipeline, sets, store)?;
        let architecture = config.train.as_ref().map(|train| train.model.architecture.name());
        let name = config.infer.model_id.as_deref().or(architecture).unwrap_or_default();
        let row = Row {
            name: name.to_owned(),
            set: BTreeMap::new(),
            from: None,
            scored: true,
            paper: BTreeMap::new(),
        };
        Ok(Self {
            title: format!("Cross-validation of {name}, {} folds", config.balance.folds),
            pipeline: pipeline.to_owned(),
            store: config.store,
            set: BTreeMap::new(),
            folds: true,
            rows: vec![row],
        })
    }

    /// The settings of all rows, and those in place of them.
    pub fn settings(&self, sets: &[String]) -> Vec<String> {
        let of_all = self.set.iter().map(|(key, value)| format!("{key}={value}"));
        of_all.chain(sets.iter().cloned()).collect()
    }

    fn check(&self) -> Result<(), Error> {
        let known: Vec<&str> = METRICS.iter().map(|metric| metric.name()).collect();
        for (n, row) in self.rows.iter().enumerate() {
            let before = &self.rows[..n];
            if before.iter().any(|other| other.name == row.name) {
                return Err(Error::SameName(row.name.clone()));
            }
            if let Some(from) = &row.from
                && !before.iter().any(|other| other.name == *from)
            {
                return Err(Error::From { row: row.name.clone(), from: from.clone() });
            }
            if let Some(metric) = row.paper.keys().find(|name| !known.contains(&name.as_str())) {
                let (row, metric) = (row.name.clone(), metric.clone());
                return Err(Error::Paper { row, metric, known: known.join(", ") });
            }
        }
        if self.rows.iter().any(|row| row.scored) { Ok(()) } else { Err(Error::NoRows) }
    }

    /// A row's pipeline, with settings that the experiment adds.
    fn config(
        &self,
        row: &Row,
        means: &Means<'_>,
        added: &[(&str, toml::Value)],
    ) -> Result<Config, Error> {
        let pair = |(key, value): (&String, &toml::Value)| format!("{key}={value}");
        let mut sets: Vec<String> = self.set.iter().chain(&row.set).map(pair).collect();
        sets.extend(means.sets.iter().cloned());
        sets.extend(added.iter().map(|(key, value)| format!("{key}={value}")));
        let config = Config::read(&self.pipeline, &sets, Some(means.store.root()))
            .map_err(|source| Error::Config { row: row.name.clone(), source })?;
        if config.train.is_none() {
            return Err(Error::NoTraining(row.name.clone()));
        }
        Ok(config)
    }
}

/// Trains, predicts and scores every row, reports on them, and returns the table. The caller holds the store's lock.
///
/// The store's current `nodule_metrics`, `summary`, `comparisons` and report are then those of all rows.
///
/// # Errors
///
/// Fails at the first row that stops; what was made stays, and is not made again.
pub fn run(experiment: &Experiment, means: &Means<'_>) -> Result<Vec<Line>, Error> {
    experiment.check()?;
    let mut weights: BTreeMap<&str, PathBuf> = BTreeMap::new();
    let (mut predictions, mut logs) = (Vec::new(), Vec::new());
    let mut shared: Option<Vec<serde_json::Value>> = None;
    for row in &experiment.rows {
        let name = toml::Value::String(row.name.clone());
        let mut added = vec![("infer.model_id", name), ("infer.threshold", false.into())];
        if let Some(path) = row.from.as_deref().and_then(|from| weights.get(from)) {
            let path = path.to_string_lossy().into_owned();
            added.push(("train.initial.checkpoint", path.into()));
        }
        let config = experiment.config(row, means, &added)?;
        let step = |config: &Config, stages: &[Stage], chosen: &Chosen| {
            go(config, means, stages, chosen)
                .map_err(|source| Error::Run { row: row.name.clone(), source })
        };
        let before: Vec<Stage> = config.stages().filter(|stage| *stage < Stage::Train).collect();
        let settings: Vec<_> =
            before.iter().filter_map(|stage| config.stage(*stage).ok()).collect();
        if shared.as_ref() != Some(&settings) {
            step(&config, &before, &Chosen::new())?;
            shared = Some(settings);
        }
        (means.progress)(Progress::Stage(Stage::Train, Event::Note(format!("row `{}`", row.name))));
        if experiment.folds && row.scored {
            let mut folds = Vec::new();
            for fold in 0..config.balance.folds {
                let fold = toml::Value::Integer(fold as i64);
                let mut added = added.clone();
                added.extend([("train.fold", fold.clone()), ("infer.fold", fold)]);
                let config = experiment.config(row, means, &added)?;
                step(&config, &[Stage::Train, Stage::Infer], &Chosen::new())?;
                logs.push(current(means.store, Output::Table(Table::TrainingLog))?);
                folds.push(current(means.store, Output::Checkpoint)?);
                predictions.push(current(means.store, Output::Table(Table::Predictions))?);
            }
            added.push(("infer.model_id", ensemble(&row.name).into()));
            let config = experiment.config(row, means, &added)?;
            step(&config, &[Stage::Infer], &Chosen::from([(Output::Checkpoint, folds)]))?;
            predictions.push(current(means.store, Output::Table(Table::Predictions))?);
            continue;
        }
        step(&config, &[Stage::Train], &Chosen::new())?;
        logs.push(current(means.store, Output::Table(Table::TrainingLog))?);
        let version = means.store.require(Output::Checkpoint)?;
        weights.insert(&row.name, version.files_folder().join(WEIGHTS_FILE));
        if row.scored {
            step(&config, &[Stage::Infer], &Chosen::new())?;
            predictions.push(current(means.store, Output::Table(Table::Predictions))?);
        }
    }
    let last = experiment.rows.last().ok_or(Error::NoRows)?;
    let title = toml::Value::String(experiment.title.clone());
    let config = experiment.config(last, means, &[("report.title", title)])?;
    let chosen = Chosen::from([
        (Output::Table(Table::Predictions), predictions),
        (Output::Table(Table::TrainingLog), logs),
    ]);
    go(&config, means, &[Stage::Evaluate, Stage::Report], &chosen)
        .map_err(|source| Error::Run { row: last.name.clone(), source })?;
    table::read(experiment, means.store)
}

/// Id of a row's models of all folds together.
fn ensemble(name: &str) -> String {
    format!("{name}, all folds")
}

fn current(store: &Store, output: Output) -> Result<InputRef, store::Error> {
    Ok(store.require(output)?.manifest.as_input())
}

fn go(
    config: &Config,
    means: &Means<'_>,
    stages: &[Stage],
    chosen: &Chosen,
) -> Result<(), runner::Error> {
    let options = Options {
        force: &BTreeSet::new(),
        stages,
        device: means.device,
        max_memory: means.max_memory,
        chosen,
    };
    runner::run(config, means.store, &options, means.progress).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_cannot_be_are_refused() {
        let read = |rows: &str| {
            let text = format!("title = \"t\"\npipeline = \"p.toml\"\nstore = \"s\"\n{rows}");
            let experiment: Experiment = toml::from_str(&text).unwrap();
            experiment.check().map_err(|error| error.to_string())
        };
        assert_eq!(read("[[rows]]\nname = \"a\"\n"), Ok(()));
        assert_eq!(read("rows = []").unwrap_err(), "the experiment has no row that is scored");
        let twice = "[[rows]]\nname = \"a\"\n[[rows]]\nname = \"a\"\n";
        assert_eq!(read(twice).unwrap_err(), "two rows are named `a`");
        let later = "[[rows]]\nname = \"a\"\nfrom = \"b\"\n[[rows]]\nname = \"b\"\n";
        assert_eq!(read(later).unwrap_err(), "row `a` starts from `b`, which is no row before it");
        let other = "[[rows]]\nname = \"a\"\npaper = { auc = 0.9 }\n";
        assert!(
            read(other)
                .unwrap_err()
                .starts_with("row `a` has the paper's `auc`; metrics are: precision, ")
        );
    }
}
