//! One run at a time on a store.

use fs_err::{File, OpenOptions};
use std::fs::TryLockError;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// The right to write to a store; given up when dropped or when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// A store could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another run holds the lock.
    #[error("store `{store}` is in use by {holder}")]
    Held {
        /// The store.
        store: PathBuf,
        /// Process and host, as the holder wrote them.
        holder: String,
    },
    /// The lock file cannot be made.
    #[error("store `{store}` cannot be written to")]
    NotWritable {
        /// The store.
        store: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
}

impl Lock {
    /// Takes the lock of a store, or says who holds it.
    ///
    /// # Errors
    ///
    /// Fails if another process holds the lock, or the store cannot be written to.
    pub fn take(store: &Path) -> Result<Self, Error> {
        let not_writable = |source| Error::NotWritable { store: store.to_owned(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(store.join("lock"))
            .map_err(not_writable)?;
        match file.file().try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The holder's name is a help, not a need.
                let _ = file.read_to_string(&mut holder);
                let holder = if holder.is_empty() { "another process" } else { holder.trim() };
                return Err(Error::Held { store: store.to_owned(), holder: holder.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(not_writable(source)),
        }
        file.file().set_len(0).map_err(not_writable)?;
        file.rewind().map_err(not_writable)?;
        write!(file, "process {} on {}", std::process::id(), host()).map_err(not_writable)?;
        Ok(Self { _file: file })
    }
}

/// This machine's name.
fn host() -> String {
    ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .iter()
        .find_map(|path| fs_err::read_to_string(path).ok())
        .map_or_else(|| "this host".to_owned(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_the_first_is() {
        let store = tempfile::tempdir().unwrap();
        let first = Lock::take(store.path()).unwrap();
        let error = Lock::take(store.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("process {} on ", std::process::id())), "{error}");
        drop(first);
        Lock::take(store.path()).unwrap();
    }
}
