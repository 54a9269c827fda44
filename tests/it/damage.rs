//! Damaged stores: a flipped bit, a cut, an emptied, deleted or zeroed file never becomes an answer, and never leaves a store
//! stuck.
//!
//! A sample of the files of a store is damaged; a larger one with `NODULUS_DAMAGE` (`tests/faults/all`).

use crate::fixture;
use crate::nightly_job::{Job, files};
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

/// The exit status of a panic.
const PANICKED: i32 = 101;

/// What is done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutation {
    Flip { bit: usize },
    Cut { at: usize },
    Zeros { at: usize },
    Empty,
    Delete,
}

impl Mutation {
    fn random(n_bytes: usize, random: &mut ChaCha8Rng) -> Self {
        match random.random_range(0..8) {
            0..4 if n_bytes > 0 => Self::Flip { bit: random.random_range(0..n_bytes * 8) },
            4 if n_bytes > 0 => Self::Cut { at: random.random_range(0..n_bytes) },
            5 if n_bytes > 0 => Self::Zeros { at: random.random_range(0..n_bytes) },
            6 if n_bytes > 0 => Self::Empty,
            _ => Self::Delete,
        }
    }

    /// Damages a file in place, so that its links are damaged too.
    fn apply(self, path: &Path) {
        let mut bytes = fs_err::read(path).unwrap();
        match self {
            Self::Flip { bit } => bytes[bit / 8] ^= 1 << (bit % 8),
            Self::Cut { at } => bytes.truncate(at),
            Self::Zeros { at } => {
                let end = bytes.len().min(at + 512);
                bytes[at..end].fill(0);
            }
            Self::Empty => bytes.clear(),
            Self::Delete => return fs_err::remove_file(path).unwrap(),
        }
        fs_err::write(path, bytes).unwrap();
    }
}

/// Number of files that are damaged: `default`, or as many as `NODULUS_DAMAGE` says.
fn n_mutations(default: usize) -> usize {
    std::env::var("NODULUS_DAMAGE").map_or(default, |n| n.parse().unwrap())
}

/// The files of a store that it answers for, by kind: a path without keys and numbers.
fn kinds(store: &Path) -> BTreeMap<String, Vec<PathBuf>> {
    let mut kinds: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for path in crate::nightly_job::files(store).into_keys() {
        let name = path.strip_prefix(store).unwrap().to_str().unwrap().to_owned();
        let is_other =
            ["phantom/", "damaged/", "runs/"].iter().any(|other| name.starts_with(other));
        if is_other || name.ends_with("lock") || name == "drift.html" {
            continue;
        }
        let is_digit = |c: char| c.is_ascii_hexdigit() || c == '-' || c == '.';
        let short = |part: &str| {
            if part.len() >= 2 && part.chars().all(is_digit) {
                "*".to_owned()
            } else {
                part.to_owned()
            }
        };
        let kind: Vec<String> = name
            .split('/')
            .map(|part| {
                let (stem, end) = part.rsplit_once('.').unwrap_or((part, ""));
                let stem = stem.split('-').next().unwrap_or_default();
                format!("{}.{end}", short(stem))
            })
            .collect();
        kinds.entry(kind.join("/")).or_default().push(path);
    }
    kinds
}

/// The names that an error may give a file: its own, those of its links, and for the record of a version that of `CURRENT`, which
/// names the version.
fn aliases(store: &Path, path: &Path) -> Vec<String> {
    let number = fs_err::metadata(path).unwrap().ino();
    let files = crate::nightly_job::files(store).into_keys();
    let same = files.filter(|file| fs_err::metadata(file).is_ok_and(|found| found.ino() == number));
    let current = path.parent().filter(|folder| folder.ends_with("versions"));
    let current = current.and_then(Path::parent).map(|output| output.join("CURRENT"));
    same.chain(current).map(|file| file.to_str().unwrap().to_owned()).collect()
}

/// A command's answer when nothing is damaged.
struct Answer {
    arguments: Vec<String>,
    text: Vec<u8>,
    /// Whether it tells what would be made, which damage rightly changes.
    is_plan: bool,
}

fn run(arguments: &[String]) -> Output {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    fixture::run(&arguments)
}

