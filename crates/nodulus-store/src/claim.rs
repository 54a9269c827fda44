//! Claims: which process works on a shard, so that several processes on one store share the work.

use fs_err::{self as fs, File, OpenOptions};
use std::fs::TryLockError;
use std::io;
use std::path::{Path, PathBuf};

/// The right to make a shard; released when dropped, and when the process ends in any way.
///
/// A claim saves work and is not needed for a right result: a shard that two processes make is the same twice.
#[derive(Debug)]
pub(crate) struct Claim {
    path: PathBuf,
    _file: Option<File>,
}

impl Claim {
    /// Claims the shard of a key, given the folder of its output; `None` if another process has the claim.
    ///
    /// A file system without locks gives every process the claim.
    pub(crate) fn try_take(output: &Path, key: &str) -> io::Result<Option<Self>> {
        let (path, file) = open(output, key)?;
        match file.file().try_lock() {
            Ok(()) => Ok(Some(Self { path, _file: Some(file) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => without_locks(path, error).map(Some),
        }
    }

    /// Waits until no other process has the claim, and takes it.
    pub(crate) fn wait(output: &Path, key: &str) -> io::Result<Self> {
        let (path, file) = open(output, key)?;
        match file.file().lock() {
            Ok(()) => Ok(Self { path, _file: Some(file) }),
            Err(error) => without_locks(path, error),
        }
    }

    /// Gives up the claim of a shard that is committed, and removes its file.
    pub(crate) fn finish(self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn open(output: &Path, key: &str) -> io::Result<(PathBuf, File)> {
    let path = output.join("shards").join(format!("{key}.lock"));
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
    Ok((path, file))
}

fn without_locks(path: PathBuf, error: io::Error) -> io::Result<Claim> {
    if error.kind() == io::ErrorKind::Unsupported {
        return Ok(Claim { path, _file: None });
    }
    Err(error)
}
