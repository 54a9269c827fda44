//! Operators composed of the tensor library's operations: they run wherever it has tensors, and leave
//! them there.
//!
//! On the processor, tests hold each against `PyTorch` and against the operator that runs there.

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

use crate::device::Precision;
use crate::error::Result;
use crate::tape::Step;
use candle_core::{DType, Tensor};

/// An operator that runs wherever its inputs are.
pub(crate) trait Composed {
    /// The output.
    ///
    /// # Errors
    ///
    /// Fails if the inputs do not fit each other, or the device has no memory left.
    fn compose(&self, inputs: &[&Tensor]) -> Result<Tensor>;

    /// The gradient with respect to each input that is wanted.
    ///
    /// # Errors
    ///
    /// As [`Self::compose`].
    fn compose_back(&self, step: &Step) -> Result<Vec<Option<Tensor>>>;

    /// Whether its first two inputs are factors of a convolution. These may be `bf16`; what comes
    /// out and all gradients are `f32` all the same, rounded to `bf16` where they are sums of
    /// products.
    fn is_convolution(&self) -> bool {
        false
    }
}

/// The output, with products of a precision.
///
/// # Errors
///
/// As [`Composed::compose`].
pub(crate) fn output(
    operator: &dyn Composed,
    inputs: &[&Tensor],
    precision: Precision,
) -> Result<Tensor> {
    let inputs = rounded(operator, inputs, precision)?;
    operator.compose(&inputs.iter().collect::<Vec<_>>())
}

/// The gradient with respect to each input that is wanted, with products of a precision.
///
/// # Errors
///
/// As [`Composed::compose`].
pub(crate) fn gradients(
    operator: &dyn Composed,
    step: &Step,
    precision: Precision,
) -> Result<Vec<Option<Tensor>>> {
    let inputs = rounded(operator, step.inputs, precision)?;
    let inputs: Vec<&Tensor> = inputs.iter().collect();
    operator.compose_back(&Step { inputs: &inputs, ..*step })
}

/// The inputs, those among them that are factors of a convolution rounded to a precision.
// METHOD: as in torch.autocast, convolutions alone are of less precision; biases, which it rounds
// too, are added to their sums in f32.
fn rounded(
    operator: &dyn Composed,
    inputs: &[&Tensor],
    precision: Precision,
) -> Result<Vec<Tensor>> {
    let is_rounded = precision == Precision::Bf16 && operator.is_convolution();
    let inputs = inputs.iter().enumerate().map(|(n, input)| {
        let factor = is_rounded && n < 2;
        Ok(if factor { input.to_dtype(DType::BF16)? } else { (*input).clone() })
    });
    inputs.collect()
}

/// `1 / (1 + exp(-x))`.
pub(crate) fn sigmoid(x: &Tensor) -> Result<Tensor> {
    Ok((x.neg()?.exp()? + 1.0)?.recip()?)
}

/// Numbers of channels, `[C]`, as `[1, C, 1, 1]`.
fn by_channel(x: &Tensor) -> Result<Tensor> {
    Ok(x.reshape((1, x.elem_count(), 1, 1))?)
}

/// Sums over images and pixels of `[B, C, H, W]`: `[C]`.
fn channel_sums(x: &Tensor) -> Result<Tensor> {
    Ok(x.flatten_from(2)?.sum(2)?.sum(0)?)
}

/// A sum with one more addend.
fn plus(sum: Option<Tensor>, addend: Tensor) -> Result<Tensor> {
    Ok(match sum {
        None => addend,
        Some(sum) => (sum + addend)?,
    })
}
