//! The folder that holds every table, in every version that was made.

use crate::job::{Job, JobSpec, manifest_path};
use crate::{Error, Lock, Manifest, OutputSpec, PartReader, Row, TableSpec, durable, record};
use fs_err as fs;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io;
use std::path::{Path, PathBuf};

/// Version of the store's layout.
pub(crate) const LAYOUT: u32 = 1;

/// What `store.json` holds.
#[derive(Debug, Serialize, Deserialize)]
struct Layout {
    layout: u32,
}

/// A folder of tables.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// A finished output that can be read.
#[derive(Clone, Debug)]
pub struct Version {
    /// What it is made of.
    pub manifest: Manifest,
    output: OutputSpec,
    folder: PathBuf,
}

impl Store {
    /// Opens a store, making it where the folder is missing or empty.
    ///
    /// # Errors
    ///
    /// Fails if the folder holds other things, belongs to a newer program or cannot be written to.
    pub fn create(root: &Path) -> Result<Self, Error> {
        let marker = root.join("store.json");
        if !marker.exists() {
            fs::create_dir_all(root)?;
            // A store whose making was interrupted has the unfinished marker alone.
            let foreign = fs::read_dir(root)?.any(|entry| {
                entry.is_ok_and(|e| !e.file_name().to_string_lossy().starts_with("store.json"))
            });
            let made = if foreign {
                Err(Error::NotAStore(root.to_owned()))
            } else {
                record::write(&marker, &Layout { layout: LAYOUT }).map_err(|error| match error {
                    Error::Io(source) => Error::NotWritable { store: root.to_owned(), source },
                    other => other,
                })
            };
            // Another process that makes it at the same time may be first, and clear up what it finds.
            if !marker.exists() {
                made?;
            }
        }
        Self::open(root)
    }

    /// Opens a store that is there.
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

    /// Takes the right to write, and clears what an interrupted run left unfinished in the store's own folder
    /// and in those of its folders that are named.
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

    /// The outputs of a stage under the key of its inputs and settings.
    pub fn job(&self, spec: JobSpec) -> Job {
        Job::new(&self.root, spec)
    }

    /// The current version of an output, or `None` where nothing has made it.
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

    /// A version of an output by its key.
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

    /// The current version of an output that must be there.
    ///
    /// # Errors
    ///
    /// Fails if nothing has made it, or the store's records cannot be read.
    pub fn require(&self, output: impl Into<OutputSpec>) -> Result<Version, Error> {
        let output = output.into();
        let missing = || Error::NotMade { output: output.name(), store: self.root.clone() };
        self.current(output)?.ok_or_else(missing)
    }

    /// Writes a small file of the store, whole or not at all.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub fn write_record(&self, name: &Path, record: &impl Serialize) -> Result<(), Error> {
        record::write(&self.root.join(name), record)
    }

    /// Reads a small file of the store, or `None` where it is not there.
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

    /// All files, in the order of shards.
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

    /// Some columns of all rows of a table, in batches; `T`'s fields are the columns named.
    pub fn columns<'a, T: DeserializeOwned + 'a>(
        &self,
        columns: &'a [&'a str],
    ) -> impl Iterator<Item = Result<Vec<T>, Error>> + use<'a, T> {
        self.batches(self.files(), columns)
    }

    /// Some columns of one shard of a table, in batches; `T`'s fields are the columns named.
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
