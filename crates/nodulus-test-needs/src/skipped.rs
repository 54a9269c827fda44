//! Skipped checks: said at once, recorded in a file that every test program of a run shares, and counted at its end.

use fs_err as fs;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a test needs that the repository does not hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Need {
    /// Another program to compare with: Python packages, Chromium, dicom3tools.
    Peer,
    /// R with the package arrow, which Debian does not have.
    R,
    /// Python with PyTorch, which is too large for every machine that runs the tests.
    PyTorch,
    /// Real scans and annotations.
    RealData,
    /// The right to mount a file system.
    Root,
    /// Slurm and munge, and the right to start their daemons.
    Slurm,
}

impl Need {
    /// The variable that turns a skipped check of this kind into a failure when it is `1`.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Peer => "NODULUS_REQUIRE_PEERS",
            Self::R => "NODULUS_REQUIRE_R",
            Self::PyTorch => "NODULUS_REQUIRE_PYTORCH",
            Self::RealData => "NODULUS_REQUIRE_DATA",
            Self::Root => "NODULUS_REQUIRE_ROOT",
            Self::Slurm => "NODULUS_REQUIRE_SLURM",
        }
    }
}

/// File in which skipped checks are recorded: the summary of `.ci/run` reads it after the tests.
const RECORDS: &str = "NODULUS_SKIPPED_CHECKS";

/// Longer than any run of the tests: older records belong to a process whose id came round again.
const OLDEST: Duration = Duration::from_hours(6);

/// Records that the calling test skips a check. `why` says what is missing and, after a colon, how to get it.
///
/// # Panics
/// Where [`Need::variable`] is `1`, as the check is required there.
pub fn skip(need: Need, why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let variable = need.variable();
    assert!(
        std::env::var_os(variable).is_none_or(|value| value != "1"),
        "`{variable}=1` requires a check that cannot run: {why}"
    );
    // Not `eprintln!`, which the test harness keeps to itself.
    let mut error = std::io::stderr();
    let recorded = record(&records(), test, why);
    if let Err(problem) = writeln!(error, "SKIPPED: {test}: {why}").and(recorded) {
        panic!("a skipped check cannot be recorded: {problem}");
    }
}

/// The checks skipped so far by the test programs of this run of `cargo test`, counted and listed by reason.
///
/// # Errors
/// The records cannot be read.
pub fn summary() -> std::io::Result<String> {
    let file = records();
    if !file.exists() {
        return Ok(summarised(""));
    }
    let text = fs::read_to_string(&file)?;
    if std::env::var_os(RECORDS).is_none() {
        fs::remove_file(&file)?;
    }
    Ok(summarised(&text))
}

/// The file that `NODULUS_SKIPPED_CHECKS` names, or one beside the test programs for the `cargo test` that runs them.
fn records() -> PathBuf {
    if let Some(file) = std::env::var_os(RECORDS) {
        return file.into();
    }
    let program = std::env::current_exe().unwrap_or_default();
    let folder = program.ancestors().nth(2).unwrap_or(Path::new(".")).join("skipped-checks");
    folder.join(std::os::unix::process::parent_id().to_string())
}

/// Appends a line to the records.
fn record(file: &Path, test: &str, why: &str) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let age = fs::metadata(file).and_then(|metadata| metadata.modified()).ok();
    if age.and_then(|age| age.elapsed().ok()).is_some_and(|age| age > OLDEST) {
        fs::remove_file(file)?;
    }
    // One write of a whole line, so that lines of tests side by side do not mix.
    let line = format!("{test}\t{}\n", why.replace(['\t', '\n'], " "));
    fs::OpenOptions::new().create(true).append(true).open(file)?.write_all(line.as_bytes())
}

/// Records as people read them: the number, then each reason with the tests that gave it.
fn summarised(records: &str) -> String {
    let mut by_reason: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    let mut n = 0;
    for (test, why) in records.lines().filter_map(|line| line.split_once('\t')) {
        *by_reason.entry(why).or_default().entry(test).or_default() += 1;
        n += 1;
    }
    match n {
        0 => return "No check was skipped.".to_owned(),
        1 => return format!("1 check skipped: {records}").trim_end().replace('\t', ": "),
        _ => {}
    }
    let mut text = format!("{n} checks skipped:");
    for (why, tests) in by_reason {
        let n: usize = tests.values().sum();
        let _ = write!(text, "\n{n:5} × {why}");
        for (test, n) in tests {
            let times = if n > 1 { format!(" ({n} times)") } else { String::new() };
            let _ = write!(text, "\n          {test}{times}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_counted_by_reason() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("records/of a run");
        for (test, why) in
            [("a::reads", "no Python"), ("b::opens", "no\tbrowser"), ("a::reads", "no Python")]
        {
            record(&file, test, why).unwrap();
        }
        let text = fs::read_to_string(&file).unwrap();
        let expected = "3 checks skipped:\n    2 × no Python\n          a::reads (2 times)\n    1 × no browser\n          b::opens";
        assert_eq!(summarised(&text), expected);
        assert_eq!(summarised("a::reads\tno Python\n"), "1 check skipped: a::reads: no Python");
        assert_eq!(summarised(""), "No check was skipped.");
    }

    #[test]
    fn records_of_an_earlier_process_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("4711");
        record(&file, "old", "long ago").unwrap();
        let old = std::time::SystemTime::now() - 2 * OLDEST;
        fs::OpenOptions::new().append(true).open(&file).unwrap().file().set_modified(old).unwrap();
        record(&file, "new", "today").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new\ttoday\n");
    }

    #[test]
    #[ignore = "started by `a_required_check_fails`"]
    fn needs_a_peer() {
        skip(Need::Peer, "no such program: install it");
    }

    #[test]
    fn a_required_check_fails() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("records");
        let run = |required: &str| {
            std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "skipped::tests::needs_a_peer", "--ignored"])
                .env(Need::Peer.variable(), required)
                .env(RECORDS, &file)
                .output()
                .unwrap()
        };
        let skipped = run("0");
        assert!(skipped.status.success());
        let message = String::from_utf8(skipped.stderr).unwrap();
        assert_eq!(message, "SKIPPED: skipped::tests::needs_a_peer: no such program: install it\n");
        let records = "skipped::tests::needs_a_peer\tno such program: install it\n";
        assert_eq!(fs::read_to_string(&file).unwrap(), records);
        let failed = run("1");
        assert!(!failed.status.success());
        let text = String::from_utf8(failed.stdout).unwrap();
        assert!(text.contains("`NODULUS_REQUIRE_PEERS=1` requires"), "{text}");
        assert_eq!(fs::read_to_string(&file).unwrap(), records);
    }
}
