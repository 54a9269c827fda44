//! Faults of the machine, made by a library that lets chosen calls of the program fail: a passing fault never becomes a result.
//!
//! A sample of the calls fails; a larger one, or every call, with `NODULUS_FAULTS` (`tests/faults/all`).

use crate::fixture;
use crate::nightly_job::{Job, files};
use nodulus_test_needs::{Need, skip};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The exit status of a panic.
const PANICKED: i32 = 101;

/// Errors by their names and numbers on Linux.
const EIO: (&str, &str) = ("EIO", "5");
const EACCES: (&str, &str) = ("EACCES", "13");
const EMFILE: (&str, &str) = ("EMFILE", "24");
const ENOSPC: (&str, &str) = ("ENOSPC", "28");
const ESTALE: (&str, &str) = ("ESTALE", "116");
const EDQUOT: (&str, &str) = ("EDQUOT", "122");
const EINTR: (&str, &str) = ("EINTR", "4");
const SHORT: (&str, &str) = ("short", "short");

/// A call that fails.
#[derive(Clone, Copy, Debug)]
struct Fault<'a> {
    call: &'static str,
    below: &'a Path,
    errno: (&'static str, &'static str),
    /// The first call that fails, from 1.
    at: u64,
    /// How many fail from there on; 0 for all.
    times: u64,
}

/// The library; `None` without a C compiler, and the check is skipped.
fn shim() -> Option<&'static Path> {
    static SHIM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let shim = SHIM.get_or_init(|| {
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fault.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/fault.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl");
        let compiled = compiler.output().ok()?;
        let error = String::from_utf8_lossy(&compiled.stderr);
        assert!(compiled.status.success(), "{error}");
        Some(library)
    });
    if shim.is_none() {
        skip(Need::Peer, "no C compiler `cc`, which makes the library that lets calls fail");
    }
    shim.as_deref()
}

/// Runs a command in which a call fails. Returns its output, and how many calls there were and failed.
fn run_with(command: &mut Command, shim: &Path, fault: Fault<'_>) -> (Output, [u64; 2]) {
    let count = tempfile::NamedTempFile::new().unwrap();
    command
        .env("LD_PRELOAD", shim)
        .env("FAULT_CALL", fault.call)
        .env("FAULT_BELOW", fault.below)
        .env("FAULT_AT", fault.at.to_string())
        .env("FAULT_TIMES", fault.times.to_string())
        .env("FAULT_ERRNO", fault.errno.1)
        .env("FAULT_COUNT", count.path());
    let output = command.output().unwrap();
    let text = fs_err::read_to_string(count.path()).unwrap();
    let mut numbers = text.split_whitespace().map(|number| number.parse().unwrap());
    (output, [0; 2].map(|_| numbers.next().unwrap()))
}

/// The calls of a run at which faults are made: 2 of them, as many as `NODULUS_FAULTS` says, or all.
fn positions(n_calls: u64, random: &mut ChaCha8Rng) -> Vec<u64> {
    let wanted = std::env::var("NODULUS_FAULTS").unwrap_or_else(|_| "2".to_owned());
    let n: u64 = if wanted == "all" { n_calls } else { wanted.parse().unwrap() };
    if n >= n_calls {
        return (1..=n_calls).collect();
    }
    let chosen: BTreeSet<u64> = (0..n).map(|_| random.random_range(1..=n_calls.max(1))).collect();
    chosen.into_iter().collect()
}

/// A cohort of each layout on a few tiny scans, and what a run on it makes when nothing fails.
struct Peace {
    folder: tempfile::TempDir,
    outputs: BTreeMap<String, Vec<u8>>,
}

impl Peace {
    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

fn peace() -> &'static Peace {
    static PEACE: OnceLock<Peace> = OnceLock::new();
    PEACE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let options = "--seed 3 --patients 2 --clinical-patients 2 --size 64".split(' ');
        let arguments: Vec<&str> =
            ["phantom", data.to_str().unwrap()].into_iter().chain(options).collect();
        fixture::run_well(&arguments);
        let text = format!(
            "store = {:?}\n[ingest]\nshard_size = 1\n\
             [[ingest.cohorts]]\nname = \"lidc\"\nsource = \"lidc\"\nroot = \"{{data}}/lidc\"\n\
             [[ingest.cohorts]]\nname = \"luna16\"\nsource = \"luna16\"\nroot = \"{{data}}/luna16\"\n\
             annotations = \"{{data}}/luna16/xml\"\n\
             [[ingest.cohorts]]\nname = \"clinical\"\nsource = \"volumes\"\nroot = \"{{data}}/clinical\"\n\
             [crop]\nsize = 32\nmargin_slices = 1\n",
            folder.path().join("store").to_str().unwrap()
        );
        let text = text.replace("{data}", data.to_str().unwrap());
        fs_err::write(folder.path().join("tiny.toml"), text).unwrap();
        let store = folder.path().join("store");
        let output = run_tiny(folder.path(), &store).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        Peace { outputs: fixture::outputs(&store), folder }
    })
}

