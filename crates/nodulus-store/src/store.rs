//! The folder that holds every version of every table.

use crate::damage;
use crate::job::{self, Job, JobSpec};
use crate::version;
use crate::{Damage, Error, InputRef, Lock, Manifest, OutputSpec, Version, durable, record, shard};
use fs_err as fs;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io;
use std::path::{Path, PathBuf};

/// Version of the store's layout.
pub(crate) const LAYOUT: u32 = 2;

/// Content of `store.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Layout {
    pub(crate) layout: u32,
}

/// A folder of tables.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens a store; creates it if the folder is missing or empty.
    ///
    /// # Errors
    ///
    /// Fails if the folder holds other things, belongs to a newer program or cannot be written to.
    pub fn create(root: &Path) -> Result<Self, Error> {
        let marker = root.join("store.json");
        // It says nothing but the layout.
        let found = match record::read::<Layout>(&marker) {
            Err(Error::RecordDamaged { found, .. }) => Some(found),
            // A newer program writes other fields, but JSON.
            Err(Error::Record { source, .. }) if !source.is_data() => Some("no JSON"),
            _ => None,
        };
        if let Some(found) = found {
            record::write(&marker, &Layout { layout: LAYOUT })?;
            Damage::new(&marker, &format!("was {found}, and is written anew")).note();
        }
        if let Err(error @ (Error::NotWritable { .. } | Error::NotAFolder(_))) = Self::open(root) {
            return Err(error);
        }
        if !marker.exists() {
            fs::create_dir_all(root)
                .map_err(|source| Error::NotWritable { store: root.to_owned(), source })?;
            // A store whose creation was interrupted has only the temporary file of the marker.
            let has_other_files = fs::read_dir(root)?.any(|entry| {
                entry.is_ok_and(|e| !e.file_name().to_string_lossy().starts_with("store.json"))
            });
            let created = if has_other_files {
                Err(Error::NotAStore(root.to_owned()))
            } else {
                record::write(&marker, &Layout { layout: LAYOUT }).map_err(|error| match error {
                    Error::Io(source) => Error::NotWritable { store: root.to_owned(), source },
                    other => other,
                })
            };
            // Another process that creates the store at the same time may be first, and remove the temporary file.
            if !marker.exists() {
                created?;
            }
        }
        let store = Self::open(root)?;
        // An older store without versions, as the nightly job's, is a store of this layout.
        if record::read::<Layout>(&marker)?.is_some_and(|found| found.layout < LAYOUT) {
            record::write(&marker, &Layout { layout: LAYOUT })?;
        }
        Ok(store)
    }

    /// Opens an existing store.
    ///
    /// # Errors
    ///
    /// Fails if there is none, the path is a file, or it belongs to a newer program.
    pub fn open(root: &Path) -> Result<Self, Error> {
        if root.is_file() {
            return Err(Error::NotAFolder(root.to_owned()));
        }
        let layout: Option<Layout> =
            record::read(&root.join("store.json")).map_err(|error| match error {
                // A folder above it is a file.
                Error::Io(source) if source.kind() == io::ErrorKind::NotADirectory => {
                    Error::NotWritable { store: root.to_owned(), source }
                }
                other => other,
            })?;
        match layout {
            None if root.is_dir() && fs::read_dir(root)?.next().is_some() => {
                Err(Error::NotAStore(root.to_owned()))
            }
            None => Err(Error::NoStore(root.to_owned())),
            Some(Layout { layout }) if layout > LAYOUT => {
                Err(Error::NewerStore { path: root.to_owned(), found: layout })
            }
            Some(Layout { layout }) if layout < LAYOUT && has_versions(root)? => {
                Err(Error::OlderStore { path: root.to_owned(), found: layout })
            }
            Some(_) => Ok(Self { root: root.to_owned() }),
        }
    }

    /// Opens a store to look at it; a folder that is missing or empty is a store without versions. Nothing is written.
    ///
    /// # Errors
    ///
    /// As [`Self::open`], but for a store that is not there yet.
    pub fn look(root: &Path) -> Result<Self, Error> {
        match Self::open(root) {
            Err(Error::NoStore(_)) => Ok(Self { root: root.to_owned() }),
            opened => opened,
        }
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Takes the right to make shards beside other processes: runs share a store, and keep out what must have it alone.
    /// Removes what interrupted runs left, unless another process uses the store and might be writing it.
    ///
    /// # Errors
    ///
    /// Fails if a process has the store alone, or the store cannot be written to.
    pub fn share(&self) -> Result<Lock, Error> {
        if let Some(alone) = Lock::try_take(&self.root)? {
            remove_unfinished(&self.root)?;
            drop(alone);
        }
        let lock = Lock::share(&self.root)?;
        self.set_right()?;
        Ok(lock)
    }

    /// Takes the store alone, and removes what interrupted runs left.
    ///
    /// # Errors
    ///
    /// Fails if another process uses it, or the store cannot be written to.
    pub fn lock(&self) -> Result<Lock, Error> {
        let lock = Lock::take(&self.root)?;
        remove_unfinished(&self.root)?;
        self.set_right()?;
        Ok(lock)
    }

    /// Makes a version current where `CURRENT` names none that can be read: the newest that can, or none. The next run makes
    /// the right one current, from shards that are there. What is damaged is set aside and noted.
    pub(crate) fn set_right(&self) -> Result<(), Error> {
        for folder in folders(&self.root)?.into_iter().filter(|f| f.join("versions").is_dir()) {
            let Some(what) = version::fault_of_current(&folder)? else { continue };
            for (_, key) in version::keys(&folder)? {
                let path = version::manifest_path(&folder, &key);
                if let Some(damage) = version::damage_of_manifest(&folder, &key)? {
                    let set_aside = damage::set_aside(&self.root, &path)?;
                    Damage { set_aside, ..damage }.note();
                }
            }
            let current = folder.join("CURRENT");
            let newest = version::keys(&folder)?.into_iter().next();
            let what = if let Some((_, key)) = newest {
                durable::write(&current, format!("{key}\n").as_bytes())?;
                format!("{what}; the newest version {key} stands in until a run ends")
            } else {
                durable::remove(&current)?;
                what.to_owned()
            };
            Damage::new(&current, &what).note();
        }
        Ok(())
    }

    /// A job on this store.
    pub fn job(&self, spec: JobSpec) -> Job {
        Job::new(&self.root, spec)
    }

    /// The current version of an output, or `None` if there is none.
    ///
    /// # Errors
    ///
    /// Fails if the store's records cannot be read.
    pub fn current(&self, output: impl Into<OutputSpec>) -> Result<Option<Version>, Error> {
        job::current(&self.root, output.into())
    }

    /// The version of an output with a key, or `None` if there is none.
    ///
    /// # Errors
    ///
    /// Fails if the store's records cannot be read.
    pub fn version(
        &self,
        output: impl Into<OutputSpec>,
        key: &str,
    ) -> Result<Option<Version>, Error> {
        let output = output.into();
        let folder = self.root.join(output.name());
        let version = Version::read(&folder, output, key)?;
        if version.is_none() && version::current_key(&folder)?.as_deref() == Some(key) {
            return Err(Error::VersionMissing { path: version::manifest_path(&folder, key) });
        }
        Ok(version)
    }

    /// The keys of an output's versions, the newest first.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be read.
    pub fn version_keys(&self, output: impl Into<OutputSpec>) -> Result<Vec<String>, Error> {
        let found = version::keys(&self.root.join(output.into().name()))?;
        Ok(found.into_iter().map(|(_, key)| key).collect())
    }

    /// All versions of an output, in the order of their keys.
    ///
    /// # Errors
    ///
    /// Fails if the store's records cannot be read.
    pub fn versions(&self, output: impl Into<OutputSpec>) -> Result<Vec<Version>, Error> {
        let output = output.into();
        let folder = self.root.join(output.name());
        let mut keys = self.version_keys(output)?;
        keys.sort();
        let versions = keys.iter().map(|key| Version::read(&folder, output, key));
        Ok(versions.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// The current version of an output that must exist.
    ///
    /// # Errors
    ///
    /// Fails if the output does not exist, or the store's records cannot be read.
    pub fn require(&self, output: impl Into<OutputSpec>) -> Result<Version, Error> {
        let output = output.into();
        let missing = || Error::NotMade { output: output.name(), store: self.root.clone() };
        self.current(output)?.ok_or_else(missing)
    }

    /// Keeps a version although it would be made from other inputs now, which its record then names.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub fn keep(&self, version: Version, beside: &[InputRef]) -> Result<Version, Error> {
        let (folder, output) = (self.root.join(version.output().name()), version.output());
        let manifest = Manifest { kept_beside: Some(beside.to_vec()), ..version.manifest };
        manifest.write(&folder)?;
        Ok(Version::new(&folder, output, manifest))
    }

    /// Writes a JSON record of the store, whole or not at all.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub fn write_record(&self, name: &Path, record: &impl Serialize) -> Result<(), Error> {
        record::write(&self.root.join(name), record)
    }

    /// Reads a JSON record of the store; `None` if there is no such file.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read or parsed.
    pub fn read_record<T: DeserializeOwned>(&self, name: &Path) -> Result<Option<T>, Error> {
        record::read(&self.root.join(name))
    }

    /// Reads a JSON record of the store that is made anew where it is missing or damaged; damage is noted.
    ///
    /// # Errors
    ///
    /// Fails if the machine does not let the file be read.
    pub fn read_record_if_whole<T: DeserializeOwned>(
        &self,
        name: &Path,
    ) -> Result<Option<T>, Error> {
        let path = self.root.join(name);
        record::read(&path).or_else(|error| {
            damage::of_error(&path, error)?.note();
            Ok(None)
        })
    }

    /// Moves a damaged file of the store out of the way, into its folder `damaged`.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub fn set_aside(&self, path: &Path) -> Result<Option<PathBuf>, Error> {
        Ok(damage::set_aside(&self.root, path)?)
    }

    /// Moves a damaged file from anywhere into the store's folder `damaged`, under a name.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be moved.
    pub fn set_aside_from(&self, path: &Path, name: &Path) -> Result<Option<PathBuf>, Error> {
        let to = self.root.join(damage::FOLDER).join(name);
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        // The file may lie on another disk.
        if fs::rename(path, &to).is_err() {
            fs::copy(path, &to)?;
            durable::remove(path)?;
        }
        Ok(Some(to))
    }

    /// Writes a text file of the store, whole or not at all.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub fn write_text(&self, name: &Path, text: &str) -> Result<(), Error> {
        Ok(durable::write(&self.root.join(name), text.as_bytes())?)
    }
}