fn text(output: &Output) -> String {
    let Output { stdout, stderr, status } = output;
    format!("{status}\n{}\n{}", String::from_utf8_lossy(stdout), String::from_utf8_lossy(stderr))
}

fn assert_no_panic(output: &Output, what: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.signal().is_none(), "{what}: {}", text(output));
    assert!(output.status.code() != Some(PANICKED), "{what}: {}", text(output));
    assert!(!error.contains("panicked") && !error.contains("program itself"), "{what}: {error}");
}

/// Checks the answer of a command on a damaged store; returns whether it is the undisturbed one.
fn check(answer: &Answer, names: &[String], what: &str) -> bool {
    let output = run(&answer.arguments);
    let what = format!("{what}: nodulus {:?}", answer.arguments);
    assert_no_panic(&output, &what);
    let is_same = output.status.success() && output.stdout == answer.text;
    let all = text(&output);
    let is_named = names.iter().any(|name| all.contains(name.as_str()));
    let is_refused = !output.status.success() || answer.is_plan;
    assert!(is_same || (is_refused && is_named), "{what}: {all}");
    is_same
}

/// What became of the damage.
#[derive(Debug, Default)]
struct Counts {
    damaged: usize,
    kinds: BTreeSet<String>,
    /// Commands with the undisturbed answer, and commands that named the file.
    answers: [usize; 2],
    /// Runs that ended well without a repair.
    healed_by_run: usize,
    found_by_fsck: usize,
}

/// Damages that `fsck` may not see, as they change nothing: seals, which are no content, and the name of a checksum.
fn is_harmless(path: &Path, before: &[u8], mutation: Mutation) -> bool {
    let in_name = |bit: usize| {
        let name = b"\"record_sha256\": \"";
        let at = before.windows(name.len()).rposition(|found| found == name);
        at.is_some_and(|at| (at..at + name.len()).contains(&(bit / 8)))
    };
    path.ends_with("sealed") || matches!(mutation, Mutation::Flip { bit } if in_name(bit))
}

/// Whether a file is gone that nothing else names: it is made anew, or its series is new.
fn leaves_no_trace(path: &Path, mutation: Mutation) -> bool {
    let text = path.to_str().unwrap();
    let folders = [
        "/thresholds/",
        "/sources/files.json",
        "/checksums/",
        "/series/",
        "/cache/",
        "/models/",
        "/training_log/metrics/",
    ];
    mutation == Mutation::Delete && folders.iter().any(|folder| text.contains(folder))
}

fn owned(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|argument| (*argument).to_owned()).collect()
}

/// The table that a file belongs to; `nodules` where it is none of a table.
fn table_of(store: &Path, path: &Path) -> &'static str {
    let first = path.strip_prefix(store).unwrap().iter().next().unwrap().to_str().unwrap();
    nodulus::tables::Table::from_name(first).map_or("nodules", nodulus::tables::Table::name)
}

/// The bytes of every output but `training_log`, whose time columns make its files differ.
fn outputs(store: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut outputs = fixture::outputs(store);
    outputs.retain(|name, _| !name.starts_with("training_log/"));
    outputs
}

