//! A lock that lets one process at a time write to a store.

use crate::{Error, clock};
use fs_err::{File, OpenOptions};
use std::fs::TryLockError;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Time for which taking a lock is retried. A process that asks for the [`holder`] has the lock for a moment, so has one
/// that removes what interrupted runs left, and a process that has just taken it has not written its name yet.
const PATIENCE: Duration = Duration::from_secs(3);

/// Time between two attempts.
const PAUSE: Duration = Duration::from_millis(10);

/// Who else may have a lock.
#[derive(Clone, Copy)]
enum Sharing {
    Alone,
    WithOthers,
}

impl Sharing {
    fn try_lock(self, file: &File) -> Result<(), TryLockError> {
        match self {
            Self::Alone => file.file().try_lock(),
            Self::WithOthers => file.file().try_lock_shared(),
        }
    }
}

/// The right to write to a store; released when dropped, and when the process ends in any way.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a store alone.
    ///
    /// # Errors
    ///
    /// Fails if another process holds the lock, or the store cannot be written to.
    pub fn take(store: &Path) -> Result<Self, Error> {
        Self::of(store, Sharing::Alone)
    }

    /// Takes the lock of a store alone; `None` if another process holds it, alone or with others.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub fn try_take(store: &Path) -> Result<Option<Self>, Error> {
        let not_writable = |source| Error::NotWritable { store: store.to_owned(), source };
        let file = open(store)?;
        match file.file().try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(not_writable(source)),
        }
    }

    /// Takes the lock of a store beside other processes that share it.
    ///
    /// # Errors
    ///
    /// Fails if another process holds the lock alone, or the store cannot be written to.
    pub fn share(store: &Path) -> Result<Self, Error> {
        Self::of(store, Sharing::WithOthers)
    }

    fn of(store: &Path, sharing: Sharing) -> Result<Self, Error> {
        let not_writable = |source| Error::NotWritable { store: store.to_owned(), source };
        let mut file = open(store)?;
        let begun = Instant::now();
        while let Err(error) = sharing.try_lock(&file) {
            match error {
                TryLockError::WouldBlock if begun.elapsed() < PATIENCE => thread::sleep(PAUSE),
                TryLockError::WouldBlock => {
                    let mut holder = String::new();
                    // Without the name of the holder the error is still useful.
                    let _ = file.read_to_string(&mut holder);
                    let holder = match holder.trim() {
                        "" => "another process".to_owned(),
                        holder => holder.to_owned(),
                    };
                    let store = store.to_owned();
                    // Where the lock can be shared, runs share it.
                    return Err(match file.file().try_lock_shared() {
                        Ok(()) => Error::Shared { store, latest: holder },
                        Err(_) => Error::Locked { store, holder },
                    });
                }
                TryLockError::Error(source) => return Err(not_writable(source)),
            }
        }
        file.file().set_len(0).map_err(not_writable)?;
        file.rewind().map_err(not_writable)?;
        write!(file, "{}", this_process()).map_err(not_writable)?;
        Ok(Self { _file: file })
    }
}

fn open(store: &Path) -> Result<File, Error> {
    check(&store.join("lock"))?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let not_writable = |source| Error::NotWritable { store: store.to_owned(), source };
    options.open(store.join("lock")).map_err(not_writable)
}

/// Refuses a lock that is there and no file: one that a link leads out of the store is another store's, or any file, which
/// would be emptied.
fn check(path: &Path) -> Result<(), Error> {
    let Ok(found) = path.symlink_metadata() else { return Ok(()) };
    let kind = found.file_type();
    let found = match (kind.is_file(), kind.is_symlink(), kind.is_dir()) {
        (true, ..) => return Ok(()),
        (_, true, _) => "a link",
        (_, _, true) => "a folder",
        _ => "a device, pipe or socket",
    };
    Err(Error::NotALock { path: path.to_owned(), found })
}

/// The process that holds a store's lock, as it names itself; `None` if no process does.
///
/// # Errors
///
/// Fails if the lock cannot be opened, or is no file.
pub fn holder(store: &Path) -> io::Result<Option<String>> {
    let path = store.join("lock");
    check(&path).map_err(io::Error::other)?;
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.file().try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
        Err(TryLockError::WouldBlock) => {
            let mut name = String::new();
            file.read_to_string(&mut name)?;
            Ok(Some(name.trim().to_owned()))
        }
    }
}

/// Whether a process, this one included, holds a store's lock, alone or with others. Nothing is written.
pub(crate) fn is_in_use(store: &Path) -> bool {
    let Ok(file) = File::open(store.join("lock")) else { return false };
    matches!(file.file().try_lock(), Err(TryLockError::WouldBlock))
}

/// The name by which other processes see this one: its number, its machine and its start.
pub fn this_process() -> String {
    static BEGUN: OnceLock<SystemTime> = OnceLock::new();
    let begun = *BEGUN.get_or_init(SystemTime::now);
    let since = clock::timestamp(begun);
    format!("process {} on {} since {since}", std::process::id(), host())
}

/// Name of this machine.
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
    fn the_error_of_the_second_process_names_the_first() {
        let store = tempfile::tempdir().unwrap();
        let first = Lock::take(store.path()).unwrap();
        let error = Lock::take(store.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("process {} on ", std::process::id())), "{error}");
        assert_eq!(holder(store.path()).unwrap(), Some(this_process()));
        drop(first);
        assert_eq!(holder(store.path()).unwrap(), None);
        Lock::take(store.path()).unwrap();
    }

    #[test]
    fn a_lock_that_is_no_file_is_named() {
        let store = tempfile::tempdir().unwrap();
        let lock = store.path().join("lock");
        let other = store.path().join("other");
        fs_err::write(&other, "kept").unwrap();
        std::os::unix::fs::symlink(&other, &lock).unwrap();
        let refused = |expected: &str| {
            for error in [
                Lock::take(store.path()).unwrap_err(),
                Lock::try_take(store.path()).unwrap_err(),
                Lock::share(store.path()).unwrap_err(),
            ] {
                let error = error.to_string();
                assert!(
                    error.starts_with(&format!("`{}` is {expected}", lock.display())),
                    "{error}"
                );
            }
            let error = holder(store.path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        refused("a link, expected a file, which is the store's lock: remove it");
        assert_eq!(fs_err::read_to_string(&other).unwrap(), "kept");
        fs_err::remove_file(&lock).unwrap();
        fs_err::create_dir(&lock).unwrap();
        refused("a folder, expected a file");
    }

    #[test]
    fn runs_share_a_store_and_keep_out_what_needs_it_alone() {
        let store = tempfile::tempdir().unwrap();
        let runs = [Lock::share(store.path()).unwrap(), Lock::share(store.path()).unwrap()];
        let error = Lock::take(store.path()).unwrap_err();
        assert!(matches!(error, Error::Shared { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains("is needed alone and is in use by one run or more"), "{message}");
        drop(runs);
        let alone = Lock::take(store.path()).unwrap();
        let error = Lock::share(store.path()).unwrap_err();
        assert!(matches!(error, Error::Locked { .. }), "{error}");
        drop(alone);
    }

    #[test]
    fn asking_for_the_holder_does_not_block_the_lock() {
        let store = tempfile::tempdir().unwrap();
        drop(Lock::take(store.path()).unwrap());
        let asking = File::open(store.path().join("lock")).unwrap();
        asking.file().lock_shared().unwrap();
        let asked = thread::spawn(move || {
            thread::sleep(5 * PAUSE);
            drop(asking);
        });
        Lock::take(store.path()).unwrap();
        asked.join().unwrap();
    }
}
