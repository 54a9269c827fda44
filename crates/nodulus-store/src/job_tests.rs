//! Shards and versions: what a job makes, what it shares with others, and what an interruption leaves.

use crate::fixture::Slice;
use crate::record::ShardInput;
use crate::{
    Error, FailedCase, FaultClass, InputRef, Job, JobSpec, OutputSpec, Row as _, ShardCase,
    ShardSpec, ShardWriter, Store, Version,
};
use fs_err as fs;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const PICTURES: OutputSpec = OutputSpec::Files("pictures");

/// A job with a shard for each content that it is made from.
pub(crate) fn spec(contents: &[&str]) -> JobSpec {
    let shard = |content: &&str| ShardSpec {
        config: Arc::new(json!({ "ratio": 1.0 })),
        decisions: Value::Null,
        inputs: vec![ShardInput { name: "rois".to_owned(), content_sha256: (*content).to_owned() }],
        cases: Vec::new(),
    };
    let input = |content: &str| InputRef {
        name: "rois".to_owned(),
        key: content.to_owned(),
        content_sha256: content.to_owned(),
        note: None,
    };
    JobSpec {
        stage: "balance",
        stage_version: 1,
        outputs: vec![Slice::TABLE.into(), PICTURES],
        config: json!({ "ratio": 1.0 }),
        inputs: vec![input(&contents.concat())],
        shards: contents.iter().map(shard).collect(),
    }
}

pub(crate) fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(&folder.path().join("s")).unwrap();
    (folder, store)
}

pub(crate) fn failed_case(needs_bytes: Option<u64>) -> FailedCase {
    let (stage, case_id, cause) = ("balance".to_owned(), "c".to_owned(), "x".to_owned());
    let class = if needs_bytes.is_some() { FaultClass::Machine } else { FaultClass::Content };
    FailedCase {
        stage,
        cohort: None,
        case_id,
        cause,
        path: None,
        needs_bytes,
        class,
        is_disk_full: false,
    }
}

/// Writes a shard with one row and one picture.
pub(crate) fn commit(writer: ShardWriter, row: i64, failures: Vec<FailedCase>) {
    let mut part = writer.part::<Slice>().unwrap();
    part.write([Slice::new(row)]).unwrap();
    fs::write(writer.files(PICTURES).unwrap().join(format!("{row}.png")), "picture").unwrap();
    writer.commit(vec![part.finish().unwrap()], failures).unwrap();
}

/// Makes every pending shard; its row is the first byte of its content.
fn make(job: &Job) -> Vec<usize> {
    let mut made = Vec::new();
    for writer in job.work().unwrap() {
        let writer = writer.unwrap();
        made.push(writer.number());
        let row = row_of(job, writer.number());
        commit(writer, row, Vec::new());
    }
    made
}

pub(crate) fn row_of(job: &Job, number: usize) -> i64 {
    i64::from(job.spec().shards[number].inputs[0].content_sha256.as_bytes()[0])
}

pub(crate) fn rows(version: &Version) -> Vec<i64> {
    let rows = version.rows::<Slice>().flat_map(Result::unwrap);
    rows.map(|row| row.index).collect()
}

fn current(store: &Store) -> Version {
    store.require(Slice::TABLE).unwrap()
}

/// Every file below a folder with its bytes, and with its number where the system has one.
fn files(folder: &Path) -> BTreeMap<PathBuf, (u64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), (number(&path), fs::read(&path).unwrap()));
        }
    }
    found
}

#[cfg(unix)]
fn number(path: &Path) -> u64 {
    std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap())
}

#[cfg(not(unix))]
fn number(_: &Path) -> u64 {
    0
}

#[test]
fn a_table_exists_once_its_last_shard_is_committed() {
    let (_folder, store) = store();
    let job = store.job(spec(&["a", "b"]));
    let mut work = job.work().unwrap();
    commit(work.next().unwrap().unwrap(), 0, vec![failed_case(None)]);
    assert_eq!(job.standing().unwrap().pending, [1]);
    let error = job.finish().unwrap_err();
    assert!(matches!(error, Error::ShardMissing { .. }), "{error}");
    assert!(store.current(Slice::TABLE).unwrap().is_none());
    commit(work.next().unwrap().unwrap(), 1, vec![failed_case(None)]);
    assert!(work.next().is_none() && job.standing().unwrap().pending.is_empty());
    job.finish().unwrap();
    let version = current(&store);
    assert_eq!((rows(&version), version.manifest.n_failures()), (vec![0, 1], 2));
    assert_eq!(version.failures().unwrap(), [failed_case(None), failed_case(None)]);
    // The failed cases are the first output's alone.
    let pictures = store.require(PICTURES).unwrap();
    assert_eq!((pictures.manifest.n_failures(), pictures.files().len()), (0, 2));
}

