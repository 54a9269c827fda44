//! The saved state that an interrupted training resumes from.
//!
//! Each state has a folder, named by the finished epochs and the batches of the unfinished one; another folder has the
//! best weights so far.

use super::course::{Course, best, calibration, described};
use super::error::Error;
use crate::tables::{Table, TrainingLog};
use fs_err::{self as fs, File};
use nodulus_nets::{BEST_WEIGHTS_FILE, Epoch, Trainer};
use nodulus_store::{PartReader, PartWriter, Provenance, durable, folder_record};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Name of the log beside the state. It is Parquet, so that numbers come back exactly. A state is complete when it has a record
/// of its files, which is written last.
const LOG: &str = "log.parquet";

/// Prefixes of the folders of states and of the best weights.
const STATE: &str = "state-";
const BEST: &str = "best-";

/// Saves the state, and removes earlier states and best weights that are no longer the best.
pub(super) fn save(folder: &Path, trainer: &Trainer, course: &Course) -> Result<(), Error> {
    let batches = course.epoch.as_ref().map_or(0, Epoch::batches);
    let state = folder.join(format!("{STATE}{:06}-{batches:09}", course.log.len()));
    remove(&state)?;
    fs::create_dir_all(&state)?;
    trainer.save_state(&state, course.epoch.as_ref())?;
    sync(&state)?;
    let unfinished = state.join("log.unfinished");
    let mut writer = PartWriter::create(&unfinished, &Provenance::new())?;
    writer.write(course.log.iter().cloned())?;
    writer.finish()?;
    durable::publish(&unfinished, &state.join(LOG))?;
    folder_record::write(&state)?;
    for older in named(folder, STATE)?.into_iter().filter(|other| *other != state) {
        remove(&older)?;
    }
    // The best weights belong to the finished epochs of this state.
    let mut older = named(folder, BEST)?;
    older.pop();
    older.iter().try_for_each(|older| remove(older))?;
    Ok(())
}

/// Loads the last complete state; without one, training starts from the beginning. So it does where a file of the state, or of
/// the best weights that belong to it, is not as it was written; `warn` says so.
pub(super) fn load(
    folder: &Path,
    trainer: &mut Trainer,
    warn: &dyn Fn(String),
) -> Result<Course, Error> {
    for state in named(folder, STATE)?.into_iter().rev() {
        if folder_record::is_written(&state) {
            let kept =
                named(folder, BEST)?.into_iter().filter(|kept| folder_record::is_written(kept));
            let mut damage = folder_record::damage(&state)?;
            for kept in kept {
                damage = damage.or(folder_record::damage(&kept)?);
            }
            if let Some(damage) = damage {
                warn(format!("{damage}: the training starts from the beginning"));
                for damaged in [named(folder, STATE)?, named(folder, BEST)?].concat() {
                    remove(&damaged)?;
                }
                return Ok(Course::default());
            }
            let mut log = Vec::new();
            for batch in PartReader::open(&state.join(LOG), Table::TrainingLog, None)? {
                log.extend(batch?);
            }
            let epoch = trainer.load_state(&state)?;
            return Ok(Course { log, epoch });
        }
    }
    Ok(Course::default())
}

/// Saves the weights where the last epoch of a phase is its best. The earlier best weights stay until the next state is
/// saved, so that a run that is killed in between has both.
pub(super) fn keep_best(
    folder: &Path,
    trainer: &mut Trainer,
    rows: &[TrainingLog],
    about: &Value,
) -> Result<(), Error> {
    let last = rows.last();
    if let Some(row) = best(rows).filter(|best| Some(*best) == last) {
        let kept = folder.join(format!("{BEST}{:06}", row.epoch));
        remove(&kept)?;
        fs::create_dir_all(&kept)?;
        trainer.set_calibration(calibration(Some(row))?);
        trainer.save_checkpoint(&kept.join(BEST_WEIGHTS_FILE), &described(about, Some(row)))?;
        sync(&kept)?;
        folder_record::write(&kept)?;
    }
    Ok(())
}

/// Copies the best weights, if there are any, to a checkpoint's folder.
pub(super) fn copy_best(folder: &Path, to: &Path) -> Result<(), Error> {
    if let Some(kept) = named(folder, BEST)?.pop() {
        for entry in fs::read_dir(&kept)? {
            let path = entry?.path();
            if let Some(name) = path.file_name().filter(|name| *name != folder_record::NAME) {
                fs::copy(&path, to.join(name))?;
            }
        }
    }
    Ok(())
}

/// Folders with a prefix, in the order of their names.
fn named(folder: &Path, start: &str) -> Result<Vec<PathBuf>, Error> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(start) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn sync(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        File::open(entry?.path())?.sync_all()?;
    }
    Ok(())
}

fn remove(folder: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
