//! Experiment files.

use super::error::Error;
use super::table::METRICS;
use crate::near_names::did_you_mean;
use crate::pipeline::config::{self, Config};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// An experiment file: rows of settings over one pipeline file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Title of the table and of the report.
    pub title: String,
    /// Pipeline file, relative to the experiment file's folder.
    pub pipeline: PathBuf,
    /// Folder of the store, relative to the folder that the command runs in.
    pub store: PathBuf,
    /// Settings of all rows, by their full keys, as in `"train.seed" = 2`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub set: BTreeMap<String, toml::Value>,
    /// Whether each row trains a model for each fold of `balance.folds` and measures it on the patients that it did not
    /// see; all models of a row together predict the test patients.
    #[serde(default)]
    pub folds: bool,
    /// The rows, in the order of the table.
    pub rows: Vec<Row>,
}

/// A row of an experiment.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Name of the row in the table, and the model's id.
    pub name: String,
    /// Settings of this row, by their full keys.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub set: BTreeMap<String, toml::Value>,
    /// Name of an earlier row whose weights this row starts from.
    #[serde(default)]
    pub from: Option<String>,
    /// Whether the row is predicted and measured, or only trained.
    #[serde(default = "yes")]
    pub scored: bool,
    /// The paper's figures, by the metric's name.
    #[serde(default)]
    pub paper: BTreeMap<String, f64>,
}

fn yes() -> bool {
    true
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

    /// The settings of all rows, then those of the command line.
    pub fn settings(&self, sets: &[String]) -> Vec<String> {
        let of_all = self.set.iter().map(|(key, value)| format!("{key}={value}"));
        of_all.chain(sets.iter().cloned()).collect()
    }

    pub(super) fn check(&self) -> Result<(), Error> {
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
                let near = did_you_mean(&metric, known.iter().copied());
                return Err(Error::Paper { row, metric, near, known: known.join(", ") });
            }
        }
        if self.rows.iter().any(|row| row.scored) { Ok(()) } else { Err(Error::NoRows) }
    }

    /// A row's pipeline settings, with those that the experiment adds.
    pub(super) fn config(
        &self,
        row: &Row,
        sets: &[String],
        store: &Path,
        added: &[(&str, toml::Value)],
    ) -> Result<Config, Error> {
        let pair = |(key, value): (&String, &toml::Value)| format!("{key}={value}");
        let mut all: Vec<String> = self.set.iter().chain(&row.set).map(pair).collect();
        all.extend(sets.iter().cloned());
        all.extend(added.iter().map(|(key, value)| format!("{key}={value}")));
        let config = Config::read(&self.pipeline, &all, Some(store))
            .map_err(|source| Error::Config { row: row.name.clone(), source })?;
        if config.train.is_none() {
            return Err(Error::NoTraining(row.name.clone()));
        }
        Ok(config)
    }
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
        assert_eq!(
            read("rows = []").unwrap_err(),
            "every row of the experiment has `scored = false`: leave it out of at least one row"
        );
        let twice = "[[rows]]\nname = \"a\"\n[[rows]]\nname = \"a\"\n";
        assert_eq!(read(twice).unwrap_err(), "two rows are named `a`");
        let later = "[[rows]]\nname = \"a\"\nfrom = \"b\"\n[[rows]]\nname = \"b\"\n";
        assert_eq!(read(later).unwrap_err(), "row `a` starts from `b`, which is no row before it");
        let other = "[[rows]]\nname = \"a\"\npaper = { auc = 0.9 }\n";
        assert!(
            read(other)
                .unwrap_err()
                .starts_with("row `a`: `paper` has unknown metric `auc`; metrics are: precision, ")
        );
    }
}
