//! What scores.

use super::scored::ScoringModel;
use crate::pipeline::runner::weights_file;
use crate::tables::{hash, store};
use nodulus_nets::{self as model, Device, Ensemble, TrainingProfile};
use std::path::PathBuf;

/// A model that could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The weights could not be found.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The weights could not be read.
    #[error("cannot read `{path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// What the checkpoint says of its training is none.
    #[error("the checkpoint's profile of its training cohort cannot be read")]
    Profile(#[from] serde_json::Error),
    /// The weights are no network's.
    #[error(transparent)]
    Model(#[from] model::Error),
}

/// A model, made ready once for all scans.
pub(super) struct Model {
    pub(super) networks: Ensemble,
    pub(super) name: ScoringModel,
    /// SHA-256 of all that it is made of.
    pub(super) sha256: String,
    /// What it was trained on, where its checkpoint says so; of several the first one's.
    pub(super) profile: Option<TrainingProfile>,
}

impl Model {
    pub(super) fn load(paths: &[PathBuf], device: &Device) -> Result<Self, Error> {
        let files = paths.iter().map(|path| weights_file(path)).collect::<Result<Vec<_>, _>>()?;
        let sha256 = |path: PathBuf| {
            hash::sha256_file(&path).map_err(|source| Error::Io { path: path.clone(), source })
        };
        let weights: Vec<String> =
            files.iter().map(|file| sha256(file.clone())).collect::<Result<_, _>>()?;
        let described: Vec<String> = files
            .iter()
            .map(|file| sha256(file.with_extension("json")))
            .collect::<Result<_, _>>()?;
        let networks = Ensemble::load(&files, device)?;
        let architecture = networks.config().architecture.name();
        let digits = match &weights[..] {
            [one] => one.clone(),
            several => hash::sha256_parts(several.iter().map(String::as_str)),
        };
        let name = ScoringModel {
            id: format!("{architecture}-{}", &digits[..12]),
            name: architecture.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let parts = weights.iter().chain(&described).map(String::as_str);
        let profile = networks.metadata().next().map(TrainingProfile::of).transpose()?.flatten();
        Ok(Self { networks, name, sha256: hash::sha256_parts(parts), profile })
    }
}
