//! Operators composed of the tensor library's operations: they run on any of its devices, and their
//! results stay there.
//!
//! Tests compare each with `PyTorch` and with the processor's own operator.

mod convolution;
mod max_pool;
mod means;
mod multiplication;
mod normalised_sum;
mod resize;
mod taps;
mod threshold_dynamics;
mod up_convolution;
#[cfg(test)]
mod tests;

use crate::error::Result;
use candle_core::Tensor;

/// `1 / (1 + exp(-x))`.
pub(crate) fn sigmoid(x: &Tensor) -> Result<Tensor> {
    Ok((x.neg()?.exp()? + 1.0)?.recip()?)
}

/// Values by channel, `[C]`, as `[1, C, 1, 1]`.
fn by_channel(x: &Tensor) -> Result<Tensor> {
    Ok(x.reshape((1, x.elem_count(), 1, 1))?)
}

/// Sums over images and pixels of `[B, C, H, W]`: `[C]`.
fn channel_sums(x: &Tensor) -> Result<Tensor> {
    Ok(x.flatten_from(2)?.sum(2)?.sum(0)?)
}

/// A sum with another addend.
fn plus(sum: Option<Tensor>, addend: Tensor) -> Result<Tensor> {
    Ok(match sum {
        None => addend,
        Some(sum) => (sum + addend)?,
    })
}
