//! Claims: which process works on a shard, so that several processes on one store share the work.

use crate::durable;
use fs_err::{self as fs, File, OpenOptions};
use std::fs::TryLockError;
use std::io;
use std::path::{Path, PathBuf};

/// The right to make a shard; released when dropped, and when the process ends in any way.
///
/// A claim saves work and is not needed for a right result: a shard that two processes make is the same twice. It also
/// guards the unfinished files of a shard from [`remove_unfinished`](crate::shard::remove_unfinished).
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
        loop {
            let (path, file) = open(output, key)?;
            match file.file().try_lock() {
                Ok(()) if !is_at(&file, &path)? => {}
                Ok(()) => return Ok(Some(Self { path, _file: Some(file) })),
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return without_locks(path, error).map(Some),
            }
        }
    }

    /// Waits until no other process has the claim, and takes it.
    pub(crate) fn wait(output: &Path, key: &str) -> io::Result<Self> {
        loop {
            let (path, file) = open(output, key)?;
            match file.file().lock() {
                Ok(()) if !is_at(&file, &path)? => {}
                Ok(()) => return Ok(Self { path, _file: Some(file) }),
                Err(error) => return without_locks(path, error),
            }
        }
    }

    /// Whether a process has the claim. Nothing is written.
    pub(crate) fn is_held(output: &Path, key: &str) -> io::Result<bool> {
        let file = match File::open(claim_path(output, key)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        match file.file().try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                Ok(false)
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Gives up the claim of a shard that is committed, and removes its file.
    pub(crate) fn finish(self) -> io::Result<()> {
        durable::remove(&self.path)
    }
}

fn claim_path(output: &Path, key: &str) -> PathBuf {
    output.join("shards").join(format!("{key}.lock"))
}

fn open(output: &Path, key: &str) -> io::Result<(PathBuf, File)> {
    let path = claim_path(output, key);
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
    Ok((path, file))
}

/// Whether a locked file still has its path. The process that had the claim before removes the file when it is done, and
/// a lock on a removed file keeps nobody out.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let locked = file.metadata()?;
    match fs::metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino()) == (locked.dev(), locked.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// An open file cannot be removed here.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

fn without_locks(path: PathBuf, error: io::Error) -> io::Result<Claim> {
    if error.kind() == io::ErrorKind::Unsupported {
        return Ok(Claim { path, _file: None });
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    #[test]
    fn a_claim_is_one_s_own_until_it_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("shards")).unwrap();
        let claim = || Claim::try_take(folder.path(), "k").unwrap();
        let is_held = || Claim::is_held(folder.path(), "k").unwrap();
        assert!(!is_held());
        let first = claim().unwrap();
        assert!(claim().is_none() && is_held());
        drop(first);
        assert!(!is_held());
        claim().unwrap().finish().unwrap();
        assert_eq!(fs::read_dir(folder.path().join("shards")).unwrap().count(), 0);
    }

    #[test]
    fn a_claim_on_a_removed_file_keeps_others_out_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("shards")).unwrap();
        let (holders, worked) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for n in 0..4 {
                let (holders, worked, folder) = (&holders, &worked, folder.path());
                scope.spawn(move || {
                    for _ in 0..200 {
                        let claim = match n % 2 {
                            0 => Some(Claim::wait(folder, "k").unwrap()),
                            _ => Claim::try_take(folder, "k").unwrap(),
                        };
                        let Some(claim) = claim else { continue };
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                        worked.fetch_add(1, Ordering::SeqCst);
                        holders.fetch_sub(1, Ordering::SeqCst);
                        claim.finish().unwrap();
                    }
                });
            }
        });
        assert!(worked.load(Ordering::SeqCst) >= 400);
    }
}
