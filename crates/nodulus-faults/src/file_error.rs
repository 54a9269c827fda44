//! An error of the file system with its file as a path, not as a part of its text.

use crate::{os_error, quoted};
use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::io;
use std::path::{Path, PathBuf};

/// An error of the file system that names its file; it stands within an [`io::Error`].
#[derive(Debug)]
pub struct FileError {
    path: PathBuf,
    kind: io::ErrorKind,
    /// What failed, with the path.
    message: String,
    /// The error of the operating system, where there is one.
    source: Option<io::Error>,
}

impl FileError {
    /// Gives an error of `fs_err` its file.
    pub fn at(path: &Path) -> impl Fn(io::Error) -> io::Error {
        move |error| Self::of_file(path.to_owned(), &error, error.to_string())
    }

    fn of_file(path: PathBuf, error: &io::Error, message: String) -> io::Error {
        let kind = error.kind();
        io::Error::new(kind, Self { path, kind, message, source: os_error(error) })
    }

    /// An error whose paths below `from` are replaced by paths below `to`.
    pub fn moved(error: &io::Error, from: &Path, to: &Path) -> io::Error {
        let message =
            error.to_string().replace(&from.display().to_string(), &to.display().to_string());
        let own = error.get_ref().and_then(|inner| inner.downcast_ref::<Self>());
        let path = own.map_or(from, |own| &own.path);
        let path = path.strip_prefix(from).map_or(path.to_owned(), |below| to.join(below));
        Self::of_file(path, error, message)
    }
}

impl Display for FileError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !quoted::is_redacted() {
            return f.write_str(&self.message);
        }
        write!(f, "cannot read or write {}", quoted::path(&self.path))?;
        // The operating system says it itself.
        if self.source.is_none() { write!(f, ": {}", self.kind) } else { Ok(()) }
    }
}

impl Error for FileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
