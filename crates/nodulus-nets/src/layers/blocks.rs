//! Building blocks of segmenters.

use super::addend::Addend;
use super::convolution::Conv;
use super::norm::BatchNorm;
use super::pass::Pass;
use crate::error::Result;
use crate::ops::concatenation::{Concatenation, Enlargement};
use crate::ops::window::Window;
use crate::parameters::{Initialiser, Scope};
use crate::tape::Value;

/// `below` enlarged to twice its size and concatenated with `skip`.
pub(crate) fn up(pass: &mut Pass, how: Enlargement, below: &Value, skip: &Value) -> Result<Value> {
    pass.apply(Concatenation { enlarged: Some(how) }, &[below, skip])
}

/// Main path: 3 × 3 convolution, norm, `ReLU`, 3 × 3 convolution. Skip path as in [`ResidualUnit`].
pub(crate) struct Stem {
    conv1: Conv,
    norm: BatchNorm,
    conv2: Conv,
    skip: Conv,
    skip_norm: BatchNorm,
}

impl Stem {
    /// The first unit of a network, from so many slices to `width` channels.
    pub(crate) fn new(scope: &mut Scope, [slices, width]: [usize; 2]) -> Self {
        let window = Window::centred(3, 1);
        let mut inner = scope.inner("main");
        let conv1 = Conv::new(inner.inner("conv1"), [slices, width], window);
        let norm = BatchNorm::new(inner.inner("bn"), width);
        let conv2 = Conv::linear(inner.inner("conv2"), [width; 2], window);
        let mut inner = scope.inner("skip");
        let skip = Conv::new(inner.inner("conv"), [slices, width], Window::centred(1, 1));
        let skip_norm = BatchNorm::new(inner.inner("bn"), width);
        Self { conv1, norm, conv2, skip, skip_norm }
    }

    /// Applies the unit.
    pub(crate) fn forward(&self, pass: &mut Pass, x: &Value) -> Result<Value> {
        let main = pass.sum(&[Addend::Convolved(&self.conv1, Some(self.norm), x)], true)?;
        let main = Addend::Convolved(&self.conv2, None, &main);
        pass.sum(&[main, Addend::Convolved(&self.skip, Some(self.skip_norm), x)], false)
    }
}

/// 3 × 3 depthwise convolution, then 1 × 1 convolution.
struct SeparableConv {
    depthwise: usize,
    stride: usize,
    pointwise: Conv,
}

impl SeparableConv {
    fn new(scope: &mut Scope, [from, to]: [usize; 2], stride: usize, bias: bool) -> Self {
        let start = Initialiser::Linear((2.0f32 / 9.0).sqrt());
        let depthwise = scope.inner("depthwise").parameter("weight", &[from, 1, 3, 3], start);
        let (inner, window) = (scope.inner("pointwise"), Window::centred(1, 1));
        let pointwise = if bias {
            Conv::with_bias(inner, [from, to], window)
        } else {
            Conv::new(inner, [from, to], window)
        };
        Self { depthwise, stride, pointwise }
    }
}

/// A residual unit's first convolution.
enum FirstConv {
    Separable(SeparableConv),
    Plain(Conv),
}

/// Sum of two paths. Main path: norm, `ReLU`, 3 × 3 convolution, norm, `ReLU`, 3 × 3 convolution.
/// Skip path: 1 × 1 convolution, norm.
// METHOD: a convolution has no bias where a batch norm follows it or is added to it.
pub(crate) struct ResidualUnit {
    norm1: BatchNorm,
    first: FirstConv,
    norm2: BatchNorm,
    conv: Conv,
    skip: Conv,
    skip_norm: BatchNorm,
}

impl ResidualUnit {
    /// A unit whose first convolution is separable; `counts` are its input and output channels.
    pub(crate) fn separable(scope: &mut Scope, counts: [usize; 2], stride: usize) -> Self {
        Self::new(scope, counts, stride, "conv", |main| {
            FirstConv::Separable(SeparableConv::new(main, counts, stride, false))
        })
    }

    /// A unit of plain convolutions; `counts` are its input and output channels.
    pub(crate) fn plain(scope: &mut Scope, counts: [usize; 2], stride: usize) -> Self {
        Self::new(scope, counts, stride, "conv2", |main| {
            FirstConv::Plain(Conv::new(main.inner("conv1"), counts, Window::centred(3, stride)))
        })
    }

