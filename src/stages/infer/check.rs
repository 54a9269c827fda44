//! Whether weights and settings can predict, asked before anything is read or trained.

use super::config::{Config, ProbabilityThreshold, Weights};
use super::error::Error;
use super::nodules::is_validation;
use crate::stages::spec::StageError;
use crate::stages::train;
use crate::tables::{Sample, Split};
use nodulus_nets::{Device, Ensemble, TrainedOn};
use std::path::Path;

/// Fails if weights that exist cannot predict.
///
/// # Errors
///
/// Fails if the file holds no network, or one that was not trained without the fold to predict, or the list of those whom it
/// was trained on is missing beside it.
pub fn check_weights(config: &Config, weights: &Path) -> Result<(), StageError> {
    let predictor = Ensemble::load(&[weights.to_owned()], &Device::Cpu)?;
    check_fold(config, &predictor)?;
    TrainedOn::of_weights(weights)?;
    Ok(())
}

/// Fails if the settings and the training to come exclude each other. `train` are the settings of the training whose weights
/// predict, where one is to come, and `has_validation` is whether any patient can be in the validation split.
///
/// # Errors
///
/// Fails if a threshold or an epoch would be chosen on patients that there are none of, or a fold is predicted that the weights
/// learn from.
pub fn check_settings(
    config: &Config,
    train: Option<&train::Config>,
    has_validation: bool,
) -> Result<(), Error> {
    if matches!(config.probability_threshold, ProbabilityThreshold::Named(_)) {
        if config.fold.is_some() {
            return Err(Error::FoldThreshold);
        }
        if !has_validation {
            return Err(Error::NoValidation);
        }
    }
    let Some(train) = train else { return Ok(()) };
    // A training without training patients fails, so that those of a phase whose cohorts are all predicted are seen for certain.
    let is_predicted = |cohort| config.cohorts.is_empty() || config.cohorts.contains(cohort);
    let mut phases = train.phases.iter();
    if !config.allow_training_patients
        && config.fold.is_none()
        && train.fold.is_none()
        && config.splits.contains(&Split::Train)
        && phases.any(|phase| phase.cohorts.iter().all(is_predicted))
    {
        return Err(Error::TrainingSplit);
    }
    if let Some(expected) = config.fold.filter(|fold| train.fold != Some(*fold)) {
        return Err(Error::fold(train.fold, expected));
    }
    if config.weights == Weights::Best && train.fold.is_none() && !has_validation {
        return Err(Error::NoValidationForBest);
    }
    Ok(())
}

/// Fails if no nodule is there to choose the threshold on, or no patient to choose the epoch by. `samples` have at least one
/// sample of each nodule; `train` as in [`check_settings`].
///
/// # Errors
///
/// Fails if there is none.
pub fn check_validation(
    config: &Config,
    train: Option<&train::Config>,
    samples: &[Sample],
) -> Result<(), Error> {
    let is_named = matches!(config.probability_threshold, ProbabilityThreshold::Named(_));
    if is_named && !samples.iter().any(|sample| is_validation(config, sample)) {
        return Err(Error::NoValidation);
    }
    match train {
        Some(train) if config.weights == Weights::Best && !train.has_best(samples) => {
            Err(Error::NoValidationForBest)
        }
        _ => Ok(()),
    }
}

/// Fails unless all weights were trained without the fold that they predict.
pub(super) fn check_fold(config: &Config, predictor: &Ensemble) -> Result<(), Error> {
    let Some(expected) = config.fold else { return Ok(()) };
    if matches!(config.probability_threshold, ProbabilityThreshold::Named(_)) {
        return Err(Error::FoldThreshold);
    }
    for metadata in predictor.metadata() {
        let found = metadata["fold"].as_i64();
        if found != Some(expected) {
            return Err(Error::fold(found, expected));
        }
    }
    Ok(())
}
