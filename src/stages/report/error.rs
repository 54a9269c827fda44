//! Why the stage stopped.

use crate::tables::leak;
use std::path::PathBuf;

/// The stage stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A patient is in two splits, or the splits could not be checked.
    #[error(transparent)]
    Leak(#[from] leak::Error),
    /// The earlier version with which the report would compare is not in the store.
    #[error(
        "`report.before` is `{key}`, but store `{store}` has no such version of `nodule_metrics`{}",
        known_versions(known)
    )]
    NoEarlierVersion {
        /// The store.
        store: PathBuf,
        /// The key in the settings.
        key: String,
        /// Keys of the versions that the store has, the newest first.
        known: Vec<String>,
    },
    /// The content has no JSON form.
    #[error("the report cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// The description of weights cannot be read.
    #[error(transparent)]
    Weights(#[from] nodulus_nets::Error),
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The store could not be used.
    #[error(transparent)]
    Tables(#[from] crate::tables::Error),
}

fn known_versions(keys: &[String]) -> String {
    if keys.is_empty() {
        return "; it has none".to_owned();
    }
    format!("; it has {}", keys.join(", "))
}
