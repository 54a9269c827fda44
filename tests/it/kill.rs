//! Runs that are killed, alone or beside others on the same store, end with the bytes of a run that is never killed.
//!
//! `NODULUS_KILLS` makes more kills (`tests/faults/all`).

use crate::fixture;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Validation samples give weights of the best epoch. Training is saved after each batch, so most kills resume in the middle
/// of an epoch.
const SETTINGS: [&str; 4] =
    ["--set", "balance.splits.clinical.validation=0.3", "--set", "train.save_minutes=0"];

/// A run that nobody disturbs.
struct Peace {
    outputs: BTreeMap<String, Vec<u8>>,
    log_content: serde_json::Value,
    took: Duration,
}

fn peace() -> &'static Peace {
    static PEACE: OnceLock<Peace> = OnceLock::new();
    PEACE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = fixture::pipeline(folder.path());
        let begun = Instant::now();
        fixture::run_well(&arguments(path.to_str().unwrap()));
        let took = begun.elapsed();
        let store = folder.path().join("store");
        Peace { outputs: outputs(&store), log_content: log_content(&store), took }
    })
}

fn arguments(pipeline: &str) -> Vec<&str> {
    [&["run", pipeline, "--progress", "none"][..], &SETTINGS].concat()
}

/// The bytes of every output but `training_log`, whose time columns make its files differ; of it, the lines of metrics.
fn outputs(store: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut outputs = fixture::outputs(store);
    let is_followed = |name: &str| name.ends_with("/CURRENT") || name.ends_with("/metrics.jsonl");
    outputs.retain(|name, _| !name.starts_with("training_log/") || is_followed(name));
    outputs
}

/// The content hash of `training_log` does not see the time columns.
fn log_content(store: &Path) -> serde_json::Value {
    fixture::manifest(store, "training_log")["content_sha256"].clone()
}

fn assert_as_in_peace(store: &Path, what: &str) {
    let (expected, found) = (&peace().outputs, outputs(store));
    let names = |outputs: &BTreeMap<String, Vec<u8>>| outputs.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(expected), "{what}");
    assert!(found.keys().any(|name| name.ends_with("/best.safetensors")));
    assert!(found.keys().any(|name| name.ends_with("/sealed")));
    let lines = found.iter().find(|(name, _)| name.ends_with("/metrics.jsonl")).unwrap().1;
    let n_epochs = lines.split(|byte| *byte == b'\n').count() - 1;
    assert_eq!(n_epochs, 4, "an epoch is lost or doubled");
    for (name, bytes) in expected {
        assert!(found.get(name) == Some(bytes), "`{name}` is not the same after {what}");
    }
    assert_eq!(log_content(store), peace().log_content);
}

fn spawn(arguments: &[&str]) -> Child {
    let mut command = fixture::nodulus(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The kills of a test: as many as `NODULUS_KILLS` says, or these.
pub(crate) fn n_kills(few: u32) -> u32 {
    std::env::var("NODULUS_KILLS").map_or(few, |n| n.parse().unwrap())
}

/// Waits until a process ends, but not longer than `wait`.
pub(crate) fn ends_within(child: &mut Child, wait: Duration) -> bool {
    let deadline = Instant::now() + wait;
    while Instant::now() < deadline {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    false
}

/// Kills a process, which SIGKILL gives no chance to clean up. Returns its exit status if it had ended before that, and what
/// it said.
fn kill(mut child: Child) -> (Option<ExitStatus>, String) {
    // Killing one that has ended is an error, which does not matter.
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    let status = output.status.code().map(|_| output.status);
    (status, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Checks how a process ended, and returns whether it was killed.
pub(crate) fn was_killed(child: Child) -> bool {
    let (status, error) = kill(child);
    assert!(status.is_none_or(|status| status.success()), "a run ended with {status:?}: {error}");
    status.is_none()
}

#[test]
fn sigkill_at_any_moment_changes_no_byte() {
    let kills = n_kills(24);
    let took = peace().took;
    let disturbed = tempfile::tempdir().unwrap();
    let path = fixture::pipeline(disturbed.path());
    let arguments = arguments(path.to_str().unwrap());
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut killed = 0;
    while killed < kills {
        let mut run = spawn(&arguments);
        if !ends_within(&mut run, took.mul_f64(random.random_range(0.02..0.35))) {
            killed += u32::from(was_killed(run));
            continue;
        }
        assert!(!was_killed(run));
        // The run finished before all kills were used: the next one hits stages that are forced to run again.
        let again = ["--force", "crop", "--force", "train", "--force", "report"];
        let mut run = spawn(&[arguments.as_slice(), again.as_slice()].concat());
        ends_within(&mut run, took.mul_f64(random.random_range(0.02..0.3)));
        killed += u32::from(was_killed(run));
    }
    fixture::run_well(&arguments);
    assert_as_in_peace(&disturbed.path().join("store"), &format!("{killed} kills"));
}

#[test]
fn several_processes_on_one_store_share_the_work_though_some_are_killed() {
    let kills = n_kills(12);
    let took = peace().took;
    let disturbed = tempfile::tempdir().unwrap();
    let path = fixture::pipeline(disturbed.path());
    let arguments = arguments(path.to_str().unwrap());
    let forced = [&arguments[..], &["--force", "ingest", "--force", "crop", "--force", "train"]];
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut running: Vec<Child> = Vec::new();
    let (mut killed, mut whole) = (0, 0);
    while killed < kills {
        // Two processes at first, then three; once one has finished everything, some make shards again.
        let n = if killed < kills / 2 { 2 } else { 3 };
        while running.len() < n {
            let is_forced = whole > 0 && random.random_bool(0.5);
            running.push(spawn(&if is_forced { forced.concat() } else { arguments.clone() }));
        }
        let victim = random.random_range(0..running.len());
        ends_within(&mut running[victim], took.mul_f64(random.random_range(0.02..0.4)));
        if was_killed(running.swap_remove(victim)) {
            killed += 1;
        } else {
            whole += 1;
        }
    }
    // The others go on, and end well.
    for child in running {
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "a run ended with {}: {error}", output.status);
    }
    fixture::run_well(&arguments);
    assert_as_in_peace(&disturbed.path().join("store"), &format!("{killed} kills among several"));
}

#[test]
fn processes_that_begin_together_make_the_store_of_one() {
    peace();
    for n in [2, 3] {
        let folder = tempfile::tempdir().unwrap();
        let path = fixture::pipeline(folder.path());
        let arguments = arguments(path.to_str().unwrap());
        let together: Vec<Child> = (0..n).map(|_| spawn(&arguments)).collect();
        for child in together {
            let output = child.wait_with_output().unwrap();
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "a run ended with {}: {error}", output.status);
        }
        assert_as_in_peace(&folder.path().join("store"), &format!("{n} processes"));
    }
}
