//! Pipeline files: TOML, one section a stage.

use super::{mask_settings, train_settings};
use crate::stages::{Stage, agree, balance, crop, evaluate, infer, ingest, merge, report, train};
use nodulus_formats::cohort::PatternError;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Stands for the store's folder in paths.
const STORE_PLACEHOLDER: &str = "{store}";

/// What a pipeline file says. Paths are relative to the current folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Folder of the store.
    pub store: PathBuf,
    /// Synthetic cohort to make before ingest, in `{store}/phantom`.
    #[serde(default)]
    pub phantom: Option<Table>,
    /// See [`ingest`].
    pub ingest: ingest::Config,
    /// See [`merge`].
    #[serde(default)]
    pub merge: merge::Config,
    /// See [`agree`].
    #[serde(default)]
    pub agree: agree::Config,
    /// See [`crop`].
    #[serde(default)]
    pub crop: crop::Config,
    /// See [`balance`].
    #[serde(default)]
    pub balance: balance::Config,
    /// See [`train`]; without it nothing is trained, and `infer.checkpoint` names the weights.
    #[serde(default)]
    pub train: Option<train::Config>,
    /// See [`infer`].
    #[serde(default)]
    pub infer: infer::Config,
    /// See [`evaluate`].
    #[serde(default)]
    pub evaluate: evaluate::Config,
    /// See [`report`].
    #[serde(default)]
    pub report: report::Config,
}

/// A pipeline file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read pipeline file")]
    Io(#[from] std::io::Error),
    /// The file says something that this program does not know.
    #[error("{place}: {message}\n{excerpt}")]
    Parse {
        /// File, line and column.
        place: String,
        /// What is wrong.
        message: String,
        /// The line with a caret.
        excerpt: String,
    },
    /// A `--set` is not `key=value`.
    #[error("`--set {0}` is not of the form key=value, as in `--set crop.margin_slices=2`")]
    Set(String),
    /// A `--set` names no setting, or gives it a value of the wrong kind.
    #[error("`--set` gives a setting that cannot be: {0}")]
    Override(String),
    /// Two cohorts have one name.
    #[error("two cohorts are named `{0}`")]
    SameCohort(String),
    /// A cohort has no folder.
    #[error("cohort `{0}` has no folder: give its `root`, or `ingest.root` for all cohorts")]
    NoRoot(String),
    /// A cohort without images has no geometry.
    #[error(
        "cohort `{0}` has annotations without images: give its `scan_geometry`, or `ingest.scan_geometry`"
    )]
    NoScanGeometry(String),
    /// Cohorts with images and without are in one file.
    #[error(
        "cohort `{0}` has annotations without images, and other cohorts have images: give it a pipeline file of its own"
    )]
    MixedCohorts(String),
    /// A cohort's pattern of files is none.
    #[error("cohort `{cohort}`: {source}")]
    Pattern {
        /// The cohort.
        cohort: String,
        /// What is wrong.
        source: PatternError,
    },
    /// A setting names a cohort that is not there.
    #[error("`{setting}` names cohort `{cohort}`; there are: {known}")]
    UnknownCohort {
        /// The setting.
        setting: &'static str,
        /// The name.
        cohort: String,
        /// The cohorts there are.
        known: String,
    },
    /// A setting lies outside what it can be.
    #[error("`{setting}` must be {expected}, got {found}")]
    Range {
        /// The setting.
        setting: &'static str,
        /// What it can be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// The network's settings make no network.
    #[error(transparent)]
    Model(#[from] nodulus_nets::Error),
    /// There are no weights to infer with.
    #[error(
        "nothing trains the weights that infer needs: give a `[train]` section or `infer.checkpoint`"
    )]
    NoWeights,
}

impl Config {
    /// Reads a pipeline file and applies `key=value` settings and another store folder.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, or it or a setting is not valid.
    pub fn read(path: &Path, sets: &[String], store: Option<&Path>) -> Result<Self, Error> {
        let mut config: Self = section(path, sets)?;
        if let Some(store) = store {
            store.clone_into(&mut config.store);
        }
        config.place_sources();
        config.check()?;
        Ok(config)
    }

    /// Gives each cohort the folder and table that `[ingest]` names for all, and puts the store's
    /// folder in for its placeholder.
    fn place_sources(&mut self) {
        let store = self.store.to_string_lossy().into_owned();
        let place = |path: &mut PathBuf| {
            *path = PathBuf::from(path.to_string_lossy().replace(STORE_PLACEHOLDER, &store));
        };
        let ingest = &mut self.ingest;
        for cohort in &mut ingest.cohorts {
            if cohort.root.as_os_str().is_empty()
                && let Some(root) = &ingest.root
            {
                root.clone_into(&mut cohort.root);
            }
            if cohort.scan_geometry.is_none() && !cohort.source.has_images() {
                cohort.scan_geometry.clone_from(&ingest.scan_geometry);
            }
            place(&mut cohort.root);
            cohort.annotations.iter_mut().for_each(place);
            cohort.scan_geometry.iter_mut().for_each(place);
        }
        ingest.series_list.iter_mut().for_each(place);
    }

