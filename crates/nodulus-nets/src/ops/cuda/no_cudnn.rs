//! A program without cuDNN.

use super::{ConvolutionPass, CudnnConvolution};
use crate::error::Result;
use candle_core::Tensor;

/// `None`: there is none.
#[expect(clippy::unnecessary_wraps, reason = "as with cuDNN")]
pub(super) fn run(
    _: CudnnConvolution,
    _: ConvolutionPass,
    _: [&Tensor; 2],
    _: [&[usize]; 3],
) -> Result<Option<Tensor>> {
    Ok(None)
}
