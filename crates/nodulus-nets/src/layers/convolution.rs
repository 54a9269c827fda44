//! Convolution: its window and the indices of its parameters.

use crate::ops::window::Window;
use crate::parameters::{Initialiser, Scope};

/// A convolution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conv {
    pub(super) window: Window,
    pub(super) weight: usize,
    pub(super) bias: Option<usize>,
}

impl Conv {
    /// A convolution without bias, for use where a batch norm follows or is added.
    pub(crate) fn new(scope: Scope, counts: [usize; 2], window: Window) -> Self {
        Self::started(scope, counts, window, Initialiser::Normal)
    }

    // METHOD: initial weights are normal with variance 2 / fan-in (He 2015).
    fn started(
        mut scope: Scope,
        [channels, filters]: [usize; 2],
        window: Window,
        start: impl Fn(f32) -> Initialiser,
    ) -> Self {
        let fan_in = channels * window.size * window.size;
        let start = start((2.0 / fan_in as f32).sqrt());
        let shape = [filters, channels, window.size, window.size];
        Self { window, weight: scope.parameter("weight", &shape, start), bias: None }
    }

    /// A convolution without bias that no `ReLU` follows.
    pub(crate) fn linear(scope: Scope, counts: [usize; 2], window: Window) -> Self {
        Self::started(scope, counts, window, Initialiser::Linear)
    }

    /// A convolution with bias, which no `ReLU` follows.
    pub(crate) fn with_bias(mut scope: Scope, counts: [usize; 2], window: Window) -> Self {
        let conv = Self::linear(scope.same(), counts, window);
        let bias = scope.parameter("bias", &[counts[1]], Initialiser::Constant(0.0));
        Self { bias: Some(bias), ..conv }
    }

    /// A convolution without bias whose initial weights are those of torchvision's `ResNet`:
    /// variance 2 / fan-out.
    pub(crate) fn of_resnet(
        mut scope: Scope,
        [channels, filters]: [usize; 2],
        window: Window,
    ) -> Self {
        let fan_out = filters * window.size * window.size;
        let start = Initialiser::Normal((2.0 / fan_out as f32).sqrt());
        let shape = [filters, channels, window.size, window.size];
        Self { window, weight: scope.parameter("weight", &shape, start), bias: None }
    }
}