    /// Whether the cohorts have images; without them the line ends at what readers drew.
    fn has_images(&self) -> bool {
        self.ingest.cohorts.iter().any(|cohort| cohort.source.has_images())
    }

    /// A stage's settings, as its key depends on them.
    ///
    /// # Errors
    ///
    /// Fails if a setting has no JSON form (a number that is not finite).
    pub fn stage(&self, stage: Stage) -> Result<serde_json::Value, serde_json::Error> {
        match stage {
            Stage::Ingest => serde_json::to_value(&self.ingest),
            Stage::Merge => serde_json::to_value(&self.merge),
            Stage::Agree => serde_json::to_value(&self.agree),
            Stage::Crop => serde_json::to_value(&self.crop),
            Stage::Balance => serde_json::to_value(&self.balance),
            Stage::Train => serde_json::to_value(&self.train),
            Stage::Infer => serde_json::to_value(&self.infer),
            Stage::Evaluate => serde_json::to_value(&self.evaluate),
            Stage::Report => serde_json::to_value(&self.report),
        }
    }

    /// The stages that this file runs, in order: without images, those that need none.
    pub fn stages(&self) -> impl Iterator<Item = Stage> + use<> {
        let (trains, has_images) = (self.train.is_some(), self.has_images());
        Stage::ALL.into_iter().filter(move |stage| {
            (trains || *stage != Stage::Train) && (has_images || !stage.needs_images())
        })
    }

    fn check(&self) -> Result<(), Error> {
        let names: Vec<&str> = self.ingest.cohorts.iter().map(|c| c.name.as_str()).collect();
        for (n, name) in names.iter().enumerate() {
            if names[..n].contains(name) {
                return Err(Error::SameCohort((*name).to_owned()));
            }
        }
        for cohort in &self.ingest.cohorts {
            if cohort.root.as_os_str().is_empty() {
                return Err(Error::NoRoot(cohort.name.clone()));
            }
            if !cohort.source.has_images() && cohort.scan_geometry.is_none() {
                return Err(Error::NoScanGeometry(cohort.name.clone()));
            }
            if !cohort.source.has_images() && self.has_images() {
                return Err(Error::MixedCohorts(cohort.name.clone()));
            }
            mask_settings::check(cohort)?;
        }
        let trained_on = self.train.iter().flat_map(|train| &train.phases);
        let by_cohort = [
            ("crop.windows", self.crop.windows.keys().collect::<Vec<_>>()),
            ("balance.splits", self.balance.splits.keys().collect()),
            ("train.phases.cohorts", trained_on.flat_map(|phase| &phase.cohorts).collect()),
            ("infer.cohorts", self.infer.cohorts.iter().collect()),
        ];
        for (setting, cohorts) in by_cohort {
            if let Some(cohort) = cohorts.into_iter().find(|c| !names.contains(&c.as_str())) {
                let (cohort, known) = (cohort.clone(), names.join(", "));
                return Err(Error::UnknownCohort { setting, cohort, known });
            }
        }
        let shard = self.ingest.shard_size;
        range(shard > 0, "ingest.shard_size", "at least 1", shard.to_string())?;
        let level = self.merge.consensus_level;
        range(
            level > 0.0 && level <= 1.0,
            "merge.consensus_level",
            "over 0 and up to 1",
            level.to_string(),
        )?;
        let threshold = self.merge.iou_threshold;
        range(
            (0.0..1.0).contains(&threshold),
            "merge.iou_threshold",
            "at least 0 and under 1",
            threshold.to_string(),
        )?;
        self.check_regions()?;
        self.check_inference()?;
        if let Some(train) = &self.train {
            train_settings::check(train, self.crop.size)?;
        }
        if self.has_images() && self.train.is_none() && self.infer.checkpoint.is_none() {
            return Err(Error::NoWeights);
        }
        Ok(())
    }

