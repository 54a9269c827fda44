//! The model that scores, loaded once for all scans.

use super::scored::ScoringModel;
use crate::pipeline::outside_weights::weights_file;
use nodulus_faults::quoted;
use nodulus_nets::{self as model, Device, Ensemble, TrainedOn, TrainingProfile};
use nodulus_store::hash;
use std::path::PathBuf;

/// The model could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The weights could not be found.
    #[error(transparent)]
    Store(#[from] nodulus_store::Error),
    /// The weights could not be read.
    #[error("cannot read {path}", path = quoted::path(path))]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The checkpoint's profile of its training cohort is damaged.
    #[error("the checkpoint's profile of its training cohort cannot be read")]
    Profile(#[from] serde_json::Error),
    /// There are no weights.
    #[error("{path} holds no weights; mount it, or correct the path that `score.model` names", path = quoted::path(.0))]
    Missing(PathBuf),
    /// The weights cannot be read, or do not fit a network.
    #[error("cannot load `score.model`: {0}")]
    Model(#[from] model::Error),
}

/// A loaded model: one network or several that predict together.
pub(crate) struct LoadedModel {
    pub(crate) networks: Ensemble,
    pub(crate) name: ScoringModel,
    /// SHA-256 of its weights and their descriptions.
    pub(crate) sha256: String,
    /// Profile of its training cohort, where its checkpoint has one; of several networks, the first one's.
    pub(crate) profile: Option<TrainingProfile>,
    /// Whom each network was trained on.
    pub(crate) trained_on: Vec<TrainedOn>,
    /// Whether a network, or the weights that it started from, does not say whom it was trained on.
    pub(crate) is_unlisted: bool,
}

impl LoadedModel {
    pub(crate) fn load(paths: &[PathBuf], device: &Device) -> Result<Self, Error> {
        let files = paths.iter().map(|path| weights_file(path)).collect::<Result<Vec<_>, _>>()?;
        for (path, file) in paths.iter().zip(&files) {
            if !file.exists() {
                return Err(Error::Missing(path.clone()));
            }
        }
        let networks = Ensemble::load(&files, device)?;
        let sha256 = |path: PathBuf| {
            hash::sha256_file(&path).map_err(|source| Error::Io { path: path.clone(), source })
        };
        let weights: Vec<String> =
            files.iter().map(|file| sha256(file.clone())).collect::<Result<_, _>>()?;
        let descriptions: Vec<String> = files
            .iter()
            .map(|file| sha256(file.with_extension("json")))
            .collect::<Result<_, _>>()?;
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
        let parts = weights.iter().chain(&descriptions).map(String::as_str);
        let profile = networks.metadata().next().map(TrainingProfile::of).transpose()?.flatten();
        let trained_on = files.iter().map(|file| TrainedOn::of_weights(file));
        let trained_on = trained_on.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        let mut contracts = networks.contracts();
        let is_unlisted =
            contracts.any(|contract| contract.is_none_or(|c| c.trained_on.has_unlisted_initial));
        drop(contracts);
        Ok(Self {
            networks,
            name,
            sha256: hash::sha256_parts(parts),
            profile,
            trained_on,
            is_unlisted,
        })
    }
}
