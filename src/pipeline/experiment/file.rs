//! Experiment files.

use super::table::METRICS;
use crate::near_names::{did_you_mean, near_or_all};
use crate::pipeline::config::{self, Config, Error, FileKind, check_model_id};
use nodulus_settings::{Fault, Place, Set, SettingsFile};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// An experiment file: rows of settings over one pipeline file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Title of the table and of the report.
    pub title: String,
    /// Pipeline file, relative to the experiment file's folder.
    #[schemars(length(min = 1), extend("examples" = ["experiment.toml"]))]
    pub pipeline: PathBuf,
    /// Folder of the store, relative to the folder that the command runs in.
    #[schemars(length(min = 1), extend("examples" = ["store/experiment"]))]
    pub store: PathBuf,
    /// Settings of all rows, by their full keys, as in `"train.seed" = 2`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub set: BTreeMap<String, toml::Value>,
    /// Whether each row trains a model for each fold of `balance.folds` and measures it on the patients that it did not
    /// see; all models of a row together predict the test patients.
    #[serde(default)]
    pub folds: bool,
    /// Seeds of `train.seed`: each row is trained, predicted and measured once with each, and the mean over the seeds stands for
    /// it in the statistics; without it, once with its settings' seed.
    #[serde(default)]
    #[schemars(length(min = 1), extend("examples" = [[1, 2, 3]]))]
    pub seeds: Option<Vec<u64>>,
    /// The rows, in the order of the table.
    #[schemars(length(min = 1))]
    pub rows: Vec<Row>,
    /// The file itself, for the lines of what is wrong; `None` for the cross-validation of a pipeline.
    #[serde(skip)]
    pub file: Option<SettingsFile>,
}

