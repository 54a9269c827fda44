//! A cohort grows: only shards with new cases are made, from their files alone, and neither the order in which cases come nor
//! where they lie matters.

use crate::opened_files::OpenedFiles;
use crate::{annotations, fixture};
use nodulus::phantom;
use nodulus::stages::Stage;
use nodulus::tables::{Mark, Output, Roi, Sample, Scan};
use nodulus_store::Store;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Output as Ended;
use std::sync::OnceLock;

/// Two cohorts that grow. Training sees the whole cohort, so the weights come from elsewhere.
const PIPELINE: &str = r#"
store = "{{FOLDER}}/store"

[ingest]
shard_size = 3

[[ingest.cohorts]]
name = "lidc"
source = "lidc"
root = "{{FOLDER}}/lidc"

[[ingest.cohorts]]
name = "clinical"
source = "volumes"
root = "{{FOLDER}}/clinical"

[crop]
size = 64
margin_slices = 1
window = { low_hu = 0, high_hu = 1000 }

[infer]
checkpoint = "{{CHECKPOINT}}"
# Phantoms of all seeds name their patients alike.
allow_training_patients = true
splits = ["train", "validation", "test"]
region_growing = false
"#;

/// Every case, by its folder.
const CASES: [&str; 14] = [
    "lidc/PHANTOM-0001",
    "lidc/PHANTOM-0002",
    "lidc/PHANTOM-0003",
    "lidc/PHANTOM-0004",
    "lidc/PHANTOM-0005",
    "lidc/PHANTOM-0006",
    "lidc/PHANTOM-0007",
    "clinical/CLINIC-001",
    "clinical/CLINIC-002",
    "clinical/CLINIC-003",
    "clinical/CLINIC-004",
    "clinical/CLINIC-005",
    // The two that come later.
    "lidc/PHANTOM-0008",
    "clinical/CLINIC-006",
];

/// All cases, in the folder of a phantom that tests copy from.
fn phantom() -> &'static Path {
    static PHANTOM: OnceLock<PathBuf> = OnceLock::new();
    PHANTOM.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("growth");
        if folder.exists() {
            fs_err::remove_dir_all(&folder).unwrap();
        }
        let config = phantom::Config {
            seed: 9,
            patients: 8,
            clinical_patients: 6,
            size: 64,
            slices: 16,
            ..phantom::Config::default()
        };
        phantom::write(&folder, &config, &|_, _| {}).unwrap();
        folder
    })
}

/// A folder with cohorts, a pipeline file and a store.
struct Cohorts {
    folder: tempfile::TempDir,
}

impl Cohorts {
    fn new(cases: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = fixture::current(&fixture::finished().join("store"), "checkpoint");
        let text = PIPELINE
            .replace("{{FOLDER}}", folder.path().to_str().unwrap())
            .replace("{{CHECKPOINT}}", checkpoint.join("model.safetensors").to_str().unwrap());
        fs_err::write(folder.path().join("growth.toml"), text).unwrap();
        let cohorts = Self { folder };
        for case in cases {
            cohorts.add(case);
        }
        cohorts
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn store(&self) -> PathBuf {
        self.path("store")
    }

    fn add(&self, case: &str) {
        fixture::copy(&phantom().join(case), &self.path(case));
    }

    fn remove(&self, case: &str) {
        fs_err::remove_dir_all(self.path(case)).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        let to = self.path(to);
        fs_err::create_dir_all(to.parent().unwrap()).unwrap();
        fs_err::rename(self.path(from), to).unwrap();
    }

    fn command(&self, command: &str, more: &[&str]) -> Ended {
        let pipeline = self.path("growth.toml");
        let arguments = [command, pipeline.to_str().unwrap(), "--json", "--progress", "none"];
        fixture::run(&[&arguments[..], more].concat())
    }

    /// Runs the pipeline, in which no case may fail, and returns the number of shards that each stage made.
    fn run(&self, more: &[&str]) -> BTreeMap<String, usize> {
        let ended = self.command("run", more);
        let error = String::from_utf8_lossy(&ended.stderr);
        let shown =
            || fixture::run_well(&["show", "failures", "--store", self.store().to_str().unwrap()]);
        assert!(ended.status.success(), "{error}{}", shown());
        let output: Value = serde_json::from_slice(&ended.stdout).unwrap();
        let stages = output["stages"].as_array().unwrap().iter();
        let of = |s: &Value| {
            (s["stage"].as_str().unwrap().to_owned(), s["n_made"].as_u64().unwrap() as usize)
        };
        stages.map(of).collect()
    }
}

/// Cohorts in which the pipeline has run once on all cases, or on all but the last one. Tests only read them.
fn reference(n: usize) -> &'static Cohorts {
    static REFERENCES: [OnceLock<Cohorts>; 2] = [OnceLock::new(), OnceLock::new()];
    REFERENCES[CASES.len() - n].get_or_init(|| {
        let cohorts = Cohorts::new(&CASES[..n]);
        cohorts.run(&[]);
        cohorts
    })
}

