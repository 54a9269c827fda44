//! Checks a folder against its manifest.

use super::manifest::{Error, ExpectedCount, ExpectedFile, Manifest, sha256_of};
use fs_err as fs;
use nodulus_faults::in_words;
use rayon::prelude::*;
use serde::Serialize;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// A difference between a folder and its manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "problem", rename_all = "snake_case")]
pub enum ManifestProblem {
    /// A file does not exist, or is a folder.
    Missing {
        /// Path relative to the root.
        path: String,
    },
    /// A file has another size.
    WrongSize {
        /// Path relative to the root.
        path: String,
        /// Bytes.
        found: u64,
        /// Bytes in the manifest.
        expected: u64,
    },
    /// A file has other content.
    WrongSha256 {
        /// Path relative to the root.
        path: String,
        /// SHA-256 of the file.
        found: String,
        /// SHA-256 in the manifest.
        expected: String,
    },
    /// More or fewer files match a pattern.
    WrongCount {
        /// The pattern.
        pattern: String,
        /// Matches.
        found: u64,
        /// Matches in the manifest.
        expected: u64,
    },
    /// A file or folder exists but cannot be read.
    Unreadable {
        /// Path or pattern relative to the root.
        path: String,
        /// The cause.
        cause: String,
    },
}

/// The outcome of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ManifestReport {
    /// Name in the manifest.
    pub name: String,
    /// Files and patterns that were checked.
    pub n_checks: u64,
    /// The problems, in the order of the manifest.
    pub problems: Vec<ManifestProblem>,
}

impl ManifestReport {
    /// Whether there are no problems.
    pub fn is_well(&self) -> bool {
        self.problems.is_empty()
    }
}

impl fmt::Display for ManifestReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        let Self { name, n_checks, problems } = self;
        match problems.len() {
            0 => write!(f, "{name}: all {n_checks} checks passed"),
            n => write!(f, "{name}: {n} of {n_checks} checks failed"),
        }
    }
}

impl fmt::Display for ManifestProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { path } => write!(f, "missing: {path}"),
            Self::WrongSize { path, found, expected } => {
                write!(f, "wrong size: {path} has {found} bytes, expected {expected}")
            }
            Self::WrongSha256 { path, found, expected } => {
                write!(f, "wrong content: {path} has sha256 {found}, expected {expected}")
            }
            Self::WrongCount { pattern, found, expected } => {
                write!(f, "wrong count: {found} match {pattern}, expected {expected}")
            }
            Self::Unreadable { path, cause } => write!(f, "unreadable: {path}: {cause}"),
        }
    }
}

/// Checks a folder against a manifest, with files in parallel.
///
/// `progress` is called with the number of finished checks and the number of all checks. Files that the manifest does
/// not list are ignored. Problems of the folder are in the report.
///
/// # Errors
///
/// Fails if the folder does not exist.
pub fn verify(
    manifest: &Manifest,
    root: &Path,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<ManifestReport, Error> {
    if !root.is_dir() {
        return Err(Error::NotAFolder(root.to_owned()));
    }
    let n_checks = (manifest.files.len() + manifest.expect.len()) as u64;
    let done = AtomicU64::new(0);
    let report = |problem: Option<ManifestProblem>| {
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, n_checks);
        problem
    };
    let files = manifest.files.par_iter().map(|file| report(check_file(root, file)));
    let counts = manifest.expect.par_iter().map(|expect| report(check_count(root, expect)));
    let problems = files.chain(counts).filter_map(|problem| problem).collect();
    Ok(ManifestReport { name: manifest.name.clone(), n_checks, problems })
}

fn check_file(root: &Path, file: &ExpectedFile) -> Option<ManifestProblem> {
    let path = file.path.clone();
    let full = root.join(&path);
    let unreadable = |error: io::Error| ManifestProblem::Unreadable {
        path: file.path.clone(),
        cause: in_words(&error),
    };
    let found = match fs::metadata(&full) {
        Ok(found) if found.is_file() => found.len(),
        Ok(_) => return Some(ManifestProblem::Missing { path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Some(ManifestProblem::Missing { path });
        }
        Err(error) => return Some(unreadable(error)),
    };
    if let Some(expected) = file.size.filter(|expected| *expected != found) {
        return Some(ManifestProblem::WrongSize { path, found, expected });
    }
    let expected = file.sha256.clone()?;
    match sha256_of(&full) {
        Ok(found) if found == expected => None,
        Ok(found) => Some(ManifestProblem::WrongSha256 { path, found, expected }),
        Err(error) => Some(unreadable(error)),
    }
}

fn check_count(root: &Path, expect: &ExpectedCount) -> Option<ManifestProblem> {
    let ExpectedCount { pattern, count: expected } = expect.clone();
    let root = glob::Pattern::escape(&root.to_string_lossy());
    let matches = match glob::glob(&format!("{root}/{pattern}")) {
        Ok(matches) => matches,
        Err(error) => {
            return Some(ManifestProblem::Unreadable { path: pattern, cause: error.to_string() });
        }
    };
    let mut found = 0;
    for entry in matches {
        match entry {
            Ok(_) => found += 1,
            Err(error) => {
                return Some(ManifestProblem::Unreadable {
                    path: pattern,
                    cause: error.to_string(),
                });
            }
        }
    }
    (found != expected).then_some(ManifestProblem::WrongCount { pattern, found, expected })
}
