//! Files of a store that are not as they were written, and where they go.

use crate::{Error, durable};
use fs_err as fs;
use nodulus_faults::{FaultClass, in_words, quoted};
use serde::Serialize;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Folder in the store of what was set aside.
pub(crate) const FOLDER: &str = "damaged";

/// A file of a store that is missing, or not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, as in "is missing".
    pub what: String,
    /// What was set aside because of it, below the store's folder `damaged`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_aside: Option<PathBuf>,
}

/// Damage that a run of this process found and set right.
static NOTED: Mutex<Vec<Damage>> = Mutex::new(Vec::new());

impl Damage {
    /// Damage of a file.
    pub fn new(path: &Path, what: &str) -> Self {
        Self { path: path.to_owned(), what: what.to_owned(), set_aside: None }
    }

    pub(crate) fn missing(path: &Path) -> Self {
        Self::new(path, "is missing")
    }

    /// Adds it to what [`take_noted`] returns, once for each file.
    pub fn note(self) {
        let mut noted = NOTED.lock().unwrap_or_else(PoisonError::into_inner);
        if !noted.iter().any(|other| other.path == self.path) {
            noted.push(self);
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", quoted::path(&self.path), self.what)?;
        match &self.set_aside {
            Some(to) => write!(f, "; set aside as {}", quoted::path(to)),
            None => Ok(()),
        }
    }
}

/// The damage that plans and runs of this process have met since the last call. They make anew what they can.
pub fn take_noted() -> Vec<Damage> {
    std::mem::take(&mut NOTED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The damage that an error of reading a record or another file of a store shows.
///
/// # Errors
///
/// Returns the error where the machine is at fault, which says nothing about the file.
pub fn of_error(path: &Path, error: Error) -> Result<Damage, Error> {
    if FaultClass::of(&error) != FaultClass::Content {
        return Err(error);
    }
    let what = match error {
        Error::RecordDamaged { found, .. } => format!("is {found}"),
        Error::Io(ref io) if io.kind() == io::ErrorKind::NotFound => "is missing".to_owned(),
        error => format!("cannot be read: {}", in_words(&error)),
    };
    Ok(Damage::new(path, &what))
}

/// Moves a damaged file or folder of a store out of the way, into its folder `damaged`. What another process moved first is
/// fine.
///
/// # Errors
///
/// Fails if the store cannot be written to.
pub(crate) fn set_aside(store: &Path, path: &Path) -> io::Result<Option<PathBuf>> {
    let to = store.join(FOLDER).join(path.strip_prefix(store).unwrap_or(path));
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    durable::remove(&to)?;
    match fs::rename(path, &to) {
        Ok(()) => Ok(Some(to)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