#[test]
fn a_damaged_store_gives_the_undisturbed_answer_or_names_the_file_and_is_made_whole() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = fixture::pipeline(folder.path());
    let pipeline = pipeline.to_str().unwrap();
    let store = folder.path().join("store");
    let root = store.to_str().unwrap();
    let make = owned(&["run", pipeline, "--progress", "none"]);
    assert!(run(&make).status.success());
    let whole = outputs(&store);
    let fsck = owned(&["fsck", root, "--json"]);
    let found = run(&fsck);
    assert!(found.status.success(), "{}", text(&found));
    let answer = |arguments: &[&str], is_plan| {
        let arguments = owned(arguments);
        let output = run(&arguments);
        assert!(output.status.success(), "{}", text(&output));
        Answer { arguments, text: output.stdout, is_plan }
    };
    let mut random = ChaCha8Rng::seed_from_u64(21);
    let mut counts = Counts::default();
    let n = n_mutations(30);
    for number in 0..n {
        let kinds = kinds(&store);
        let names: Vec<&String> = kinds.keys().collect();
        let kind = names[number * 7 % names.len()];
        let path = kinds[kind].choose(&mut random).unwrap();
        let before = fs_err::read(path).unwrap();
        let mutation = Mutation::random(before.len(), &mut random);
        let table = table_of(&store, path);
        let question = format!("SELECT * FROM {table}");
        let answers = [
            answer(&["sql", &question, "--store", root, "--format", "json"], false),
            answer(&["show", table, "--store", root, "--json", "--rows", "1000"], false),
            answer(&["status", pipeline], true),
            answer(&["tables", "--store", root, "--json"], false),
            answer(&["lineage", "summary", "--store", root, "--json"], false),
            answer(&["gc", "--store", root, "--dry-run"], false),
        ];
        let what = format!("{number}: {mutation:?} of {}", path.display());
        let aliases = aliases(&store, path);
        mutation.apply(path);
        counts.damaged += 1;
        counts.kinds.insert(kind.clone());
        let no_trace = leaves_no_trace(path, mutation);
        for answer in answers.iter().filter(|answer| !(no_trace && answer.is_plan)) {
            counts.answers[usize::from(!check(answer, &aliases, &what))] += 1;
        }
        let is_harmless = is_harmless(path, &before, mutation);
        let output = run(&fsck);
        assert_no_panic(&output, &what);
        if output.status.code() == Some(3) {
            counts.found_by_fsck += 1;
            let all = text(&output);
            assert!(aliases.iter().any(|name| all.contains(name.as_str())), "{what}: {all}");
        } else {
            let is_unseen = is_harmless || no_trace;
            assert!(is_unseen && output.status.success(), "{what}: {}", text(&output));
        }
        // Half of the stores are repaired first; the others, only if the run stops.
        let repair = || {
            let output = run(&owned(&["fsck", root, "--repair"]));
            assert_no_panic(&output, &what);
            assert!(matches!(output.status.code(), Some(0 | 3)), "{what}: {}", text(&output));
        };
        // A run does not look at the metrics of finished trainings, which nothing is made from.
        if number % 2 == 0 || path.starts_with(store.join("training_log/metrics")) {
            repair();
        }
        let output = run(&make);
        assert_no_panic(&output, &what);
        if output.status.success() {
            counts.healed_by_run += usize::from(number % 2 == 1);
        } else {
            let all = text(&output);
            assert!(number % 2 == 1, "{what}: {all}");
            assert!(aliases.iter().any(|name| all.contains(name.as_str())), "{what}: {all}");
            repair();
            let output = run(&make);
            assert!(output.status.success(), "{what}: {}", text(&output));
        }
        let healed = outputs(&store);
        for (name, bytes) in &whole {
            assert!(healed.get(name) == Some(bytes), "{what}: `{name}` is another one");
        }
        assert_eq!(healed.keys().collect::<Vec<_>>(), whole.keys().collect::<Vec<_>>(), "{what}");
        // A record that only lost the name of its checksum is as good as one.
        if is_harmless
            && fs_err::read(path).ok().as_ref() != Some(&before)
            && !path.ends_with("sealed")
        {
            fs_err::write(path, before).unwrap();
        }
        let output = run(&fsck);
        assert!(output.status.success(), "{what}: {}", text(&output));
    }
    writeln!(std::io::stderr(), "stores: {counts:?}").unwrap();
    assert_eq!(counts.damaged, n);
}

/// The rows of the nightly job's tables, without what a second scoring changes.
fn rows(job: &Job) -> Vec<Value> {
    let mut rows = job.rows();
    rows.retain(|row| row["superseded"] == false);
    rows.sort_by_key(|row| row["nodule_id"].to_string());
    rows
}

