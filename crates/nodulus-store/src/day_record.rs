//! What was written of a table with a folder for each value of a column: `STORE/checksums/TABLE/COLUMN=VALUE.json`.
//!
//! The record is written before its file is moved into place, so it also has what stood there before.

use crate::damage::{self, Damage};
use crate::stamp::Stamp;
use crate::{Error, hash, record};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// Folder of the records in the store.
pub(crate) const FOLDER: &str = "checksums";

/// A file as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WrittenFile {
    sha256: String,
    /// Size, time of change and number: as long as they are these, the file is not read again.
    stamp: String,
}

/// What may stand in the place of a file: what was written last, and what stood there before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DayRecord {
    last: Option<WrittenFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<WrittenFile>,
}

/// Path of the record of a file.
pub(crate) fn path(store: &Path, table: &str, folder: &str) -> PathBuf {
    store.join(FOLDER).join(table).join(format!("{folder}.json"))
}

/// Records a file that is about to be moved into place.
pub(crate) fn write(path: &Path, finished: &Path) -> Result<(), Error> {
    let before = record::read::<DayRecord>(path).ok().flatten().and_then(|record| record.last);
    let sha256 = hash::sha256_file(finished)?;
    let last = WrittenFile { sha256, stamp: Stamp::of(finished)?.to_string() };
    record::write(path, &DayRecord { last: Some(last), before })
}

/// What is wrong with a file, by its record; nothing is known of a file without one, which an earlier version wrote.
///
/// # Errors
///
/// Fails if the machine does not let a file be read.
pub(crate) fn damage(path: &Path, file: &Path, reads_all: bool) -> Result<Option<Damage>, Error> {
    let record = match record::read::<DayRecord>(path) {
        Ok(Some(record)) => record,
        Ok(None) => return Ok(None),
        Err(error) => return damage::of_error(path, error).map(Some),
    };
    let stamp = match Stamp::of(file) {
        Ok(stamp) => stamp.to_string(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Some(Damage::missing(file)));
        }
        Err(error) => return damage::of_error(file, error.into()).map(Some),
    };
    let mut written = record.last.iter().chain(&record.before);
    if !reads_all && written.clone().any(|written| written.stamp == stamp) {
        return Ok(None);
    }
    match hash::sha256_file(file) {
        Ok(found) if written.any(|written| written.sha256 == found) => Ok(None),
        Ok(_) => Ok(Some(Damage::new(file, "is not what was written: its SHA-256 is another one"))),
        Err(error) => damage::of_error(file, error.into()).map(Some),
    }
}
