//! Foresees what would fail for the patients that there are, and says what cannot be told yet.

use super::step::Foresight;
use super::training::{Starts, Training};
use crate::pipeline::config::Config;
use crate::pipeline::outside_weights::outside_weights;
use crate::pipeline::patients::Patients;
use crate::pipeline::runner::Error;
use crate::stages::{Stage, infer};
use crate::tables::{Output, Table};

/// Fails where training or prediction would fail for their patients, and returns what a plan cannot tell, a line for each.
///
/// # Errors
///
/// Fails as the stages would.
pub(super) fn check(
    config: &Config,
    stages: &[Stage],
    foresight: &Foresight<'_>,
    training: Option<&Training>,
) -> Result<Vec<String>, Error> {
    let [trains, predicts] = [Stage::Train, Stage::Infer].map(|stage| stages.contains(&stage));
    if !(trains || predicts) {
        return Ok(Vec::new());
    }
    let scans = foresight.known(Output::Table(Table::Scans))?;
    let samples = scans.as_ref().map(|scans| foresight.samples(scans)).transpose()?.flatten();
    let (Some(scans), Some(samples)) = (scans, samples) else {
        return Ok(vec![
            "whether each split has patients, whether two patients have one image, and whether weights saw a patient to \
             predict: these follow from scans that are still to be read; a dry run after `nodulus run --to balance` tells"
                .to_owned(),
        ]);
    };
    let patients = Patients { scans: &scans, samples };
    let starts = training.map(|training| training.starts);
    let is_trained = !matches!(starts, None | Some(Starts::No | Starts::Kept));
    if is_trained {
        patients.check_training(config, stages)?;
        if let Some((initial, _)) = outside_weights(config, Stage::Train)? {
            patients.check_initial(config, &initial)?;
        }
    }
    if !predicts {
        return Ok(Vec::new());
    }
    if let Some((weights, _)) = outside_weights(config, Stage::Infer)? {
        patients.check_weights(config, &[weights])?;
    } else if let Some(checkpoint) = foresight.known(Output::Checkpoint)?.filter(|_| !is_trained) {
        let file = infer::stored_file(&config.infer, &checkpoint);
        let of_infer = |source| Error::Stage { stage: Stage::Infer, source };
        let file = file.map_err(|error| of_infer(error.into()))?;
        infer::check_weights(&config.infer, &file).map_err(of_infer)?;
        patients.check_weights(config, &[file])?;
    }
    Ok(Vec::new())
}