fn run_tiny(folder: &Path, store: &Path) -> Command {
    let pipeline = folder.join("tiny.toml");
    let arguments = ["run", pipeline.to_str().unwrap(), "--to", "crop", "--progress", "none"];
    fixture::nodulus(&[&arguments[..], &["--store", store.to_str().unwrap()]].concat())
}

/// What became of the faults of a sweep.
#[derive(Debug, Default)]
struct Counts {
    faults: usize,
    /// Runs that ended with status 0 and the undisturbed bytes; the others named the fault.
    healed: usize,
}

impl Counts {
    fn add(&mut self, is_well: bool) {
        self.faults += 1;
        self.healed += usize::from(is_well);
    }

    /// Writes them to standard error; fails if there were fewer faults than these.
    fn report(&self, command: &str, least: usize) {
        let mut error = std::io::stderr();
        writeln!(error, "{command}: {self:?}").unwrap();
        assert!(self.faults >= least && self.healed > 0, "{self:?}");
    }
}

/// A run in which a call fails, and one after it in which none does.
fn disturb_run(
    shim: &Path,
    call: &'static str,
    below: Option<&str>,
    fault: Fault<'_>,
) -> Option<bool> {
    let peace = peace();
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let below = below.map_or_else(|| peace.data(), |name| folder.path().join(name));
    let fault = Fault { call, below: &below, ..fault };
    let (output, [_, n_failed]) = run_with(&mut run_tiny(peace.folder.path(), &store), shim, fault);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let what = format!("{fault:?}: {:?} {error}", output.status.code());
    assert!(output.status.code().is_some_and(|code| code != PANICKED), "{what}");
    if n_failed == 0 {
        return None;
    }
    let is_well = output.status.success();
    if is_well {
        assert_same(&fixture::outputs(&store), &peace.outputs, &what);
    } else {
        assert!(error.starts_with("error: "), "{what}");
    }
    let output = run_tiny(peace.folder.path(), &store).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "after {what}\nthe next run ended with {error}");
    assert_same(&fixture::outputs(&store), &peace.outputs, &format!("the run after {what}"));
    Some(is_well)
}

fn assert_same(
    found: &BTreeMap<String, Vec<u8>>,
    expected: &BTreeMap<String, Vec<u8>>,
    what: &str,
) {
    assert!(found.keys().eq(expected.keys()), "{:?}: {what}", found.keys());
    for (name, bytes) in expected {
        assert!(found.get(name) == Some(bytes), "`{name}` differs: {what}");
    }
}

