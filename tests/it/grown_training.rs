//! A grown cohort trains again only when rows of its training or validation patients change, and predicts only what is new.

use crate::fixture;
use nodulus::phantom;
use nodulus::tables::{Prediction, Sample};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const PIPELINE: &str = r#"
store = "{{FOLDER}}/store"

[ingest]
shard_size = 2

[[ingest.cohorts]]
name = "clinical"
source = "volumes"
root = "{{FOLDER}}/clinical"

[crop]
size = 64
margin_slices = 1
window = { low_hu = 0, high_hu = 1000 }

[balance]
split = { validation = 0.2, test = 0.4 }

[train.model]
preset = "tiny"
image_size = 64

[[train.phases]]
name = "all"
cohorts = ["clinical"]

[train.phases.schedule]
epochs = 1
std = false
"#;

/// Number of patients.
const N_PATIENTS: usize = 12;

/// The folder of all patients, from which tests copy, and the split of each by the settings above.
fn all() -> &'static (PathBuf, BTreeMap<String, String>) {
    static ALL: OnceLock<(PathBuf, BTreeMap<String, String>)> = OnceLock::new();
    ALL.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("grown-training");
        if folder.exists() {
            fs_err::remove_dir_all(&folder).unwrap();
        }
        let config = phantom::Config {
            seed: 4,
            patients: 0,
            clinical_patients: N_PATIENTS,
            size: 64,
            slices: 16,
            ..phantom::Config::default()
        };
        phantom::write(&folder, &config, &|_, _| {}).unwrap();
        let cohort = Cohort::new();
        fixture::copy(&folder.join("clinical"), &cohort.folder.path().join("clinical"));
        cohort.json("run", &["--to", "balance"]);
        let samples: Vec<Sample> = fixture::rows(&cohort.store());
        let splits: BTreeMap<String, String> =
            samples.into_iter().map(|sample| (sample.patient_id, sample.split)).collect();
        (folder.join("clinical"), splits)
    })
}

/// The patients of a split.
pub(crate) fn of_split(split: &str) -> Vec<&'static str> {
    let found = all().1.iter().filter(|(_, of)| *of == split);
    let patients: Vec<&str> = found.map(|(patient, _)| patient.as_str()).collect();
    assert!(!patients.is_empty(), "{split}: {:?}", all().1);
    patients
}

/// A folder with some of the patients, a pipeline file and a store.
pub(crate) struct Cohort {
    folder: tempfile::TempDir,
}

