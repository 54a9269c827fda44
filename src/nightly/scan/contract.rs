//! Holds the job's settings and scans against what the model was trained on.

use super::model::LoadedModel;
use crate::nightly::settings::ScoreSettings;
use crate::stages::infer::preprocessing::{Contradiction, Preprocessing, SettingNames};
use crate::tables::Doubt;
use crate::tables::scan_identity::{ScanIdentity, SeenScan};
use nodulus_nets::TrainingUse;

/// The settings' names in a nightly file.
const NAMES: SettingNames<'static> =
    SettingNames { section: "score.region", allows: "score.allow_other_preprocessing" };

/// The settings do not fit the model.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model was trained with several windows.
    #[error(
        "`score.model` was trained with several windows: {windows}; say which one the scans need, as in \
         `score.region.window = {example}`; one of an earlier phase also needs \
         `score.allow_other_preprocessing = true`, because the model was fitted last to another"
    )]
    WhichWindow {
        /// The windows.
        windows: String,
        /// One of the last phase.
        example: String,
    },
    /// Neither the model nor the settings state a window.
    #[error(
        "`score.model` does not say with which window it was trained: set `score.region.window` to it, as in \
         `window = {{ low_hu = -1000, high_hu = 400 }}`; nobody can check it, and tables, files and messages then say so"
    )]
    UnknownWindow,
    /// The settings contradict the model.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
}

/// A scan of a patient that the model saw.
#[derive(Debug, thiserror::Error)]
#[error(
    "the model was {} this patient, series or image (found by the {}); `score.allow_training_patients = true` scores it, and \
     tables, files and messages then say so", used_for(*.0), .0.by.name()
)]
pub(crate) struct SeenByModel(pub(crate) SeenScan);

/// The settings with regions as the model was trained on them, and the doubts about every scan, each in a sentence.
///
/// # Errors
///
/// Fails if the settings contradict the model and do not allow it, or if neither states one window.
pub(crate) fn settled(
    settings: &ScoreSettings,
    model: &LoadedModel,
) -> Result<(ScoreSettings, Vec<String>), Error> {
    let mut settled = settings.clone();
    let region = &mut settled.region;
    let stated = region.window;
    for contract in model.networks.contracts().flatten() {
        region.padding_hu = region.padding_hu.or(Some(contract.region.padding_hu));
        region.spacing_mm = region.spacing_mm.or(contract.region.spacing_mm);
        let of_contract = contract.window_for(None).map(Into::into);
        region.window = region.window.or(of_contract);
        if region.window.is_none() {
            let (windows, example) = (contract.windows_text(), contract.window_example());
            return Err(Error::WhichWindow { windows, example });
        }
    }
    let mut doubts = Vec::new();
    let mut add = |doubt: Doubt| {
        let text = format!("its nodules {}", doubt.text());
        if !doubts.contains(&text) {
            doubts.push(text);
        }
    };
    let made = Preprocessing {
        cohort: None,
        size: model.networks.image_size(),
        window: region.window().into(),
        padding_hu: region.padding_hu(),
        spacing_mm: region.spacing_mm,
    };
    for contract in model.networks.contracts() {
        let Some(contract) = contract else {
            if stated.is_none() {
                return Err(Error::UnknownWindow);
            }
            add(Doubt::UncheckedPreprocessing);
            continue;
        };
        match made.contradiction(contract, NAMES) {
            None => {}
            Some(found) if settings.allow_other_preprocessing => match found {
                Contradiction::Size { .. } => return Err(found.into()),
                Contradiction::Value { .. } => add(Doubt::OtherPreprocessing),
            },
            Some(found) => return Err(found.into()),
        }
    }
    if model.is_unlisted {
        add(Doubt::UnlistedPatients);
    }
    Ok((settled, doubts))
}

/// Whether the model was trained or validated on a scan.
pub(crate) fn seen(model: &LoadedModel, scan: &ScanIdentity) -> Option<SeenByModel> {
    scan.seen_by(&model.trained_on, false).map(SeenByModel)
}

impl SeenByModel {
    /// The warning where it is allowed.
    pub(crate) fn warning(&self) -> String {
        format!(
            "the model was {} this patient, series or image: these numbers say nothing about new patients",
            used_for(self.0)
        )
    }
}

fn used_for(found: SeenScan) -> &'static str {
    match found.seen.used_for {
        TrainingUse::Training => "trained on",
        TrainingUse::Validation => "chosen on",
    }
}