#[test]
fn a_passing_fault_of_a_run_is_healed_or_named_and_never_a_result() {
    let Some(shim) = shim() else { return };
    let mut random = ChaCha8Rng::seed_from_u64(21);
    let mut counts = Counts::default();
    let cases: [(&'static str, Option<&str>, &[_]); 8] = [
        ("open", None, &[EIO, EACCES, EMFILE, ESTALE]),
        ("read", None, &[EIO, ESTALE, EINTR, SHORT]),
        ("stat", None, &[EIO, EACCES]),
        ("list", None, &[EIO, EACCES, EMFILE]),
        ("open", Some("store"), &[EMFILE, ENOSPC]),
        ("write", Some("store"), &[ENOSPC, EDQUOT, EIO, SHORT]),
        ("sync", Some("store"), &[EIO]),
        ("rename", Some("store"), &[ENOSPC, EIO]),
    ];
    for (call, below, errnos) in cases {
        let folder = tempfile::tempdir().unwrap();
        let path = below.map_or_else(|| peace().data(), |name| folder.path().join(name));
        let none = Fault { call, below: &path, errno: EIO, at: 0, times: 1 };
        let mut undisturbed = run_tiny(peace().folder.path(), &folder.path().join("store"));
        let (_, [n_calls, _]) = run_with(&mut undisturbed, shim, none);
        assert!(n_calls > 0, "{call} below {below:?} is not seen");
        for errno in errnos {
            for at in positions(n_calls, &mut random) {
                let fault = Fault { errno: *errno, at, ..none };
                let Some(is_well) = disturb_run(shim, call, below, fault) else { continue };
                counts.add(is_well);
            }
        }
    }
    counts.report("run", 30);
}

#[test]
fn a_lasting_fault_leaves_its_shard_undone_and_makes_the_others() {
    let Some(shim) = shim() else { return };
    let peace = peace();
    let slice = files(&peace.data().join("lidc")).into_keys().next().unwrap();
    for errno in [EIO, EACCES] {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let fault = Fault { call: "open", below: &slice, errno, at: 1, times: 0 };
        let (output, _) = run_with(&mut run_tiny(peace.folder.path(), &store), shim, fault);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains("ingest left 1 of 6 shards undone"), "{error}");
        assert!(error.contains(slice.file_name().unwrap().to_str().unwrap()), "{error}");
        let made = fs_err::read_dir(store.join("scans/shards")).unwrap();
        let names = made.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert_eq!(names.filter(|name| !name.contains('.')).count(), 5);
        assert!(!store.join("scans/CURRENT").exists());
        assert!(run_tiny(peace.folder.path(), &store).output().unwrap().status.success());
        assert_same(&fixture::outputs(&store), &peace.outputs, errno.0);
    }
}

/// What a night makes when nothing fails.
struct PeacefulNight {
    job: Job,
    rows: Vec<Value>,
    outputs: BTreeSet<PathBuf>,
}

const OUTPUTS: [&str; 2] = ["--set", "score.outputs=[\"seg\", \"json\"]"];

fn night() -> &'static PeacefulNight {
    static NIGHT: OnceLock<PeacefulNight> = OnceLock::new();
    NIGHT.get_or_init(|| {
        let job = Job::new();
        let store = job.folder.path().join("peace");
        let output = score(&job, &store).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        let (rows, outputs) = (rows(&store), outputs(&store));
        assert!(!rows.is_empty() && !outputs.is_empty());
        PeacefulNight { job, rows, outputs }
    })
}

fn score(job: &Job, store: &Path) -> Command {
    job.command(&[&OUTPUTS[..], &["--store", store.to_str().unwrap()]].concat())
}

