//! Compares every file of a store with its record.
//!
//! What is damaged or missing is named. A repair sets damaged files aside, into the store's folder `damaged`; the next run finds
//! them missing and makes them again from what they were made from. Nothing is set right from guesses.

mod output;

use crate::damage::{self, Damage};
use crate::day_record;
use crate::folder_record;
use crate::store::{LAYOUT, Layout};
use crate::{Error, Lock, OutputSpec, Store, durable, record};
use fs_err as fs;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What is done about damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Nothing.
    No,
    /// Damaged files are set aside.
    Yes,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Number of files that were compared with a record.
    pub n_files: u64,
    /// Their bytes.
    pub n_bytes: u64,
    /// What is damaged or missing.
    pub damage: Vec<Damage>,
}

/// Folders of a store that are no part of its tables: what was set aside, and the synthetic cohort.
const OTHER: [&str; 2] = [damage::FOLDER, "phantom"];

/// Compares every file of a store with its record; `outputs` are those that the program knows.
///
/// # Errors
///
/// Fails if there is no store, another process uses it (for a repair), the machine does not let a file be read, or damaged
/// files cannot be moved.
pub fn check(root: &Path, outputs: &[OutputSpec], repair: Repair) -> Result<Checked, Error> {
    let mut checked = Checked::default();
    let mut check = Check { root, repair, checked: &mut checked };
    check.marker()?;
    let lock = (repair == Repair::Yes).then(|| Lock::take(root)).transpose()?;
    for folder in folders(root)? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if OTHER.contains(&&*name) {
            continue;
        }
        if folder.join("shards").is_dir() || folder.join("versions").is_dir() {
            let spec = outputs.iter().copied().find(|output| output.name() == name);
            check.output(&folder, spec)?;
        }
        check.records_below(&folder)?;
        for day in folders(&folder)? {
            check.day(&name, &day)?;
        }
    }
    check.gone_days()?;
    if lock.is_some() {
        Store::open(root)?.set_right()?;
        damage::take_noted();
    }
    Ok(checked)
}

struct Check<'a> {
    root: &'a Path,
    repair: Repair,
    checked: &'a mut Checked,
}

impl Check<'_> {
    /// Counts a file.
    fn count(&mut self, path: &Path) {
        self.checked.n_files += 1;
        self.checked.n_bytes += fs::metadata(path).map_or(0, |found| found.len());
    }

    /// Adds damage; `whole` is what a repair sets aside.
    fn add(&mut self, damage: Damage, whole: &Path) -> Result<(), Error> {
        let mut damage = damage;
        if self.repair == Repair::Yes && whole.symlink_metadata().is_ok() {
            damage.set_aside = damage::set_aside(self.root, whole)?;
        }
        self.checked.damage.push(damage);
        Ok(())
    }

    /// Looks at a JSON record.
    fn record(&mut self, path: &Path) -> Result<(), Error> {
        self.count(path);
        match record::check(path) {
            Ok(()) => Ok(()),
            Err(error) => {
                let damage = damage::of_error(path, error)?;
                self.add(damage, path)
            }
        }
    }

    /// Looks at `store.json`, which a repair writes anew where the folder holds a store.
    fn marker(&mut self) -> Result<(), Error> {
        let path = self.root.join("store.json");
        let has_tables = || {
            let has = |name: &str| {
                folders(self.root).is_ok_and(|f| f.iter().any(|f| f.join(name).is_dir()))
            };
            has("shards") || self.root.join("series").is_dir()
        };
        let damage = match record::read::<Layout>(&path) {
            Ok(Some(_)) => {
                self.count(&path);
                return Store::open(self.root).map(drop);
            }
            Ok(None) if has_tables() => Damage::missing(&path),
            Ok(None) => return Store::open(self.root).map(drop),
            Err(error) => damage::of_error(&path, error)?,
        };
        self.add(damage, &path)?;
        match self.repair {
            Repair::Yes => record::write(&path, &Layout { layout: LAYOUT }),
            Repair::No => Ok(()),
        }
    }

    /// Looks at the records in a folder and in those below it, but for those of shards, versions and outputs' files.
    fn records_below(&mut self, folder: &Path) -> Result<(), Error> {
        for entry in durable::entries(folder)? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if name.ends_with(durable::UNFINISHED) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                if !["shards", "versions", "current"].contains(&&*name) {
                    self.records_below(&path)?;
                }
            } else if name == folder_record::NAME {
                self.folder(folder)?;
            } else if path.extension().is_some_and(|extension| extension == "json")
                && !folder.join(folder_record::NAME).exists()
            {
                self.record(&path)?;
            }
        }
        Ok(())
    }

    /// Looks at a folder whose files stand in a record in it.
    fn folder(&mut self, folder: &Path) -> Result<(), Error> {
        for entry in durable::entries(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                self.count(&entry.path());
            }
        }
        match folder_record::damage(folder)? {
            Some(damage) => self.add(damage, folder),
            None => Ok(()),
        }
    }

    /// Looks at the file of a table's folder for a day.
    fn day(&mut self, table: &str, day: &Path) -> Result<(), Error> {
        let name = day.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = day.join(crate::partitions::FILE);
        if !name.contains('=') || !file.exists() {
            return Ok(());
        }
        self.count(&file);
        let record = day_record::path(self.root, table, &name);
        match day_record::damage(&record, &file, true)? {
            // The record itself is looked at with the others.
            Some(damage) if damage.path == file => self.add(damage, &file),
            _ => Ok(()),
        }
    }

    /// Names the files of days that have a record and are gone.
    fn gone_days(&mut self) -> Result<(), Error> {
        for table in folders(&self.root.join(day_record::FOLDER))? {
            for entry in durable::entries(&table)? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let Some(day) = name.strip_suffix(".json") else { continue };
                let folder = self.root.join(table.file_name().unwrap_or_default()).join(day);
                let file = folder.join(crate::partitions::FILE);
                if !file.exists() && record::check(&entry.path()).is_ok() {
                    self.add(Damage::missing(&file), &file)?;
                }
            }
        }
        Ok(())
    }
}

/// The folders in a folder, sorted; none where it is missing.
fn folders(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut folders = Vec::new();
    for entry in durable::entries(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}
