//! Convolution: one product per element of the kernel, or cuDNN on a card if the program has it.

use super::taps::Taps;
use super::{by_channel, channel_sums, plus};
use crate::error::Result;
use crate::operator::Composed;
use crate::operator::Step;
use crate::ops::convolution::Convolution;
use crate::ops::cuda;
use crate::ops::depthwise::Depthwise;
use crate::ops::window::Window;
use candle_core::{DType, Tensor};

impl Composed for Convolution {
    fn is_convolution(&self) -> bool {
        true
    }

    fn compose(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let kernels =
            ComposedKernels::new(self.0, FilterChannels::All, inputs, self.size_out(inputs)?)?;
        let y = kernels.output(inputs[0], inputs[1])?;
        Ok(match inputs.get(2) {
            None => y,
            Some(bias) => y.broadcast_add(&by_channel(bias)?)?,
        })
    }

    fn compose_back(&self, step: &Step) -> Result<Vec<Option<Tensor>>> {
        let size_out = self.size_out(step.inputs)?;
        let kernels = ComposedKernels::new(self.0, FilterChannels::All, step.inputs, size_out)?;
        let mut found = kernels.gradients(step)?;
        if let Some(wanted) = step.wanted.get(2) {
            found.push(wanted.then(|| channel_sums(step.gradient.tensor())).transpose()?);
        }
        Ok(found)
    }
}

impl Composed for Depthwise {
    fn is_convolution(&self) -> bool {
        true
    }

    fn compose(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        self.kernels(inputs)?.output(inputs[0], inputs[1])
    }

    fn compose_back(&self, step: &Step) -> Result<Vec<Option<Tensor>>> {
        self.kernels(step.inputs)?.gradients(step)
    }
}

impl Depthwise {
    fn kernels(&self, inputs: &[&Tensor]) -> Result<ComposedKernels> {
        let window = Window::centred(3, self.stride);
        ComposedKernels::new(window, FilterChannels::Own, inputs, self.size_out(inputs)?)
    }
}

/// Channels of the input that a filter sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FilterChannels {
    /// All channels.
    All,
    /// The channel with the filter's number.
    Own,
}

/// Kernels over images of one size.
///
/// Images, weights and the output's gradient have one type, `f32` or `bf16`; results are `f32`,
/// rounded to this type.
pub(super) struct ComposedKernels {
    pub(super) window: Window,
    pub(super) sees: FilterChannels,
    pub(super) channels: usize,
    pub(super) size: [usize; 2],
    pub(super) size_out: [usize; 2],
}

impl ComposedKernels {
    fn new(
        window: Window,
        sees: FilterChannels,
        inputs: &[&Tensor],
        size_out: [usize; 2],
    ) -> Result<Self> {
        let (_, channels, height, width) = inputs[0].dims4()?;
        Ok(Self { window, sees, channels, size: [height, width], size_out })
    }

    fn taps(&self) -> Taps {
        Taps::new(self.window, self.size, self.size_out)
    }

    fn for_card(&self) -> cuda::CudnnConvolution {
        let groups = match self.sees {
            FilterChannels::All => 1,
            FilterChannels::Own => self.channels,
        };
        cuda::CudnnConvolution { window: self.window, groups, size_out: self.size_out }
    }

    /// A kernel's element as `[D, C]`, or as `[1, C, 1, 1]`.
    fn weight(&self, weight: &Tensor, [row, column]: [usize; 2]) -> Result<Tensor> {
        let weight = weight.narrow(2, row, 1)?.narrow(3, column, 1)?;
        match self.sees {
            FilterChannels::All => Ok(weight.squeeze(3)?.squeeze(2)?.contiguous()?),
            FilterChannels::Own => by_channel(&weight.contiguous()?),
        }
    }