/// The names of the outputs in shards, by stage.
fn in_shards() -> BTreeMap<&'static str, Vec<&'static str>> {
    let stages = Stage::ALL.into_iter().filter(|stage| stage.spec().is_sharded);
    let outputs = |stage: Stage| stage.spec().writes.iter().map(|output| output.name()).collect();
    stages.map(|stage| (stage.name(), outputs(stage))).collect()
}

/// The keys of all shards in a store, by their output.
fn keys(store: &Path) -> BTreeMap<&'static str, BTreeSet<String>> {
    let of = |output: &'static str| {
        let entries = fs_err::read_dir(store.join(output).join("shards")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        (output, names.collect())
    };
    Output::all()
        .filter(|output| store.join(output.name()).exists())
        .map(|o| of(o.name()))
        .collect()
}

/// The keys of the current versions' shards, by their output.
fn current_keys(store: &Path) -> BTreeMap<&'static str, BTreeSet<String>> {
    let store = Store::open(store).unwrap();
    let of = |output: Output| {
        let version = store.require(output).unwrap();
        let keys = version.manifest.shards.iter().map(|shard| shard.key.clone());
        (output.name(), keys.collect())
    };
    let made = Output::all().filter(|output| store.current(*output).unwrap().is_some());
    made.map(of).collect()
}

/// The shards that a store has beyond those of another, by their output.
fn beyond(
    before: &BTreeMap<&'static str, BTreeSet<String>>,
    after: &BTreeMap<&'static str, BTreeSet<String>>,
) -> BTreeMap<&'static str, BTreeSet<String>> {
    after.iter().map(|(output, keys)| (*output, keys - &before[output])).collect()
}

/// The record, the name and the files of each output's current version.
fn current(store: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for output in Output::all().filter(|output| store.join(output.name()).exists()) {
        let folder = store.join(output.name());
        let key = fs_err::read_to_string(folder.join("CURRENT")).unwrap();
        let mut paths = vec![folder.join("versions").join(format!("{}.json", key.trim()))];
        let files = fs_err::read_dir(folder.join("current")).unwrap();
        paths.extend(files.map(|entry| entry.unwrap().path()));
        for path in paths {
            let name = path.strip_prefix(store).unwrap().to_str().unwrap().to_owned();
            found.insert(name, fs_err::read(path).unwrap());
        }
    }
    found
}

fn assert_same(found: &Path, expected: &Path) {
    let [found, expected] = [found, expected].map(current);
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&expected));
    for (name, bytes) in &expected {
        assert!(found.get(name) == Some(bytes), "`{name}` differs");
    }
}

/// The folders of the cases of some shards of ingest.
fn cases_of(store: &Path, shards: &BTreeSet<String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for key in shards {
        let record = store.join("scans/shards").join(key).join("record.json");
        let record: Value = serde_json::from_slice(&fs_err::read(record).unwrap()).unwrap();
        for case in record["cases"].as_array().unwrap() {
            let [cohort, case_id] = ["cohort", "case_id"].map(|name| case[name].as_str().unwrap());
            let patient = case_id.split('/').next().unwrap();
            found.insert(format!("{cohort}/{patient}"));
        }
    }
    found
}

