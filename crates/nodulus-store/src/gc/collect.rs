//! Finds what nothing needs.

use super::size::{Freed, size};
use super::{Abandoned, Garbage, Keep, RemovedVersion, Shards};
use crate::claim::Claim;
use crate::damage;
use crate::durable::{self, UNFINISHED};
use crate::job::METRICS;
use crate::shard_record::{record_path, shard_folder};
use crate::version::{self, manifest_path};
use crate::{Error, InputRef, record};
use fs_err as fs;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What is removed, in this order.
#[derive(Default)]
pub(super) struct Paths {
    /// Records of versions.
    pub(super) versions: Vec<PathBuf>,
    /// Folders of shards.
    pub(super) shards: Vec<PathBuf>,
    /// What interrupted writes left.
    pub(super) unfinished: Vec<PathBuf>,
    /// Folders of metrics.
    pub(super) metrics: Vec<PathBuf>,
}

/// An output's folder.
struct Output {
    name: String,
    folder: PathBuf,
    current: Option<String>,
    /// When the current version became it.
    since: Option<SystemTime>,
    /// The newest first.
    versions: Vec<(String, Record)>,
}

/// The part of a version's record that matters here; a large cohort's records hold much more.
#[derive(Deserialize)]
struct Record {
    stage: String,
    inputs: Vec<InputRef>,
    shards: Vec<ShardKey>,
}

#[derive(Deserialize)]
struct ShardKey {
    key: String,
}

/// What is removed, and where it lies.
pub(super) fn find(root: &Path, keep: Keep) -> Result<(Garbage, Paths), Error> {
    let mut outputs = Vec::new();
    let (mut paths, mut freed) = (Paths::default(), Freed::default());
    add_unfinished(root, &mut paths)?;
    let set_aside = root.join(damage::FOLDER);
    paths.unfinished.extend(set_aside.exists().then_some(set_aside));
    for entry in fs::read_dir(root)? {
        let folder = entry?.path();
        if folder.is_dir() {
            add_unfinished(&folder, &mut paths)?;
            outputs.extend(Output::read(&folder)?);
        }
    }
    outputs.sort_by(|a, b| a.name.cmp(&b.name));
    let kept = kept(&outputs, keep.versions);
    let interrupted = Interrupted::of(&outputs, keep.interrupted)?;
    let mut garbage = Garbage { n_kept_versions: kept.len(), ..Garbage::default() };
    for output in &outputs {
        output.find(&kept, &interrupted, &mut garbage, &mut paths, &mut freed)?;
    }
    for path in &paths.unfinished {
        freed.add(path)?;
    }
    garbage.n_unfinished = paths.unfinished.len();
    garbage.n_metrics = paths.metrics.len();
    garbage.bytes = freed.bytes();
    Ok((garbage, paths))
}

/// The versions that stay, as names and keys of outputs.
fn kept(outputs: &[Output], keep: usize) -> BTreeSet<(&str, &str)> {
    let mut pending: Vec<(&str, &str)> = Vec::new();
    for output in outputs {
        let is_current = |key: &str| output.current.as_deref() == Some(key);
        let keys = output.versions.iter().map(|(key, _)| key.as_str());
        let (current, others): (Vec<&str>, Vec<&str>) = keys.partition(|key| is_current(key));
        let of_output = current.into_iter().chain(others.into_iter().take(keep));
        pending.extend(of_output.map(|key| (output.name.as_str(), key)));
    }
    let records: BTreeMap<(&str, &str), &Record> = outputs
        .iter()
        .flat_map(|output| {
            output.versions.iter().map(|(key, record)| ((&*output.name, &**key), record))
        })
        .collect();
    let mut kept = BTreeSet::new();
    while let Some(version) = pending.pop() {
        if let Some(record) = records.get(&version)
            && kept.insert(version)
        {
            pending.extend(record.inputs.iter().map(|input| (&*input.name, &*input.key)));
        }
    }
    kept
}

