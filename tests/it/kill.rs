//! A run that is killed many times ends with the bytes of a run that is never killed.

use crate::fixture;
use rand::{Rng as _, SeedableRng as _};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Smallest number of kills before the run may finish.
const KILLS: u32 = 24;

#[test]
fn sigkill_at_any_moment_changes_no_byte() {
    let peaceful = tempfile::tempdir().unwrap();
    let path = fixture::pipeline(peaceful.path());
    let begun = Instant::now();
    // Validation samples give weights of the best epoch.
    let validated = ["--set", "balance.splits.clinical.validation=0.3"];
    let plain = ["run", path.to_str().unwrap(), "--progress", "none"];
    fixture::run_well(&[&plain[..], &validated].concat());
    let whole = begun.elapsed();

    let disturbed = tempfile::tempdir().unwrap();
    let path = fixture::pipeline(disturbed.path());
    // Training is saved after each batch, so most kills resume in the middle of an epoch.
    let saved = ["--set", "train.save_minutes=0"];
    let plain = ["run", path.to_str().unwrap(), "--progress", "none"];
    let arguments = [&plain[..], &validated, &saved].concat();
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let mut killed = 0;
    while killed < KILLS {
        match killed_after(&arguments, whole.mul_f64(random.random_range(0.02..0.35))) {
            None => killed += 1,
            Some(status) => {
                assert!(status.success(), "a resumed run ended with {status}");
                // The run finished before all kills were used: the next ones hit a stage that is forced to run again.
                let again = ["--force", "crop", "--force", "train", "--force", "report"];
                let again = [arguments.as_slice(), again.as_slice()].concat();
                let wait = whole.mul_f64(random.random_range(0.02..0.3));
                killed += u32::from(killed_after(&again, wait).is_none());
            }
        }
    }
    fixture::run_well(&arguments);

    let [expected, found] =
        [&peaceful, &disturbed].map(|folder| fixture::outputs(&folder.path().join("store")));
    // `training_log` has time columns, so its file and the file's size differ; its content hash does not.
    let timed = |name: &str| name.starts_with("training_log/") && !name.ends_with("CURRENT");
    let names = |outputs: &std::collections::BTreeMap<String, Vec<u8>>| {
        outputs.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(names(&expected), names(&found));
    assert!(names(&expected).iter().any(|name| name.ends_with("/best.safetensors")));
    for (name, bytes) in &expected {
        if !timed(name) {
            assert!(
                found.get(name) == Some(bytes),
                "`{name}` is not the same after {killed} kills"
            );
        }
    }
    let content = |folder: &tempfile::TempDir| {
        fixture::manifest(&folder.path().join("store"), "training_log")["content_sha256"].clone()
    };
    assert_eq!(content(&peaceful), content(&disturbed));
}

/// Kills a run after `wait`; returns its exit status if it ended before that.
fn killed_after(arguments: &[&str], wait: Duration) -> Option<ExitStatus> {
    let mut command = fixture::nodulus(arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + wait;
    while Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
        if child.try_wait().unwrap().is_some() {
            break;
        }
    }
    // SIGKILL gives the process no chance to clean up. Killing one that has ended is an error, which does not matter.
    child.kill().unwrap();
    let status = child.wait().unwrap();
    status.code().map(|_| status)
}