#[test]
fn a_damaged_nightly_store_gives_the_undisturbed_answer_or_names_the_file_and_stops_no_night() {
    let job = Job::new();
    let settings = fs_err::read_to_string(job.file()).unwrap();
    fs_err::write(job.file(), settings + "outputs = [\"seg\", \"png\"]\n").unwrap();
    job.run(0, &[]);
    let store = job.store();
    let root = store.to_str().unwrap();
    let whole = rows(&job);
    let mut random = ChaCha8Rng::seed_from_u64(22);
    let mut counts = Counts::default();
    let n = n_mutations(20);
    for number in 0..n {
        let kinds = kinds(&store);
        let names: Vec<&String> = kinds.keys().collect();
        let kind = names[number * 5 % names.len()];
        let path = kinds[kind].choose(&mut random).unwrap();
        let before = fs_err::read(path).unwrap();
        let mutation = Mutation::random(before.len(), &mut random);
        let table = match table_of(&store, path) {
            "nodules" => "scores",
            table => table,
        };
        let file = job.file();
        let of = |arguments: &[&str]| {
            let arguments = owned(arguments);
            let output = run(&arguments);
            assert!(output.status.success(), "{}", text(&output));
            Answer { arguments, text: output.stdout, is_plan: false }
        };
        let question = format!("SELECT * FROM {table}");
        let answers = [
            of(&["sql", &question, "--store", root, "--format", "json"]),
            of(&["show", table, "--store", root, "--json", "--rows", "1000"]),
            of(&["tables", "--store", root, "--json"]),
            of(&["gc", "--store", root, "--dry-run"]),
        ];
        let what = format!("{number}: {mutation:?} of {}", path.display());
        let aliases = aliases(&store, path);
        mutation.apply(path);
        counts.damaged += 1;
        counts.kinds.insert(kind.clone());
        for answer in &answers {
            counts.answers[usize::from(!check(answer, &aliases, &what))] += 1;
        }
        let output = run(&owned(&["score", "status", file.to_str().unwrap(), "--json"]));
        assert_no_panic(&output, &what);
        let output = run(&owned(&["fsck", root]));
        assert_no_panic(&output, &what);
        match output.status.code() {
            Some(3) => {
                counts.found_by_fsck += 1;
                let all = text(&output);
                assert!(aliases.iter().any(|name| all.contains(name.as_str())), "{what}: {all}");
            }
            code => {
                let is_unseen =
                    leaves_no_trace(path, mutation) || is_harmless(path, &before, mutation);
                assert!(is_unseen && code == Some(0), "{what}: {}", text(&output));
            }
        }
        if number % 2 == 0 {
            let output = run(&owned(&["fsck", root, "--repair"]));
            assert!(matches!(output.status.code(), Some(0 | 3)), "{what}: {}", text(&output));
        }
        // Every night ends.
        let output = job.command(&[]).output().unwrap();
        assert_no_panic(&output, &what);
        assert!(matches!(output.status.code(), Some(0 | 3)), "{what}: {}", text(&output));
        counts.healed_by_run += usize::from(number % 2 == 1 && output.status.success());
        run(&owned(&["fsck", root, "--repair"]));
        job.run(0, &[]);
        assert_eq!(rows(&job), whole, "{what}");
        if is_harmless(path, &before, mutation) {
            fs_err::write(path, before).unwrap();
        }
        let output = run(&owned(&["fsck", root]));
        assert!(output.status.success(), "{what}: {}", text(&output));
    }
    writeln!(std::io::stderr(), "nightly stores: {counts:?}").unwrap();
    assert_eq!(counts.damaged, n);
}

#[test]
fn a_night_that_loses_a_record_says_so_once() {
    let job = Job::new();
    job.run(0, &[]);
    let whole = rows(&job);
    let records = files(&job.store().join("series"));
    let (path, record) = records.iter().next().unwrap();
    fs_err::write(path, &record[..record.len() / 2]).unwrap();
    let (summary, log) = job.run(3, &[]);
    assert_eq!((&summary["damaged_records"], &summary["scored"]), (&json!(1), &json!(1)));
    assert!(log.contains("its earlier results are lost"), "{log}");
    assert_eq!(rows(&job), whole);
    let (summary, _) = job.run(0, &[]);
    assert_eq!(summary["damaged_records"], 0);
}

#[test]
fn pages_have_checksums_that_pyarrow_verifies_and_duckdb_reads() {
    let store = fixture::finished().join("store");
    let folders = ["scans/current", "rois/current"].map(|name| store.join(name));
    let folders = folders.each_ref().map(|folder| folder.to_str().unwrap());
    let Some(text) = crate::python::script("page_checksums.py", &folders) else { return };
    assert_eq!(text.lines().count(), 2, "{text}");
}
