//! The folder that holds every version of every table.

use crate::job::{self, Job, JobSpec};
use crate::version::{self, manifest_path};
use crate::{Error, InputRef, Lock, OutputSpec, Version, durable, record};
use fs_err as fs;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::path::{Path, PathBuf};

/// Version of the store's layout.
pub(crate) const LAYOUT: u32 = 2;

/// Content of `store.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Layout {
    layout: u32,
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
    /// Fails if there is none, or it belongs to a newer program.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let layout: Option<Layout> = record::read(&root.join("store.json"))?;
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
    /// Removes unfinished records of interrupted runs.
    ///
    /// # Errors
    ///
    /// Fails if a process has the store alone, or the store cannot be written to.
    pub fn share(&self) -> Result<Lock, Error> {
        Lock::share(&self.root)
    }

    /// Takes the store alone, and removes unfinished records of interrupted runs from the store's own folder.
    ///
    /// # Errors
    ///
    /// Fails if another process uses it, or the store cannot be written to.
    pub fn lock(&self) -> Result<Lock, Error> {
        let lock = Lock::take(&self.root)?;
        durable::remove_unfinished(&self.root)?;
        Ok(lock)
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
        Version::read(&self.root.join(output.name()), output, key)
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
        let folder = self.root.join(version.output().name());
        let mut manifest = version.manifest.clone();
        manifest.kept_beside = Some(beside.to_vec());
        record::write(&manifest_path(&folder, &manifest.key), &manifest)?;
        Ok(Version::new(&folder, version.output(), manifest))
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

    /// Writes a text file of the store, whole or not at all.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub fn write_text(&self, name: &Path, text: &str) -> Result<(), Error> {
        Ok(durable::write(&self.root.join(name), text.as_bytes())?)
    }
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