#[test]
fn a_shard_is_committed_as_a_whole_or_not_at_all() {
    let (_folder, store) = store();
    let job = store.job(spec(&["a"]));
    // Dropped, or without a part of a table: nothing is committed.
    drop(job.work().unwrap().next().unwrap().unwrap().part::<Slice>().unwrap());
    let writer = job.work().unwrap().next().unwrap().unwrap();
    let error = writer.commit(Vec::new(), Vec::new()).unwrap_err();
    assert!(matches!(error, Error::PartMissing { .. }), "{error}");
    assert_eq!(job.standing().unwrap().pending, [0]);
    // Stopped after the first of two outputs: the shard is made again, and the committed output stays as it is.
    assert_eq!(make(&job), [0]);
    let key = &job.spec().shard_keys()[0];
    let [slices, pictures] =
        ["slices", "pictures"].map(|output| store.root().join(output).join("shards"));
    fs::remove_dir_all(pictures.join(key)).unwrap();
    let before = files(&slices);
    assert_eq!(job.standing().unwrap().pending, [0]);
    assert_eq!(make(&job), [0]);
    assert_eq!(files(&slices), before);
    assert!(pictures.join(key).join("record.json").exists());
    job.finish().unwrap();
    assert_eq!(rows(&current(&store)), [i64::from(b'a')]);
}

#[test]
fn the_same_job_twice_does_nothing() {
    let (_folder, store) = store();
    let job = store.job(spec(&["a", "b"]));
    assert_eq!(make(&job), [0, 1]);
    job.finish().unwrap();
    let before = files(store.root());
    let again = store.job(spec(&["a", "b"]));
    assert_eq!((again.key(), again.standing().unwrap().pending), (job.key(), Vec::new()));
    assert_eq!(again.work().unwrap().n_left(), 0);
    again.finish().unwrap();
    assert_eq!(files(store.root()), before);
}

#[test]
fn versions_share_shards() {
    let (_folder, store) = store();
    let job = store.job(spec(&["a", "b"]));
    make(&job);
    job.finish().unwrap();
    let first = current(&store);
    let grown = store.job(spec(&["a", "b", "c"]));
    assert_eq!(make(&grown), [2]);
    grown.finish().unwrap();
    let second = current(&store);
    assert_eq!(second.files()[..2], first.files());
    assert_eq!(rows(&second), ["a", "b", "c"].map(|c| i64::from(c.as_bytes()[0])));
    // The first version is still there, and becomes current again without work.
    assert_eq!(store.version(Slice::TABLE, job.key()).unwrap().unwrap().manifest, first.manifest);
    job.finish().unwrap();
    assert_eq!(current(&store).manifest, first.manifest);
    // Shards of other settings are others.
    let mut other = spec(&["a"]);
    other.shards[0].config = Arc::new(json!({ "ratio": 2.0 }));
    assert_eq!(store.job(other).standing().unwrap().pending, [0]);
    let mut other = spec(&["a"]);
    other.shards[0].decisions = json!({ "p": "test" });
    assert_eq!(store.job(other).standing().unwrap().pending, [0]);
    // Shards do not depend on the settings of the whole, nor on the key of an input.
    let mut same = spec(&["a"]);
    same.config = json!({ "shard_size": 3 });
    same.inputs[0].key = "other".to_owned();
    assert_eq!(store.job(same).standing().unwrap().pending, [0; 0]);
}

#[test]
fn shards_of_one_content_are_made_once_and_listed_twice() {
    let (_folder, store) = store();
    let job = store.job(spec(&["a", "a"]));
    assert_eq!((job.standing().unwrap().pending, make(&job)), (vec![0, 1], vec![0]));
    job.finish().unwrap();
    assert_eq!(rows(&current(&store)).len(), 2);
    assert_eq!(fs::read_dir(store.root().join("slices/current")).unwrap().count(), 2);
}

