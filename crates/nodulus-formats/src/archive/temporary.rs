//! Temporary folders that do not outlive their process: each has a lock, which the kernel releases with its process.
//!
//! A folder is removed when it is dropped. A program that is ended by a signal calls [`remove_temporary_folders`], and one
//! that starts calls [`sweep_temporary_folders`], which removes the folders of processes that were killed.

use fs_err::{self as fs, File, OpenOptions};
use nodulus_faults::quoted::Words;
use std::collections::BTreeSet;
use std::fs::TryLockError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

/// A folder that begins like this and has a [`LOCK`] is ours.
const PREFIX: &str = "nodulus-unpacked-";
const LOCK: &str = "nodulus-unpacked.lock";
/// The folder of the files, beside the lock.
const FILES: &str = "files";
/// How often a folder is made anew that another process, taking it for an abandoned one, removed.
const N_ATTEMPTS: usize = 10;

/// The folders of this process.
static FOLDERS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// A folder for files, which is removed with them when this is dropped.
#[derive(Debug)]
pub(super) struct TemporaryFolder {
    files: PathBuf,
    folder: TempDir,
    _lock: File,
}

impl TemporaryFolder {
    /// Makes an empty folder in the folder for temporary files.
    pub(super) fn new() -> io::Result<Self> {
        for _ in 0..N_ATTEMPTS {
            let folder = tempfile::Builder::new().prefix(PREFIX).rand_bytes(12).tempdir()?;
            let path = folder.path().to_owned();
            own().insert(path.clone());
            let locked = Self::locked(folder);
            if locked.is_err() {
                own().remove(&path);
            }
            match locked {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => return other,
            }
        }
        let text = "another process removes temporary folders as they are made";
        Err(Words::of(io::ErrorKind::ResourceBusy, text))
    }

    /// Locks a new folder; fails with `NotFound` if another process took it for an abandoned one.
    fn locked(folder: TempDir) -> io::Result<Self> {
        let path = folder.path().join(LOCK);
        let lock = File::create_new(&path)?;
        match lock.file().try_lock() {
            // A file system without locks: no process can take the lock of an abandoned folder either.
            Ok(()) | Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::NotFound.into()),
        }
        path.symlink_metadata()?;
        let files = folder.path().join(FILES);
        fs::create_dir(&files)?;
        Ok(Self { files, folder, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.files
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // The lock goes last: what a kill leaves then still has it. What cannot be removed now is swept later.
        let _ = remove(self.folder.path());
        own().remove(self.folder.path());
    }
}

fn own() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    FOLDERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes a folder: its files, then the lock, then the folder.
fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder.join(FILES)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::remove_dir_all(folder),
    }
}

/// Removes the temporary folders of this process, whose threads may still write to them: for a process that is about to
/// end. What cannot be removed keeps its lock file, so that the next process sweeps it.
pub fn remove_temporary_folders() {
    let folders = own();
    for folder in folders.iter() {
        for _ in 0..N_ATTEMPTS {
            match remove(folder) {
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
                _ => break,
            }
        }
    }
}

/// Removes the temporary folders of processes that ended without removing them; returns how many there were.
///
/// A folder that this process may not remove stays.
///
/// # Errors
///
/// Fails if the folder for temporary files (`TMPDIR`) cannot be listed.
pub fn sweep_temporary_folders() -> io::Result<usize> {
    sweep(&tempfile::env::temp_dir())
}

fn sweep(temporary: &Path) -> io::Result<usize> {
    let mut n = 0;
    for entry in fs::read_dir(temporary)? {
        let entry = entry?;
        let is_named = entry.file_name().to_string_lossy().starts_with(PREFIX);
        // The type of the entry itself: a link is no folder.
        if is_named && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            n += usize::from(sweep_folder(&entry.path()).unwrap_or(false));
        }
    }
    Ok(n)
}

/// Removes a folder unless its process lives; returns whether it did.
fn sweep_folder(folder: &Path) -> io::Result<bool> {
    let path = folder.join(LOCK);
    match path.symlink_metadata() {
        Ok(file) if file.is_file() => {}
        Ok(_) => return Ok(false),
        // Without a lock a folder is removed only if it is empty: its process was killed before it made the lock.
        Err(_) => return Ok(fs::remove_dir(folder).is_ok()),
    }
    let lock = OpenOptions::new().read(true).write(true).open(&path)?;
    if lock.file().try_lock().is_err() {
        return Ok(false);
    }
    remove(folder).map(|()| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_whose_process_has_ended_are_swept() {
        let temporary = tempfile::tempdir().unwrap();
        let make = |name: &str, files: &[&str]| {
            let folder = temporary.path().join(name);
            fs::create_dir(&folder).unwrap();
            for file in files {
                let file = folder.join(file);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, "x").unwrap();
            }
            folder
        };
        let left = make("nodulus-unpacked-a", &[LOCK, "files/s/1.dcm"]);
        let empty = make("nodulus-unpacked-b", &[]);
        let used = make("nodulus-unpacked-c", &[LOCK, "files/1.dcm"]);
        let unlocked = make("nodulus-unpacked-d", &["files/1.dcm"]);
        // A store may lie here too, and has a lock of its own.
        let store = make("nodulus-store", &["lock", LOCK, "files/1.dcm"]);
        let linked = temporary.path().join("nodulus-unpacked-e");
        std::os::unix::fs::symlink(&store, &linked).unwrap();
        let lock = File::open(used.join(LOCK)).unwrap();
        lock.file().lock().unwrap();
        assert_eq!(sweep(temporary.path()).unwrap(), 2);
        assert!(!left.exists() && !empty.exists());
        assert!(
            [&used, &unlocked, &store].iter().all(|folder| folder.join("files/1.dcm").exists())
        );
        drop(lock);
        assert_eq!(sweep(temporary.path()).unwrap(), 1);
        assert!(!used.exists() && unlocked.exists() && store.exists() && linked.exists());
    }

    #[test]
    fn a_folder_is_locked_while_it_is_used_and_removed_afterwards() {
        let made = TemporaryFolder::new().unwrap();
        let (files, folder) = (made.path().to_owned(), made.folder.path().to_owned());
        fs::write(files.join("1.dcm"), "x").unwrap();
        assert!(!sweep_folder(&folder).unwrap());
        assert!(files.join("1.dcm").exists() && own().contains(&folder));
        drop(made);
        assert!(!folder.exists() && !own().contains(&folder));
    }
}