    /// The output for images and weights.
    pub(super) fn output(&self, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
        if let Some(y) = self.for_card().output(x, weight)? {
            return single(&y);
        }
        let (factors, x, weight) = (x.dtype(), single(x)?, single(weight)?);
        let taps = self.taps();
        let bordered = taps.bordered(&x, 0.0)?;
        let mut sum = None;
        for tap in taps.met() {
            let (seen, weight) = (taps.seen(&bordered, tap)?, self.weight(&weight, tap)?);
            let part = match self.sees {
                FilterChannels::All => weight.broadcast_matmul(&lines(&seen)?)?,
                FilterChannels::Own => seen.broadcast_mul(&weight)?,
            };
            sum = Some(plus(sum, part)?);
        }
        let [height, width] = self.size_out;
        let shape = (x.dim(0)?, weight.dim(0)?, height, width);
        match sum {
            Some(sum) => as_given(&sum.reshape(shape)?, factors),
            None => Ok(Tensor::zeros(shape, DType::F32, x.device())?),
        }
    }

    /// Gradients with respect to the input and the weights.
    fn gradients(&self, step: &Step) -> Result<Vec<Option<Tensor>>> {
        let (x, weight) = (step.inputs[0], step.inputs[1]);
        let gradient = &step.gradient.tensor().to_dtype(x.dtype())?;
        let of_input = step.wanted[0].then(|| self.input_gradient(weight, gradient));
        let of_weight = step.wanted[1].then(|| self.weight_gradient(x, weight, gradient));
        Ok(vec![of_input.transpose()?, of_weight.transpose()?])
    }

    /// The gradient with respect to the images, given that with respect to the output.
    pub(super) fn input_gradient(&self, weight: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let shape = [gradient.dim(0)?, self.channels, self.size[0], self.size[1]];
        if let Some(found) = self.for_card().input_gradient(shape, weight, gradient)? {
            return single(&found);
        }
        let (factors, weight, gradient) = (weight.dtype(), single(weight)?, single(gradient)?);
        let taps = self.taps();
        let [images, channels, ..] = shape;
        let [height, width] = self.size_out;
        let mut sum = None;
        for tap in taps.met() {
            let weight = self.weight(&weight, tap)?;
            let seen = match self.sees {
                FilterChannels::All => {
                    let seen = weight.t()?.broadcast_matmul(&lines(&gradient)?)?;
                    seen.reshape((images, channels, height, width))?
                }
                FilterChannels::Own => gradient.broadcast_mul(&weight)?,
            };
            sum = Some(plus(sum, taps.put(&seen, tap)?)?);
        }
        match sum {
            Some(sum) => as_given(&taps.cropped(&sum)?, factors),
            None => Ok(Tensor::zeros(&shape, DType::F32, gradient.device())?),
        }
    }

    /// The gradient with respect to the weights, given that with respect to the output.
    pub(super) fn weight_gradient(
        &self,
        x: &Tensor,
        weight: &Tensor,
        gradient: &Tensor,
    ) -> Result<Tensor> {
        if let Some(found) = self.for_card().weight_gradient(x, weight, gradient)? {
            return single(&found);
        }
        let (factors, x, gradient) = (x.dtype(), single(x)?, single(gradient)?);
        let (filters, depth, size, _) = weight.dims4()?;
        let taps = self.taps();
        let bordered = taps.bordered(&x, 0.0)?;
        let nothing = Tensor::zeros((filters, depth), DType::F32, x.device())?;
        let mut parts = vec![nothing; size * size];
        for tap in taps.met() {
            let seen = taps.seen(&bordered, tap)?;
            parts[tap[0] * size + tap[1]] = match self.sees {
                FilterChannels::All => lines(&gradient)?.matmul(&lines(&seen)?.t()?)?.sum(0)?,
                FilterChannels::Own => {
                    channel_sums(&(&gradient * seen)?)?.reshape((filters, depth))?
                }
            };
        }
        as_given(&Tensor::stack(&parts, 2)?.reshape(weight.shape())?, factors)
    }
}

/// Converts to `f32`.
fn single(x: &Tensor) -> Result<Tensor> {
    Ok(x.to_dtype(DType::F32)?)
}

/// Rounds sums as cuDNN does for factors of this type.
fn as_given(sum: &Tensor, factors: DType) -> Result<Tensor> {
    single(&sum.to_dtype(factors)?)
}

/// Images as one line per channel, `[B, C, H * W]`.
fn lines(x: &Tensor) -> Result<Tensor> {
    Ok(x.flatten_from(2)?.contiguous()?)
}