impl Output {
    /// Reads the records of an output; `None` for another folder.
    fn read(folder: &Path) -> Result<Option<Self>, Error> {
        if !folder.join("versions").is_dir() && !folder.join("shards").is_dir() {
            return Ok(None);
        }
        let current = folder.join("CURRENT");
        let (current, since) = match fs::read_to_string(&current) {
            Ok(key) => (Some(key.trim().to_owned()), Some(fs::metadata(&current)?.modified()?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (None, None),
            Err(error) => return Err(error.into()),
        };
        let mut versions = Vec::new();
        for (_, key) in version::keys(folder)? {
            if let Some(record) = record::read(&manifest_path(folder, &key))? {
                versions.push((key, record));
            }
        }
        // Without it, all versions would look like ones that nothing needs.
        let fault = match &current {
            None if !versions.is_empty() => Some("is missing"),
            Some(key) if !version::is_key(key) => Some("is damaged"),
            _ => None,
        };
        if let Some(found) = fault {
            return Err(Error::Current { path: folder.join("CURRENT"), found });
        }
        if let Some(key) = &current
            && !versions.iter().any(|(found, _)| found == key)
        {
            return Err(Error::VersionMissing { path: manifest_path(folder, key) });
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Some(Self { name, folder: folder.to_owned(), current, since, versions }))
    }

    /// Adds what goes and what stays for an interrupted run.
    fn find(
        &self,
        kept: &BTreeSet<(&str, &str)>,
        work: &Interrupted,
        garbage: &mut Garbage,
        paths: &mut Paths,
        freed: &mut Freed,
    ) -> Result<(), Error> {
        let is_kept = |key: &str| kept.contains(&(&*self.name, key));
        let (stay, go): (Vec<_>, Vec<_>) = self.versions.iter().partition(|(key, _)| is_kept(key));
        let needed: BTreeSet<&str> =
            stay.iter().flat_map(|(_, record)| record.shards.iter().map(|s| &*s.key)).collect();
        let mut found = self.shards()?;
        found.retain(|key| !needed.contains(&**key));
        for (key, record) in go {
            let path = manifest_path(&self.folder, key);
            let mut bytes = freed.add(&path)?;
            paths.versions.push(path);
            let mut n_shards = 0;
            for shard in &record.shards {
                if found.remove(&shard.key) {
                    let folder = shard_folder(&self.folder, &shard.key);
                    bytes += freed.add(&folder)?;
                    paths.shards.push(folder);
                    n_shards += 1;
                }
            }
            garbage.versions.push(RemovedVersion {
                output: self.name.clone(),
                key: key.clone(),
                stage: record.stage.clone(),
                n_shards,
                bytes,
            });
        }
        let empty = || Shards { output: self.name.clone(), n_shards: 0, bytes: 0 };
        let (mut loose, mut interrupted) = (empty(), empty());
        let mut followed: BTreeSet<String> = needed.iter().map(|key| (*key).to_owned()).collect();
        for key in found {
            let folder = shard_folder(&self.folder, &key);
            if work.stays(&key, newest(&record_path(&self.folder, &key))?, self.since) {
                interrupted.n_shards += 1;
                interrupted.bytes += size(&folder)?;
                followed.insert(key);
            } else {
                loose.n_shards += 1;
                loose.bytes += freed.add(&folder)?;
                paths.shards.push(folder);
            }
        }
        for entry in durable::entries(&self.folder.join("unfinished"))? {
            let entry = entry?;
            let (state, key) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let written = newest(&state)?;
            let bytes = size(&state)?;
            if work.stays(&key, written, self.since) {
                interrupted.n_shards += 1;
                interrupted.bytes += bytes;
                followed.insert(key);
            } else {
                let days = work.age(written).as_secs() / SECONDS_OF_DAY;
                garbage.abandoned.push(Abandoned { output: self.name.clone(), key, days, bytes });
                paths.unfinished.push(state);
            }
        }
        // The metrics of a training stay as long as it does.
        for entry in durable::entries(&self.folder.join(METRICS))? {
            let entry = entry?;
            if !followed.contains(&*entry.file_name().to_string_lossy()) {
                freed.add(&entry.path())?;
                paths.metrics.push(entry.path());
            }
        }
        garbage.loose_shards.extend((loose.n_shards > 0).then_some(loose));
        garbage.interrupted.extend((interrupted.n_shards > 0).then_some(interrupted));
        for part in ["versions", "shards"] {
            add_unfinished(&self.folder.join(part), paths)?;
        }
        Ok(())
    }

    /// The keys of the committed shards.
    fn shards(&self) -> io::Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        for entry in durable::entries(&self.folder.join("shards"))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !name.contains('.') {
                found.insert(name);
            }
        }
        Ok(found)
    }
}

const SECONDS_OF_DAY: u64 = 24 * 60 * 60;

/// Which work of interrupted runs stays.
struct Interrupted {
    now: SystemTime,
    /// How long it stays after it was last written to.
    grace: Duration,
    /// Keys of the shards that living processes work on.
    claimed: BTreeSet<String>,
}

impl Interrupted {
    fn of(outputs: &[Output], grace: Duration) -> io::Result<Self> {
        let mut claimed = BTreeSet::new();
        for output in outputs {
            for entry in durable::entries(&output.folder.join("shards"))? {
                let name = entry?.file_name().to_string_lossy().into_owned();
                if let Some(key) = name.strip_suffix(".lock")
                    && Claim::is_held(&output.folder, key)?
                {
                    claimed.insert(key.to_owned());
                }
            }
        }
        Ok(Self { now: SystemTime::now(), grace, claimed })
    }

    /// Whether a shard in no version, or the state of one, stays: a process works on it, or it was written after the current
    /// version became it (`since`; where there is none, at any time) and not too long ago.
    fn stays(&self, key: &str, written: Option<SystemTime>, since: Option<SystemTime>) -> bool {
        // A shard without its record is of no use.
        let is_work = written.is_some_and(|written| since.is_none_or(|since| written > since));
        self.claimed.contains(key) || (is_work && self.age(written) < self.grace)
    }

    /// Time since something was written; 0 for a time to come.
    fn age(&self, written: Option<SystemTime>) -> Duration {
        written.and_then(|written| self.now.duration_since(written).ok()).unwrap_or_default()
    }
}

/// When a file, or the newest file of a folder, was written; `None` where there is none.
fn newest(path: &Path) -> io::Result<Option<SystemTime>> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut newest = metadata.modified()?;
    if metadata.is_dir() {
        for entry in durable::entries(path)? {
            newest = newest.max(entry?.metadata()?.modified()?);
        }
    }
    Ok(Some(newest))
}

/// Adds what interrupted writes left in a folder, and the claims of processes that ended.
fn add_unfinished(folder: &Path, paths: &mut Paths) -> io::Result<()> {
    let is_shards = folder.file_name().is_some_and(|name| name == "shards");
    for entry in durable::entries(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_claim = entry.path().extension().is_some_and(|extension| extension == "lock");
        if name.ends_with(UNFINISHED) || (is_shards && is_claim) {
            paths.unfinished.push(entry.path());
        }
    }
    Ok(())
}