#[test]
fn a_new_case_makes_at_most_two_shards_of_each_stage_and_reads_their_files_alone() {
    let n = CASES.len() - 2;
    let cohorts = Cohorts::new(&CASES[..n]);
    let store = cohorts.store();
    let first = cohorts.run(&[]);
    assert!(first["ingest"] > 5, "{first:?}");
    for n in [n + 1, n + 2] {
        let whole = reference(n).store();
        let case = CASES[n - 1];
        let before = keys(&store);
        // The shards with the new case are those that a run on all cases has and this store lacks.
        let changed = beyond(&before, &current_keys(&whole))["scans"].clone();
        let read = cases_of(&whole, &changed);
        assert!(read.contains(case), "{read:?}");
        let cohort = case.split('/').next().unwrap();
        assert!(read.iter().all(|case| case.starts_with(cohort)), "{read:?}");
        let others: Vec<&str> =
            CASES[..n - 1].iter().filter(|c| !read.contains(**c)).copied().collect();
        assert!(others.len() > n / 2, "{others:?}");
        let opened = OpenedFiles::below(others.iter().map(|case| cohorts.path(case)));

        cohorts.add(case);
        let made = cohorts.run(&[]);
        let new = beyond(&before, &keys(&store));
        for (stage, outputs) in in_shards() {
            let n_new = new[outputs[0]].len();
            assert!((1..=2).contains(&n_new), "{stage}: {n_new}");
            assert!(outputs.iter().all(|output| new[output].len() == n_new), "{stage}");
            // A stage's count has its reduction, too.
            let n_reduced =
                usize::from(Stage::from_name(stage).unwrap().spec().reduction.is_some());
            assert_eq!(made[stage], n_new + n_reduced, "{stage}");
        }
        assert_same(&store, &whole);
        assert_eq!(opened.take(), BTreeSet::new());
        assert!(cohorts.run(&[]).values().all(|n| *n == 0));
    }
}

#[test]
fn new_annotations_are_read_and_the_others_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let below = annotations::phantom().join("lidc-annotations");
    let (xml, held) = (folder.path().join("xml"), folder.path().join("003.xml"));
    fixture::copy(&below.join("xml"), &xml);
    let table = below.join("scan-geometry.csv");
    fs_err::rename(xml.join("003.xml"), &held).unwrap();
    let [store, whole] = ["store", "whole"].map(|name| folder.path().join(name));
    let small = ["ingest.shard_size=3"];
    annotations::run_well(&store, &xml, &table, &small);
    let before = keys(&store);

    fs_err::rename(&held, xml.join("003.xml")).unwrap();
    annotations::run_well(&whole, &xml, &table, &small);
    let new = beyond(&before, &current_keys(&whole))["scans"].clone();
    assert_eq!(new.len(), 1);
    let scans = Store::open(&whole).unwrap().require(Output::from_name("scans").unwrap()).unwrap();
    let shards = scans.manifest.shards.iter().enumerate().filter(|(_, s)| new.contains(&s.key));
    let read: BTreeSet<PathBuf> = shards
        .flat_map(|(n, _)| scans.shard_rows::<Scan>(n).flat_map(Result::unwrap))
        .flat_map(|scan| scan.annotation_paths)
        .map(|path| xml.join(path))
        .collect();
    assert!(read.contains(&xml.join("003.xml")), "{read:?}");
    let opened = OpenedFiles::below([xml.clone()]);
    annotations::run_well(&store, &xml, &table, &small);
    // The rows of the shard's other cases come from the shard that they were in before.
    assert!(read.len() > 1, "{read:?}");
    assert_eq!(opened.take(), BTreeSet::from([xml.join("003.xml")]));
    for (output, keys) in beyond(&before, &keys(&store)) {
        assert!(keys.len() <= 2, "{output}: {keys:?}");
    }
    assert_same(&store, &whole);
}

