//! Convolutions by cuDNN, where the program was built with it (cargo's feature `cudnn`).

#[cfg(any(feature = "cuda", test))]
pub(crate) mod agreement;
#[cfg(feature = "cudnn")]
mod cudnn;
#[cfg(not(feature = "cudnn"))]
#[path = "no_cudnn.rs"]
mod cudnn;

use super::window::Window;
use crate::error::Result;
use candle_core::Tensor;

/// A convolution of images of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct CudnnConvolution {
    pub(super) window: Window,
    /// 1 where a filter sees every channel; the number of channels where it sees only its own.
    pub(super) groups: usize,
    pub(super) size_out: [usize; 2],
}

/// Result of a convolution's pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum ConvolutionPass {
    /// The output, from images and weights.
    Output,
    /// The images' gradient, from weights and the output's gradient.
    InputGradient,
    /// The weights' gradient, from images and the output's gradient.
    WeightGradient,
}

/// Factors and results are `f32` or `bf16`; `None` means that cuDNN does not apply to these
/// tensors.
impl CudnnConvolution {
    /// The output for images and weights.
    pub(super) fn output(self, x: &Tensor, weight: &Tensor) -> Result<Option<Tensor>> {
        let [height, width] = self.size_out;
        let shape = [x.dim(0)?, weight.dim(0)?, height, width];
        cudnn::run(self, ConvolutionPass::Output, [x, weight], [x.dims(), weight.dims(), &shape])
    }

    /// The gradient with respect to images of a shape, given that with respect to the output.
    pub(super) fn input_gradient(
        self,
        images: [usize; 4],
        weight: &Tensor,
        gradient: &Tensor,
    ) -> Result<Option<Tensor>> {
        let shapes = [&images, weight.dims(), gradient.dims()];
        cudnn::run(self, ConvolutionPass::InputGradient, [weight, gradient], shapes)
    }

    /// The gradient with respect to weights, given that with respect to the output.
    pub(super) fn weight_gradient(
        self,
        x: &Tensor,
        weight: &Tensor,
        gradient: &Tensor,
    ) -> Result<Option<Tensor>> {
        let shapes = [x.dims(), weight.dims(), gradient.dims()];
        cudnn::run(self, ConvolutionPass::WeightGradient, [x, gradient], shapes)
    }
}
