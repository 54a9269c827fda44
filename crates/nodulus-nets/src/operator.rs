//! Operators: a forward and a backward pass, in code for the processor and composed of the tensor
//! library's operations.

use super::backend::Precision;
use super::buffer;
use super::error::Result;
use super::tensors::{change, tensor, view};
use super::vector;
use candle_core::{DType, Tensor};
use rayon::prelude::*;
use std::rc::Rc;

/// An operator composed of the tensor library's operations: it runs wherever its inputs are.
pub(super) trait Composed {
    /// The output.
    ///
    /// # Errors
    ///
    /// Fails if the inputs do not fit each other, or the device runs out of memory.
    fn compose(&self, inputs: &[&Tensor]) -> Result<Tensor>;

    /// The gradient with respect to each wanted input.
    ///
    /// # Errors
    ///
    /// As [`Self::compose`].
    fn compose_back(&self, step: &Step) -> Result<Vec<Option<Tensor>>>;

    /// Whether the first two inputs are factors of a convolution. These may be `bf16`; outputs and
    /// gradients are still `f32`, with sums of products rounded to `bf16`.
    fn is_convolution(&self) -> bool {
        false
    }
}

/// An operator of any number of inputs and one output, for the processor.
pub(super) trait Operator: Composed {
    /// The output.
    ///
    /// # Errors
    ///
    /// Fails if the inputs do not fit each other.
    fn forward(&self, inputs: &[&Tensor]) -> Result<Tensor>;

    /// The gradient with respect to each wanted input.
    ///
    /// # Errors
    ///
    /// Fails if `forward` failed, or if the gradient does not fit the output.
    fn backward(&self, step: &Step) -> Result<Vec<Option<Gradient>>>;
}

/// Arguments of a backward pass.
pub(super) struct Step<'a> {
    /// The inputs.
    pub(super) inputs: &'a [&'a Tensor],
    /// The output.
    pub(super) output: &'a Tensor,
    /// The loss's gradient with respect to the output.
    pub(super) gradient: &'a Gradient,
    /// Whether each input's gradient is wanted.
    pub(super) wanted: &'a [bool],
}

/// The output of a composed operator, with products of this precision.
///
/// # Errors
///
/// As [`Composed::compose`].
pub(super) fn composed_output(
    operator: &dyn Composed,
    inputs: &[&Tensor],
    precision: Precision,
) -> Result<Tensor> {
    let inputs = rounded(operator, inputs, precision)?;
    operator.compose(&inputs.iter().collect::<Vec<_>>())
}

/// The gradient of a composed operator with respect to each wanted input, with products of this
/// precision.
///
/// # Errors
///
/// As [`Composed::compose`].
pub(super) fn composed_gradients(
    operator: &dyn Composed,
    step: &Step,
    precision: Precision,
) -> Result<Vec<Option<Tensor>>> {
    let inputs = rounded(operator, step.inputs, precision)?;
    let inputs: Vec<&Tensor> = inputs.iter().collect();
    operator.compose_back(&Step { inputs: &inputs, ..*step })
}

/// The inputs, with factors of a convolution rounded to the precision.
// METHOD: as in torch.autocast, only convolutions have less precision. torch.autocast also rounds
// biases; here they are added to the sums in f32.
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

/// A tensor whose memory is reused when its last owner drops it.
pub(super) struct SharedTensor {
    pub(super) tensor: Tensor,
    /// Whether the memory belongs to others, as for parameters and for results of composed
    /// operators.
    pub(super) borrowed: bool,
}

impl Drop for SharedTensor {
    fn drop(&mut self) {
        if !self.borrowed {
            buffer::reclaim(&self.tensor);
        }
    }
}

/// A gradient. Inputs of one operator may share it.
#[derive(Clone)]
pub(super) struct Gradient(Rc<SharedTensor>);

impl Gradient {
    /// Wraps a tensor that nothing else uses.
    pub(super) fn new(tensor: Tensor) -> Self {
        Self(Rc::new(SharedTensor { tensor, borrowed: false }))
    }

    /// Wraps a tensor whose memory others may use.
    pub(super) fn borrowed(tensor: Tensor) -> Self {
        Self(Rc::new(SharedTensor { tensor, borrowed: true }))
    }

    /// The tensor.
    pub(super) fn tensor(&self) -> &Tensor {
        &self.0.tensor
    }

    pub(super) fn plus(self, other: &Self) -> Result<Self> {
        if self.0.borrowed {
            return Ok(Self::borrowed((self.tensor() + other.tensor())?));
        }
        let sum = if Rc::strong_count(&self.0) == 1 { self } else { self.copied()? };
        let addend = view(other.tensor())?;
        change(sum.tensor(), |sum| {
            if sum.len() != addend.len() {
                candle_core::bail!("gradients of {} and {} values", sum.len(), addend.len());
            }
            sum.par_chunks_mut(1 << 14).zip(addend.par_chunks(1 << 14)).for_each(|(to, from)| {
                vector::add(to, from);
            });
            Ok(())
        })?;
        Ok(sum)
    }

    fn copied(&self) -> Result<Self> {
        let from = view(self.tensor())?;
        let mut to = buffer::take(from.len());
        to.copy_from_slice(&from);
        Ok(Self::new(tensor(to, self.tensor().dims())?))
    }
}
