//! Plans that several machines work by: `nodulus plan`, `work` and `commit`.

use crate::fixture;
use nodulus::tables::Failure;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Output;

/// The stages in order.
const STAGES: [&str; 9] =
    ["ingest", "merge", "agree", "crop", "balance", "train", "infer", "evaluate", "report"];

/// A plan of the small pipeline and its shards.
struct Planned {
    folder: tempfile::TempDir,
    plan: PathBuf,
}

impl Planned {
    fn new(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pipeline = fixture::pipeline(folder.path());
        let plan = folder.path().join("plan.json");
        let mut arguments = vec!["plan", pipeline.to_str().unwrap(), "-o", plan.to_str().unwrap()];
        arguments.extend(["--progress", "none"]);
        arguments.extend(options);
        fixture::run_well(&arguments);
        Self { folder, plan }
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn file(&self) -> Value {
        serde_json::from_slice(&fs_err::read(&self.plan).unwrap()).unwrap()
    }

    fn n_shards(&self, stage: &str) -> usize {
        let file = self.file();
        let mut stages = file["stages"].as_array().unwrap().iter();
        let found = stages.find(|found| found["stage"] == stage).unwrap();
        usize::try_from(found["n_shards"].as_u64().unwrap()).unwrap()
    }

    fn run(&self, command: &str, stage: &str, options: &[&str]) -> Output {
        let plan = self.plan.to_str().unwrap();
        let mut arguments = vec![command, "--plan", plan, "--stage", stage, "--progress", "none"];
        arguments.extend(options);
        fixture::run(&arguments)
    }

    fn work(&self, stage: &str, shard: usize) -> Output {
        self.run("work", stage, &["--shard", &shard.to_string()])
    }

    /// Makes all shards of a stage, the last first, and commits it.
    fn make(&self, stage: &str) {
        for shard in (0..self.n_shards(stage)).rev() {
            assert_ended(&self.work(stage, shard), 0);
        }
        assert_ended(&self.run("commit", stage, &[]), 0);
    }
}

fn assert_ended(output: &Output, status: i32) -> String {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(status), "{error}");
    error
}

/// The outputs of a store, without what belongs to plans, and without the training log, which has seconds.
fn outputs(store: &Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut outputs = fixture::outputs(store);
    outputs.retain(|name, _| !name.starts_with("plans/") && !name.starts_with("training_log/"));
    outputs
}

#[test]
fn shard_by_shard_gives_the_bytes_of_a_local_run() {
    let planned = Planned::new(&[]);
    for stage in STAGES {
        planned.make(stage);
        // A shard that is there is not made again.
        let again = planned.work(stage, 0);
        assert_ended(&again, 0);
        assert!(String::from_utf8_lossy(&again.stdout).contains("is there already"));
    }
    assert!(planned.n_shards("crop") > 2);
    let expected = outputs(&fixture::finished().join("store"));
    let found = outputs(&planned.store());
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, bytes) in &expected {
        assert!(&found[name] == bytes, "{name}");
    }
}

#[test]
fn a_commit_names_what_is_missing_and_why() {
    let planned = Planned::new(&["--to", "crop"]);
    let n_shards = planned.n_shards("ingest");
    // A stage before is not committed.
    let error = assert_ended(&planned.work("merge", 0), 75);
    assert!(error.contains("merge needs what ingest makes, which is not committed yet"), "{error}");
    for shard in 1..n_shards {
        assert_ended(&planned.work("ingest", shard), 0);
    }
    let error = assert_ended(&planned.run("commit", "ingest", &[]), 75);
    assert!(error.contains(&format!("ingest lacks 1 of {n_shards} shards: 0")), "{error}");
    // A file that was changed since the plan: the worker leaves the shard undone, and the commit tells its cause.
    let list = planned.store().join("plans").join(planned.file()["key"].as_str().unwrap());
    let list = fs_err::read(list.join("shards/0.json")).unwrap();
    let list: Value = serde_json::from_slice(&list).unwrap();
    let image = PathBuf::from(list["cases"][0]["case"]["images"][0].as_str().unwrap());
    let before = fs_err::read(&image).unwrap();
    fs_err::remove_file(&image).unwrap();
    let error = assert_ended(&planned.work("ingest", 0), 75);
    assert!(error.contains("is gone since it was listed"), "{error}");
    let error = assert_ended(&planned.run("commit", "ingest", &[]), 75);
    assert!(error.contains("; shard 0 on ") && error.contains("is gone since"), "{error}");
    fs_err::write(&image, before).unwrap();
    // It is there again, but no longer the file that was hashed: its case fails.
    assert_ended(&planned.work("ingest", 0), 3);
    assert_ended(&planned.run("commit", "ingest", &[]), 3);
    let failures: Vec<Failure> = fixture::rows(&planned.store());
    assert!(failures[0].cause.contains("changed"), "{}", failures[0].cause);
}

