//! Addends of a sum of tensors.

use super::convolution::Conv;
use super::norm::BatchNorm;
use crate::tape::Value;

/// An addend of [`Pass::sum`](super::Pass::sum).
#[derive(Clone, Copy)]
pub(crate) enum Addend<'a> {
    /// The tensor itself.
    Plain(&'a Value),
    /// The normalised tensor.
    Normalised(BatchNorm, &'a Value),
    /// The tensor convolved and, with a norm, normalised.
    Convolved(&'a Conv, Option<BatchNorm>, &'a Value),
}
