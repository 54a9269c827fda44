//! What an interrupted training goes on from: the state after the last finished epoch.

use super::Error;
use crate::model::Trainer;
use crate::tables::parquet::{PartReader, PartWriter, Provenance};
use crate::tables::{Table, TrainingLog, durable};
use fs_err::{self as fs, File};
use std::path::{Path, PathBuf};

/// Name of the log beside the state; it is put there last, and makes the state whole. It is Parquet
/// because numbers come back from JSON with another last bit.
const LOG: &str = "log.parquet";

/// Keeps the state after an epoch and drops the one before.
pub(super) fn save(folder: &Path, trainer: &Trainer, log: &[TrainingLog]) -> Result<(), Error> {
    let state = folder.join(format!("{:06}", log.len()));
    remove(&state)?;
    fs::create_dir_all(&state)?;
    trainer.save_state(&state)?;
    for entry in fs::read_dir(&state)? {
        File::open(entry?.path())?.sync_all()?;
    }
    let unfinished = state.join("log.unfinished");
    let mut writer = PartWriter::create(&unfinished, &Provenance::new())?;
    writer.write(log.iter().cloned())?;
    writer.finish()?;
    durable::publish(&unfinished, &state.join(LOG))?;
    for older in states(folder)?.into_iter().filter(|other| *other != state) {
        remove(&older)?;
    }
    Ok(())
}

/// Takes up the last whole state; an empty log where there is none.
pub(super) fn load(folder: &Path, trainer: &mut Trainer) -> Result<Vec<TrainingLog>, Error> {
    for state in states(folder)?.into_iter().rev() {
        if state.join(LOG).exists() {
            let mut log = Vec::new();
            for batch in PartReader::open(&state.join(LOG), Table::TrainingLog, None)? {
                log.extend(batch?);
            }
            trainer.load_state(&state)?;
            return Ok(log);
        }
    }
    Ok(Vec::new())
}

/// States, from the first epoch to the last.
fn states(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut states = Vec::new();
    for entry in fs::read_dir(folder)? {
        states.push(entry?.path());
    }
    states.sort();
    Ok(states)
}

fn remove(folder: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
