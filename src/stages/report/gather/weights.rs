//! What the weights of each model were trained on.

use crate::stages::Task;
use crate::stages::report::content::{ModelWeights, ReportModel, TrainedPhase};
use crate::stages::report::error::Error;
use crate::stages::train::{Origin, WeightsNote};
use crate::tables::{Output, Table};
use nodulus_nets::WEIGHTS_FILE;
use nodulus_store::InputRef;
use std::collections::BTreeMap;

/// A row for each of the weights of each model, in the order of the models.
///
/// Weights of the store tell it in their description, weights from outside in the store's note of them.
pub(super) fn weights(task: &Task<'_>, models: &[ReportModel]) -> Result<Vec<ModelWeights>, Error> {
    let mut inputs: BTreeMap<String, InputRef> = BTreeMap::new();
    for version in task.inputs(Output::Table(Table::Predictions))? {
        let made_by = version.manifest.inputs.iter();
        let checkpoints = made_by.filter(|input| input.name == Output::Checkpoint.name());
        inputs.extend(checkpoints.map(|input| (input.key.clone(), input.clone())));
    }
    let mut found = Vec::new();
    for model in models {
        for key in &model.checkpoints {
            let none = ModelWeights {
                model_id: model.model_id.clone(),
                key: key.clone(),
                is_outside: false,
                phases: Vec::new(),
                initial: Vec::new(),
                n_training_patients: None,
                n_validation_patients: None,
                n_cases: BTreeMap::new(),
            };
            let version = task.store.version(Output::Checkpoint, key)?;
            let file = version.as_ref().map_or(Ok(None), |version| version.file(WEIGHTS_FILE))?;
            found.push(if let Some(file) = file {
                described(none, &file)?
            } else {
                let note = inputs.get(key).and_then(WeightsNote::of);
                let weights = of_origin(none, note.and_then(|note| note.origin));
                ModelWeights { is_outside: version.is_none(), ..weights }
            });
        }
    }
    Ok(found)
}

/// What the origin of weights tells, where it is known.
fn of_origin(weights: ModelWeights, origin: Option<Origin>) -> ModelWeights {
    let Some(origin) = origin else { return weights };
    ModelWeights { initial: origin.initial(), n_cases: origin.n_cases, ..weights }
}

/// What the description beside a weights file tells.
fn described(weights: ModelWeights, file: &std::path::Path) -> Result<ModelWeights, Error> {
    let weights = of_origin(weights, Origin::of(&nodulus_nets::origin(file)?));
    let Some(contract) = nodulus_nets::contract(file)? else { return Ok(weights) };
    let phases = contract.phases.into_iter().map(|phase| TrainedPhase {
        name: phase.name,
        cohorts: phase.cohorts,
        epochs: phase.schedule.epochs as u64,
    });
    Ok(ModelWeights {
        phases: phases.collect(),
        n_training_patients: Some(contract.trained_on.n_training_patients),
        n_validation_patients: Some(contract.trained_on.n_validation_patients),
        ..weights
    })
}
