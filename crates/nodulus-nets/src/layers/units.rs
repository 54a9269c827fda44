//! Smallest building blocks: transposed convolution, and convolution with norm and rectifier.

use super::addend::Addend;
use super::convolution::Conv;
use super::norm::BatchNorm;
use super::pass::Pass;
use crate::error::Result;
use crate::ops::up_convolution::UpConvolution;
use crate::ops::window::Window;
use crate::parameters::{Initialiser, Scope};
use crate::tape::Value;

/// A transposed convolution that doubles an image's size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UpConv {
    weight: usize,
    bias: usize,
}

impl UpConv {
    /// A 2 × 2 convolution, transposed, with bias.
    // METHOD: initial weights are normal with variance 2 / fan-in (He 2015); each output pixel has
    // one input pixel per channel.
    pub(crate) fn new(mut scope: Scope, [channels, filters]: [usize; 2]) -> Self {
        let start = Initialiser::Linear((2.0 / channels as f32).sqrt());
        Self {
            weight: scope.parameter("weight", &[channels, filters, 2, 2], start),
            bias: scope.parameter("bias", &[filters], Initialiser::Constant(0.0)),
        }
    }

    /// Applies the convolution.
    pub(crate) fn forward(&self, pass: &mut Pass, x: &Value) -> Result<Value> {
        let (weight, bias) = (pass.parameter(self.weight), pass.parameter(self.bias));
        pass.apply(UpConvolution, &[x, &weight, &bias])
    }
}

/// Convolution, norm, `ReLU`.
pub(crate) struct ConvUnit {
    conv: Conv,
    norm: BatchNorm,
}

impl ConvUnit {
    /// A convolution `conv` and a norm `bn`, each with `number` after its name.
    pub(crate) fn numbered(
        scope: &mut Scope,
        number: &str,
        counts: [usize; 2],
        window: Window,
    ) -> Self {
        let conv = Conv::new(scope.inner(&format!("conv{number}")), counts, window);
        Self { conv, norm: BatchNorm::new(scope.inner(&format!("bn{number}")), counts[1]) }
    }

    /// A convolution `conv` and a norm `bn`.
    pub(crate) fn new(mut scope: Scope, counts: [usize; 2], window: Window) -> Self {
        Self::numbered(&mut scope, "", counts, window)
    }

    /// Applies the unit.
    pub(crate) fn forward(&self, pass: &mut Pass, x: &Value) -> Result<Value> {
        pass.sum(&[Addend::Convolved(&self.conv, Some(self.norm), x)], true)
    }
}