#[test]
fn a_redone_shard_replaces_the_old_one_and_what_listed_it() {
    let (_folder, store) = store();
    let small = store.job(spec(&["a", "b"]));
    make(&small);
    small.finish().unwrap();
    let mut grown = store.job(spec(&["a", "b", "c"]));
    make(&grown);
    grown.finish().unwrap();
    let other = store.job(spec(&["b"]));
    other.finish().unwrap();
    grown.finish().unwrap();
    let before = current(&store);

    grown.redo([0]);
    assert_eq!(grown.standing().unwrap().pending, [0]);
    let writer = grown.work().unwrap().next().unwrap().unwrap();
    // Until it is committed, the old one stays.
    assert_eq!(rows(&current(&store)), rows(&before));
    commit(writer, 7, vec![failed_case(None)]);
    grown.finish().unwrap();
    let after = current(&store);
    assert_eq!(rows(&after), [7, i64::from(b'b'), i64::from(b'c')]);
    assert_eq!((after.manifest.key.as_str(), after.manifest.n_failures()), (grown.key(), 1));
    assert_ne!(after.manifest.content_sha256, before.manifest.content_sha256);
    // The version with the replaced shard is gone; the one without it stays.
    assert!(store.version(Slice::TABLE, small.key()).unwrap().is_none());
    assert!(store.version(Slice::TABLE, other.key()).unwrap().is_some());
    let shown = fs::read_dir(store.root().join("slices/current")).unwrap().count();
    assert_eq!(shown, 3);

    // The same content again replaces nothing that another version lists.
    let mut again = store.job(spec(&["b"]));
    again.redo([0]);
    assert_eq!(make(&again), [0]);
    again.finish().unwrap();
    let kept = store.version(Slice::TABLE, grown.key()).unwrap().unwrap();
    assert_eq!(rows(&kept), rows(&after));
}

#[test]
fn a_run_that_is_killed_after_a_shard_was_redone_leaves_no_version_with_the_old_one() {
    let (_folder, store) = store();
    let mut job = store.job(spec(&["a", "b"]));
    make(&job);
    job.finish().unwrap();
    job.redo([0]);
    commit(job.work().unwrap().next().unwrap().unwrap(), 7, vec![failed_case(None)]);
    // Killed here: the current version lists a part that is gone.
    drop(job);
    let job = store.job(spec(&["a", "b"]));
    let committed = job.standing().unwrap().committed;
    assert_eq!(committed[0].as_ref().map(|shard| shard.n_failures), Some(1));
    assert_eq!(make(&job), [0; 0]);
    job.finish().unwrap();
    let version = current(&store);
    assert_eq!((rows(&version), version.manifest.n_failures()), (vec![7, i64::from(b'b')], 1));
    assert_eq!(version.manifest.content_sha256, content_of_files(&version));
    // Afterwards the version is as any other: nothing is written again.
    let before = files(store.root());
    store.job(spec(&["a", "b"])).finish().unwrap();
    assert_eq!(files(store.root()), before);
}

fn content_of_files(version: &Version) -> String {
    let shards = &version.manifest.shards;
    let records = (0..shards.len()).map(|shard| version.shard_record(shard).unwrap());
    let parts: Vec<_> = records.flat_map(|record| record.parts).collect();
    crate::hash::sha256_parts(parts.iter().map(|part| part.content_sha256.as_str()))
}

#[test]
fn unfinished_attempts_of_a_dead_process_are_removed_and_those_of_a_living_one_are_not() {
    let (_folder, store) = store();
    let job = store.job(spec(&["a", "b"]));
    let mut work = job.work().unwrap();
    let living = work.next().unwrap().unwrap();
    let keys = job.spec().shard_keys();
    let shards = ["slices", "pictures"].map(|output| store.root().join(output).join("shards"));
    let dead = shards.each_ref().map(|folder| folder.join(format!("{}.0123-7.tmp", keys[1])));
    for folder in &dead {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("part.parquet"), "half").unwrap();
    }
    fs::write(shards[0].join(format!("{}.lock", keys[1])), "").unwrap();
    // Another process begins.
    let other = store.job(spec(&["a", "b"]));
    let theirs = other.work().unwrap();
    assert!(dead.iter().all(|folder| !folder.exists()));
    assert_eq!(theirs.n_left(), 2);
    commit(living, 0, Vec::new());
    assert_eq!(make(&other), [1]);
    assert!(work.next().is_none());
    job.finish().unwrap();
    for folder in shards {
        assert_eq!(fs::read_dir(folder).unwrap().count(), 2);
    }
}