/// Removes temporary files and folders that interrupted runs left, given that no other process uses the store.
fn remove_unfinished(root: &Path) -> Result<(), Error> {
    durable::remove_unfinished(root)?;
    durable::remove_unfinished(&root.join("sources"))?;
    for output in folders(root)?.into_iter().filter(|folder| folder.join("shards").is_dir()) {
        durable::remove_unfinished(&output)?;
        for folder in folders(&output)?.into_iter().filter(|folder| !folder.ends_with("shards")) {
            durable::remove_unfinished(&folder)?;
        }
        shard::remove_unfinished(&output, &output)?;
    }
    Ok(())
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    Ok(folders)
}

/// Whether any output in a store's folder has a current version.
fn has_versions(root: &Path) -> Result<bool, Error> {
    for entry in fs::read_dir(root)? {
        if entry?.path().join("CURRENT").exists() {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Slice;
    use crate::{Row as _, record};

    fn of_layout(root: &Path, layout: u32) {
        record::write(&root.join("store.json"), &Layout { layout }).unwrap();
    }

    fn layout(root: &Path) -> u32 {
        record::read::<Layout>(&root.join("store.json")).unwrap().unwrap().layout
    }

    #[test]
    fn an_older_store_with_versions_is_refused_with_the_command_that_makes_it_anew() {
        let folder = tempfile::tempdir().unwrap();
        of_layout(folder.path(), 1);
        fs::create_dir_all(folder.path().join("scans")).unwrap();
        fs::write(folder.path().join("scans/CURRENT"), "0123\n").unwrap();
        for opened in [Store::create(folder.path()), Store::open(folder.path())] {
            let error = opened.unwrap_err().to_string();
            assert!(error.contains("has layout 1"), "{error}");
            assert!(error.contains("`nodulus run PIPELINE --store FOLDER`"), "{error}");
        }
        assert_eq!(layout(folder.path()), 1);
    }

    #[test]
    fn an_older_store_without_versions_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        of_layout(folder.path(), 1);
        // The tables of the nightly job have records and no versions.
        fs::create_dir_all(folder.path().join("scores/day=2026-01-01")).unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert!(store.current(Slice::TABLE).unwrap().is_none());
        // Reading changes nothing; the next run makes it a store of this layout.
        assert_eq!(layout(folder.path()), 1);
        Store::create(folder.path()).unwrap();
        assert_eq!(layout(folder.path()), LAYOUT);
    }

    #[test]
    fn a_newer_store_and_other_folders_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        of_layout(folder.path(), LAYOUT + 1);
        for opened in [Store::create(folder.path()), Store::open(folder.path())] {
            assert!(matches!(opened, Err(Error::NewerStore { .. })));
        }
        let other = tempfile::tempdir().unwrap();
        assert!(matches!(Store::open(other.path()), Err(Error::NoStore(_))));
        let file = other.path().join("file");
        fs::write(&file, "").unwrap();
        for store in [Store::open(&file), Store::create(&file), Store::look(&file)] {
            assert!(matches!(store, Err(Error::NotAFolder(_))), "{store:?}");
        }
        fs::remove_file(&file).unwrap();
        fs::write(other.path().join("notes.txt"), "x").unwrap();
        assert!(matches!(Store::open(other.path()), Err(Error::NotAStore(_))));
        assert!(matches!(Store::create(other.path()), Err(Error::NotAStore(_))));
        assert_eq!(fs::read_dir(other.path()).unwrap().count(), 1);
    }
}
