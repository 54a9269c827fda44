//! Takes from weights from outside the store how regions are made, where the settings leave it open.

use super::config::Config;
use super::outside_weights::{self, weights_file};
use crate::stages::Stage;
use crate::stages::crop::Window;
use crate::stages::infer::preprocessing::{Contradiction, Preprocessing};
use crate::stages::infer::{self, Error as InferError};
use nodulus_nets::{self as model, Contract};
use std::borrow::Cow;
use std::path::Path;

/// The settings of the regions cannot be settled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The weights cannot be read.
    #[error(transparent)]
    Weights(#[from] outside_weights::Error),
    /// The weights' description cannot be read.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// The weights were trained with several windows.
    #[error(
        "the weights of `infer.checkpoint` were trained with several windows: {windows}; say which one the scans of cohort \
         `{cohort}` need, as in `crop.windows.{cohort} = {example}`; one of an earlier phase also needs \
         `infer.allow_other_preprocessing = true`, because the weights were fitted last to another"
    )]
    WhichWindow {
        /// The windows.
        windows: String,
        /// One of the last phase.
        example: String,
        /// The cohort.
        cohort: String,
    },
    /// The settings contradict the weights, or neither states a window.
    #[error(transparent)]
    Infer(#[from] InferError),
}

/// The settings with the regions as the weights of `infer.checkpoint` were trained on. They stay as they are where the
/// pipeline trains weights of its own, which learn from regions as the settings make them.
///
/// # Errors
///
/// Fails where infer is among the stages, if the settings contradict the weights and do not allow it, or if neither states
/// one window.
pub(super) fn settled<'a>(config: &'a Config, stages: &[Stage]) -> Result<Cow<'a, Config>, Error> {
    let Some(path) = config.infer.checkpoint.as_deref().filter(|_| config.train.is_none()) else {
        return Ok(Cow::Borrowed(config));
    };
    let setting = "infer.checkpoint";
    let is_predicting = stages.contains(&Stage::Infer);
    let read = || -> Result<Option<Contract>, Error> {
        let file = weights_file(path)
            .map_err(|source| outside_weights::Error::Store { setting, source })?;
        if let Err(source) = fs_err::metadata(&file) {
            return Err(outside_weights::Error::Io { setting, source }.into());
        }
        Ok(model::described_contract(&file)?)
    };
    let contract = match read() {
        Ok(contract) => contract,
        // The stages before infer do without the weights.
        Err(_) if !is_predicting => None,
        Err(error) => return Err(error),
    };
    let mut settled = config.clone();
    if let Some(contract) = &contract {
        take(&mut settled, contract);
    }
    if is_predicting {
        for cohort in predicted(config) {
            check(&settled, cohort, contract.as_ref())?;
        }
    }
    Ok(Cow::Owned(settled))
}

/// Takes from a contract what the settings leave open.
fn take(config: &mut Config, contract: &Contract) {
    let crop = &mut config.crop;
    crop.size = crop.size.or(Some(contract.region.size));
    crop.padding_hu = crop.padding_hu.or(Some(contract.region.padding_hu));
    crop.spacing_mm = crop.spacing_mm.or(contract.region.spacing_mm);
    for cohort in &config.ingest.cohorts {
        let stated = crop.stated_window(&cohort.name);
        if let (None, Some(window)) = (stated, contract.window_for(Some(&cohort.name))) {
            crop.windows.insert(cohort.name.clone(), window.into());
        }
    }
}

/// Fails if the settings contradict the weights of a checkpoint that is kept, whatever it was kept beside.
///
/// # Errors
///
/// Fails if the settings contradict the weights and do not allow it, or the weights' description cannot be read.
pub(super) fn check_kept(config: &Config, weights: &Path) -> Result<(), Error> {
    let Some(contract) = model::described_contract(weights)? else { return Ok(()) };
    for cohort in predicted(config) {
        refuse_contradiction(config, cohort, config.crop.window(cohort), &contract)?;
    }
    Ok(())
}

/// The cohorts that `infer` predicts.
fn predicted(config: &Config) -> impl Iterator<Item = &str> {
    let chosen = &config.infer.cohorts;
    let cohorts = config.ingest.cohorts.iter().filter(|cohort| cohort.source.has_images());
    let names = cohorts.map(|cohort| cohort.name.as_str());
    names.filter(|name| chosen.is_empty() || chosen.iter().any(|other| other == name))
}

fn check(config: &Config, cohort: &str, contract: Option<&Contract>) -> Result<(), Error> {
    let stated = config.crop.stated_window(cohort);
    let Some(contract) = contract else {
        return match stated {
            Some(_) => Ok(()),
            None => Err(InferError::UnknownWindow { cohort: cohort.to_owned() }.into()),
        };
    };
    let Some(window) = stated else {
        let (windows, example) = (contract.windows_text(), contract.window_example());
        return Err(Error::WhichWindow { windows, example, cohort: cohort.to_owned() });
    };
    refuse_contradiction(config, cohort, window, contract)
}

fn refuse_contradiction(
    config: &Config,
    cohort: &str,
    window: Window,
    contract: &Contract,
) -> Result<(), Error> {
    let made = Preprocessing {
        cohort: Some(cohort),
        size: config.crop.size(),
        window: window.into(),
        padding_hu: config.crop.padding_hu(),
        spacing_mm: config.crop.spacing_mm,
    };
    match made.contradiction(contract, infer::Config::NAMES) {
        Some(found @ Contradiction::Size { .. }) => Err(InferError::from(found).into()),
        Some(found) if !config.infer.allow_other_preprocessing => {
            Err(InferError::from(found).into())
        }
        _ => Ok(()),
    }
}