#[test]
fn what_interrupted_runs_left_is_removed_by_the_next_one_that_is_alone() {
    let (_folder, store) = store();
    let job = store.job(spec(&["a"]));
    make(&job);
    job.finish().unwrap();
    let before = files(store.root());
    let left = [
        "store.json.1.tmp",
        "sources/hashes.1.tmp",
        "slices/CURRENT.1.tmp",
        "slices/versions/k.json.1.tmp",
        "slices/frozen/k.json.1.tmp",
        "slices/shards/0123.1.tmp/part.parquet",
        "slices/shards/0123.lock",
        "slices/current.1.tmp/part-00000-0.parquet",
        "pictures/current.1.old.2.tmp/1.png",
    ];
    let paths = left.map(|name| store.root().join(name));
    // Another process works: the files may be its own.
    let other = store.share().unwrap();
    for path in &paths {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "half").unwrap();
    }
    drop(store.share().unwrap());
    assert!(paths.iter().all(|path| path.exists()));
    drop(other);
    let lock = store.share().unwrap();
    let mut found = files(store.root());
    found.remove(&store.root().join("lock"));
    assert_eq!(found, before);
    // It is not alone any longer.
    assert!(matches!(store.lock().unwrap_err(), Error::Shared { .. }));
    drop(lock);
}

#[test]
fn processes_share_the_work_and_make_each_shard_once() {
    let (_folder, store) = store();
    let contents: Vec<String> = (0..40).map(|n| format!("{n:02}")).collect();
    let contents: Vec<&str> = contents.iter().map(String::as_str).collect();
    let made: Vec<usize> = thread::scope(|scope| {
        let workers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let job = store.job(spec(&contents));
                    let mut made = Vec::new();
                    for writer in job.work().unwrap() {
                        let writer = writer.unwrap();
                        made.push(writer.number());
                        let row = writer.number() as i64;
                        thread::sleep(Duration::from_millis(1));
                        commit(writer, row, Vec::new());
                    }
                    // Whoever comes first finishes; twice is harmless.
                    job.finish().unwrap();
                    made
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let mut sorted = made.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..40).collect::<Vec<_>>());
    assert_eq!(rows(&current(&store)), (0..40).collect::<Vec<_>>());
    assert_eq!(fs::read_dir(store.root().join("slices/shards")).unwrap().count(), 40);
}

#[test]
fn a_shard_that_another_process_gives_up_is_made_here() {
    let (_folder, store) = store();
    let theirs = store.job(spec(&["a", "b"]));
    let mine = store.job(spec(&["a", "b"]));
    let writer = theirs.work().unwrap().next().unwrap().unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| make(&mine));
        // The shard that is free comes first; then this process waits for the other.
        while mine.standing().unwrap().pending != [0] {
            thread::sleep(Duration::from_millis(1));
        }
        drop(writer);
        assert_eq!(waiting.join().unwrap(), [1, 0]);
    });
    mine.finish().unwrap();
    assert_eq!(rows(&current(&store)).len(), 2);
}

#[test]
fn a_failed_case_tells_how_much_memory_it_needs() {
    let (_folder, store) = store();
    let job = store.job(spec(&["a", "b"]));
    for (writer, needs) in job.work().unwrap().zip([[Some(900), Some(700), None], [None; 3]]) {
        commit(writer.unwrap(), 0, needs.map(failed_case).to_vec());
    }
    // With the smallest of them something could be done again.
    let needs = |shards: Vec<Option<crate::ShardSummary>>| -> Vec<Option<u64>> {
        shards.into_iter().map(|shard| shard.unwrap().needs_bytes).collect()
    };
    assert_eq!(needs(job.standing().unwrap().committed), [Some(700), None]);
    job.finish().unwrap();
    assert_eq!(
        needs(store.job(spec(&["a", "b"])).standing().unwrap().committed),
        [Some(700), None]
    );
    let failures = current(&store).failures().unwrap();
    let wanted = [Some(900), Some(700), None, None, None, None];
    assert_eq!(failures, wanted.map(failed_case));
}

