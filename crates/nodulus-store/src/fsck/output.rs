//! Compares the files of an output: shards, versions, and the files of the current version for other programs.

use super::{Check, Repair};
use crate::damage::{self, Damage};
use crate::seal::{self, SEAL, Trust};
use crate::shard_record::{ShardRecord, record_path, shard_folder};
use crate::version::{self, Version, manifest_path};
use crate::{Error, OutputSpec, durable, hash, record, view};
use fs_err as fs;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// The name of an output that this program does not know; its files are compared as a whole.
const UNKNOWN: OutputSpec = OutputSpec::Files("an output of another nodulus");

impl Check<'_> {
    pub(super) fn output(&mut self, folder: &Path, spec: Option<OutputSpec>) -> Result<(), Error> {
        let mut keys = BTreeSet::new();
        for entry in durable::entries(&folder.join("shards"))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !name.contains('.') {
                keys.insert(name);
            }
        }
        for key in &keys {
            self.shard(folder, key, spec.unwrap_or(UNKNOWN))?;
        }
        let current = version::current_key(folder)?;
        if let Some(fault) = version::fault_of_current(folder)? {
            // Which version is current is set right at the end, where it is repaired.
            self.checked.damage.push(Damage::new(&folder.join("CURRENT"), fault));
        }
        for (_, key) in version::keys(folder)? {
            self.version(folder, &key, spec.unwrap_or(UNKNOWN), current.as_deref())?;
        }
        Ok(())
    }

    fn shard(&mut self, output: &Path, key: &str, spec: OutputSpec) -> Result<(), Error> {
        let (folder, path) = (shard_folder(output, key), record_path(output, key));
        let mut listed: BTreeSet<String> = [SEAL, "record.json"].map(str::to_owned).into();
        if let Ok(Some(record)) = record::read::<ShardRecord>(&path) {
            listed.extend(record.parts.into_iter().map(|part| part.file));
        }
        for file in &listed {
            if folder.join(file).exists() && file != SEAL {
                self.count(&folder.join(file));
            }
        }
        if let Some(damage) = seal::look(output, key, spec, None, Trust::Nothing)?.damage() {
            return self.add(damage, &folder);
        }
        for entry in durable::entries(&folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !listed.contains(&name) {
                let what = "is not in the record of its shard";
                self.add(Damage::new(&entry.path(), what), &entry.path())?;
            }
        }
        if self.repair == Repair::Yes && seal::is_sealed(output, key) {
            seal::seal(output, key)?;
        }
        Ok(())
    }

    fn version(
        &mut self,
        folder: &Path,
        key: &str,
        spec: OutputSpec,
        current: Option<&str>,
    ) -> Result<(), Error> {
        let path = manifest_path(folder, key);
        self.count(&path);
        if let Some(damage) = version::damage_of_manifest(folder, key)? {
            return self.add(damage, &path);
        }
        let Some(found) = Version::read(folder, spec, key)? else { return Ok(()) };
        let is_current = current == Some(key);
        for (n, shard) in found.manifest.shards.iter().enumerate() {
            let record = record_path(folder, &shard.key);
            if record.exists() {
                let parts = found.shard_record(n).map(|record| record.parts);
                if parts.is_ok_and(|parts| parts != shard.parts) {
                    let what = format!(
                        "lists shard {} with other files than the shard's record",
                        shard.key
                    );
                    self.add(Damage::new(&path, &what), &path)?;
                    break;
                }
                continue;
            }
            if is_current {
                // The next run makes the shard again.
                if !self
                    .checked
                    .damage
                    .iter()
                    .any(|damage| damage.path.starts_with(shard_folder(folder, &shard.key)))
                {
                    self.add(Damage::missing(&record), &record)?;
                }
            } else {
                let what = format!("lists shard {}, which is missing", shard.key);
                self.add(Damage::new(&path, &what), &path)?;
                break;
            }
        }
        if is_current { self.view(folder, &found) } else { Ok(()) }
    }

    /// Looks at the files of the current version for other programs, which a repair links again where the shards have them.
    fn view(&mut self, folder: &Path, version: &Version) -> Result<(), Error> {
        let shown = view::folder(folder);
        let files = view::names(version);
        let mut is_whole = true;
        for (name, file) in &files {
            let path = shown.join(name);
            match (number(&path)?, number(file)?) {
                (Some(a), Some(b)) if a == b => {}
                // The shard is named already.
                (_, None) => is_whole = false,
                (None, Some(_)) => self.checked.damage.push(Damage::missing(&path)),
                (Some(_), Some(_)) => {
                    self.count(&path);
                    if hash_of(&path)? != hash_of(file)? {
                        let what = "is not the file of its shard";
                        self.checked.damage.push(Damage::new(&path, what));
                    }
                }
            }
        }
        for entry in durable::entries(&shown)? {
            let entry = entry?;
            if !files.contains_key(&entry.file_name()) {
                let what = "is not in the current version";
                self.checked.damage.push(Damage::new(&entry.path(), what));
            }
        }
        let is_damaged = self.checked.damage.iter().any(|damage| damage.path.starts_with(&shown));
        if self.repair == Repair::Yes && is_whole && is_damaged {
            view::show(folder, version, true)?;
        }
        Ok(())
    }
}

fn hash_of(path: &Path) -> Result<Option<String>, Error> {
    match hash::sha256_file(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) => damage::of_error(path, error.into()).map(|_| None),
    }
}

/// What tells one file from another one; `None` without the file.
fn number(path: &Path) -> Result<Option<(u64, u64)>, Error> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(Some(identity(&found))),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => damage::of_error(path, error.into()).map(|_| None),
    }
}

#[cfg(unix)]
fn identity(found: &std::fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    (found.dev(), found.ino())
}

/// Without numbers of files, each is read.
#[cfg(not(unix))]
fn identity(_: &std::fs::Metadata) -> (u64, u64) {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    (0, COUNT.fetch_add(1, Ordering::Relaxed))
}
