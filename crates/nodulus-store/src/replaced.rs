//! Marks of committed shards that are being replaced: until a version lists the new content, those that list the old one
//! must not be believed. They outlive a process that is killed in between.

use fs_err as fs;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

fn folder(output: &Path) -> PathBuf {
    output.join("replaced")
}

/// Marks a shard, given the folder of its job's first output.
pub(crate) fn mark(output: &Path, key: &str) -> io::Result<()> {
    let folder = folder(output);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(key), "")
}

/// The keys of the marked shards.
pub(crate) fn marked(output: &Path) -> io::Result<BTreeSet<String>> {
    let entries = match fs::read_dir(folder(output)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(error),
    };
    let names = entries.map(|e| e.map(|e| e.file_name().to_string_lossy().into_owned()));
    names.collect()
}

/// Removes the mark of a shard.
pub(crate) fn clear(output: &Path, key: &str) -> io::Result<()> {
    match fs::remove_file(folder(output).join(key)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