#[test]
fn the_state_of_a_long_shard_outlives_its_process_and_ends_with_the_job() {
    let (_folder, store) = store();
    let mut job = store.job(spec(&["a"]));
    let writer = job.work().unwrap().next().unwrap().unwrap();
    let state = job.resume_folder(&writer).unwrap();
    fs::write(state.join("epoch"), "1").unwrap();
    drop(writer);
    let writer = job.work().unwrap().next().unwrap().unwrap();
    assert_eq!(fs::read(job.resume_folder(&writer).unwrap().join("epoch")).unwrap(), b"1");
    commit(writer, 0, Vec::new());
    job.finish().unwrap();
    assert!(!state.exists());
    // A shard that is made again starts afresh; another run that finds nothing to do leaves its state alone.
    fs::create_dir_all(&state).unwrap();
    fs::write(state.join("epoch"), "1").unwrap();
    job.redo([0]);
    let writer = job.work().unwrap().next().unwrap().unwrap();
    assert_eq!(fs::read_dir(job.resume_folder(&writer).unwrap()).unwrap().count(), 0);
    store.job(spec(&["a"])).finish().unwrap();
    assert!(state.exists());
    commit(writer, 0, Vec::new());
    job.finish().unwrap();
    assert!(!state.exists());
}

#[test]
fn the_metrics_of_a_shard_stay_until_another_one_is_committed() {
    let (_folder, store) = store();
    let mut job = store.job(spec(&["a"]));
    let writer = job.work().unwrap().next().unwrap().unwrap();
    let metrics = job.metrics_folder(&writer).unwrap();
    let line = metrics.join("line");
    fs::write(&line, "1").unwrap();
    drop(writer);
    // A shard that goes on has what it had.
    let writer = job.work().unwrap().next().unwrap().unwrap();
    assert_eq!(job.metrics_folder(&writer).unwrap(), metrics);
    assert_eq!(fs::read(&line).unwrap(), b"1");
    commit(writer, 0, Vec::new());
    job.publish_metrics(0).unwrap();
    job.finish().unwrap();
    // One that is made again begins anew, and a kill leaves the first ones.
    job.redo([0]);
    for text in ["2", "3"] {
        let writer = job.work().unwrap().next().unwrap().unwrap();
        let again = job.metrics_folder(&writer).unwrap();
        assert_eq!(fs::read_dir(&again).unwrap().count(), 0);
        fs::write(again.join("line"), text).unwrap();
        assert_eq!(fs::read(&line).unwrap(), b"1");
        if text == "3" {
            commit(writer, 0, Vec::new());
            job.publish_metrics(0).unwrap();
        }
    }
    job.finish().unwrap();
    assert_eq!(fs::read(&line).unwrap(), b"3");
    assert_eq!(fs::read_dir(metrics.parent().unwrap()).unwrap().count(), 1);
    // What a killed one left goes as the store is taken again.
    let left = metrics.with_extension("tmp");
    fs::create_dir_all(&left).unwrap();
    drop(store.share().unwrap());
    assert!(!left.exists() && line.exists());
}

#[test]
fn a_kept_version_names_what_it_would_be_made_from() {
    let (_folder, store) = store();
    let job = store.job(spec(&["a"]));
    make(&job);
    job.finish().unwrap();
    let kept = store.keep(current(&store), &spec(&["b"]).inputs).unwrap();
    assert_eq!(kept.manifest.kept_beside.as_deref(), Some(&spec(&["b"]).inputs[..]));
    let read = current(&store);
    assert_eq!((read.manifest.clone(), rows(&read)), (kept.manifest, vec![i64::from(b'a')]));
    assert_eq!(read.manifest.inputs, spec(&["a"]).inputs);
    // The job itself makes it an ordinary version again.
    job.finish().unwrap();
    assert_eq!(current(&store).manifest.kept_beside, None);
}

#[test]
fn the_record_of_a_shard_says_what_it_was_made_from() {
    let (_folder, store) = store();
    let mut wanted = spec(&["a"]);
    wanted.shards[0].decisions = json!({ "p": ["test", null] });
    wanted.shards[0].cases = vec![ShardCase {
        cohort: "c".to_owned(),
        case_id: "p1/ct".to_owned(),
        n_files: 3,
        content_sha256: "a".to_owned(),
        reading: None,
    }];
    // Where a case lies is no part of the key.
    let mut moved = wanted.clone();
    moved.shards[0].cases[0].case_id = "p2/ct".to_owned();
    assert_eq!(moved.shard_keys(), wanted.shard_keys());
    let job = store.job(wanted);
    make(&job);
    job.finish().unwrap();
    let record = current(&store).shard_record(0).unwrap();
    assert_eq!((record.stage.as_str(), record.stage_version), ("balance", 1));
    let shard = &job.spec().shards[0];
    assert_eq!((&record.config, &record.decisions), (&*shard.config, &shard.decisions));
    assert_eq!((&record.inputs, &record.cases), (&shard.inputs, &shard.cases));
    assert!(matches!(current(&store).shard_record(1), Err(Error::ShardMissing { .. })));
}

