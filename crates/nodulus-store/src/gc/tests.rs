use super::*;
use crate::fixture::{Slice, Visit};
use crate::{InputRef, Job, JobSpec, OutputSpec, Row, ShardInput, ShardSpec, Version};
use fs_err as fs;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Keeps this number of versions, and the work of interrupted runs for a week.
fn keep(versions: usize) -> Keep {
    Keep { versions, interrupted: Duration::from_hours(7 * 24) }
}

/// A job with a shard for each content.
fn job(
    store: &Store,
    output: OutputSpec,
    setting: i64,
    inputs: &[&Version],
    contents: &[&str],
) -> Job {
    let config = json!({ "setting": setting });
    let shard = |content: &&str| ShardSpec {
        config: Arc::new(config.clone()),
        decisions: Value::Null,
        inputs: vec![ShardInput { name: "x".to_owned(), content_sha256: (*content).to_owned() }],
        cases: Vec::new(),
    };
    let inputs: Vec<InputRef> = inputs.iter().map(|version| version.manifest.as_input()).collect();
    let (stage, shards) = ("s", contents.iter().map(shard).collect());
    let outputs = vec![output];
    store.job(JobSpec { stage, stage_version: 1, outputs, config: config.clone(), inputs, shards })
}

fn make_slices(job: &Job) {
    for shard in job.work().unwrap() {
        let shard = shard.unwrap();
        let mut part = shard.part::<Slice>().unwrap();
        // Other content, other rows.
        let content = &job.spec().shards[shard.number()].inputs[0].content_sha256;
        part.write((0..content.as_bytes()[0].into()).map(Slice::new)).unwrap();
        shard.commit(vec![part.finish().unwrap()], Vec::new()).unwrap();
    }
}

/// A version of `slices` with a shard for each content.
fn slices(store: &Store, setting: i64, contents: &[&str]) -> Version {
    let job = job(store, Slice::TABLE.into(), setting, &[], contents);
    make_slices(&job);
    job.finish().unwrap().remove(0)
}

/// A version of `visits` that is made from one of `slices`.
fn visits(store: &Store, of: &Version) -> Version {
    let content = of.manifest.content_sha256.clone();
    let job = job(store, Visit::TABLE.into(), 0, &[of], &[&content]);
    for shard in job.work().unwrap() {
        let shard = shard.unwrap();
        let part = shard.part::<Visit>().unwrap();
        shard.commit(vec![part.finish().unwrap()], Vec::new()).unwrap();
    }
    job.finish().unwrap().remove(0)
}

/// Bytes of all files of a store, each counted once however many links it has.
fn used(root: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if entry.file_name() != "lock" {
                files.insert(metadata.ino(), metadata.len());
            }
        }
    }
    files.values().sum()
}

/// Makes a path look as if it had been written in the past.
fn age(path: &Path) {
    let past = SystemTime::now() - Duration::from_hours(1);
    let paths = if path.is_dir() {
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect()
    } else {
        Vec::new()
    };
    for path in paths.iter().map(|path| &**path).chain([path]) {
        fs::File::open(path).unwrap().file().set_modified(past).unwrap();
    }
}

fn store(folder: &tempfile::TempDir) -> Store {
    Store::create(&folder.path().join("s")).unwrap()
}

#[test]
fn what_the_current_version_shares_or_was_made_from_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let old = slices(&store, 0, &["a", "b"]);
    let of_old = visits(&store, &old);
    let middle = slices(&store, 1, &["c"]);
    let new = slices(&store, 0, &["b", "d"]);
    let before = used(store.root());
    let expected = look(&store, keep(0)).unwrap();
    assert_eq!(used(store.root()), before);
    let found = collect(&store, keep(0)).unwrap();
    assert_eq!(found, expected);
    // `visits` was made from the oldest version, which therefore stays.
    assert_eq!(found.versions.len(), 1);
    assert_eq!(
        (&*found.versions[0].key, found.versions[0].n_shards),
        (middle.manifest.key.as_str(), 1)
    );
    assert_eq!((found.n_kept_versions, found.n_shards()), (3, 1));
    assert_eq!(before - used(store.root()), found.bytes);
    assert_eq!(found.bytes, found.versions[0].bytes);
    for version in [&old, &of_old, &new] {
        version.check_files().unwrap();
        let kept = store.version(version.output(), &version.manifest.key).unwrap();
        assert_eq!(kept.map(|kept| kept.manifest), Some(version.manifest.clone()));
    }
    assert_eq!(
        store.version(Slice::TABLE, &middle.manifest.key).unwrap().map(|v| v.manifest),
        None
    );
    assert!(collect(&store, keep(0)).unwrap().is_empty());
    // The output made from the newest version needs the oldest one no longer.
    visits(&store, &new);
    let found = collect(&store, keep(0)).unwrap();
    let removed: Vec<_> = found.versions.iter().map(|v| (&*v.output, v.n_shards)).collect();
    assert_eq!(removed, [("slices", 1), ("visits", 1)]);
    store.require(Slice::TABLE).unwrap().check_files().unwrap();
}

