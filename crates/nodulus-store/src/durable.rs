//! Writes that leave a whole file or none, whenever the process or the machine stops.

use crate::{hash, lock};
use fs_err::{self as fs, File};
use nodulus_faults::FileError;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::ScopedJoinHandle;

/// Extension of files that are being written.
pub(crate) const UNFINISHED: &str = ".tmp";

/// Writes a temporary file in the same folder, then renames it.
///
/// # Errors
///
/// Fails if the folder cannot be written to; the old content then remains.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    fs::create_dir_all(folder).map_err(FileError::at(path))?;
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}{UNFINISHED}", this_attempt()));
    let beside = folder.join(name);
    let written = (|| {
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        sync_folder(folder)
    })();
    if written.is_err() {
        // The error of the write matters more than an error of the clean-up.
        let _ = fs::remove_file(&beside);
    }
    written.map_err(FileError::at(path))
}

/// Writes several things at the same time, each on a thread of its own: their waits for the disk then overlap, and its file
/// system commits them together.
///
/// # Errors
///
/// Fails with the first error, in the order of the things; the others are written all the same.
pub(crate) fn at_once<T: Sync, E: Send>(
    things: &[T],
    write: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    if let [thing] = things {
        return write(thing);
    }
    let write = &write;
    let written: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = things.iter().map(|t| scope.spawn(move || write(t))).collect();
        threads.into_iter().map(ScopedJoinHandle::join).collect()
    });
    written.into_iter().try_for_each(|written| match written {
        Ok(written) => written,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// The folder of a file; a bare name is in the current folder.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Renames a finished file and syncs the rename to disk.
///
/// # Errors
///
/// Fails if either folder cannot be written to.
pub fn publish(from: &Path, to: &Path) -> io::Result<()> {
    let folder = folder_of(to);
    fs::create_dir_all(folder)?;
    File::open(from)?.sync_all()?;
    fs::rename(from, to)?;
    sync_folder(folder)
}

/// Moves a finished folder to its final name. A folder that is there already stays, or is replaced where `replaces`
/// says so. Nothing is synced: [`sync_all_below`] does that for many folders at once.
///
/// # Errors
///
/// Fails if either parent folder cannot be written to.
pub(crate) fn publish_folder(from: &Path, to: &Path, replaces: bool) -> io::Result<()> {
    if to.exists() && replaces {
        return swap_folders(from, to);
    }
    match fs::rename(from, to) {
        // Another process made the same folder in the meantime.
        Err(_) if to.exists() => fs::remove_dir_all(from),
        renamed => renamed,
    }
}

/// Syncs everything that was written below a folder to disk.
///
/// # Errors
///
/// Fails if the disk cannot be written to.
#[cfg(target_os = "linux")]
pub(crate) fn sync_all_below(folder: &Path) -> io::Result<()> {
    // One call for the whole file system: syncing thousands of small files one by one takes minutes.
    Ok(rustix::fs::syncfs(File::open(folder)?.file())?)
}

/// Syncs everything that was written below a folder to disk.
///
/// # Errors
///
/// Fails if the disk cannot be written to.
#[cfg(not(target_os = "linux"))]
pub(crate) fn sync_all_below(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { sync_all_below(&path)? } else { File::open(path)?.sync_all()? }
    }
    sync_folder(folder)
}

/// Puts the folder `from` in the position of the folder `to`, which may be missing, and removes the old one.
///
/// Other programs see the old folder or the new one; on a file system that cannot exchange two folders, none for a
/// moment.
///
/// # Errors
///
/// Fails if the parent folder cannot be written to.
pub(crate) fn swap_folders(from: &Path, to: &Path) -> io::Result<()> {
    if !to.exists() {
        match fs::rename(from, to) {
            // Another process put its folder there in the meantime.
            Err(_) if to.exists() => {}
            renamed => {
                renamed?;
                return sync_folder(folder_of(to));
            }
        }
    }
    if exchange(from, to).is_err() {
        let aside = from.with_extension(format!("old.{}.tmp", this_attempt()));
        fs::rename(to, &aside)?;
        fs::rename(from, to)?;
        sync_folder(folder_of(to))?;
        return fs::remove_dir_all(aside);
    }
    sync_folder(folder_of(to))?;
    fs::remove_dir_all(from)
}

#[cfg(target_os = "linux")]
fn exchange(a: &Path, b: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)?)
}

#[cfg(not(target_os = "linux"))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A name that no other process and no other attempt of this one has, on any machine.
pub fn this_attempt() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let who = hash::id("", [lock::this_process().as_str()]);
    format!("{who}-{count}")
}

/// Removes temporary files and folders that interrupted writes left in a folder; a missing folder is fine.
///
/// # Errors
///
/// Fails if the folder cannot be read or written to.
pub fn remove_unfinished(folder: &Path) -> io::Result<()> {
    for entry in entries(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(UNFINISHED) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a file, or a folder with all that it holds; one that is missing is fine, because its writer or another process
/// may have been first.
///
/// # Errors
///
/// Fails if it is there and cannot be removed.
pub fn remove(path: &Path) -> io::Result<()> {
    let is_folder = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
    match if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) } {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// What a folder holds; nothing where it is missing.
pub(crate) fn entries(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<fs::DirEntry>>> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(Some(entries).into_iter().flatten()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None.into_iter().flatten()),
        Err(error) => Err(error),
    }
}

/// Syncs the renames in a folder to disk.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_in_the_current_folder() {
        assert_eq!(folder_of(Path::new("table.md")), Path::new("."));
        assert_eq!(folder_of(Path::new("out/table.md")), Path::new("out"));
        assert_eq!(folder_of(Path::new("/table.md")), Path::new("/"));
    }

    #[test]
    fn a_failed_write_leaves_the_old_content_and_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, b"old").unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        // A folder has the name of the file: the rename fails.
        let blocked = folder.path().join("b");
        fs::create_dir_all(blocked.join("c")).unwrap();
        assert!(write(&blocked, b"x").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        fs::write(folder.path().join("a.17.tmp"), "half").unwrap();
        fs::create_dir_all(folder.path().join("b.17.tmp/c")).unwrap();
        remove_unfinished(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