#[test]
fn only_new_and_changed_cases_are_read_and_force_reads_all() {
    let n = CASES.len() - 2;
    let cohorts = Cohorts::new(&CASES[..n]);
    cohorts.run(&["--to", "ingest"]);
    let folders: Vec<PathBuf> = CASES[..n].iter().map(|case| cohorts.path(case)).collect();
    let opened = OpenedFiles::below(folders.clone());
    let read = || -> BTreeSet<PathBuf> {
        let files = opened.take();
        let is_in = |folder: &&PathBuf| files.iter().any(|file| file.starts_with(folder));
        folders.iter().filter(is_in).cloned().collect()
    };
    // A new case, in a shard with others.
    cohorts.add(CASES[n]);
    let foreseen = cohorts.command("run", &["--to", "ingest", "--dry-run"]);
    let foreseen: Value = serde_json::from_slice(&foreseen.stdout).unwrap();
    let n_read: u64 = foreseen["cohorts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cohort| cohort["n_to_read"].as_u64().unwrap())
        .sum();
    assert_eq!(n_read, 1);
    let made = cohorts.run(&["--to", "ingest"]);
    assert!((1..=2).contains(&made["ingest"]), "{made:?}");
    assert_eq!(read(), BTreeSet::new());
    // Other settings read them all: they are part of what rows are made from.
    cohorts.run(&["--to", "ingest", "--set", "ingest.tolerances.slice_gap=0.02"]);
    assert_eq!(read(), folders.iter().cloned().collect());
    cohorts.run(&["--to", "ingest"]);
    assert_eq!(read(), BTreeSet::new());
    // `--force` reads the cases of changed shards too.
    cohorts.add(CASES[n + 1]);
    cohorts.run(&["--to", "ingest", "--force", "ingest"]);
    assert_eq!(read(), folders.iter().cloned().collect());
}

#[test]
fn neither_the_order_of_cases_nor_the_number_of_steps_matters() {
    let mut backwards = CASES;
    backwards.reverse();
    let cohorts = Cohorts::new(&backwards[..5]);
    cohorts.run(&[]);
    backwards[5..].iter().for_each(|case| cohorts.add(case));
    cohorts.run(&[]);
    assert_same(&cohorts.store(), &reference(CASES.len()).store());
}

#[test]
fn folders_may_be_anywhere() {
    let whole = reference(CASES.len());
    // The cohorts' roots are elsewhere in any case. Folders of a tree of DICOM files may have any names; those of the other
    // cohort name its patients.
    let cohorts = Cohorts::new(&CASES);
    cohorts.rename("lidc/PHANTOM-0001", "lidc/a/b/c");
    cohorts.rename("lidc/PHANTOM-0002", "lidc/zzz");
    cohorts.rename("lidc/PHANTOM-0003", "lidc/PHANTOM-0001");
    cohorts.run(&[]);
    let [found, expected] =
        [&cohorts.store(), &whole.store()].map(|store| Store::open(store).unwrap());
    let mut with_paths = BTreeSet::new();
    for output in Output::all() {
        let (Some(found), Some(expected)) =
            (found.current(output).unwrap(), expected.current(output).unwrap())
        else {
            continue;
        };
        let (mut of, mut wanted) = (found.manifest.clone(), expected.manifest.clone());
        // Longer paths make larger files; the names of files are those of their content.
        for part in [&mut of, &mut wanted]
            .into_iter()
            .flat_map(|m| &mut m.shards)
            .flat_map(|s| &mut s.parts)
        {
            (part.bytes, part.file_sha256) = (0, None);
        }
        assert_eq!(of, wanted, "{output}");
        let bytes = |version: &nodulus_store::Version| -> Vec<Vec<u8>> {
            version.files().iter().map(|file| fs_err::read(file).unwrap()).collect()
        };
        if bytes(&found) != bytes(&expected) {
            with_paths.insert(output.name());
        }
    }
    // These tables tell where files lay, in columns of their own that no content hash sees.
    assert_eq!(with_paths, BTreeSet::from(["marks", "scans"]));
    let rows = |store: &Path| {
        let mut scans: Vec<Scan> = fixture::rows(store);
        for scan in &mut scans {
            (scan.path, scan.annotation_paths) = (None, Vec::new());
        }
        let mut marks: Vec<Mark> = fixture::rows(store);
        for mark in &mut marks {
            mark.source_path.clear();
        }
        (scans, marks)
    };
    assert_eq!(rows(&cohorts.store()), rows(&whole.store()));
}

#[test]
fn a_store_goes_on_wherever_it_and_its_files_are_moved() {
    let cohorts = Cohorts::new(&[]);
    let whole = reference(CASES.len());
    for name in ["store", "clinical"] {
        fixture::copy(&whole.path(name), &cohorts.path(name));
    }
    fixture::copy(&whole.path("lidc"), &cohorts.path("lidc/below"));
    let before = current(&cohorts.store());
    let made = cohorts.run(&[]);
    assert!(made.values().all(|n| *n == 0), "{made:?}");
    assert_eq!(current(&cohorts.store()), before);
}

#[test]
fn splits_do_not_move() {
    let few: Vec<&str> = CASES.iter().step_by(2).copied().collect();
    let cohorts = Cohorts::new(&few);
    let splits = || -> BTreeMap<String, (String, Option<i64>)> {
        let samples: Vec<Sample> = fixture::rows(&cohorts.store());
        samples.into_iter().map(|s| (s.patient_id, (s.split, s.fold))).collect()
    };
    cohorts.run(&["--to", "balance"]);
    let before = splits();
    CASES.iter().filter(|case| !few.contains(case)).for_each(|case| cohorts.add(case));
    cohorts.run(&["--to", "balance"]);
    let after = splits();
    assert!(before.len() < after.len());
    for (patient, split) in &before {
        assert_eq!(after.get(patient), Some(split), "{patient}");
    }
}

#[test]
fn a_removed_case_leaves_the_others_alone() {
    let (whole, without) = (reference(CASES.len()), reference(CASES.len() - 1));
    let cohorts = Cohorts::new(&CASES);
    fixture::copy(&whole.store(), &cohorts.store());
    let before = keys(&cohorts.store());
    let removed = CASES[CASES.len() - 1];
    cohorts.remove(removed);
    cohorts.run(&[]);
    for (output, new) in beyond(&before, &keys(&cohorts.store())) {
        assert!(new.len() <= 1, "{output}: {new:?}");
    }
    assert_same(&cohorts.store(), &without.store());
    // Once it is back, everything is there already.
    cohorts.add(removed);
    assert!(cohorts.run(&[]).values().all(|n| *n == 0));
    assert_same(&cohorts.store(), &whole.store());
}

#[test]
fn a_changed_case_changes_its_own_shard() {
    let cohorts = Cohorts::new(&CASES);
    fixture::copy(&reference(CASES.len()).store(), &cohorts.store());
    let before = keys(&cohorts.store());
    let ratings = || -> Vec<(String, Option<i64>)> {
        let marks: Vec<Mark> = fixture::rows(&cohorts.store());
        marks.into_iter().map(|mark| (mark.mark_id, mark.ratings.malignancy)).collect()
    };
    let old = ratings();
    // A reader changes their mind about one nodule.
    let files = nodulus_formats::cohort::files_below(&cohorts.path("lidc/PHANTOM-0004")).unwrap();
    let xml = files.iter().find(|file| file.extension().is_some_and(|e| e == "xml")).unwrap();
    let text = fs_err::read_to_string(xml).unwrap();
    let (head, tail) = text.split_once("<malignancy>").unwrap();
    let rating = if tail.starts_with('1') { "2" } else { "1" };
    fs_err::write(xml, format!("{head}<malignancy>{rating}{}", &tail[1..])).unwrap();
    let made = cohorts.run(&[]);
    assert_eq!((made["ingest"], made["merge"]), (1, 1));
    // The scan's content is another, so that its regions are cut again, and are the same.
    for (output, new) in beyond(&before, &keys(&cohorts.store())) {
        assert!(new.len() <= 1, "{output}: {new:?}");
    }
    let new = ratings();
    let changed = old.iter().zip(&new).filter(|(old, new)| old != new).count();
    assert_eq!((old.len(), changed), (new.len(), 1));
}

#[test]
fn moved_scans_are_cropped_from_where_they_lie_now() {
    let wider = ["--set", "crop.margin_slices=2"];
    let rois = |cohorts: &Cohorts| -> Vec<Roi> { fixture::rows(&cohorts.store()) };
    // Each cohort needs a case.
    let cases = &CASES[..8];
    let still = Cohorts::new(cases);
    still.run(&["--to", "merge"]);
    let moved = Cohorts::new(cases);
    fixture::copy(&still.store(), &moved.store());
    // One is elsewhere, and two have changed places.
    moved.rename("lidc/PHANTOM-0001", "lidc/more/of/it");
    moved.rename("lidc/PHANTOM-0002", "lidc/PHANTOM-0001");
    moved.rename("lidc/PHANTOM-0003", "lidc/PHANTOM-0002");
    moved.rename("lidc/PHANTOM-0001", "lidc/PHANTOM-0003");
    for cohorts in [&still, &moved] {
        let ended = cohorts.command("crop", &wider);
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    assert!(!rois(&still).is_empty());
    assert_eq!(rois(&moved), rois(&still));
    // One that is nowhere is a failure that says so.
    moved.remove("lidc/more");
    let ended = moved.command("crop", &["--set", "crop.margin_slices=3"]);
    assert_eq!(ended.status.code(), Some(3), "{}", String::from_utf8_lossy(&ended.stderr));
    let store = moved.store();
    let failures =
        fixture::run_well(&["show", "failures", "--store", store.to_str().unwrap(), "--json"]);
    assert_eq!(failures.lines().count(), 1, "{failures}");
    assert!(failures.contains("no longer has the files that ingest read at"), "{failures}");
}