#[test]
fn the_newest_others_stay_where_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let versions: Vec<Version> = (0..4).map(|n| slices(&store, n, &["a"])).collect();
    for (n, version) in versions.iter().enumerate() {
        let path = manifest_path_of(&store, version);
        let past = SystemTime::now() - Duration::from_secs(100 - n as u64);
        fs::File::open(path).unwrap().file().set_modified(past).unwrap();
    }
    // The first one is current again.
    assert_eq!(slices(&store, 0, &["a"]).manifest.key, versions[0].manifest.key);
    let found = collect(&store, keep(2)).unwrap();
    let removed: Vec<&str> = found.versions.iter().map(|version| &*version.key).collect();
    assert_eq!(removed, [&versions[1].manifest.key]);
    let keys = store.version_keys(Slice::TABLE).unwrap();
    assert_eq!(keys, [3, 2, 0].map(|n: usize| versions[n].manifest.key.clone()));
}

fn manifest_path_of(store: &Store, version: &Version) -> std::path::PathBuf {
    let folder = store.root().join(version.output().name());
    crate::version::manifest_path(&folder, &version.manifest.key)
}

#[test]
fn the_work_of_an_interrupted_run_stays_and_old_leftovers_go() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    // Nothing is current yet, so that everything is the work of an interrupted run.
    let first = job(&store, Slice::TABLE.into(), 0, &[], &["a"]);
    make_slices(&first);
    let found = collect(&store, keep(0)).unwrap();
    assert!(found.is_empty());
    assert_eq!((found.interrupted.len(), found.interrupted[0].n_shards), (1, 1));
    first.finish().unwrap();

    let [new, old] = [1, 2].map(|setting| job(&store, Slice::TABLE.into(), setting, &[], &["a"]));
    let shards = store.root().join("slices/shards");
    make_slices(&old);
    age(&shards.join(old.shard_key(0)));
    std::thread::sleep(Duration::from_millis(20));
    make_slices(&new);
    let begun = job(&store, Slice::TABLE.into(), 3, &[], &["a"]);
    let writer = begun.work().unwrap().next().unwrap().unwrap();
    fs::write(begun.resume_folder(&writer).unwrap().join("state"), "state").unwrap();
    drop(writer);
    let over = store.root().join("slices/unfinished/over");
    fs::create_dir_all(&over).unwrap();
    fs::write(over.join("state"), "x").unwrap();
    age(&over);
    fs::write(store.root().join("slices/CURRENT.17.tmp"), "half").unwrap();
    fs::write(store.root().join("store.json.17.tmp"), "half").unwrap();

    let before = used(store.root());
    let found = collect(&store, keep(0)).unwrap();
    assert_eq!(before - used(store.root()), found.bytes);
    let loose: Vec<_> = found.loose_shards.iter().map(|s| (&*s.output, s.n_shards)).collect();
    assert_eq!(loose, [("slices", 1)]);
    let interrupted: Vec<_> = found.interrupted.iter().map(|s| (&*s.output, s.n_shards)).collect();
    assert_eq!(interrupted, [("slices", 2)]);
    // Two halves, a state, and the shard and the claim of the writer that was dropped.
    assert_eq!(found.n_unfinished, 5);
    assert!(!over.exists() && new.standing().unwrap().pending.is_empty() && begun.is_begun(0));
    assert_eq!(old.standing().unwrap().pending, [0]);
    assert!(collect(&store, keep(0)).unwrap().is_empty());
}