impl Cohort {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = PIPELINE.replace("{{FOLDER}}", folder.path().to_str().unwrap());
        fs_err::write(folder.path().join("grown.toml"), text).unwrap();
        Self { folder }
    }

    /// With all patients but these.
    pub(crate) fn without(held: &[&str]) -> Self {
        let cohort = Self::new();
        let patients = all().1.keys().filter(|patient| !held.contains(&patient.as_str()));
        patients.for_each(|patient| cohort.add(patient));
        cohort
    }

    pub(crate) fn add(&self, patient: &str) {
        self.add_to("clinical", patient, patient);
    }

    /// Adds the files of a patient to the folder of a cohort under a name.
    pub(crate) fn add_to(&self, cohort: &str, patient: &str, name: &str) {
        fixture::copy(&all().0.join(patient), &self.path(cohort).join(name));
    }

    /// Adds a cohort to the pipeline file, with a folder of its name.
    pub(crate) fn with_cohort(&self, name: &str) {
        let path = self.path("grown.toml");
        let root = self.path(name);
        let cohort = format!(
            "[[ingest.cohorts]]\nname = {name:?}\nsource = \"volumes\"\nroot = {:?}\n\n[crop]",
            root.to_str().unwrap()
        );
        let text = fs_err::read_to_string(&path).unwrap().replacen("[crop]", &cohort, 1);
        fs_err::write(&path, text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    pub(crate) fn json(&self, command: &str, more: &[&str]) -> Value {
        serde_json::from_str(
            &self.text(command, &[&["--json", "--progress", "none"], more].concat()),
        )
        .unwrap()
    }

    pub(crate) fn text(&self, command: &str, more: &[&str]) -> String {
        let pipeline = self.path("grown.toml");
        fixture::run_well(&[&[command, pipeline.to_str().unwrap()], more].concat())
    }

    /// Standard output and error of a command that succeeds, with its progress in lines.
    pub(crate) fn told(&self, command: &str, more: &[&str]) -> [String; 2] {
        let pipeline = self.path("grown.toml");
        let ended = fixture::run(&[&[command, pipeline.to_str().unwrap()], more].concat());
        let told = [ended.stdout, ended.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(ended.status.success(), "{}", told[1]);
        told
    }

    /// The error with which a run stops, the same as that of its dry run.
    pub(crate) fn foreseen_error(&self, more: &[&str]) -> String {
        let pipeline = self.path("grown.toml");
        let arguments = [&["run", pipeline.to_str().unwrap(), "--progress", "none"], more].concat();
        let (told, _) = fixture::run_badly(&[&arguments[..], &["--dry-run"]].concat());
        let (error, status) = fixture::run_badly(&arguments);
        assert_eq!(status, Some(1), "{more:?}: {error}");
        assert_eq!(told, error, "{more:?}");
        error
    }

    /// The keys of the current shards of an output.
    fn shards(&self, output: &str) -> BTreeSet<String> {
        let manifest = fixture::manifest(&self.store(), output);
        let shards = manifest["shards"].as_array().unwrap().iter();
        shards.map(|shard| shard["key"].as_str().unwrap().to_owned()).collect()
    }
}

/// A number of a stage.
fn of_stage(json: &Value, stage: &str, pointer: &str) -> u64 {
    let mut stages = json["stages"].as_array().unwrap().iter();
    let found = stages.find(|found| found["stage"] == stage).unwrap();
    found.pointer(pointer).unwrap().as_u64().unwrap()
}

pub(crate) fn made(run: &Value, stage: &str) -> u64 {
    of_stage(run, stage, "/n_made")
}

/// The files and the record of each output's current version, but not of the log, which has seconds.
pub(crate) fn current(store: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for (name, bytes) in fixture::outputs(store) {
        let Some((output, rest)) = name.split_once('/') else { continue };
        if output == "training_log" {
            continue;
        }
        let key = fs_err::read_to_string(store.join(output).join("CURRENT")).unwrap();
        if rest.starts_with("current/") || rest == format!("versions/{}.json", key.trim()) {
            found.insert(name, bytes);
        }
    }
    found
}

#[test]
fn new_test_patients_start_no_training_and_a_training_patient_does() {
    let (mut test, train) = (of_split("test"), of_split("train"));
    let first_test = test.remove(0);
    let new_train = train[0];
    let mut held = test.clone();
    held.push(new_train);
    let cohort = Cohort::without(&held);
    cohort.json("run", &[]);
    let checkpoint = cohort.shards("checkpoint");
    assert_eq!(checkpoint.len(), 1);
    // Shards with other patients change as well: training must not depend on how shards are cut.
    let mut n_regrouped = 0;
    for patient in test {
        let n_before = cohort.shards("samples").len() as u64;
        cohort.add(patient);
        let told = cohort.json("run", &["--dry-run"]);
        assert_eq!(told["training"]["starts"], "if_inputs_change");
        assert_eq!(
            told["training"]["reasons"],
            json!(["scans change", "rois change", "samples change"])
        );
        assert_eq!(of_stage(&told, "train", "/shards/n_to_make"), 0);
        assert_eq!(of_stage(&told, "train", "/shards/n_to_make_at_most"), 1);
        let text = cohort.text("run", &["--dry-run"]);
        let expected = "training: starts again if rows of training or validation patients change: scans change; ";
        assert!(text.contains(expected), "{text}");
        // Once the rows are there, it is certain.
        cohort.json("run", &["--to", "balance"]);
        let told = cohort.json("run", &["--dry-run"]);
        assert_eq!(told["training"], json!({ "starts": "no", "reasons": [] }));
        let run = cohort.json("run", &[]);
        assert_eq!(made(&run, "train"), 0, "{patient}");
        assert_eq!(cohort.shards("checkpoint"), checkpoint);
        assert_eq!(run["outdated"], json!([]));
        // The baseline is chosen on training patients, and stays too.
        assert_eq!(of_stage(&told, "infer", "/shards/n_to_make_at_most"), made(&run, "infer"));
        let n_infer = made(&run, "infer");
        assert!((1..=2).contains(&n_infer), "{n_infer}");
        n_regrouped += u64::from(n_infer == 2 || run_shards(&run) == n_before);
    }
    assert!(n_regrouped > 0);
    // The lineage names what is there now.
    let store = cohort.store();
    let text = fixture::run_well(&["lineage", "checkpoint", "--store", store.to_str().unwrap()]);
    for patient in [first_test, train[1]] {
        assert!(text.contains(patient), "{patient}: {text}");
    }
    assert!(!text.contains("other versions"), "{text}");
    // A run on all of them at once gives the same bytes, checkpoint and predictions included.
    let at_once = Cohort::without(&[new_train]);
    at_once.json("run", &[]);
    let [found, expected] = [&cohort, &at_once].map(|cohort| current(&cohort.store()));
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&expected));
    for (name, bytes) in &expected {
        assert!(found.get(name) == Some(bytes), "`{name}` differs");
    }
    // The size of shards is no part of a training, either.
    let run = cohort.json("run", &["--set", "ingest.shard_size=5", "--to", "train"]);
    assert!(made(&run, "balance") > 0);
    assert_eq!(made(&run, "train"), 0);
    cohort.json("run", &[]);

    cohort.add(new_train);
    let told = cohort.json("run", &["--dry-run"]);
    assert_eq!(told["training"]["starts"], "if_inputs_change");
    cohort.json("run", &["--to", "balance"]);
    let told = cohort.json("run", &["--dry-run"]);
    assert_eq!(
        told["training"],
        json!({ "starts": "again", "reasons": ["training rows changed"] })
    );
    assert_eq!(of_stage(&told, "train", "/shards/n_to_make"), 1);
    let run = cohort.json("run", &[]);
    assert_eq!(made(&run, "train"), 1);
    assert_ne!(cohort.shards("checkpoint"), checkpoint);
    assert_eq!(made(&run, "infer"), of_stage(&run, "infer", "/n_shards"));
    // A setting is foreseen as certain, whatever rows there will be.
    let told = cohort.json("run", &["--dry-run", "--set", "train.phases.0.schedule.epochs=2"]);
    assert_eq!(told["training"]["starts"], "again");
    assert_eq!(of_stage(&told, "train", "/shards/n_to_make"), 1);
}

