//! Pipeline files: TOML, one section a stage.

mod file_kind;
mod check_masks;
mod check_train;
mod check;

use crate::stages::Stage;
pub use crate::stages::config::Config;
pub use check::{check_model_id, check_window};
pub use file_kind::{FileKind, open};
pub use nodulus_settings::Error;
use nodulus_settings::{Fault, Set};
use std::path::{Path, PathBuf};

/// Stands for the store's folder in paths.
const STORE_PLACEHOLDER: &str = "{store}";

impl Config {
    /// Reads a pipeline file and applies `key=value` settings of the command line and another store folder.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, or it or a setting is not valid.
    pub fn read(path: &Path, sets: &[String], store: Option<&Path>) -> Result<Self, Error> {
        Self::read_with(path, &Set::options(sets), store)
    }

    /// [`Self::read`], with settings from anywhere.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, or it or a setting is not valid.
    pub fn read_with(path: &Path, sets: &[Set], store: Option<&Path>) -> Result<Self, Error> {
        let mut file = open(path, FileKind::Pipeline)?;
        let mut config: Self = file.read(sets)?;
        if let Some(store) = store {
            store.clone_into(&mut config.store);
        }
        config.place_sources();
        check::check(&config).map_err(|fault: Fault| file.locate(&fault))?;
        Ok(config)
    }

