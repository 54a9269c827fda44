//! Transposed convolution of 2 × 2 kernels at stride 2: one product of matrices.

use super::{Composed, by_channel, channel_sums};
use crate::model::error::Result;
use crate::model::ops::up_convolution::{Sizes, UpConvolution};
use crate::model::tape::Step;
use candle_core::Tensor;

impl Composed for UpConvolution {
    fn compose(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let Sizes { images, channels, filters, height, width } = Sizes::new(inputs)?;
        let weight = inputs[1].reshape((channels, 4 * filters))?;
        let x = inputs[0].reshape((images, channels, height * width))?;
        let squares = weight.t()?.broadcast_matmul(&x)?;
        let squares = squares.reshape(vec![images, filters, 2, 2, height, width])?;
        let y = squares.permute(vec![0, 1, 4, 2, 5, 3])?;
        let y = y.reshape((images, filters, 2 * height, 2 * width))?;
        Ok(y.broadcast_add(&by_channel(inputs[2])?)?)
    }

    fn compose_back(&self, step: &Step) -> Result<Vec<Option<Tensor>>> {
        let Sizes { images, channels, filters, height, width } = Sizes::new(step.inputs)?;
        let gradient = step.gradient.tensor();
        let squares = gradient.reshape(vec![images, filters, height, 2, width, 2])?;
        let squares = squares.permute(vec![0, 1, 3, 5, 2, 4])?;
        let squares = squares.reshape((images, 4 * filters, height * width))?;
        let of_input = || -> Result<Tensor> {
            let weight = step.inputs[1].reshape((channels, 4 * filters))?;
            Ok(weight.broadcast_matmul(&squares)?.reshape(step.inputs[0].shape())?)
        };
        let of_weight = || -> Result<Tensor> {
            let x = step.inputs[0].reshape((images, channels, height * width))?;
            Ok(x.matmul(&squares.t()?)?.sum(0)?.reshape(step.inputs[1].shape())?)
        };
        Ok(vec![
            step.wanted[0].then(of_input).transpose()?,
            step.wanted[1].then(of_weight).transpose()?,
            step.wanted[2].then(|| channel_sums(gradient)).transpose()?,
        ])
    }
}
