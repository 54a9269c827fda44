//! The folder that holds every table, in every version that was made.

use super::job::{Job, JobSpec, manifest_path};
use super::lock::{self, Lock};
use super::manifest::{self, Manifest};
use super::parquet::{self, PartReader};
use super::{Failure, Output, Row, Table, durable, shard};
use fs_err as fs;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io;
use std::path::{Path, PathBuf};

/// Version of the store's layout.
const LAYOUT: u32 = 1;

/// The store could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A record could not be read or written.
    #[error(transparent)]
    Record(#[from] manifest::Error),
    /// A part could not be read.
    #[error(transparent)]
    Parquet(#[from] parquet::Error),
    /// A shard could not be written.
    #[error(transparent)]
    Shard(#[from] shard::Error),
    /// The store could not be locked.
    #[error(transparent)]
    Lock(#[from] lock::Error),
    /// The folder holds other things.
    #[error("`{0}` is not a store: it has files and no `store.json`")]
    NotAStore(PathBuf),
    /// There is no such store.
    #[error("there is no store at `{0}`")]
    Missing(PathBuf),
    /// A newer program made the store.
    #[error(
        "store `{path}` has layout {found}, this nodulus knows layout {LAYOUT}: use a newer nodulus"
    )]
    Newer {
        /// The store.
        path: PathBuf,
        /// Its layout.
        found: u32,
    },
    /// A stage needs an output that nothing has made yet.
    #[error("`{output}` is not in store `{store}`")]
    NotMade {
        /// The output.
        output: Output,
        /// The store.
        store: PathBuf,
    },
}

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
                manifest::write(&marker, &Layout { layout: LAYOUT }).map_err(|error| match error {
                    manifest::Error::Io(source) => {
                        lock::Error::NotWritable { store: root.to_owned(), source }.into()
                    }
                    other @ manifest::Error::Parse { .. } => Error::Record(other),
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
        let layout: Option<Layout> = manifest::read(&root.join("store.json"))?;
        match layout {
            None if root.is_dir() && fs::read_dir(root)?.next().is_some() => {
                Err(Error::NotAStore(root.to_owned()))
            }
            None => Err(Error::Missing(root.to_owned())),
            Some(Layout { layout }) if layout > LAYOUT => {
                Err(Error::Newer { path: root.to_owned(), found: layout })
            }
            Some(_) => Ok(Self { root: root.to_owned() }),
        }
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Takes the right to write, and clears what an interrupted run left unfinished.
    ///
    /// # Errors
    ///
    /// Fails if another process holds it, or the store cannot be written to.
    pub fn lock(&self) -> Result<Lock, Error> {
        let lock = Lock::take(&self.root)?;
        durable::remove_unfinished(&self.root)?;
        durable::remove_unfinished(&self.root.join("sources"))?;
        for output in Output::all() {
            durable::remove_unfinished(&self.root.join(output.name()))?;
            for key in subfolders(&self.root.join(output.name()))? {
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
    pub fn current(&self, output: Output) -> Result<Option<Version>, Error> {
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
    pub fn version(&self, output: Output, key: &str) -> Result<Option<Version>, Error> {
        let folder = self.root.join(output.name()).join(key);
        let manifest: Option<Manifest> = manifest::read(&manifest_path(&folder))?;
        Ok(manifest.map(|manifest| Version { manifest, folder }))
    }

    /// The current version of an output that must be there.
    ///
    /// # Errors
    ///
    /// Fails if nothing has made it, or the store's records cannot be read.
    pub fn require(&self, output: Output) -> Result<Version, Error> {
        self.current(output)?.ok_or_else(|| Error::NotMade { output, store: self.root.clone() })
    }

    /// Brings the table of failures up to date with those of the current outputs.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be read or written to.
    pub fn refresh_failures(&self) -> Result<(), Error> {
        let mut inputs = Vec::new();
        let mut failures: Vec<Failure> = Vec::new();
        for output in Output::all().filter(|o| *o != Output::Table(Table::Failures)) {
            if let Some(version) = self.current(output)? {
                let shards = &version.manifest.shards;
                let found: Vec<_> = shards.iter().flat_map(|s| s.failures.clone()).collect();
                if !found.is_empty() {
                    inputs.push(version.manifest.as_input());
                    failures.extend(found);
                }
            }
        }
        let job = self.job(JobSpec {
            stage: "failures",
            stage_version: 1,
            outputs: vec![Output::Table(Table::Failures)],
            config: serde_json::to_value(&failures)
                .map_err(|source| manifest::Error::Parse { path: self.root.clone(), source })?,
            inputs,
            n_shards: 1,
        });
        if !job.is_finished() {
            let shard = job.shard(0)?;
            let mut part = shard.part::<Failure>()?;
            part.write(failures)?;
            shard.commit(vec![part.finish()?], Vec::new())?;
        }
        job.finish()?;
        Ok(())
    }

    /// Writes a small file of the store, whole or not at all.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub fn write_record(&self, name: &Path, record: &impl Serialize) -> Result<(), Error> {
        Ok(manifest::write(&self.root.join(name), record)?)
    }

    /// Reads a small file of the store, or `None` where it is not there.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read or parsed.
    pub fn read_record<T: DeserializeOwned>(&self, name: &Path) -> Result<Option<T>, Error> {
        Ok(manifest::read(&self.root.join(name))?)
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
    /// Folder with the output's files.
    pub fn files_folder(&self) -> PathBuf {
        self.folder.join(self.manifest.output.files_folder())
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

    /// Rows of one shard of a table, in batches.
    pub fn shard_rows<R: Row>(
        &self,
        shard: usize,
    ) -> impl Iterator<Item = Result<Vec<R>, parquet::Error>> + use<R> {
        batches(self.shard_files(shard), R::TABLE, None)
    }

    /// Some columns of all rows of a table, in batches; `T`'s fields are the columns named.
    pub fn columns<'a, T: DeserializeOwned + 'a>(
        &self,
        table: Table,
        columns: &'a [&'a str],
    ) -> impl Iterator<Item = Result<Vec<T>, parquet::Error>> + use<'a, T> {
        batches(self.files(), table, Some(columns))
    }

    /// Some columns of one shard of a table, in batches; `T`'s fields are the columns named.
    pub fn shard_columns<'a, T: DeserializeOwned + 'a>(
        &self,
        shard: usize,
        table: Table,
        columns: &'a [&'a str],
    ) -> impl Iterator<Item = Result<Vec<T>, parquet::Error>> + use<'a, T> {
        batches(self.shard_files(shard), table, Some(columns))
    }

    /// All rows of a table, in batches.
    pub fn rows<R: Row>(&self) -> impl Iterator<Item = Result<Vec<R>, parquet::Error>> + use<R> {
        batches(self.files(), R::TABLE, None)
    }
}

fn batches<'a, T: DeserializeOwned + 'a>(
    files: Vec<PathBuf>,
    table: Table,
    columns: Option<&'a [&'a str]>,
) -> impl Iterator<Item = Result<Vec<T>, parquet::Error>> + use<'a, T> {
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
