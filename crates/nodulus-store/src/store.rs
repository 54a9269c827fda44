//! The folder that holds every version of every table.

use crate::job::{Job, JobSpec, manifest_path};
use crate::{Error, Lock, Manifest, OutputSpec, PartReader, Row, TableSpec, durable, record};
use fs_err as fs;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io;
use std::path::{Path, PathBuf};

/// Version of the store's layout.
pub(crate) const LAYOUT: u32 = 1;

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

/// A finished output, for reading.
#[derive(Clone, Debug)]
pub struct Version {
    /// Its files and what they were made from.
    pub manifest: Manifest,
    output: OutputSpec,
    folder: PathBuf,
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
            fs::create_dir_all(root)?;
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
        Self::open(root)
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
            Some(_) => Ok(Self { root: root.to_owned() }),
        }
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Takes the right to write, and removes unfinished files of interrupted runs from the store's own folder and
    /// from the named folders in it.
    ///
    /// # Errors
    ///
    /// Fails if another process holds it, or the store cannot be written to.
    pub fn lock<'a>(&self, folders: impl IntoIterator<Item = &'a str>) -> Result<Lock, Error> {
        let lock = Lock::take(&self.root)?;
        durable::remove_unfinished(&self.root)?;
        for folder in folders {
            let folder = self.root.join(folder);
            durable::remove_unfinished(&folder)?;
            for key in subfolders(&folder)? {
                durable::remove_unfinished(&key.join("meta"))?;
                durable::remove_unfinished(&key.join("meta/shards"))?;
                for attempt in subfolders(&key.join("_tmp"))? {
                    if attempt.file_name().is_none_or(|name| name != "resume") {
                        fs::remove_dir_all(attempt)?;
                    }
                }
            }
        }
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
        let output = output.into();
        let path = self.root.join(output.name()).join("CURRENT");
        match fs::read_to_string(path) {
            Ok(key) => self.version(output, key.trim()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
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
        let folder = self.root.join(output.name()).join(key);
        let manifest: Option<Manifest> = record::read(&manifest_path(&folder))?;
        Ok(manifest.map(|manifest| Version { manifest, output, folder }))
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

impl Version {
    /// The output that this is a version of.
    pub fn output(&self) -> OutputSpec {
        self.output
    }

    /// Folder with the output's files.
    pub fn files_folder(&self) -> PathBuf {
        self.folder.join(self.output.files_folder())
    }

    /// The files of a shard.
    pub fn shard_files(&self, shard: usize) -> Vec<PathBuf> {
        let folder = self.files_folder();
        let shards = self.manifest.shards.get(shard);
        shards.into_iter().flat_map(|s| &s.parts).map(|part| folder.join(&part.file)).collect()
    }

    /// The files of all shards, in order.
    pub fn files(&self) -> Vec<PathBuf> {
        (0..self.manifest.n_shards()).flat_map(|shard| self.shard_files(shard)).collect()
    }

    /// All rows of a table, in batches.
    pub fn rows<R: Row>(&self) -> impl Iterator<Item = Result<Vec<R>, Error>> + use<R> {
        batches(self.files(), R::TABLE, None)
    }

    /// Rows of one shard of a table, in batches.
    pub fn shard_rows<R: Row>(
        &self,
        shard: usize,
    ) -> impl Iterator<Item = Result<Vec<R>, Error>> + use<R> {
        batches(self.shard_files(shard), R::TABLE, None)
    }

    /// Some columns of all rows of a table, in batches; the fields of `T` are the columns.
    pub fn columns<'a, T: DeserializeOwned + 'a>(
        &self,
        columns: &'a [&'a str],
    ) -> impl Iterator<Item = Result<Vec<T>, Error>> + use<'a, T> {
        self.batches(self.files(), columns)
    }

    /// Some columns of one shard of a table, in batches; the fields of `T` are the columns.
    pub fn shard_columns<'a, T: DeserializeOwned + 'a>(
        &self,
        shard: usize,
        columns: &'a [&'a str],
    ) -> impl Iterator<Item = Result<Vec<T>, Error>> + use<'a, T> {
        self.batches(self.shard_files(shard), columns)
    }

    fn batches<'a, T: DeserializeOwned + 'a>(
        &self,
        files: Vec<PathBuf>,
        columns: &'a [&'a str],
    ) -> impl Iterator<Item = Result<Vec<T>, Error>> + use<'a, T> {
        let (batches_of_table, error) = match self.output {
            OutputSpec::Table(table) => (Some(batches(files, table, Some(columns))), None),
            OutputSpec::Files(name) => {
                (None, Some(Err(Error::NotATable { output: name, path: self.folder.clone() })))
            }
        };
        error.into_iter().chain(batches_of_table.into_iter().flatten())
    }
}

fn batches<'a, T: DeserializeOwned + 'a>(
    files: Vec<PathBuf>,
    table: &'static TableSpec,
    columns: Option<&'a [&'a str]>,
) -> impl Iterator<Item = Result<Vec<T>, Error>> + use<'a, T> {
    files.into_iter().flat_map(move |file| {
        let (reader, error) = match PartReader::<T>::open(&file, table, columns) {
            Ok(reader) => (Some(reader), None),
            Err(error) => (None, Some(Err(error))),
        };
        error.into_iter().chain(reader.into_iter().flatten())
    })
}

fn subfolders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => {
            let mut paths = Vec::new();
            for entry in entries {
                let path = entry?.path();
                if path.is_dir() {
                    paths.push(path);
                }
            }
            Ok(paths)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
