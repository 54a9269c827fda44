//! Why the stage stopped.

use crate::tables::leak;

/// The stage stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A patient is in two splits, or the splits could not be checked.
    #[error(transparent)]
    Leak(#[from] leak::Error),
    /// The content has no JSON form.
    #[error("the report cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The store could not be used.
    #[error(transparent)]
    Tables(#[from] crate::tables::Error),
}