fn rows(store: &Path) -> Vec<Value> {
    let store = store.to_str().unwrap();
    let arguments = ["show", "scores", "--store", store, "--json", "--rows", "1000"];
    let text = fixture::run_well(&arguments);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The files that the job delivered.
fn outputs(store: &Path) -> BTreeSet<PathBuf> {
    let delivered = files(store).into_keys().filter(|path| {
        path.extension().is_some_and(|end| end == "dcm")
            || path.to_string_lossy().ends_with("_nodules.json")
    });
    delivered.map(|path| path.strip_prefix(store).unwrap().to_owned()).collect()
}

#[test]
fn a_passing_fault_of_a_night_is_healed_or_named_and_never_a_result() {
    let Some(shim) = shim() else { return };
    let PeacefulNight { job, rows: expected, outputs: expected_outputs } = night();
    let mut random = ChaCha8Rng::seed_from_u64(22);
    let mut counts = Counts::default();
    let cases: [(&'static str, bool, &[_]); 7] = [
        ("open", true, &[EIO, EACCES]),
        ("read", true, &[EIO, ESTALE]),
        ("stat", true, &[EIO]),
        ("list", true, &[EIO, EACCES]),
        ("write", false, &[ENOSPC, EIO]),
        ("sync", false, &[EIO]),
        ("rename", false, &[ENOSPC, EIO]),
    ];
    for (call, is_input, errnos) in cases {
        let folder = tempfile::tempdir().unwrap();
        let below = |store: &Path| if is_input { job.input() } else { store.to_owned() };
        let store = folder.path().join("count");
        let path = below(&store);
        let none = Fault { call, below: &path, errno: EIO, at: 0, times: 1 };
        let (_, [n_calls, _]) = run_with(&mut score(job, &store), shim, none);
        assert!(n_calls > 0, "{call} is not seen");
        for errno in errnos {
            for at in positions(n_calls, &mut random) {
                let store = folder.path().join(format!("{}-{at}", errno.0));
                let path = below(&store);
                let fault = Fault { below: &path, errno: *errno, at, ..none };
                let (output, [_, n_failed]) = run_with(&mut score(job, &store), shim, fault);
                let log = String::from_utf8_lossy(&output.stderr).into_owned();
                let what = format!("{fault:?}: {:?} {log}", output.status.code());
                if n_failed == 0 {
                    continue;
                }
                let is_well = output.status.success();
                counts.add(is_well);
                if is_well {
                    assert_eq!(&rows(&store), expected, "{what}");
                    assert_eq!(&outputs(&store), expected_outputs, "{what}");
                } else {
                    assert!(matches!(output.status.code(), Some(1 | 3)), "{what}");
                }
                let output = score(job, &store).output().unwrap();
                let error = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "after {what}\nthe next night: {error}");
                assert_eq!(&rows(&store), expected, "the night after {what}");
                assert_eq!(&outputs(&store), expected_outputs, "the night after {what}");
            }
        }
    }
    counts.report("score", 12);
}

#[test]
fn a_file_that_denies_its_reader_stops_no_other_scan_and_stands_until_it_is_read() {
    let Some(shim) = shim() else { return };
    let PeacefulNight { job, rows: expected, .. } = night();
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let slice = job.series()[1].join("000004.dcm");
    let fault = Fault { call: "open", below: &slice, errno: EACCES, at: 1, times: 0 };
    let summary = |output: &Output| -> Value { serde_json::from_slice(&output.stdout).unwrap() };
    // Night after night.
    for scored in [2, 0] {
        let (output, _) = run_with(&mut score(job, &store), shim, fault);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{error}");
        let summary = summary(&output);
        let counts = ["scored", "failed", "undone", "never_scored"].map(|name| &summary[name]);
        assert_eq!(counts, [scored, 0, 1, 1].map(Value::from).each_ref(), "{summary}");
        assert_eq!(summary["failures"][0]["class"], "machine");
    }
    let (file, path) = (job.file(), store.to_str().unwrap());
    let arguments = ["score", "status", file.to_str().unwrap(), "--store", path, "--json"];
    let status: Value = serde_json::from_str(&fixture::run_well(&arguments)).unwrap();
    assert_eq!(status["never_scored"], 1);
    assert_eq!(status["undone"].as_array().unwrap().len(), 1);
    assert_eq!(status["failed"].as_array().unwrap().len(), 0);
    let output = score(job, &store).output().unwrap();
    assert!(output.status.success());
    assert_eq!(summary(&output)["never_scored"], 0);
    assert_eq!(&rows(&store), expected);
}

#[test]
fn a_full_disk_ends_the_night_and_fails_no_scan() {
    let Some(shim) = shim() else { return };
    let PeacefulNight { job, rows: expected, .. } = night();
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    // The first study's folder of outputs.
    let outputs = store.join("output");
    let fault = Fault { call: "write", below: &outputs, errno: ENOSPC, at: 1, times: 0 };
    let (output, [_, n_failed]) = run_with(&mut score(job, &store), shim, fault);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(n_failed > 0);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("a disk is full") && error.contains("No space left"), "{error}");
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let counts = ["found", "scored", "left"].map(|key| summary[key].as_u64().unwrap());
    assert_eq!((counts, &summary["stopped"]), ([3, 0, 3], &"disk_full".into()), "{summary}");
    let set = format!("score.store={:?}", store.to_str().unwrap());
    let file = job.file();
    let arguments = ["score", "status", file.to_str().unwrap(), "--set", &set];
    let text = fixture::run_well(&arguments);
    assert!(text.contains(" until a disk was full: 0 scored, 0 failed, 3 left"), "{text}");
    // The disk is full when the summary is written.
    let runs = store.join("runs");
    let fault = Fault { call: "write", below: &runs, errno: ENOSPC, at: 1, times: 0 };
    let (output, _) = run_with(&mut score(job, &store), shim, fault);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &summary["exit_status"]), (Some(1), &1.into()), "{summary}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("error: a disk is full"));
    let output = score(job, &store).output().unwrap();
    assert!(output.status.success());
    assert_eq!(&rows(&store), expected);
}
