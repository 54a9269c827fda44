//! Weights from outside the store: their file, and what the store notes of them.

use super::Config;
use crate::stages::Stage;
use crate::stages::train::{Origin, WeightsNote};
use crate::tables::Output;
use nodulus_nets::{WEIGHTS_FILE, weights_path};
use nodulus_store::{InputRef, Store, hash};
use serde_json::json;
use std::io;
use std::path::{Path, PathBuf};

/// Weights from outside the store cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("cannot read the weights that `{setting}` names")]
    Io {
        /// The setting.
        setting: &'static str,
        /// What is wrong.
        source: io::Error,
    },
    /// The store that has them cannot be used.
    #[error("cannot read the weights that `{setting}` names")]
    Store {
        /// The setting.
        setting: &'static str,
        /// What is wrong.
        source: nodulus_store::Error,
    },
}

/// The weights from outside the store that a stage reads: their file, and what it is as an input.
///
/// # Errors
///
/// Fails if the file cannot be read.
pub(super) fn outside_weights(
    config: &Config,
    stage: Stage,
) -> Result<Option<(PathBuf, InputRef)>, Error> {
    let Some(outside) = (stage.spec().outside_weights)(config) else { return Ok(None) };
    let setting = outside.setting;
    let file = weights_file(outside.path).map_err(|source| Error::Store { setting, source })?;
    let content_sha256 = content_sha256(&file).map_err(|source| Error::Io { setting, source })?;
    // A description that cannot be read stops the stage that needs it.
    let origin = nodulus_nets::origin(&file).ok().and_then(|metadata| Origin::of(&metadata));
    let note =
        WeightsNote { path: Some(std::path::absolute(&file).unwrap_or(file.clone())), origin };
    let input = InputRef::outside(outside.input, content_sha256);
    Ok(Some((file, InputRef { note: Some(json!(note)), ..input })))
}

/// The content of weights: of the file and of the description beside it, where there is one, on which predictions depend too.
/// The description names the content of the list of those whom the weights were trained on.
///
/// # Errors
///
/// Fails if a file cannot be read.
fn content_sha256(file: &Path) -> io::Result<String> {
    let weights = hash::sha256_file(file)?;
    match hash::sha256_file(&file.with_extension("json")) {
        Ok(description) => Ok(described(&weights, &description)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(weights),
        Err(error) => Err(error),
    }
}

/// The content of weights with a description, by the SHA-256 of both.
pub(super) fn described(weights: &str, description: &str) -> String {
    hash::sha256_parts([weights, description])
}

/// The weights file of a path: the file itself, the one in a checkpoint's folder, or the current one of a store.
///
/// # Errors
///
/// Fails if the path is a store that cannot be read or has no weights.
pub fn weights_file(path: &Path) -> Result<PathBuf, nodulus_store::Error> {
    if path.join("store.json").exists() {
        let version = Store::open(path)?.require(Output::Checkpoint)?;
        return Ok(version.file(WEIGHTS_FILE)?.unwrap_or_else(|| path.join(WEIGHTS_FILE)));
    }
    Ok(weights_path(path))
}