#[test]
fn abandoned_work_goes_when_its_time_is_over_unless_a_process_works_on_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    slices(&store, 0, &["a"]);
    std::thread::sleep(Duration::from_millis(20));
    // Both are newer than the current version: a committed shard, and the state of another.
    make_slices(&job(&store, Slice::TABLE.into(), 1, &[], &["a"]));
    let begun = job(&store, Slice::TABLE.into(), 2, &[], &["a"]);
    let writer = begun.work().unwrap().next().unwrap().unwrap();
    fs::write(begun.resume_folder(&writer).unwrap().join("state"), "state").unwrap();

    let none = Keep { versions: 0, interrupted: Duration::ZERO };
    // The writer still has its claim.
    let found = look(&store, none).unwrap();
    assert_eq!((found.n_shards(), found.abandoned.len()), (1, 0));
    drop(writer);
    let found = look(&store, keep(0)).unwrap();
    assert_eq!((found.n_shards(), found.abandoned.len()), (0, 0));
    assert_eq!(found.interrupted[0].n_shards, 2);
    let found = look(&store, none).unwrap();
    let abandoned: Vec<_> =
        found.abandoned.iter().map(|a| (&*a.output, &*a.key, a.days, a.bytes)).collect();
    assert_eq!(abandoned, [("slices", begun.shard_key(0), 0, 5)]);
    assert_eq!((found.n_shards(), found.interrupted.len()), (1, 0));
    assert!(begun.is_begun(0));
    let before = used(store.root());
    assert_eq!(collect(&store, none).unwrap(), found);
    assert_eq!(before - used(store.root()), found.bytes);
    assert!(!begun.is_begun(0));
    assert!(collect(&store, none).unwrap().is_empty());
    store.require(Slice::TABLE).unwrap().check_files().unwrap();
}

#[test]
fn a_store_in_use_and_a_damaged_record_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    slices(&store, 0, &["a"]);
    let new = slices(&store, 1, &["a"]);
    let run = store.share().unwrap();
    let error = collect(&store, keep(0)).unwrap_err();
    assert!(matches!(error, Error::Shared { .. }), "{error}");
    assert_eq!(look(&store, keep(0)).unwrap().versions.len(), 1);
    drop(run);
    fs::write(manifest_path_of(&store, &new), "{").unwrap();
    let error = collect(&store, keep(0)).unwrap_err();
    assert!(matches!(error, Error::Record { .. }), "{error}");
    fs::remove_file(manifest_path_of(&store, &new)).unwrap();
    let error = collect(&store, keep(0)).unwrap_err().to_string();
    assert!(error.contains("CURRENT` names it"), "{error}");
    assert_eq!(store.version_keys(Slice::TABLE).unwrap().len(), 1);
}

#[test]
fn records_go_before_shards() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let old = slices(&store, 0, &["a"]);
    std::thread::sleep(Duration::from_millis(20));
    let new = slices(&store, 1, &["a"]);
    let (_, paths) = collect::find(store.root(), keep(0)).unwrap();
    // Stopped after the records.
    remove::remove(&collect::Paths { shards: Vec::new(), ..paths }).unwrap();
    assert_eq!(store.version_keys(Slice::TABLE).unwrap(), [new.manifest.key.as_str()]);
    old.check_files().unwrap();
    let found = collect(&store, keep(0)).unwrap();
    assert_eq!((found.versions.len(), found.n_shards()), (0, 1));
    assert!(matches!(old.check_files(), Err(Error::Damaged { .. })));
    new.check_files().unwrap();
}

#[test]
fn metrics_stay_as_long_as_their_shard_or_its_unfinished_state() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let metrics = store.root().join("slices/metrics");
    let names = || -> Vec<String> {
        let entries = fs::read_dir(&metrics).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    };
    // Makes a shard that writes metrics; `is_whole` says whether it is committed.
    let follow = |setting: i64, is_whole: bool| {
        let job = job(&store, Slice::TABLE.into(), setting, &[], &["a"]);
        let writer = job.work().unwrap().next().unwrap().unwrap();
        fs::write(job.metrics_folder(&writer).unwrap().join("metrics.jsonl"), "{}\n").unwrap();
        if is_whole {
            let part = writer.part::<Slice>().unwrap();
            writer.commit(vec![part.finish().unwrap()], Vec::new()).unwrap();
            job.finish().unwrap();
        } else {
            fs::write(job.resume_folder(&writer).unwrap().join("state"), "state").unwrap();
        }
        job.shard_key(0).to_owned()
    };
    let [old, current] = [0, 1].map(|setting| follow(setting, true));
    std::thread::sleep(Duration::from_millis(20));
    let begun = follow(2, false);
    fs::create_dir_all(metrics.join("of-no-training")).unwrap();
    let mut all = vec![old, current.clone(), begun.clone(), "of-no-training".to_owned()];
    all.sort();
    assert_eq!(names(), all);
    let before = used(store.root());
    let found = collect(&store, keep(0)).unwrap();
    assert_eq!((found.n_metrics, found.versions.len()), (2, 1));
    assert_eq!(before - used(store.root()), found.bytes);
    let mut left = vec![current.clone(), begun];
    left.sort();
    assert_eq!(names(), left);
    // The unfinished training is given up.
    let none = Keep { versions: 0, interrupted: Duration::ZERO };
    assert_eq!(collect(&store, none).unwrap().n_metrics, 1);
    assert_eq!(names(), [current]);
}
