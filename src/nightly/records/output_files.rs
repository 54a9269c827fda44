//! The files of results as they were written: what is gone or damaged is made again.

use super::record::{AttemptOutcome, SeriesRecord, SeriesResult};
use fs_err as fs;
use nodulus_store::fsck::{Checked, Repair};
use nodulus_store::{Damage, Error, Store, hash, record};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// A file as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutputFile {
    bytes: u64,
    sha256: String,
}

impl OutputFile {
    /// A file that was just written.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { bytes: fs::metadata(path)?.len(), sha256: hash::sha256_file(path)? })
    }
}

impl SeriesResult {
    /// Whether a file of the result is gone or has another size. Files below `base` are not read.
    pub(super) fn lacks_files(&self, base: &Path) -> bool {
        self.outputs.iter().any(|file| {
            // A file that cannot be looked at is not gone.
            let found = fs::metadata(base.join(file));
            let expected = self.files.get(file).map(|written| written.bytes);
            match found {
                Ok(found) => expected.is_some_and(|expected| found.len() != expected),
                Err(error) => error.kind() == io::ErrorKind::NotFound,
            }
        })
    }
}

impl SeriesRecord {
    /// The current result.
    pub(super) fn current_result(&self) -> Option<&SeriesResult> {
        match &self.current.as_ref()?.outcome {
            AttemptOutcome::Scored(result) => Some(result),
            AttemptOutcome::Failed(_) | AttemptOutcome::Excluded(_) => None,
        }
    }
}

/// Compares the files of the current results of a store with their records; `base` is the folder of outputs. A repair sets
/// damaged files aside, and the next night makes them again.
///
/// # Errors
///
/// Fails if the machine does not let a file be read, or a damaged file cannot be moved.
pub fn check(
    store: &Store,
    base: &Path,
    repair: Repair,
    checked: &mut Checked,
) -> Result<(), Error> {
    for path in super::ledger::record_paths(store.root())? {
        // A damaged record is named with the others.
        let Ok(Some(record)) = record::read::<SeriesRecord>(&path) else { continue };
        let Some(result) = record.current_result() else { continue };
        for name in &result.outputs {
            let file = base.join(name);
            checked.n_files += 1;
            let Some(what) = fault(&file, result.files.get(name), checked)? else { continue };
            let mut damage = Damage { path: file.clone(), what, set_aside: None };
            if repair == Repair::Yes && file.exists() {
                damage.set_aside = store.set_aside_from(&file, &Path::new("output").join(name))?;
            }
            checked.damage.push(damage);
        }
    }
    Ok(())
}

/// What is wrong with a file; only that it is there can be told of one whose record has no hash.
fn fault(
    file: &Path,
    written: Option<&OutputFile>,
    checked: &mut Checked,
) -> Result<Option<String>, Error> {
    match fs::metadata(file) {
        Ok(found) => checked.n_bytes += found.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Some("is missing".to_owned()));
        }
        Err(error) => return Err(error.into()),
    }
    let Some(written) = written else { return Ok(None) };
    let is_same = hash::sha256_file(file)? == written.sha256;
    Ok((!is_same).then(|| "is not what was written".to_owned()))
}

/// The files of a result by their paths below the folder of outputs.
pub(crate) type OutputFiles = BTreeMap<PathBuf, OutputFile>;
