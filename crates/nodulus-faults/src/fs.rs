//! Functions that read files as `fs_err`'s do, and count faults of the machine for [`Watch`](crate::Watch).

use crate::file_error::FileError;
use crate::watch::note as noted;
use fs_err as fs;
use std::fs::Metadata;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A file that is read.
#[derive(Debug)]
pub struct File(fs::File);

impl File {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be opened, or is a pipe, a socket or a device.
    pub fn open(path: &Path) -> io::Result<Self> {
        refuse_endless(path)?;
        fs::File::open(path).map(Self).map_err(note(path))
    }

    /// Its length and times.
    ///
    /// # Errors
    ///
    /// Fails if the file system fails.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.0.metadata().map_err(note(self.0.path()))
    }
}

impl Read for File {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| note_unless_interrupted(self.0.path(), error))
    }
}

impl Seek for File {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.0.seek(position).map_err(|error| note(self.0.path())(error))
    }
}

/// An interrupted read is tried again by its caller.
fn note_unless_interrupted(path: &Path, error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::Interrupted { error } else { note(path)(error) }
}

/// Gives an error its file, and counts it if it is a fault of the machine.
fn note(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |error| noted(FileError::at(path)(error))
}

/// Refuses what a read may wait for without end: nobody may ever write into a pipe.
fn refuse_endless(path: &Path) -> io::Result<()> {
    let kind = metadata(path)?.file_type();
    if kind.is_file() || kind.is_dir() {
        return Ok(());
    }
    let message = format!(
        "`{}` is a pipe, a socket or a device, expected a file; write its content to a file, and name that",
        path.display()
    );
    Err(note(path)(io::Error::new(io::ErrorKind::InvalidInput, message)))
}

/// The bytes of a file.
///
/// # Errors
///
/// Fails if the file cannot be read, or is a pipe, a socket or a device.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    refuse_endless(path)?;
    fs::read(path).map_err(note(path))
}

/// The text of a file.
///
/// # Errors
///
/// Fails if the file cannot be read, is not UTF-8, or is a pipe, a socket or a device.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    refuse_endless(path)?;
    fs::read_to_string(path).map_err(note(path))
}

/// The entries of a folder.
///
/// # Errors
///
/// Fails if the folder cannot be read.
pub fn read_dir(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    fs::read_dir(folder).and_then(Iterator::collect).map_err(note(folder))
}

/// Length and times of a file or folder; links are followed.
///
/// # Errors
///
/// Fails if there is none, or the file system fails.
pub fn metadata(path: &Path) -> io::Result<Metadata> {
    fs::metadata(path).map_err(note(path))
}

/// A path without links.
///
/// # Errors
///
/// Fails if there is nothing, or the file system fails.
pub fn canonicalize(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path).map_err(note(path))
}

/// Whether there is a file or folder; a fault of the machine counts as none.
pub fn exists(path: &Path) -> bool {
    metadata(path).is_ok()
}

/// Whether there is a folder; a fault of the machine counts as none.
pub fn is_dir(path: &Path) -> bool {
    metadata(path).is_ok_and(|found| found.is_dir())
}

/// Whether there is a regular file; a fault of the machine counts as none.
pub fn is_file(path: &Path) -> bool {
    metadata(path).is_ok_and(|found| found.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Watch;

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for path in [&socket, Path::new("/dev/zero")] {
            let errors = [File::open(path).err(), read(path).err(), read_to_string(path).err()];
            for error in errors {
                let text = error.unwrap().to_string();
                assert!(text.contains("is a pipe, a socket or a device"), "{text}");
            }
        }
    }

    #[test]
    fn what_is_not_there_or_no_folder_is_no_fault() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        fs::write(&file, "x").unwrap();
        let watch = Watch::begin();
        assert!(exists(&file) && is_file(&file) && !is_dir(&file));
        assert!(!exists(&folder.path().join("b")) && !exists(&file.join("c")));
        assert!(read_dir(&file).is_err() && read(folder.path()).is_err());
        assert_eq!(read_to_string(&file).unwrap(), "x");
        // Other tests of this process note faults of their own.
        let cause = watch.fault().map_or(String::new(), |fault| fault.cause);
        assert!(!cause.contains(&folder.path().display().to_string()), "{cause}");
    }
}
