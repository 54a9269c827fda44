//! Whether training and prediction have the patients that they need, and none whom the weights saw; asked before anything is
//! trained.

use super::config::Config;
use super::runner::Error;
use crate::stages::{Stage, balance, infer, train};
use crate::tables::Sample;
use nodulus_nets::TrainedOn;
use nodulus_store::Version;
use std::path::{Path, PathBuf};

/// Fails if the settings alone exclude what a stage needs. `trains` is whether the training stage runs.
///
/// # Errors
///
/// Fails as the stage would.
pub(super) fn check_settings(config: &Config, stages: &[Stage], trains: bool) -> Result<(), Error> {
    let balance = &config.balance;
    let shares = |name: &String| balance.splits.get(name).copied().unwrap_or(balance.split);
    // A person of two cohorts is in the stricter split of both, so that any share may give a cohort validation patients.
    let has_validation =
        config.ingest.cohorts.iter().any(|cohort| shares(&cohort.name).validation > 0.0);
    let train = config.train.as_ref().filter(|_| trains);
    if let Some(train) = train {
        train::check_settings(train, has_validation).map_err(|error| of(Stage::Train, error))?;
    }
    if stages.contains(&Stage::Infer) {
        let train = train.filter(|_| config.infer.checkpoint.is_none());
        infer::check_settings(&config.infer, train, has_validation)
            .map_err(|error| of(Stage::Infer, error))?;
    }
    Ok(())
}

/// The patients of a run, before it trains.
pub(super) struct Patients {
    /// The scans.
    pub(super) scans: Version,
    /// At least one sample of each nodule.
    pub(super) samples: Vec<Sample>,
    /// Whether these are all of them; in a plan, others may come from scans that are still to be read.
    pub(super) is_all: bool,
}

impl Patients {
    /// Those of the inputs of a training.
    ///
    /// # Errors
    ///
    /// Fails if `samples` cannot be read.
    pub(super) fn of(scans: &Version, samples: &Version) -> Result<Self, Error> {
        let samples = balance::of_each_nodule(samples)?;
        Ok(Self { scans: scans.clone(), samples, is_all: true })
    }

    /// Fails if a training lacks patients, or its weights could not predict those whom `infer` is to predict with them
    /// afterwards, so that nothing is trained in vain.
    ///
    /// # Errors
    ///
    /// Fails as the stages would.
    pub(super) fn check_training(&self, config: &Config, stages: &[Stage]) -> Result<(), Error> {
        let Some(train) = &config.train else { return Ok(()) };
        let of_train = |error| of(Stage::Train, error);
        if self.is_all {
            train::check_samples(train, &self.samples).map_err(of_train)?;
        }
        if !stages.contains(&Stage::Infer) || config.infer.checkpoint.is_some() {
            return Ok(());
        }
        let of_infer = |error| of(Stage::Infer, error);
        if self.is_all {
            let samples = &self.samples;
            infer::check_validation(&config.infer, Some(train), samples).map_err(of_infer)?;
        }
        let list = train::foreseen_list(train, &self.scans, &self.samples).map_err(of_train)?;
        infer::check_patients(&config.infer, &[list], &self.scans, &self.samples).map_err(of_infer)
    }

    /// Fails if initial weights saw a patient of the test split.
    ///
    /// # Errors
    ///
    /// Fails as training would.
    pub(super) fn check_initial(&self, config: &Config, initial: &Path) -> Result<(), Error> {
        if config.infer.allow_training_patients {
            return Ok(());
        }
        let samples = std::iter::once(Ok(self.samples.clone()));
        train::check_initial(initial, &self.scans, samples, None)
            .map_err(|error| of(Stage::Train, error))
    }

    /// Fails if weights that exist saw a patient to predict, or have no patients to choose a threshold on.
    ///
    /// # Errors
    ///
    /// Fails as `infer` would.
    pub(super) fn check_weights(&self, config: &Config, weights: &[PathBuf]) -> Result<(), Error> {
        let of_infer = |error| of(Stage::Infer, error);
        if self.is_all {
            infer::check_validation(&config.infer, None, &self.samples).map_err(of_infer)?;
        }
        let mut lists = Vec::new();
        for path in weights {
            lists.extend(TrainedOn::of_weights(path).map_err(|error| of_infer(error.into()))?);
        }
        infer::check_patients(&config.infer, &lists, &self.scans, &self.samples).map_err(of_infer)
    }
}

fn of<E: Into<crate::stages::StageError>>(stage: Stage, error: E) -> Error {
    Error::Stage { stage, source: error.into() }
}
