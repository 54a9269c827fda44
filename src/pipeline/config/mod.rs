//! Pipeline files: TOML, one section a stage.

mod error;
mod file;
mod check_masks;
mod check_train;
mod check;

use crate::stages::Stage;
pub use crate::stages::config::Config;
pub use error::{Error, range};
pub use file::section;
use std::path::{Path, PathBuf};

/// Stands for the store's folder in paths.
const STORE_PLACEHOLDER: &str = "{store}";

impl Config {
    /// Reads a pipeline file and applies `key=value` settings and another store folder.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, or it or a setting is not valid.
    pub fn read(path: &Path, sets: &[String], store: Option<&Path>) -> Result<Self, Error> {
        let mut config = Self::unchecked(path, sets)?;
        if let Some(store) = store {
            store.clone_into(&mut config.store);
        }
        config.place_sources();
        check::check(&config)?;
        Ok(config)
    }

    /// Reads a pipeline file without a look at whether its settings fit each other.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, or it or a setting is not of its type.
    pub fn unchecked(path: &Path, sets: &[String]) -> Result<Self, Error> {
        section(path, sets)
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

    /// The stages that this file runs, in order: without images, those that need none.
    pub fn stages(&self) -> impl Iterator<Item = Stage> + use<> {
        let has_images = self.has_images();
        let is_run = |stage: &Stage| {
            let spec = stage.spec();
            (spec.is_on)(self) && (has_images || !spec.needs_images)
        };
        let stages: Vec<Stage> = Stage::ALL.into_iter().filter(is_run).collect();
        stages.into_iter()
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
