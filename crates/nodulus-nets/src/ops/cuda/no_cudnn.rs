//! Replacement of cuDNN in a program without it.

use super::{ConvolutionPass, CudnnConvolution};
use crate::error::Result;
use candle_core::Tensor;

/// Always `None`.
#[expect(clippy::unnecessary_wraps, reason = "as with cuDNN")]
pub(super) fn run(
    _: CudnnConvolution,
    _: ConvolutionPass,
    _: [&Tensor; 2],
    _: [&[usize]; 3],
) -> Result<Option<Tensor>> {
    Ok(None)
}