fn run_shards(run: &Value) -> u64 {
    of_stage(run, "balance", "/n_shards")
}

#[test]
fn a_new_validation_patient_and_a_changed_scan_start_a_training() {
    let validation = of_split("validation")[0];
    let cohort = Cohort::without(&[validation]);
    cohort.json("run", &["--to", "train"]);
    cohort.add(validation);
    cohort.json("run", &["--to", "balance"]);
    let told = cohort.json("run", &["--dry-run", "--to", "train"]);
    let expected = json!({ "starts": "again", "reasons": ["validation rows changed"] });
    assert_eq!(told["training"], expected);
    let run = cohort.json("run", &["--to", "train"]);
    assert_eq!(made(&run, "train"), 1);
}

/// The region growing of the predictions.
fn baseline(store: &Path) -> Vec<Prediction> {
    let mut rows: Vec<Prediction> = fixture::rows(store);
    rows.retain(|row| row.model_id == "region_growing");
    rows
}

#[test]
fn the_baseline_stays_with_a_kept_checkpoint_and_its_choice_counts_by_value() {
    let new = [of_split("train")[0], of_split("test")[0]];
    let cohort = Cohort::without(&new);
    cohort.json("run", &["--to", "infer"]);
    let before = baseline(&cohort.store());
    assert!(!before.is_empty());
    for patient in &new {
        cohort.add(patient);
    }
    let keep = ["--to", "infer", "--keep", "train"];
    let told = cohort.json("run", &[&keep[..], &["--dry-run"]].concat());
    let run = cohort.json("run", &keep);
    assert_eq!(told["training"]["starts"], "kept");
    // The shards with a new patient, and no others.
    let n_made = made(&run, "infer");
    assert_eq!(of_stage(&told, "infer", "/shards/n_to_make_at_most"), n_made);
    assert!((1..=4).contains(&n_made) && n_made < of_stage(&run, "infer", "/n_shards"), "{run}");
    let after = baseline(&cohort.store());
    let after: BTreeMap<&str, &Prediction> =
        after.iter().map(|row| (row.roi_id.as_str(), row)).collect();
    assert!(after.len() > before.len());
    assert!(before.iter().all(|row| after.get(row.roi_id.as_str()) == Some(&row)));
    assert_eq!(made(&cohort.json("run", &keep), "infer"), 0);

    // Trained again, and chosen on the new patient too.
    cohort.json("run", &["--to", "infer"]);
    let current = cohort.shards("predictions");
    // Chosen anew on the same nodules, with the same value: no shard is made anew.
    let chosen = cohort.store().join("predictions/thresholds");
    assert!(fs_err::read_dir(&chosen).unwrap().count() > 0);
    fs_err::remove_dir_all(&chosen).unwrap();
    let run = cohort.json("run", &["--to", "infer"]);
    assert_eq!(made(&run, "infer"), 0);
    assert!(fs_err::read_dir(&chosen).unwrap().count() > 0);
    assert_eq!(cohort.shards("predictions"), current);
}
