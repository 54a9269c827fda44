//! Batch norm.

use crate::error::Result;
use crate::ops::normalised_sum::{ChannelAffine, ChannelStatistics, affine};
use crate::parameters::{Initialiser, Parameters, Scope};
use crate::tensors::view;
use candle_core::Tensor;

/// Batch norm: indices of its parameters and running statistics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchNorm {
    pub(super) weight: usize,
    pub(super) bias: usize,
    mean: usize,
    variance: usize,
}

impl BatchNorm {
    /// Weight of a batch's statistics in the running ones: `PyTorch`'s default.
    const MOMENTUM: f32 = 0.1;

    /// A batch norm over `channels`.
    pub(crate) fn new(mut scope: Scope, channels: usize) -> Self {
        let shape = [channels];
        Self {
            weight: scope.parameter("weight", &shape, Initialiser::Constant(1.0)),
            bias: scope.parameter("bias", &shape, Initialiser::Constant(0.0)),
            mean: scope.statistic("running_mean", &shape, Initialiser::Constant(0.0)),
            variance: scope.statistic("running_var", &shape, Initialiser::Constant(1.0)),
        }
    }

    /// The running statistics.
    pub(super) fn running(self, parameters: &Parameters) -> ChannelStatistics {
        let [mean, variance] =
            [self.mean, self.variance].map(|index| parameters.tensors[index].clone());
        ChannelStatistics { mean, variance, count: 0 }
    }

    /// Scale and shift of each channel with the running statistics.
    pub(super) fn affine(self, parameters: &Parameters) -> Result<Vec<ChannelAffine>> {
        let [scale, shift] = [self.weight, self.bias].map(|index| &parameters.tensors[index]);
        affine(&self.running(parameters), &view(scale)?, &view(shift)?)
    }

    /// Indices and next values of the running statistics after a batch.
    pub(crate) fn follow(
        self,
        parameters: &Parameters,
        batch: &ChannelStatistics,
    ) -> Result<[(usize, Tensor); 2]> {
        // The running variance is that of the sample; the population's variance normalises.
        let sample = batch.count as f32 / (batch.count.max(2) - 1) as f32;
        let follow = |index: usize, values: &Tensor, factor: f32| -> Result<_> {
            let part = |of: &Tensor, weight: f32| of.affine(f64::from(weight), 0.0);
            let old = part(&parameters.tensors[index], 1.0 - Self::MOMENTUM)?;
            Ok((index, (old + part(values, Self::MOMENTUM * factor)?)?))
        };
        Ok([follow(self.mean, &batch.mean, 1.0)?, follow(self.variance, &batch.variance, sample)?])
    }
}