    /// The settings of `[crop]` and `[balance]`.
    fn check_regions(&self) -> Result<(), Error> {
        let size = self.crop.size;
        let divides = size > 0 && size.is_multiple_of(16) && size <= 1024;
        range(divides, "crop.size", "a multiple of 16, up to 1024", size.to_string())?;
        if let Some(spacing) = self.crop.spacing_mm {
            let fits = (0.05..=10.0).contains(&spacing);
            range(fits, "crop.spacing_mm", "from 0.05 to 10", spacing.to_string())?;
        }
        let folds = self.balance.folds;
        range(folds > 0, "balance.folds", "at least 1", folds.to_string())?;
        for shares in self.balance.splits.values().chain([&self.balance.split]) {
            let balance::Shares { validation, test, test_lesions } = *shares;
            let all = [validation, test, validation + test];
            range(
                all.iter().all(|share| (0.0..=1.0).contains(share)),
                "balance.split",
                "shares from 0 to 1 that sum to at most 1",
                format!("validation {validation} and test {test}"),
            )?;
            range(
                test_lesions.is_none() || test == 0.0,
                "balance.split",
                "of `test` and `test_lesions` one alone",
                format!("test {test} and test_lesions {}", test_lesions.unwrap_or(0)),
            )?;
        }
        let ratio = self.balance.ratio;
        range(ratio.is_finite() && ratio >= 0.0, "balance.ratio", "0 or more", ratio.to_string())?;
        for window in self.crop.windows.values().chain([&self.crop.window]) {
            let found = format!("{} to {}", window.low_hu, window.high_hu);
            range(
                window.low_hu < window.high_hu,
                "crop.window",
                "from a lower to a higher value",
                found,
            )?;
        }
        Ok(())
    }

    /// The settings of `[infer]`.
    fn check_inference(&self) -> Result<(), Error> {
        if let infer::Batch::Slices(batch) = self.infer.batch {
            let ok = (1..=4096).contains(&batch);
            range(ok, "infer.batch", "\"auto\" or from 1 to 4096", batch.to_string())?;
        }
        if let infer::ProbabilityThreshold::Fixed(threshold) = self.infer.probability_threshold {
            range(
                threshold > 0.0 && threshold < 1.0,
                "infer.probability_threshold",
                "\"validation\" or over 0 and under 1",
                threshold.to_string(),
            )?;
        }
        Ok(())
    }
}

pub fn range(
    ok: bool,
    setting: &'static str,
    expected: &'static str,
    found: String,
) -> Result<(), Error> {
    if ok { Ok(()) } else { Err(Error::Range { setting, expected, found }) }
}

/// Reads a pipeline file as `T`, which may be a part of it, with `key=value` settings applied.
///
/// # Errors
///
/// Fails if the file cannot be read, or it or a setting is not valid for `T`.
pub fn section<T: DeserializeOwned>(path: &Path, sets: &[String]) -> Result<T, Error> {
    let text = fs_err::read_to_string(path)?;
    let parsed: T = toml::from_str(&text).map_err(|error| parse_error(path, &text, &error))?;
    if sets.is_empty() {
        return Ok(parsed);
    }
    let mut table: Table =
        toml::from_str(&text).map_err(|error| parse_error(path, &text, &error))?;
    for set in sets {
        let (key, value) = set.split_once('=').ok_or_else(|| Error::Set(set.clone()))?;
        put(&mut table, key.trim(), value_of(value.trim()))
            .ok_or_else(|| Error::Set(set.clone()))?;
    }
    T::deserialize(Value::Table(table)).map_err(|error| Error::Override(error.message().to_owned()))
}