#[test]
fn what_is_not_the_plans_is_refused() {
    let planned = Planned::new(&["--to", "merge"]);
    let n_shards = planned.n_shards("ingest");
    let error = assert_ended(&planned.work("ingest", n_shards), 1);
    let expected = format!("ingest has no shard {n_shards}; its shards are 0 to {}", n_shards - 1);
    assert!(error.contains(&expected), "{error}");
    let error = assert_ended(&planned.work("crop", 0), 1);
    assert!(error.contains("the plan has no crop; its stages are ingest, merge"), "{error}");
    let error = assert_ended(&planned.run("work", "ingest", &[]), 2);
    assert!(error.contains("SLURM_ARRAY_TASK_ID"), "{error}");

    // Changed by hand: as a record, and with the checksum taken away.
    let text = fs_err::read_to_string(&planned.plan).unwrap();
    let changed = text.replace("\"n_cases\": 2", "\"n_cases\": 3");
    assert_ne!(changed, text);
    fs_err::write(&planned.plan, &changed).unwrap();
    let error = assert_ended(&planned.work("ingest", 0), 1);
    assert!(error.contains("not what was written"), "{error}");
    let mut value: Value = serde_json::from_str(&changed).unwrap();
    value.as_object_mut().unwrap().remove("record_sha256").unwrap();
    fs_err::write(&planned.plan, value.to_string()).unwrap();
    let error = assert_ended(&planned.work("ingest", 0), 1);
    assert!(error.contains("was changed since it was made"), "{error}");

    // The pipeline file in the store is the plan's, and a plan of no file says so.
    fs_err::write(&planned.plan, &text).unwrap();
    let kept = planned.store().join("plans").join(planned.file()["key"].as_str().unwrap());
    let pipeline = fs_err::read_to_string(kept.join("pipeline.toml")).unwrap();
    fs_err::write(kept.join("pipeline.toml"), pipeline.replace("seed = 3", "seed = 4")).unwrap();
    let error = assert_ended(&planned.work("ingest", 0), 1);
    assert!(error.contains("is not what the plan was made with"), "{error}");
    fs_err::remove_file(&planned.plan).unwrap();
    let error = assert_ended(&planned.work("ingest", 0), 1);
    assert!(error.contains("there is no plan"), "{error}");
}

#[test]
fn a_shard_with_failed_cases_is_done_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = fixture::pipeline(folder.path());
    let (pipeline, plan) = (pipeline.to_str().unwrap(), folder.path().join("plan.json"));
    let plan = plan.to_str().unwrap();
    fixture::run_well(&["ingest", pipeline, "--progress", "none"]);
    let pattern = folder.path().join("store/phantom/luna16/**/*raw");
    let raw = glob::glob(pattern.to_str().unwrap()).unwrap().next().unwrap().unwrap();
    fs_err::write(&raw, b"short").unwrap();
    fixture::run_well(&["plan", pipeline, "--to", "merge", "-o", plan, "--progress", "none"]);
    let file: Value = serde_json::from_slice(&fs_err::read(plan).unwrap()).unwrap();
    let n_shards = file["shards"].as_array().unwrap().len();
    let work = |shard: usize| {
        let shard = shard.to_string();
        fixture::run(&["work", "--plan", plan, "--stage", "ingest", "--shard", &shard, "--json"])
    };
    let statuses: Vec<_> = (0..n_shards).map(|shard| work(shard).status.code().unwrap()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 3).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [0, 3].contains(status)), "{statuses:?}");
    let commit = fixture::run(&["commit", "--plan", plan, "--stage", "ingest", "--json"]);
    assert_ended(&commit, 3);
    let committed: Value = serde_json::from_slice(&commit.stdout).unwrap();
    assert_eq!((&committed["n_failures"], &committed["n_shards"]), (&1.into(), &n_shards.into()));
}

#[test]
fn workers_share_a_shard_and_the_index_comes_from_the_scheduler() {
    let planned = Planned::new(&["--to", "ingest"]);
    let plan = planned.plan.to_str().unwrap();
    let n_shards = planned.n_shards("ingest");
    let worker = |shard: usize| {
        let mut command = fixture::nodulus(&["work", "--plan", plan, "--stage", "ingest"]);
        command.env("SGE_TASK_ID", (shard + 1).to_string()).spawn().unwrap()
    };
    // Each shard twice at once.
    let workers: Vec<_> = (0..2 * n_shards).map(|n| worker(n / 2)).collect();
    for mut worker in workers {
        assert!(worker.wait().unwrap().success());
    }
    assert_ended(&planned.run("commit", "ingest", &[]), 0);
    assert_ended(&planned.run("commit", "ingest", &[]), 0);
}
