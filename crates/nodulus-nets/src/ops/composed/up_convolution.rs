//! Transposed convolution of 2 × 2 kernels at stride 2, as the backward pass of a convolution.

use super::convolution::{ComposedKernels, FilterChannels};
use super::{by_channel, channel_sums};
use crate::error::Result;
use crate::operator::Composed;
use crate::operator::Step;
use crate::ops::up_convolution::{UpConvolution, UpConvolutionShape};
use crate::ops::window::Window;
use candle_core::Tensor;

impl Composed for UpConvolution {
    fn is_convolution(&self) -> bool {
        true
    }

    fn compose(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let y = UpConvolutionShape::new(inputs)?.kernels().input_gradient(inputs[1], inputs[0])?;
        Ok(y.broadcast_add(&by_channel(inputs[2])?)?)
    }

    fn compose_back(&self, step: &Step) -> Result<Vec<Option<Tensor>>> {
        let kernels = UpConvolutionShape::new(step.inputs)?.kernels();
        let (x, weight) = (step.inputs[0], step.inputs[1]);
        let gradient = &step.gradient.tensor().to_dtype(x.dtype())?;
        let of_input = step.wanted[0].then(|| kernels.output(gradient, weight));
        let of_weight = step.wanted[1].then(|| kernels.weight_gradient(gradient, weight, x));
        let of_bias = step.wanted[2].then(|| channel_sums(step.gradient.tensor()));
        Ok(vec![of_input.transpose()?, of_weight.transpose()?, of_bias.transpose()?])
    }
}

impl UpConvolutionShape {
    /// The convolution from the large images to the small ones.
    fn kernels(self) -> ComposedKernels {
        ComposedKernels {
            window: Window { size: 2, stride: 2, padding: 0, dilation: 1 },
            sees: FilterChannels::All,
            channels: self.filters,
            size: [2 * self.height, 2 * self.width],
            size_out: [self.height, self.width],
        }
    }
}
