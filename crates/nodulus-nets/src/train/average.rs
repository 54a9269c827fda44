//! The moving average of a network's weights in training.

use crate::error::Result;
use crate::parameters::Parameters;
use candle_core::Tensor;

/// A moving average of parameters and running statistics.
#[derive(Clone, Debug)]
pub(super) struct Average {
    /// In the order of the parameters.
    pub(super) tensors: Vec<Tensor>,
    /// Number of steps averaged over.
    pub(super) steps: u64,
}

impl Average {
    /// An average that begins at the parameters' values.
    pub(super) fn new(parameters: &Parameters) -> Result<Self> {
        // Steps change the parameters' memory in place.
        let copies = parameters.tensors.iter().map(Tensor::copy);
        Ok(Self { tensors: copies.collect::<candle_core::Result<_>>()?, steps: 0 })
    }

    /// Moves the average towards the parameters' values.
    ///
    /// METHOD: the average forgets faster at first, by (1 + t) / (10 + t) at step t, so that the first weights do not stay in
    /// it (as in TensorFlow's `ExponentialMovingAverage`). Running statistics are averaged like weights.
    pub(super) fn follow(&mut self, parameters: &Parameters, decay: f64) -> Result<()> {
        let steps = self.steps as f64;
        let kept = decay.min((1.0 + steps) / (10.0 + steps));
        self.steps += 1;
        for (average, tensor) in self.tensors.iter_mut().zip(&parameters.tensors) {
            *average = ((&*average * kept)? + (tensor * (1.0 - kept))?)?;
        }
        Ok(())
    }

    /// Parameters with the average's values.
    pub(super) fn parameters(&self, parameters: &Parameters) -> Parameters {
        let (specs, backend) = (parameters.specs.clone(), parameters.backend.clone());
        Parameters { specs, tensors: self.tensors.clone(), backend }
    }
}
