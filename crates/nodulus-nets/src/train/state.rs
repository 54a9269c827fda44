//! State of a training, from which it resumes.

use super::Trainer;
use super::average::Average;
use crate::config::Config;
use crate::epoch::Epoch;
use crate::error::{Error, Result};
use crate::optim::Moments;
use crate::tensors::{tensor, values};
use crate::{checkpoint, weights_file};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Contents of `state.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrainingState {
    config: Config,
    seed: u64,
    phases: u64,
    /// The epoch in progress, if there is one.
    epoch: Option<Epoch>,
    /// Optimiser steps by parameter.
    steps: Vec<u64>,
    /// Steps that the weights are averaged over, in a phase that has an average.
    #[serde(default)]
    averaged: Option<u64>,
}

const STATE: &str = "state.safetensors";

impl Trainer {
    /// Writes the state of a training, `state.safetensors` and `state.json`, into a folder; `epoch`
    /// is the one in progress.
    ///
    /// # Errors
    ///
    /// Fails if the files cannot be written.
    pub fn save_state(&self, folder: &Path, epoch: Option<&Epoch>) -> Result<()> {
        let mut arrays = Vec::new();
        let parameters = self.parameters.specs.iter().zip(&self.parameters.tensors);
        for ((spec, tensor), moments) in parameters.zip(&self.adam.moments) {
            arrays.push((spec.name.clone(), spec.shape.clone(), values(tensor)?));
            if let Some(Moments { first, second, .. }) = moments {
                for (which, moment) in [("first", first), ("second", second)] {
                    let name = format!("adam.{which}.{}", spec.name);
                    arrays.push((name, spec.shape.clone(), values(moment)?));
                }
            }
        }
        if let Some(average) = &self.average {
            for (spec, tensor) in self.parameters.specs.iter().zip(&average.tensors) {
                let name = format!("average.{}", spec.name);
                arrays.push((name, spec.shape.clone(), values(tensor)?));
            }
        }
        weights_file::write(&folder.join(STATE), arrays)?;
        let steps = |moments: &Option<Moments>| moments.as_ref().map_or(0, |moments| moments.steps);
        let steps = self.adam.moments.iter().map(steps).collect();
        let (config, seed, phases) = (self.config.clone(), self.seed, self.phases);
        let averaged = self.average.as_ref().map(|average| average.steps);
        let state = TrainingState { config, seed, phases, epoch: epoch.cloned(), steps, averaged };
        checkpoint::write_json(&folder.join(STATE).with_extension("json"), &state)
    }

    /// Loads a state and returns the epoch that was in progress. Training continues as if it had
    /// not stopped, bit for bit.
    ///
    /// # Errors
    ///
    /// Fails if the files cannot be read, or if they belong to another network or seed.
    pub fn load_state(&mut self, folder: &Path) -> Result<Option<Epoch>> {
        let path = folder.join(STATE);
        let state: TrainingState = checkpoint::read_json(&path.with_extension("json"))?;
        let wrong = |problem: String| Error::Checkpoint { path: path.clone(), problem };
        if state.config != self.config || state.seed != self.seed {
            return Err(wrong(format!(
                "state of seed {} and {:?}, expected seed {} and {:?}",
                state.seed, state.config, self.seed, self.config
            )));
        }
        let mut arrays = weights_file::read(&path)?;
        let mut take = |name: String, shape: &[usize]| match arrays.remove(&name) {
            Some((found, values)) if found == shape => Ok(values),
            Some((found, _)) => {
                Err(wrong(format!("tensor `{name}` is {found:?}, expected {shape:?}")))
            }
            None => Err(wrong(format!("tensor `{name}` is missing"))),
        };
        let specs = &self.parameters.specs;
        if state.steps.len() != specs.len() {
            let (found, expected) = (state.steps.len(), specs.len());
            return Err(wrong(format!("steps of {found} parameters, expected {expected}")));
        }
        let mut tensors = Vec::new();
        let (mut moments, mut averages) = (Vec::new(), Vec::new());
        for (spec, steps) in specs.iter().zip(state.steps) {
            let shape = spec.shape.as_slice();
            let device = &self.parameters.backend.device;
            let mut take = |name: String| -> Result<Tensor> {
                Ok(tensor(take(name, shape)?, shape)?.to_device(device)?)
            };
            tensors.push(take(spec.name.clone())?);
            if state.averaged.is_some() {
                averages.push(take(format!("average.{}", spec.name))?);
            }
            moments.push(if steps == 0 {
                None
            } else {
                let first = take(format!("adam.first.{}", spec.name))?;
                let second = take(format!("adam.second.{}", spec.name))?;
                Some(Moments { first, second, steps })
            });
        }
        self.parameters.tensors = tensors;
        self.adam.moments = moments;
        self.average = state.averaged.map(|steps| Average { tensors: averages, steps });
        self.phases = state.phases;
        Ok(state.epoch)
    }
}
