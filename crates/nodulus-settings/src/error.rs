//! What is wrong with a file of settings, and where.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a setting comes from: a line of a file, a whole file, or an option of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// File, line and column; the file alone; or the option.
    pub(crate) name: String,
    /// The line with a caret, where there is one.
    pub(crate) excerpt: Option<String>,
}

impl Place {
    /// A file without a line.
    pub fn whole(path: &Path) -> Self {
        Self { name: path.display().to_string(), excerpt: None }
    }

    /// The same place for a part of the file that has a name, as in ``row `a` ``.
    #[must_use]
    pub fn of(mut self, part: &str) -> Self {
        self.name = format!("{}: {part}", self.name);
        self
    }
}

/// A setting whose value does not fit, before it is known where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Full keys of the settings at fault, the likeliest first.
    pub keys: Vec<String>,
    /// What is wrong with them and what to do.
    pub message: String,
}

impl Fault {
    /// A fault of one setting.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { keys: vec![key.into()], message: message.into() }
    }

    /// The same fault, which may also lie in another setting.
    #[must_use]
    pub fn or(mut self, key: impl Into<String>) -> Self {
        self.keys.push(key.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A file of settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The file cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// Why, in plain words.
        cause: String,
    },
    /// The file, or a setting that is given beside it, is not valid.
    Invalid {
        /// Where.
        place: Place,
        /// What is wrong and what to do.
        message: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, cause } => write!(f, "`{}` cannot be read: {cause}", path.display()),
            Self::Invalid { place: Place { name, excerpt }, message } => {
                write!(f, "{name}: {message}")?;
                excerpt.as_ref().map_or(Ok(()), |excerpt| write!(f, "\n{excerpt}"))
            }
        }
    }
}

impl std::error::Error for Error {}