    /// Gives each cohort the folder and table that `[ingest]` names for all, and puts the store's
    /// folder in for its placeholder, also where masks of other programs lie.
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
        self.evaluate.predictions.iter_mut().for_each(|of_model| place(&mut of_model.path));
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
    fn a_store_in_what_is_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("scans");
        fs_err::create_dir(&input).unwrap();
        let text = |store: &str| {
            let store = format!("store = \"{}\"", folder.path().join(store).display());
            let root = format!("root = \"{}\"", input.display());
            FILE.replace("store = \"s\"", &store).replace("root = \"{store}/x\"", &root)
        };
        for inside in ["scans", "scans/store", "scans/a/b"] {
            let error = read(&text(inside), &[]).unwrap_err().to_string();
            let expected = format!("lies in `ingest.cohorts.0.root`, `{}`, which", input.display());
            assert!(error.contains(&expected) && error.contains("1:9"), "{error}");
        }
        for outside in ["store", "scans2", ""] {
            read(&text(outside), &[]).unwrap();
        }
        let set = format!("ingest.cohorts.0.annotations={}", folder.path().display());
        let error = read(&text("store"), &[&set]).unwrap_err().to_string();
        assert!(error.contains("lies in `ingest.cohorts.0.annotations`, "), "{error}");
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
        assert!((config.crop.window.unwrap().low_hu + 900.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_wrong_in_the_file_is_shown_with_its_line() {
        for (line, place, expected) in [
            ("[crop]\nmargn = 2", "9:1", "unknown key `crop.margn`; crop has `size`, "),
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
            (
                "[[train.phases]]\nname = \"a\"\ncohorts = [\"aa\"]\nschedule = {}",
                "10:12",
                "`train.phases.0.cohorts.0` names `aa`, which is no cohort: did you mean `a`?",
            ),
            (
                "[crop.windows.a]\nlow_hu = 0\nhigh_hu = -1000",
                "8:1",
                "`crop.windows.a` is from 0 to -1000 HU, expected `low_hu` under `high_hu`",
            ),
            (
                "[[ingest.cohorts]]\nname = \"a\"\nsource = \"lidc\"\nroot = \"x\"",
                "9:8",
                "`ingest.cohorts.1.name` is \"a\", which `ingest.cohorts.0.name` is too",
            ),
            (
                "[[ingest.cohorts]]\nname = \"b\"\nsource = \"lidc\"",
                "8:1",
                "cohort `b` has no folder: set `ingest.cohorts.1.root`, or `ingest.root` for all cohorts",
            ),
        ] {
            let error = read(&format!("{FILE}{line}\n"), &[]).unwrap_err().to_string();
            assert!(error.contains(&format!("p.toml:{place}: {expected}")), "{error}");
        }
        let error = read("[score]\ninput = \"i\"\n", &[]).unwrap_err().to_string();
        assert!(error.contains("this is a nightly file: use `nodulus score "), "{error}");
        let error = read("title = \"t\"\n[[rows]]\nname = \"i\"\n", &[]).unwrap_err().to_string();
        assert!(error.contains("this is an experiment file: use `nodulus experiment "), "{error}");
        let error = read("store = \"s\"\n[ingest]\n", &[]).unwrap_err().to_string();
        let expected = "`ingest.cohorts` is missing, expected a list of sections that is not empty, as in `[[ingest.cohorts]]`";
        assert!(error.contains(expected), "{error}");
    }

    /// Settings that are refused, each with the start of its message; `HUGE` is the greatest number of TOML.
    const REFUSED: &[(&str, &str)] = &[
        (
            "merge.consensus_level=1.5",
            "`merge.consensus_level` is 1.5, expected a number over 0 and up to 1, as in `consensus_level = 0.5`",
        ),
        (
            "merge.iou_threshold=1.0",
            "`merge.iou_threshold` is 1, expected a number from 0 and under 1, as in `iou_threshold = 0.0`",
        ),
        ("merge.iou_threshold=nan", "`merge.iou_threshold` is nan, expected"),
        ("merge.min_marks=0", "`merge.min_marks` is 0, expected a whole number from 1 to 1000"),
        ("crop.size=100", "`crop.size` is 100, expected a multiple of 16 from 16 to 1024"),
        ("crop.size=64", "`train.model.image_size` is 128, expected 64, the same as `crop.size`"),
        (
            "crop.windows.z={low_hu=0.0,high_hu=1.0}",
            "`crop.windows.z` names `z`, which is no cohort",
        ),
        ("crop.spacing_mm=0.0", "`crop.spacing_mm` is 0, expected a number from 0.05 to 10"),
        (
            "crop.window={low_hu=-inf,high_hu=inf}",
            "`crop.window.high_hu` is inf, expected a number from",
        ),
        ("crop.window={low_hu=1,high_hu=1}", "`crop.window` is from 1 to 1 HU, expected"),
        ("balance.folds=0", "`balance.folds` is 0, expected a whole number from 1 to 1000"),
        ("balance.ratio=inf", "`balance.ratio` is inf, expected"),
        (
            "balance.split={validation=0.6,test=0.6}",
            "`balance.split` has validation 0.6 and test 0.6, expected shares that sum to at most 1",
        ),
        ("balance.splits.a={test=nan}", "`balance.splits.a."),
        (
            "balance.split={test=0.2,test_lesions=11}",
            "`balance.split` has both `test` and `test_lesions`, expected one of them",
        ),
        (
            "infer.batch=0",
            "`infer.batch` is 0, expected a whole number from 1 to 4096 or \"auto\", as in",
        ),
        (
            "infer.probability_threshold=1.0",
            "`infer.probability_threshold` is 1, expected a number over 0 and under 1 or \"validation\"",
        ),
        (
            "infer.model_id=region_growing",
            "`infer.model_id` is \"region_growing\", which is the id of the baseline",
        ),
        (
            "infer.model_id=a/b",
            "`infer.model_id` is \"a/b\", expected up to 100 characters without",
        ),
        ("infer.splits=[]", "`infer.splits` is an empty list, expected"),
        (
            "evaluate.predictions=[{model=\"reader\",path=\"a\"}]",
            "`evaluate.predictions.0.model` is \"reader\", which stands for the readers in the tables; choose another",
        ),
        (
            "evaluate.predictions=[{model=\"region_growing\",path=\"a\"}]",
            "`evaluate.predictions.0.model` is \"region_growing\", which is the id of the baseline",
        ),
        (
            "evaluate.predictions=[{model=\"a\",path=\"a\"},{model=\"a\",path=\"b\"}]",
            "`evaluate.predictions.1.model` is \"a\", which `evaluate.predictions.0.model` is too",
        ),
        (
            "evaluate.predictions=[{model=\"a/b\",path=\"a\"}]",
            "`evaluate.predictions.0.model` is \"a/b\"",
        ),
        ("evaluate.predictions=[{model=\"a\"}]", "`evaluate.predictions.0.path` is missing"),
        (
            "infer.splits=test",
            "`infer.splits` is \"test\", expected a list of \"train\", \"validation\" or",
        ),
        (
            "infer.fold=5",
            "`infer.fold` is 5, expected a fold from 0 to 4, because `balance.folds` is 5",
        ),
        ("train.fold=-1", "`train.fold` is -1, expected a whole number from 0 to 999"),
        (
            "train.fold=9",
            "`train.fold` is 9, expected a fold from 0 to 4, because `balance.folds` is 5",
        ),
        (
            "train.model.width=HUGE",
            "`train.model.width` is HUGE, expected a whole number from 1 to 256, as in `width = 64`",
        ),
        ("train.model.width=100000", "`train.model.width` is 100000, expected"),
        ("train.model.classifier_width=HUGE", "`train.model.classifier_width` is 9"),
        ("train.model.std_radius=100000000", "`train.model.std_radius` is 100000000, expected"),
        ("train.model.std_steps=HUGE", "`train.model.std_steps` is 9"),
        ("train.model.dilations=[1,HUGE]", "`train.model.dilations.1` is 9"),
        (
            "train.model.dilations=3",
            "`train.model.dilations` is 3, expected a list of 1 to 16 whole numbers from 1 to 512, as in \
             `dilations = [1, 5, 10, 15]`",
        ),
        (
            "train.model.image_size=100",
            "`train.model.image_size` is 100, expected a multiple of 32",
        ),
        (
            "train.model={architecture=\"unet\",mode=\"std\"}",
            "`train.model`: `mode` is not a setting of",
        ),
        ("train.phases.1.schedule.batch=HUGE", "`train.phases.1.schedule.batch` is 9"),
        (
            "train.phases.1.schedule.learning_rate=-1",
            "`train.phases.1.schedule.learning_rate` is -1, expected",
        ),
        ("train.phases.1.schedule.epochs=0", "`train.phases.1.schedule.epochs` is 0, expected"),
        ("train.phases.1.schedule.decay_every=HUGE", "`train.phases.1.schedule.decay_every` is 9"),
        (
            "train.phases.1.schedule.freeze=[\"S99\"]",
            "`train.phases.1.schedule.freeze.0` is \"S99\", which is",
        ),
        (
            "train.phases.1.patience=0",
            "`train.phases.1.patience` is 0, expected a whole number from 1 to",
        ),
        (
            "train.phases.1.name=a",
            "`train.phases.1.name` is \"a\", which `train.phases.0.name` is too",
        ),
        ("train.phases.1.cohorts=[]", "`train.phases.1.cohorts` is an empty list, expected"),
        (
            "train.phases=[]",
            "`train.phases` is an empty list, expected a list of sections that is not empty",
        ),
        ("train.shuffle_buffer=HUGE", "`train.shuffle_buffer` is 9"),
        ("crop.margin_slices=HUGE", "`crop.margin_slices` is 9"),
        (
            "ingest.shard_size=0",
            "`ingest.shard_size` is 0, expected a whole number from 1 to 1000000",
        ),
        (
            "ingest.tolerances.slice_gap=-1",
            "`ingest.tolerances.slice_gap` is -1, expected a number from 0",
        ),
        ("ingest.tolerances.off_grid=nan", "`ingest.tolerances.off_grid` is nan, expected"),
        (
            "ingest.inclusion.kvp=[120,80]",
            "`ingest.inclusion.kvp` is [120, 80], expected the least and then",
        ),
        (
            "ingest.inclusion.kvp=[1]",
            "`ingest.inclusion.kvp` is a list of 1, expected a list of 2 numbers",
        ),
        (
            "ingest.inclusion.max_missing_slices=-1",
            "`ingest.inclusion.max_missing_slices` is -1, expected",
        ),
        (
            "ingest.inclusion.max_slice_thickness_mm=-1",
            "`ingest.inclusion.max_slice_thickness_mm` is -1, expected a number from 0 to 1000, as in \
             `max_slice_thickness_mm = 2.5`",
        ),
        ("ingest.cohorts=[]", "`ingest.cohorts` is an empty list, expected a list of sections"),
        ("ingest.cohorts.0.name=", "`ingest.cohorts.0.name` is \"\", expected"),
        ("ingest.cohorts.0.name=a/b", "`ingest.cohorts.0.name` is \"a/b\", expected up to"),
        (
            "ingest.cohorts.a.root=/x",
            "there is no entry `a` in the list `ingest.cohorts`, whose only entry",
        ),
        (
            "phantom.patients=100000",
            "`phantom.patients` is 100000, expected a whole number from 0 to 9999",
        ),
        (
            "phantom.nodules_min=7",
            "`phantom.nodules_min` is 7, expected at most `phantom.nodules_max`",
        ),
        ("store=", "`store` is \"\", expected text in quotes that is not empty"),
    ];

    #[test]
    fn what_cannot_be_is_refused_with_what_was_found() {
        let train = "[train.model]\npreset = \"tiny\"\n[[train.phases]]\nname = \"a\"\ncohorts = [\"a\"]\n\
                     [train.phases.schedule]\n[[train.phases]]\nname = \"b\"\ncohorts = [\"a\"]\n[train.phases.schedule]\n";
        for row in REFUSED {
            let [set, expected] =
                [row.0, row.1].map(|text| text.replace("HUGE", &i64::MAX.to_string()));
            let error = read(&format!("{FILE}{train}"), &[&set]).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("`--set {set}`: {expected}")),
                "\n{error}\n{expected}"
            );
            for word in ["usize", "i16", "i64", "f64", "Some("] {
                assert!(!error.contains(word), "{error}");
            }
        }
        for set in
            ["infer.batch=auto", "infer.probability_threshold=validation", "train.model.mode=none"]
        {
            read(&format!("{FILE}{train}"), &[set]).unwrap();
        }
    }
}