/// A value as TOML writes it, or else the text itself.
fn value_of(text: &str) -> Value {
    let parsed: Option<Table> = toml::from_str(&format!("value = {text}")).ok();
    parsed
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Sets a dotted key; a number steps into a list. `None` where a step leads through a plain value.
fn put(table: &mut Table, key: &str, value: Value) -> Option<()> {
    let Some((first, rest)) = key.split_once('.') else {
        if key.is_empty() {
            return None;
        }
        table.insert(key.to_owned(), value);
        return Some(());
    };
    match table.entry(first.to_owned()).or_insert_with(|| Value::Table(Table::new())) {
        Value::Table(inner) => put(inner, rest, value),
        Value::Array(items) => {
            let (index, rest) = rest.split_once('.')?;
            match items.get_mut(index.parse::<usize>().ok()?)? {
                Value::Table(inner) => put(inner, rest, value),
                _ => None,
            }
        }
        _ => None,
    }
}

fn parse_error(path: &Path, text: &str, error: &toml::de::Error) -> Error {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let length = error.span().map_or(1, |span| span.len().max(1));
    let before = text.get(..start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |n| n + 1);
    let line_number = before.matches('\n').count() + 1;
    let line = text[line_start..].lines().next().unwrap_or_default();
    let column = text[line_start..start].chars().count();
    let carets = "^".repeat(length.min(line.chars().count().saturating_sub(column)).max(1));
    let mut excerpt = String::new();
    let margin = " ".repeat(line_number.to_string().len());
    // Writing to a string cannot fail.
    let _ = write!(
        excerpt,
        "{margin} |\n{line_number} | {line}\n{margin} | {}{carets}",
        " ".repeat(column)
    );
    Error::Parse {
        place: format!("{}:{line_number}:{}", path.display(), column + 1),
        message: error.message().to_owned(),
        excerpt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "store = \"s\"\n[[ingest.cohorts]]\nname = \"a\"\nsource = \"lidc\"\nroot = \"{store}/x\"\n\
        [infer]\ncheckpoint = \"w\"\n";

    fn read(text: &str, sets: &[&str]) -> Result<Config, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.toml");
        fs_err::write(&path, text).unwrap();
        let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
        Config::read(&path, &sets, None)
    }

    #[test]
    fn the_store_stands_in_for_its_placeholder() {
        let config = read(FILE, &["store=t"]).unwrap();
        assert_eq!(config.ingest.cohorts[0].root, PathBuf::from("t/x"));
        assert_eq!(config.stages().count(), Stage::ALL.len() - 1);
    }

    #[test]
    fn settings_reach_tables_and_lists() {
        let sets = ["crop.margin_slices=5", "ingest.cohorts.0.name=b", "crop.window.low_hu=-900.0"];
        let config = read(
            &FILE.replace("[infer]", "[crop.window]\nlow_hu = 0\nhigh_hu = 1\n[infer]"),
            &sets,
        )
        .unwrap();
        assert_eq!(config.crop.margin_slices, 5);
        assert_eq!(config.ingest.cohorts[0].name, "b");
        assert!((config.crop.window.low_hu + 900.0).abs() < 1e-9);
    }

    #[test]
    fn an_unknown_key_is_shown_with_line_and_caret() {
        let error = read(&format!("{FILE}[crop]\nmargn = 2\n"), &[]).unwrap_err().to_string();
        assert!(error.contains("p.toml:9:1: unknown field `margn`"), "{error}");
        assert!(error.ends_with("9 | margn = 2\n  | ^^^^^"), "{error}");
        let error = read(FILE, &["crop.margn=2"]).unwrap_err().to_string();
        assert!(error.contains("unknown field `margn`"), "{error}");
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_was_found() {
        for (set, expected) in [
            (
                "merge.consensus_level=1.5",
                "`merge.consensus_level` must be over 0 and up to 1, got 1.5",
            ),
            (
                "merge.iou_threshold=1.0",
                "`merge.iou_threshold` must be at least 0 and under 1, got 1",
            ),
            (
                "merge.iou_threshold=nan",
                "`merge.iou_threshold` must be at least 0 and under 1, got NaN",
            ),
            ("crop.size=100", "`crop.size` must be a multiple of 16, up to 1024, got 100"),
            (
                "crop.windows.z={low_hu=0.0,high_hu=1.0}",
                "`crop.windows` names cohort `z`; there are: a",
            ),
            ("crop.spacing_mm=0.0", "`crop.spacing_mm` must be from 0.05 to 10, got 0"),
            ("crop.spacing_mm=nan", "`crop.spacing_mm` must be from 0.05 to 10, got NaN"),
            ("balance.folds=0", "`balance.folds` must be at least 1, got 0"),
            (
                "balance.split={validation=0.6,test=0.6}",
                "`balance.split` must be shares from 0 to 1 that sum to at most 1, got validation 0.6 and test 0.6",
            ),
            (
                "balance.splits.a={test=nan}",
                "`balance.split` must be shares from 0 to 1 that sum to at most 1, got validation 0 and test NaN",
            ),
            (
                "balance.split={test=0.2,test_lesions=11}",
                "`balance.split` must be of `test` and `test_lesions` one alone, got test 0.2 and test_lesions 11",
            ),
            ("infer.batch=0", "`infer.batch` must be \"auto\" or from 1 to 4096, got 0"),
            (
                "infer.probability_threshold=1.0",
                "`infer.probability_threshold` must be \"validation\" or over 0 and under 1, got 1",
            ),
            ("ingest.shard_size=0", "`ingest.shard_size` must be at least 1, got 0"),
            (
                "nonsense",
                "`--set nonsense` is not of the form key=value, as in `--set crop.margin_slices=2`",
            ),
        ] {
            assert_eq!(read(FILE, &[set]).unwrap_err().to_string(), expected);
        }
        let sets = ["infer.batch=auto", "infer.probability_threshold=validation"];
        assert!(read(FILE, &sets).is_ok());
        let error = read(FILE, &["infer.probability_threshold=test"]).unwrap_err().to_string();
        assert!(error.contains("a number or \"validation\""), "{error}");
        let error = read(&FILE.replace("checkpoint = \"w\"\n", ""), &[]).unwrap_err();
        assert!(matches!(error, Error::NoWeights), "{error}");
    }
}
