//! Pipeline files: TOML, one section a stage.

mod error;
mod schema;
mod known;
mod set;
mod file;
mod check_masks;
mod check_train;
mod check;

use crate::stages::Stage;
pub use crate::stages::config::Config;
pub use error::{Error, range};
pub use file::{schema_of, section};
pub use schema::Schema;
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
        assert!(
            error.contains("p.toml:9:1: unknown key `crop.margn`; crop has `size`, "),
            "{error}"
        );
        assert!(error.ends_with("9 | margn = 2\n  | ^^^^^"), "{error}");
        let error = read(FILE, &["crop.margn=2"]).unwrap_err().to_string();
        assert!(error.starts_with("`--set crop.margn=2`: unknown key `crop.margn`"), "{error}");
    }

    #[test]
    fn mistyped_names_come_with_near_ones() {
        for (line, place, expected) in [
            (
                "[crop]\nmargin_slcies = 2",
                "9:1",
                "unknown key `crop.margin_slcies`: did you mean `margin_slices`?",
            ),
            ("[corp]\nsize = 2", "8:2", "unknown key `corp`: did you mean `crop`?"),
            (
                "[merge]\nrule = \"linkge\"",
                "9:8",
                "`merge.rule` is \"linkge\", expected \"linkage\", \"luna16\" or \"overlap\": did you mean `linkage`?",
            ),
            (
                "[[train.phases]]\nname = \"a\"\ncohorts = [\"a\"]\nschedule = { epoch = 2 }",
                "11:14",
                "unknown key `train.phases.0.schedule.epoch`: did you mean `epochs`?",
            ),
        ] {
            let error = read(&format!("{FILE}{line}\n"), &[]).unwrap_err().to_string();
            assert!(error.contains(&format!("p.toml:{place}: {expected}")), "{error}");
        }
        let error = read(FILE, &["crop.margin_slcies=2"]).unwrap_err().to_string();
        assert_eq!(
            error,
            "`--set crop.margin_slcies=2`: unknown key `crop.margin_slcies`: did you mean `margin_slices`?"
        );
    }

    #[test]
    fn a_value_of_another_kind_is_shown_with_what_is_expected() {
        let number = "expected a whole number, 0 or more, as in `margin_slices = 3`";
        for (line, expected) in [
            (
                "[crop]\nmargin_slices = \"two\"",
                format!("`crop.margin_slices` is \"two\", {number}"),
            ),
            ("[crop]\nmargin_slices = -1", format!("`crop.margin_slices` is -1, {number}")),
            ("[crop]\nmargin_slices = 2.5", format!("`crop.margin_slices` is 2.5, {number}")),
            ("[infer.x]", "unknown key `infer.x`".to_owned()),
            (
                "[crop]\nwindow = 3",
                "`crop.window` is 3, expected a section, as in `[crop.window]`".to_owned(),
            ),
            (
                "[crop.window]\nlow_hu = 0",
                "`crop.window.high_hu` is missing, expected a number, as in `high_hu = 0.5`"
                    .to_owned(),
            ),
            (
                "[crop]\npadding_hu = 40000",
                "`crop.padding_hu` is 40000, expected a whole number from -32768 to 32767, as in \
                 `padding_hu = -1000`"
                    .to_owned(),
            ),
        ] {
            let error = read(
                &format!("{}{line}\n", FILE.replace("[infer]\ncheckpoint = \"w\"\n", "")),
                &[],
            )
            .unwrap_err()
            .to_string();
            assert!(error.contains(&expected), "{error}");
            assert!(!error.contains("usize") && !error.contains("i16"), "{error}");
        }
        let error = read(FILE, &["crop.margin_slices=two"]).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("`--set crop.margin_slices=two`: `crop.margin_slices` is \"two\", {number}")
        );
        let error = read(FILE, &["ingest.cohorts.3.name=b"]).unwrap_err().to_string();
        assert!(
            error.ends_with("`ingest.cohorts` has no entry `3`: it has 1, numbered from 0"),
            "{error}"
        );
    }

    #[test]
    fn no_cohorts_are_an_error_that_says_what_to_add() {
        let text = "store = \"s\"\n[ingest]\ncohorts = []\n[infer]\ncheckpoint = \"w\"\n";
        let error = read(text, &[]).unwrap_err().to_string();
        assert!(
            error.starts_with("`ingest.cohorts` is empty: add a `[[ingest.cohorts]]`"),
            "{error}"
        );
        let error = read("store = \"s\"\n[ingest]\n", &[]).unwrap_err().to_string();
        assert!(
            error.contains("`ingest.cohorts` is missing, expected a list of sections, as in `[[ingest.cohorts]]`"),
            "{error}"
        );
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
