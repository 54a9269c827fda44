//! Foresees what would fail for the patients that there are, and says what cannot be told yet.

use super::step::Foresight;
use super::training::{Starts, Training};
use crate::pipeline::config::Config;
use crate::pipeline::outside_weights::outside_weights;
use crate::pipeline::patients::Patients;
use crate::pipeline::runner::Error;
use crate::stages::{Stage, infer};
use crate::tables::Output;

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
    if !stages.iter().any(|stage| [Stage::Train, Stage::Infer].contains(stage)) {
        return Ok(Vec::new());
    }
    let patients = foresight.patients()?;
    if let Some(patients) = &patients {
        check_known(config, stages, foresight, training, patients)?;
    }
    Ok(match patients {
        Some(Patients { is_all: true, .. }) => Vec::new(),
        _ => vec![
            "whether each split has patients, whether two patients have one image, and whether weights saw a patient to \
             predict: these follow from scans that are still to be read; a dry run after `nodulus run --to balance` tells"
                .to_owned(),
        ],
    })
}

fn check_known(
    config: &Config,
    stages: &[Stage],
    foresight: &Foresight<'_>,
    training: Option<&Training>,
    patients: &Patients,
) -> Result<(), Error> {
    let starts = training.map(|training| training.starts);
    let is_trained = !matches!(starts, None | Some(Starts::No | Starts::Kept));
    if is_trained {
        patients.check_training(config, stages)?;
        if let Some((initial, _)) = outside_weights(config, Stage::Train)? {
            patients.check_initial(config, &initial)?;
        }
    }
    if !stages.contains(&Stage::Infer) {
        return Ok(());
    }
    if let Some((weights, _)) = outside_weights(config, Stage::Infer)? {
        return patients.check_weights(config, &[weights]);
    }
    let checkpoint = foresight.known(Output::Checkpoint)?.filter(|_| !is_trained);
    let Some(checkpoint) = checkpoint else { return Ok(()) };
    let of_infer = |source| Error::Stage { stage: Stage::Infer, source };
    let file = infer::stored_file(&config.infer, &checkpoint);
    let file = file.map_err(|error| of_infer(error.into()))?;
    infer::check_weights(&config.infer, &file).map_err(of_infer)?;
    patients.check_weights(config, &[file])
}