/// A row of an experiment.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Name of the row in the table, and the model's id.
    #[schemars(length(min = 1), extend("examples" = ["proposed"]))]
    pub name: String,
    /// Settings of this row, by their full keys.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub set: BTreeMap<String, toml::Value>,
    /// Name of an earlier row whose weights this row starts from.
    #[serde(default)]
    #[schemars(extend("examples" = ["pre-training"]))]
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
    pub fn read(path: &Path) -> Result<Self, Error> {
        let mut file = config::open(path, FileKind::Experiment)?;
        let mut experiment: Self = file.read(&[])?;
        experiment.pipeline = path.parent().unwrap_or(Path::new("")).join(&experiment.pipeline);
        experiment.file = Some(file);
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
    ) -> Result<Self, Error> {
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
            seeds: None,
            rows: vec![row],
            file: None,
        })
    }

    /// Checks the file and the settings of every row, before anything is written, and returns the settings that all rows
    /// share.
    ///
    /// # Errors
    ///
    /// Fails at the first row that cannot be run.
    pub fn check(&self, sets: &[String]) -> Result<Config, Error> {
        self.check_seeds(sets)
            .and_then(|()| self.check_rows())
            .map_err(|fault| self.locate(&fault))?;
        for (n, row) in self.rows.iter().enumerate() {
            let mut added = self.of_training(row, self.seeds().first().copied());
            if row.from.is_some() {
                added.push(("train.initial.checkpoint", "weights of an earlier row".into()));
            }
            self.config(n, sets, &self.store, &added)?;
        }
        let mut shared = self.shared(None);
        shared.extend(Set::options(sets));
        Config::read_with(&self.pipeline, &shared, Some(&self.store))
    }

    fn locate(&self, fault: &Fault) -> Error {
        match &self.file {
            Some(file) => file.locate(fault),
            None => Error::Invalid {
                place: Place::whole(&self.pipeline),
                message: fault.message.clone(),
            },
        }
    }

    fn check_rows(&self) -> Result<(), Fault> {
        let known: Vec<&str> = METRICS.iter().map(|metric| metric.name()).collect();
        let mut ids = BTreeSet::new();
        for (n, row) in self.rows.iter().enumerate() {
            let key = |name: &str| format!("rows.{n}.{name}");
            let before = &self.rows[..n];
            check_model_id(&key("name"), &row.name)?;
            for id in self.ids(row) {
                if !ids.insert(id.clone()) {
                    let message = format!(
                        "`{}` is {:?}, but an earlier row has the id {id:?} too; give each row a name of its own",
                        key("name"),
                        row.name
                    );
                    return Err(Fault::new(key("name"), message));
                }
            }
            if let Some(from) = &row.from {
                let key = key("from");
                let Some(source) = before.iter().find(|other| other.name == *from) else {
                    let near = did_you_mean(from, before.iter().map(|other| other.name.as_str()));
                    let message =
                        format!("`{key}` is {from:?}, which is no row before this one{near}");
                    return Err(Fault::new(key, message));
                };
                if self.folds && source.scored {
                    let message = format!(
                        "`{key}` is {from:?}, which has a model for each fold and so no weights to start from; set `scored = \
                         false` in that row, or `folds = false`"
                    );
                    return Err(Fault::new(key, message));
                }
            }
            if let Some(metric) = row.paper.keys().find(|name| !known.contains(&name.as_str())) {
                let rest = near_or_all(metric, &known);
                let key = key(&format!("paper.{metric}"));
                let message = format!("`{key}` is an unknown metric{rest}");
                return Err(Fault::new(key, message));
            }
            let is_shared = |key: &&String| {
                let first = key.split('.').next().unwrap_or_default();
                ["store", "phantom"].contains(&first)
            };
            if let Some(name) = row.set.keys().find(is_shared) {
                let message = format!(
                    "`{name}` is one for all rows; set it in `[set]`, or in the pipeline file"
                );
                return Err(Fault::new(key("set"), message));
            }
        }
        if self.rows.iter().any(|row| row.scored) {
            return Ok(());
        }
        let message = "every row has `scored = false`, so nothing is measured; remove it from one or more rows";
        Err(Fault::new("rows.0.scored", message).or("rows"))
    }

    /// The settings of all rows, and those of one.
    fn shared(&self, row: Option<usize>) -> Vec<Set> {
        let whole = || Place::whole(&self.pipeline);
        let of_all = self.set.iter().map(|(key, value)| Set {
            key_value: format!("{key}={value}"),
            place: self.file.as_ref().map_or_else(whole, |file| file.place(&["set", key])),
        });
        let of_row =
            row.and_then(|n| Some((n, self.rows.get(n)?))).into_iter().flat_map(|(n, row)| {
                row.set.iter().map(move |(key, value)| Set {
                    key_value: format!("{key}={value}"),
                    place: self.place(n, &["set", key]),
                })
            });
        of_all.chain(of_row).collect()
    }

    /// The position of a row's key.
    fn place(&self, row: usize, key: &[&str]) -> Place {
        let (number, name) = (row.to_string(), self.rows.get(row).map_or("", |row| &row.name));
        let path: Vec<&str> = ["rows", &number].into_iter().chain(key.iter().copied()).collect();
        let place = match &self.file {
            Some(file) => file.place(&path),
            None => Place::whole(&self.pipeline),
        };
        place.of(&format!("row `{name}`"))
    }

    /// A row's pipeline settings, with those that the experiment adds.
    pub(super) fn config(
        &self,
        row: usize,
        sets: &[String],
        store: &Path,
        added: &[(&str, toml::Value)],
    ) -> Result<Config, Error> {
        let mut all = self.shared(Some(row));
        all.extend(Set::options(sets));
        all.extend(added.iter().map(|(key, value)| Set {
            key_value: format!("{key}={value}"),
            place: self.place(row, &["name"]),
        }));
        let config = Config::read_with(&self.pipeline, &all, Some(store))?;
        if config.train.is_none() {
            let message = "the pipeline file has no `[train]` section, and an experiment's rows are trained; add one";
            let place = Place::whole(&self.pipeline);
            return Err(Error::Invalid { place, message: message.to_owned() });
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIPELINE: &str = "store = \"s\"\n[[ingest.cohorts]]\nname = \"a\"\nsource = \"lidc\"\nroot = \"x\"\n\
        [[train.phases]]\nname = \"p\"\ncohorts = [\"a\"]\nschedule = { epochs = 1 }\n";

    #[test]
    fn rows_that_cannot_be_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("p.toml"), PIPELINE).unwrap();
        let path = folder.path().join("e.toml");
        let read = |rows: &str| {
            let text = format!("title = \"t\"\npipeline = \"p.toml\"\nstore = \"s\"\n{rows}");
            fs_err::write(&path, text).unwrap();
            let checked =
                Experiment::read(&path).and_then(|experiment| experiment.check(&[]).map(|_| ()));
            checked.map_err(|error| {
                error.to_string().replace(&format!("{}/", folder.path().display()), "")
            })
        };
        assert_eq!(
            read("[[rows]]\nname = \"a\"\nset = { \"train.model.architecture\" = \"unet\" }\n"),
            Ok(())
        );
        for (rows, expected) in [
            (
                "rows = []",
                "e.toml:4:8: `rows` is an empty list, expected a list of sections that is not empty, as in `[[rows]]`",
            ),
            (
                "[[rows]]\nname = \"a\"\nscored = false\n",
                "e.toml:6:10: every row has `scored = false`, so nothing",
            ),
            (
                "[[rows]]\nname = \"a\"\n[[rows]]\nname = \"a\"\n",
                "e.toml:7:8: `rows.1.name` is \"a\", but an earlier row",
            ),
            (
                "folds = true\n[[rows]]\nname = \"a, all folds\"\n[[rows]]\nname = \"a\"\n",
                "e.toml:8:8: `rows.1.name` is \"a\", but an earlier row has the id \"a, all folds\" too",
            ),
            (
                "seeds = []\n[[rows]]\nname = \"a\"\n",
                "e.toml:4:9: `seeds` is an empty list, expected a list",
            ),
            (
                "seeds = [-1]\n[[rows]]\nname = \"a\"\n",
                "e.toml:4:10: `seeds.0` is -1, expected a whole number",
            ),
            (
                "seeds = [1, 2, 1]\n[[rows]]\nname = \"a\"\n",
                "e.toml:4:16: `seeds` has 1 twice, which would be one training counted as two",
            ),
            (
                "seeds = [1, 2]\nset = { \"train.seed\" = 3 }\n[[rows]]\nname = \"a\"\n",
                "e.toml:5:7: `train.seed` in `set` contradicts `seeds`",
            ),
            (
                "seeds = [1]\n[[rows]]\nname = \"a\"\nset = { \"train.seed\" = 1 }\n",
                "e.toml:7:7: `train.seed` in row \"a\" contradicts `seeds`",
            ),
            (
                "seeds = [1, 2]\n[[rows]]\nname = \"a, seed 2\"\n[[rows]]\nname = \"a\"\n",
                "e.toml:8:8: `rows.1.name` is \"a\", but an earlier row has the id \"a, seed 2\" too",
            ),
            (
                "[[rows]]\nname = \"\"\n",
                "e.toml:5:8: `rows.0.name` is \"\", expected text in quotes that is not empty",
            ),
            (
                "[[rows]]\nname = \"region_growing\"\n",
                "e.toml:5:8: `rows.0.name` is \"region_growing\", which is the id of the baseline",
            ),
            (
                "[[rows]]\nname = \"pre\"\n[[rows]]\nname = \"b\"\nfrom = \"prr\"\n",
                "e.toml:8:8: `rows.1.from` is \"prr\", which is no row before this one: did you mean `pre`?",
            ),
            (
                "folds = true\n[[rows]]\nname = \"pre\"\n[[rows]]\nname = \"b\"\nfrom = \"pre\"\n",
                "e.toml:9:8: `rows.1.from` is \"pre\", which has a model for each fold",
            ),
            (
                "[[rows]]\nname = \"a\"\npaper = { dic = 0.9 }\n",
                "e.toml:6:17: `rows.0.paper.dic` is an unknown metric: did you mean `dice`?",
            ),
            (
                "[[rows]]\nname = \"a\"\nset = { \"phantom.seed\" = 2 }\n",
                "e.toml:6:7: `phantom.seed` is one for all rows",
            ),
            (
                "[[rows]]\nname = \"a\"\n[[rows]]\nname = \"U\"\nset = { \"train.model.architectur\" = \"unet\" }\n",
                "e.toml:8:37: row `U`: unknown key `train.model.architectur`: did you mean `architecture`?",
            ),
            (
                "set = { \"train.sed\" = 2 }\n[[rows]]\nname = \"a\"\n",
                "e.toml:4:23: unknown key `train.sed`: did you mean `seed`?",
            ),
            ("[[row]]\nname = \"a\"\n", "e.toml:4:3: unknown key `row`: did you mean `rows`?"),
        ] {
            let error = read(rows).unwrap_err();
            assert!(error.starts_with(expected), "\n{error}\n{expected}");
        }
    }
}