    fn new(
        scope: &mut Scope,
        [from, to]: [usize; 2],
        stride: usize,
        second: &str,
        first: impl FnOnce(&mut Scope) -> FirstConv,
    ) -> Self {
        let mut main = scope.inner("main");
        let norm1 = BatchNorm::new(main.inner("bn1"), from);
        let first = first(&mut main);
        let norm2 = BatchNorm::new(main.inner("bn2"), to);
        let conv = Conv::linear(main.inner(second), [to, to], Window::centred(3, 1));
        let mut inner = scope.inner("skip");
        let skip = Conv::new(inner.inner("conv"), [from, to], Window::centred(1, stride));
        let skip_norm = BatchNorm::new(inner.inner("bn"), to);
        Self { norm1, first, norm2, conv, skip, skip_norm }
    }

    /// Applies the unit.
    pub(crate) fn forward(&self, pass: &mut Pass, x: &Value) -> Result<Value> {
        let main = match &self.first {
            FirstConv::Separable(SeparableConv { depthwise, stride, pointwise }) => {
                let main = pass.depthwise(*depthwise, *stride, Some(self.norm1), x)?;
                pass.sum(&[Addend::Convolved(pointwise, Some(self.norm2), &main)], true)?
            }
            FirstConv::Plain(conv) => {
                let main = pass.rectified(self.norm1, x)?;
                pass.sum(&[Addend::Convolved(conv, Some(self.norm2), &main)], true)?
            }
        };
        let main = Addend::Convolved(&self.conv, None, &main);
        pass.sum(&[main, Addend::Convolved(&self.skip, Some(self.skip_norm), x)], false)
    }
}

/// Atrous spatial pyramid pooling by a sum: 3 × 3 convolutions with several dilations, each with a
/// norm, their sum, and a 1 × 1 convolution.
pub(crate) struct SummedPyramid {
    branches: Vec<(Conv, BatchNorm)>,
    out: Conv,
}

impl SummedPyramid {
    /// A pyramid; `counts` are its input and output channels.
    pub(crate) fn new(scope: &mut Scope, counts: [usize; 2], dilations: &[usize]) -> Self {
        let channels = counts[1];
        let branches = dilations.iter().enumerate().map(|(i, &dilation)| {
            let mut scope = scope.inner(&i.to_string());
            let window = Window::dilated(dilation);
            let conv = Conv::new(scope.inner("conv"), counts, window);
            (conv, BatchNorm::new(scope.inner("bn"), channels))
        });
        let branches = branches.collect();
        let out = Conv::with_bias(scope.inner("out"), [channels; 2], Window::centred(1, 1));
        Self { branches, out }
    }

    /// Applies the pyramid, and then the 1 × 1 convolution `then` if there is one.
    pub(crate) fn forward(&self, pass: &mut Pass, x: &Value, then: Option<&Conv>) -> Result<Value> {
        let then: Vec<&Conv> = [Some(&self.out), then].into_iter().flatten().collect();
        pass.pyramid(&self.branches, &then, x)
    }
}

/// Combines a feature of the segmenter with one of the classifier: 1 × 1 convolution of the latter,
/// concatenation, 1 × 1 convolution, separable convolution.
pub(crate) struct Combination {
    classifier: Conv,
    merge: Conv,
    separable: SeparableConv,
}

impl Combination {
    /// A combination of features with these numbers of channels.
    pub(crate) fn new(scope: &mut Scope, [segmenter, classifier]: [usize; 2]) -> Self {
        let window = Window::centred(1, 1);
        let mut conv = |name: &str, counts| Conv::with_bias(scope.inner(name), counts, window);
        Self {
            classifier: conv("classifier", [classifier; 2]),
            merge: conv("merge", [segmenter + classifier, segmenter]),
            separable: SeparableConv::new(scope, [segmenter; 2], 1, true),
        }
    }

    /// The feature that replaces the segmenter's.
    pub(crate) fn forward(
        &self,
        pass: &mut Pass,
        segmenter: &Value,
        classifier: &Value,
    ) -> Result<Value> {
        let t = pass.convolve(&self.classifier, classifier)?;
        let both = pass.apply(Concatenation { enlarged: None }, &[segmenter, &t])?;
        let merged = pass.convolve(&self.merge, &both)?;
        let SeparableConv { depthwise, stride, pointwise } = &self.separable;
        let x = pass.depthwise(*depthwise, *stride, None, &merged)?;
        pass.convolve(pointwise, &x)
    }
}
