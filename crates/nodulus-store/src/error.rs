//! Why the store, a table or a record cannot be used.

use crate::Damage;
use crate::store::LAYOUT;
use nodulus_faults::quoted;
use std::io;
use std::path::{Path, PathBuf};

/// The store could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("{}", quoted::io(.0))]
    Io(#[from] io::Error),
    /// A JSON file is not the record that it should be.
    #[error(
        "{path} is not a record that this nodulus can read; it is damaged, or a newer nodulus wrote it: use that one, or set the \
         file aside with `nodulus fsck --repair STORE` and run again",
        path = quoted::path(path)
    )]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A JSON file is not what was written.
    #[error(
        "{path} is {found}, expected a record of the store: set it aside with `nodulus fsck --repair STORE` and run again",
        path = quoted::path(path)
    )]
    RecordDamaged {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// A file of an output is not as its record says.
    #[error(
        "{damage}, though version {key} of `{output}` lists it: run {stage} again, which makes it anew; `nodulus fsck STORE` looks \
         for more"
    )]
    Damaged {
        /// The file, and what is wrong with it.
        damage: Damage,
        /// Name of the output.
        output: String,
        /// The version.
        key: String,
        /// The stage that made it.
        stage: String,
    },
    /// A file of a table with a folder for each day is not as its record says.
    #[error(
        "{damage}: the next night makes it anew after `nodulus fsck --repair STORE`, which also looks for more"
    )]
    DayDamaged {
        /// The file, and what is wrong with it.
        damage: Damage,
    },
    /// An output has versions and none that is current.
    #[error(
        "{path} {found}, expected the key of a version: `nodulus run` sets it right, and so does `nodulus fsck --repair STORE`",
        path = quoted::path(path)
    )]
    Current {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: &'static str,
    },
    /// The folder holds other things.
    #[error("{path} is not a store: it has files and no `store.json`", path = quoted::path(.0))]
    NotAStore(PathBuf),
    /// There is no such store.
    #[error(
        "there is no store at {path}: check the path, or make the store with `nodulus run`",
        path = quoted::path(.0)
    )]
    NoStore(PathBuf),
    /// The path of a store is a file.
    #[error("{path} is a file, expected the folder of a store: choose another path", path = quoted::path(.0))]
    NotAFolder(PathBuf),
    /// A newer program made the store.
    #[error(
        "store {path} has layout {found}, this nodulus knows layout {LAYOUT}: use a newer nodulus",
        path = quoted::path(path)
    )]
    NewerStore {
        /// The store.
        path: PathBuf,
        /// Its layout.
        found: u32,
    },
    /// An older program made the store.
    #[error(
        "store {path} has layout {found}, which this nodulus no longer reads: make its tables anew in another folder, with \
         `nodulus run PIPELINE --store FOLDER`",
        path = quoted::path(path)
    )]
    OlderStore {
        /// The store.
        path: PathBuf,
        /// Its layout.
        found: u32,
    },
    /// A version lists a shard that is not there.
    #[error("shard record {path} is missing: run its stage again", path = quoted::path(path))]
    ShardMissing {
        /// The record.
        path: PathBuf,
    },
    /// The current version of an output has no record.
    #[error(
        "{path} is missing, though {current} names it: `nodulus run` sets it right, and so does `nodulus fsck --repair STORE`",
        path = quoted::path(path),
        current = quoted::path(&path.parent().and_then(Path::parent).unwrap_or(path).join("CURRENT"))
    )]
    VersionMissing {
        /// The record.
        path: PathBuf,
    },
    /// There is no such version.
    #[error(
        "there is no version `{key}` in store {store}; {}",
        known_versions(known),
        store = quoted::path(store)
    )]
    NoVersion {
        /// The store.
        store: PathBuf,
        /// What was asked for.
        key: String,
        /// Names of outputs with the keys of their versions.
        known: Vec<(String, Vec<String>)>,
    },
    /// A needed output does not exist yet.
    #[error(
        "`{output}` is not in store {store}: run the stage that makes it, or list what there is with `nodulus tables`",
        store = quoted::path(store)
    )]
    NotMade {
        /// The output.
        output: &'static str,
        /// The store.
        store: PathBuf,
    },
    /// Rows are requested from an output that is not a table.
    #[error("`{output}` at {path} is not a table", path = quoted::path(path))]
    NotATable {
        /// The output.
        output: &'static str,
        /// Its folder.
        path: PathBuf,
    },
    /// A process has the store alone.
    #[error(
        "store {store} is in use by {holder}, which needs it alone: wait until it has ended",
        store = quoted::path(store)
    )]
    Locked {
        /// The store.
        store: PathBuf,
        /// Process and host, as the holder wrote them.
        holder: String,
    },
    /// Runs share a store that is needed alone.
    #[error(
        "store {store} is needed alone and is in use by one run or more, the latest of them {latest}: wait until they have ended",
        store = quoted::path(store)
    )]
    Shared {
        /// The store.
        store: PathBuf,
        /// Process and host of the run that began last; it may have ended.
        latest: String,
    },
    /// A store's lock is no file.
    #[error(
        "{path} is {found}, expected a file, which is the store's lock: remove it once no process works on the store",
        path = quoted::path(path)
    )]
    NotALock {
        /// The lock.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// The store's folder cannot be written to.
    #[error("store {store} cannot be written to", store = quoted::path(store))]
    NotWritable {
        /// The store.
        store: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
    /// A disk is full.
    #[error("a disk is full: {cause}; make room, then run again to go on", cause = quoted::foreign(cause))]
    DiskFull {
        /// The error of the file system and its causes.
        cause: String,
    },
    /// A shard is committed without one of its job's outputs.
    #[error("shard {shard} has no part of `{output}`")]
    PartMissing {
        /// The output.
        output: &'static str,
        /// The shard.
        shard: usize,
    },
    /// The file is not Parquet, or is damaged.
    #[error("cannot read {path} as Parquet", path = quoted::path(path))]
    ReadParquet {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: parquet::errors::ParquetError,
    },
    /// The file could not be written.
    #[error(
        "cannot write {path} as Parquet: {}",
        quoted::foreign(&in_words(error)),
        path = quoted::path(path)
    )]
    WriteParquet {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: parquet::errors::ParquetError,
    },
    /// The file's columns are not the rows' fields.
    #[error("rows of {path} do not have the columns of `{table}`", path = quoted::path(path))]
    Columns {
        /// The file.
        path: PathBuf,
        /// The table that it should hold.
        table: &'static str,
        /// What differs.
        source: Box<serde_arrow::Error>,
    },
    /// The file holds another table.
    #[error(
        "{path} holds table `{found}`, expected `{expected}`",
        path = quoted::path(path),
        found = quoted::text(found)
    )]
    OtherTable {
        /// The file.
        path: PathBuf,
        /// The table in its metadata.
        found: String,
        /// The table asked for.
        expected: &'static str,
    },
    /// The file was written with another version of the table's columns.
    #[error(
        "{path} has version {found} of table `{table}`, this nodulus reads version {expected}: {}",
        if found > expected { "use a newer nodulus" } else { "run the stage again with `--force`" },
        path = quoted::path(path)
    )]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// The table.
        table: &'static str,
        /// Version in the file.
        found: u32,
        /// Version that this program reads.
        expected: u32,
    },
    /// A file of another program lacks columns.
    #[error(
        "{path} has no column {}; found {}",
        missing.join(", "),
        quoted::text(&found.join(", ")),
        path = quoted::path(path)
    )]
    MissingColumns {
        /// The file.
        path: PathBuf,
        /// Columns that must be there and are not.
        missing: Vec<String>,
        /// Columns that are there.
        found: Vec<String>,
    },
    /// The columns of another program's file have other types.
    #[error("columns of {path} cannot be read as {}", wanted.join(", "), path = quoted::path(path))]
    ColumnTypes {
        /// The file.
        path: PathBuf,
        /// The columns.
        wanted: Vec<String>,
        /// What differs.
        source: Box<serde_arrow::Error>,
    },
}

/// What the Parquet writer says, without the names of its kinds of errors.
fn in_words(error: &parquet::errors::ParquetError) -> String {
    match error {
        parquet::errors::ParquetError::External(source) => nodulus_faults::in_words(&**source),
        other => other.to_string().replace("Parquet error: ", ""),
    }
}

/// Versions of an output that a message names, the newest first.
const MOST_VERSIONS: usize = 3;

fn known_versions(known: &[(String, Vec<String>)]) -> String {
    if known.is_empty() {
        return "it has no versions yet".to_owned();
    }
    let of_output = |(output, keys): &(String, Vec<String>)| {
        let more = keys.len().saturating_sub(MOST_VERSIONS);
        let older = if more > 0 { format!(" and {more} older") } else { String::new() };
        format!("`{output}` has {}{older}", keys[..keys.len() - more].join(", "))
    };
    known.iter().map(of_output).collect::<Vec<_>>().join("; ")
}