#[test]
fn a_shard_that_was_not_on_disk_when_the_machine_stopped_is_made_again() {
    let (_folder, store) = store();
    let job = store.job(spec(&["a", "b"]));
    make(&job);
    // The machine stops here: all shards are committed, and the bytes of one are lost.
    let shards = store.root().join("slices/shards");
    let keys = job.spec().shard_keys();
    for entry in fs::read_dir(shards.join(&keys[0])).unwrap().map(Result::unwrap) {
        if entry.file_name() != "record.json" {
            fs::write(entry.path(), "").unwrap();
        }
    }
    let mut job = store.job(spec(&["a", "b"]));
    assert_eq!(job.standing().unwrap().pending, [0]);
    job.check_shards().unwrap();
    assert_eq!((job.standing().unwrap().pending, make(&job)), (vec![0], vec![0]));
    job.finish().unwrap();
    assert_eq!(rows(&current(&store)).len(), 2);
    // Shards of a finished version are sealed, and are not read again.
    assert!(keys.iter().all(|key| shards.join(key).join("sealed").exists()));
}

#[test]
fn a_damaged_shard_is_set_aside_and_made_again() {
    let (_folder, store) = store();
    let job = store.job(spec(&["a", "b"]));
    make(&job);
    job.finish().unwrap();
    let parts = || -> BTreeMap<PathBuf, Vec<u8>> {
        let outputs = [Slice::TABLE.into(), PICTURES].map(|output| store.require(output).unwrap());
        let files = outputs.iter().flat_map(Version::files);
        files.map(|file| (file.clone(), fs::read(file).unwrap())).collect()
    };
    let whole = parts();
    assert_eq!(whole.len(), 4);
    for file in whole.keys() {
        for damage in ["gone", "shorter", "changed"] {
            let mut bytes = fs::read(file).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            match damage {
                "gone" => fs::remove_file(file).unwrap(),
                "shorter" => fs::write(file, &bytes[..middle]).unwrap(),
                _ => fs::write(file, &bytes).unwrap(),
            }
            // A read names it; a plan makes its shard again, and a run does.
            let version = current(&store);
            let pictures = store.require(PICTURES).unwrap();
            let found = [version.check_files(), pictures.check_files()];
            let error = found.into_iter().find_map(Result::err).unwrap().to_string();
            assert!(error.contains(&file.display().to_string()), "{damage}: {error}");
            let mut job = store.job(spec(&["a", "b"]));
            assert_eq!(job.standing().unwrap().pending.len(), 1, "{damage} {}", file.display());
            job.check_shards().unwrap();
            assert_eq!(make(&job).len(), 1);
            job.finish().unwrap();
            assert_eq!(parts(), whole);
            assert!(store.root().join("damaged").exists());
            current(&store).check_files().unwrap();
        }
    }
}

#[test]
fn a_store_without_a_readable_current_version_gets_one_from_its_shards() {
    let (_folder, store) = store();
    let job = store.job(spec(&["a", "b"]));
    make(&job);
    let key = job.finish().unwrap()[0].manifest.key.clone();
    let folder = store.root().join("slices");
    let manifest = folder.join("versions").join(format!("{key}.json"));
    let other = key.replace(|digit: char| digit.is_ascii_digit(), "f");
    for (file, text) in [
        (folder.join("CURRENT"), None),
        (folder.join("CURRENT"), Some("")),
        (folder.join("CURRENT"), Some(&*other)),
        (manifest.clone(), None),
        (manifest.clone(), Some("")),
        (manifest, Some("{\"output\": \"slices\"}")),
    ] {
        match text {
            None => fs::remove_file(&file).unwrap(),
            Some(text) => fs::write(&file, text).unwrap(),
        }
        let error = store.current(Slice::TABLE).unwrap_err().to_string();
        assert!(error.contains(&file.display().to_string()), "{error}");
        // A run takes the store, and finds all shards there.
        let lock = store.share().unwrap();
        let job = store.job(spec(&["a", "b"]));
        assert_eq!(make(&job), [0; 0]);
        job.finish().unwrap();
        drop(lock);
        assert_eq!(current(&store).manifest.key, key);
        assert_eq!(rows(&current(&store)), [i64::from(b'a'), i64::from(b'b')]);
    }
}
