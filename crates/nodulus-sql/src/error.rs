//! Why a question has no answer.

use polars::error::PolarsError;
use std::path::PathBuf;

/// A question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The question is SQL, and a part of it is none of those that are answered.
    #[error("`{part}` is not answered here: {instead}")]
    Refused {
        /// The part, as it is written.
        part: String,
        /// What to do instead.
        instead: String,
    },
    /// The question names a table that was not given.
    #[error("there is no table `{name}`")]
    UnknownTable {
        /// The name in the question.
        name: String,
    },
    /// The question names a column that its tables do not have.
    #[error("there is no column `{name}`")]
    UnknownColumn {
        /// The name in the question.
        name: String,
        /// Each table that the question names, with its columns.
        tables: Vec<(String, Vec<String>)>,
    },
    /// The question calls a function that is not answered.
    #[error("there is no function `{name}`")]
    UnknownFunction {
        /// The name in the question.
        name: String,
        /// Every function.
        functions: Vec<&'static str>,
    },
    /// The statement would change tables.
    #[error("`{statement}` is no question: the tables can only be read; ask with SELECT")]
    Write {
        /// The statement.
        statement: String,
    },
    /// A table was given without files.
    #[error("table `{table}` has no files")]
    NoFiles {
        /// The table.
        table: String,
    },
    /// The question is not SQL, or asks for something that cannot be computed.
    #[error("{0}")]
    Question(String),
    /// A file of a table could not be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ReadError,
    },
    /// Values could not be put together, as where they take too much space.
    #[error("cannot compute the answer")]
    Answer(#[from] arrow::error::ArrowError),
    /// polars could not compute the answer.
    #[error("cannot compute the answer")]
    Compute(#[source] PolarsError),
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The file is not Parquet, or damaged.
    #[error(transparent)]
    Parquet(#[from] parquet::errors::ParquetError),
    /// Rows of the file could not be decoded.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
    /// The columns of the file are not those of the table.
    #[error("{0}")]
    Columns(String),
}

impl Error {
    /// A part of a question that is not answered, and what to do instead.
    pub(crate) fn refused(part: impl Into<Part>, instead: impl Into<String>) -> Self {
        Self::Refused { part: shortened(&part.into().0), instead: instead.into() }
    }
}

impl From<PolarsError> for Error {
    fn from(error: PolarsError) -> Self {
        match error {
            PolarsError::Context { error, .. } | PolarsError::ExprContext { error, .. } => {
                Self::from(*error)
            }
            // What `lower` says about a value: polars' own SQL is not used.
            PolarsError::SQLInterface(text) => Self::Question(text.to_string()),
            error => Self::Compute(error),
        }
    }
}

/// A part of a question, as it is written.
pub(crate) struct Part(String);

impl<T: std::fmt::Display + ?Sized> From<&T> for Part {
    fn from(part: &T) -> Self {
        Self(part.to_string())
    }
}

impl From<String> for Part {
    fn from(part: String) -> Self {
        Self(part)
    }
}

/// The start of a text.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
